"""Sending domains: what the DNS says of them, and the records to paste for what is missing."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from maild.api.schemas.base import (
    Input,
    SearchText,
    WorkspaceId,
    WorkspaceQuery,
)

DOMAINS_LIMIT_MAX = 200

DomainName = Annotated[
    SearchText,
    Field(max_length=1_000, description="Such as example.com, or an internationalised one."),
]
Selector = Annotated[
    SearchText | None,
    Field(
        max_length=1_000,
        description="The name before ._domainkey. Left out, the usual ones of your providers are"
        " tried.",
    ),
]
DnsState = Literal["ok", "warn", "bad", "unknown"]


class DomainIn(Input):
    workspace_id: WorkspaceId | None = None
    domain: DomainName
    dkim_selector: Selector = None


class DomainNamed(Input):
    workspace_id: WorkspaceId | None = None
    domain: DomainName


class DomainQuery(WorkspaceQuery):
    limit: int = Field(50, ge=1, le=DOMAINS_LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class PasteOut(BaseModel):
    """A record to put into the DNS. What is in angle brackets your provider knows."""

    name: str
    type: str
    value: str
    why: str


class DnsCheckOut(BaseModel):
    state: DnsState = Field(description="`unknown`: the DNS did not answer; it may be in order.")
    summary: str
    name: str = Field(description="The name that was asked.")
    found: list[str] = Field(description="The records that are there, raw.")
    meaning: list[str]
    paste: list[PasteOut]
    facts: dict[str, Any] = Field(description="Details, such as the size of a key.")


class ReadinessDetails(BaseModel):
    spf: DnsCheckOut
    dkim: DnsCheckOut
    dmarc: DnsCheckOut
    mx: DnsCheckOut


class ReadinessOut(BaseModel):
    workspace_id: int
    domain: str
    dkim_selector: str | None = Field(description="The one that was given or found.")
    spf_valid: bool
    dkim_valid: bool
    dmarc_valid: bool
    ready: bool = Field(description="All three are valid.")
    details: ReadinessDetails


class DomainOut(BaseModel):
    workspace_id: int
    id: int
    domain: str
    dkim_selector: str | None
    ready: bool | None = Field(description="By the last check that could tell; null before it.")
    checked_at: datetime | None
    next_check_at: datetime
    drifted: list[str] = Field(description="The checks whose records are worse than they were.")
    created_by: str
    created_at: datetime
    details: ReadinessDetails | None = Field(description="Null before the first check.")


class DomainPage(BaseModel):
    workspace_id: int
    count: int = Field(description="Domains on this page.")
    domains: list[DomainOut] = Field(description="By name.")
    next_cursor: str | None


class DomainRemoved(BaseModel):
    workspace_id: int
    domain: str
    status: Literal["removed"] = "removed"

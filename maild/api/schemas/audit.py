"""The audit log: what is asked for, and what its entries tell."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from maild.api.schemas.base import LIMIT_MAX, SearchText, Timestamp, WorkspaceQuery


class AuditQuery(WorkspaceQuery):
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")
    since: Timestamp | None = Field(None, alias="from", description="From this time on.")
    until: Timestamp | None = Field(None, alias="to", description="Before this time.")
    action: SearchText | None = Field(None, description="Exactly: `api_key.created`, ...")
    actor: SearchText | None = Field(None, description="Exactly as entries name it.")


class AuditEntryOut(BaseModel):
    seq: int = Field(description="Counts from 1 in each workspace, without gaps.")
    at: datetime
    actor: str
    actor_ip: str | None
    request_id: str | None
    action: str
    target: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    previous_hash: str
    hash: str = Field(description="SHA-256 of this entry, in hexadecimal, the previous included.")


class AuditPage(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    workspace_id: int
    since: datetime | None = Field(alias="from")
    until: datetime | None = Field(alias="to")
    count: int = Field(description="Entries on this page.")
    entries: list[AuditEntryOut]
    next_cursor: str | None

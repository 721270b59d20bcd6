"""Shapes: Domains. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class DnsCheckOut(TypedDict):
    state: Literal["ok", "warn", "bad", "unknown"]
    summary: str
    name: str
    found: list[str]
    meaning: list[str]
    paste: list[PasteOut]
    facts: dict[str, Any]


class DomainOut(TypedDict):
    workspace_id: int
    id: int
    domain: str
    dkim_selector: str | None
    ready: bool | None
    checked_at: str | None
    next_check_at: str
    drifted: list[str]
    created_by: str
    created_at: str
    details: ReadinessDetails | None


class DomainPage(TypedDict):
    workspace_id: int
    count: int
    domains: list[DomainOut]
    next_cursor: str | None


class DomainRemoved(TypedDict):
    workspace_id: int
    domain: str
    status: Literal["removed"]


class PasteOut(TypedDict):
    """A record to put into the DNS. What is in angle brackets your provider knows."""

    name: str
    type: str
    value: str
    why: str


class ReadinessDetails(TypedDict):
    spf: DnsCheckOut
    dkim: DnsCheckOut
    dmarc: DnsCheckOut
    mx: DnsCheckOut


class ReadinessOut(TypedDict):
    workspace_id: int
    domain: str
    dkim_selector: str | None
    spf_valid: bool
    dkim_valid: bool
    dmarc_valid: bool
    ready: bool
    details: ReadinessDetails

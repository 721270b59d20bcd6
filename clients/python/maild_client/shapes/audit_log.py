"""Shapes: Audit log. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Any, TypedDict


class AuditEntryOut(TypedDict):
    seq: int
    at: str
    actor: str
    actor_ip: str | None
    request_id: str | None
    action: str
    target: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    previous_hash: str
    hash: str


AuditPage = TypedDict(
    "AuditPage",
    {
        "workspace_id": "int",
        "from": "str | None",
        "to": "str | None",
        "count": "int",
        "entries": "list[AuditEntryOut]",
        "next_cursor": "str | None",
    },
)

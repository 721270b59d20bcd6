"""Shapes: DKIM keys. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

Algorithm: TypeAlias = Literal["rsa-sha256", "ed25519-sha256"]


class DkimKeyList(TypedDict):
    workspace_id: int
    count: int
    keys: list[DkimKeyOut]


class DkimKeyOut(TypedDict):
    workspace_id: int
    id: int
    domain: str
    selector: str
    algorithm: Algorithm
    state: KeyState
    record: DnsRecordOut
    record_state: RecordState
    record_found: str | None
    checked_at: str | None
    seen_at: str | None
    created_at: str
    created_by: str
    activated_at: str | None
    retiring_at: str | None
    retire_at: str | None
    retired_at: str | None


class DkimKeyPage(TypedDict):
    workspace_id: int
    count: int
    keys: list[DkimKeyOut]
    next_cursor: str | None


class DnsRecordOut(TypedDict):
    """A record to publish. `value` is one text; `zone_value` the same in quoted strings."""

    name: str
    type: str
    value: str
    zone_value: str


KeyState: TypeAlias = Literal["prepared", "active", "retiring", "retired"]


RecordState: TypeAlias = Literal[
    "unchecked", "published", "missing", "different", "revoked", "unknown"
]

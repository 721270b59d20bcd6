"""Shapes: Freezes. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

FreezeKind: TypeAlias = Literal[
    "workspace", "stream", "smtp_account", "api_key", "from_email", "recipient_domain"
]


class FreezeOut(TypedDict):
    workspace_id: int
    id: int
    kind: FreezeKind
    target: str | None
    state: FreezeState
    reason: str
    expires_at: str
    created_at: str
    created_by: str
    lifted_at: str | None
    lifted_by: str | None
    lift_reason: str | None
    waiting: WaitingOut
    drain_estimate_seconds: int | None
    drain_note: str


class FreezePage(TypedDict):
    workspace_id: int
    count: int
    freezes: list[FreezeOut]
    next_cursor: str | None


FreezeState: TypeAlias = Literal["in_force", "ended"]


class WaitingOut(TypedDict):
    """Messages that the freeze holds, and due ones that it would hold."""

    count: int
    is_more: bool

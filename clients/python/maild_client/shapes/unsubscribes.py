"""Shapes: Unsubscribes. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from maild_client.shapes.shared import Stream


class UnsubscribeOut(TypedDict):
    id: int
    workspace_id: int
    email: str
    topic: str | None
    stream: Stream | None
    reason: str | None
    source: str
    message_id: str | None
    created_by: str
    created_at: str
    state: UnsubscribeState
    removed_at: str | None
    removed_by: str | None
    removal_reason: str | None


class UnsubscribePage(TypedDict):
    workspace_id: int
    count: int
    unsubscribes: list[UnsubscribeOut]
    next_cursor: str | None


class UnsubscribeRemoved(TypedDict):
    id: int
    workspace_id: int
    email: str
    topic: str | None
    stream: Stream | None
    reason: str | None
    source: str
    message_id: str | None
    created_by: str
    created_at: str
    state: UnsubscribeState
    removed_at: str | None
    removed_by: str | None
    removal_reason: str | None
    status: Literal["removed"]
    blocked_count: int
    has_more_blocked: bool
    blocked_ids: list[str]
    remaining: list[UnsubscribeOut]


class UnsubscribeSaved(TypedDict):
    id: int
    workspace_id: int
    email: str
    topic: str | None
    stream: Stream | None
    reason: str | None
    source: str
    message_id: str | None
    created_by: str
    created_at: str
    state: UnsubscribeState
    removed_at: str | None
    removed_by: str | None
    removal_reason: str | None
    status: Literal["unsubscribed"]


UnsubscribeState: TypeAlias = Literal["in_force", "removed"]

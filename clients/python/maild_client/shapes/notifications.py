"""Shapes: Notifications. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from maild_client.shapes.shared import Severity

ChannelKind: TypeAlias = Literal["webhook", "slack", "email"]


class NotificationChannelAdded(TypedDict):
    id: int
    workspace_id: int
    name: str
    kind: ChannelKind
    target: str
    min_severity: Severity
    occasions: list[Literal["opened", "escalated", "resolved", "reopened"]]
    is_active: bool
    off_reason: str | None
    failing_since: str | None
    last_error: str | None
    last_sent_at: str | None
    created_at: str
    created_by: str
    signing_secret: str | None


class NotificationChannelDeleted(TypedDict):
    workspace_id: int
    id: int
    status: Literal["deleted"]


class NotificationChannelList(TypedDict):
    workspace_id: int
    count: int
    channels: list[NotificationChannelOut]


class NotificationChannelOut(TypedDict):
    id: int
    workspace_id: int
    name: str
    kind: ChannelKind
    target: str
    min_severity: Severity
    occasions: list[Literal["opened", "escalated", "resolved", "reopened"]]
    is_active: bool
    off_reason: str | None
    failing_since: str | None
    last_error: str | None
    last_sent_at: str | None
    created_at: str
    created_by: str


class NotificationList(TypedDict):
    workspace_id: int
    count: int
    notifications: list[NotificationOut]
    next_cursor: str | None


class NotificationOut(TypedDict):
    id: int
    workspace_id: int
    channel_id: int
    channel: str
    incident_id: int | None
    occasion: Occasion
    title: str
    status: NotificationStatus
    outcome: str | None
    code: int | None
    attempt_count: int
    created_at: str
    due_at: str | None
    settled_at: str | None


NotificationStatus: TypeAlias = Literal["waiting", "sent", "failed", "folded"]


Occasion: TypeAlias = Literal["opened", "escalated", "resolved", "reopened", "test"]

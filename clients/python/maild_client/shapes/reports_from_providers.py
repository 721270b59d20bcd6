"""Shapes: Reports from providers. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class DismissOut(TypedDict):
    workspace_id: int
    requested: int
    dismissed: int
    skipped: int
    failed: int
    outcomes: list[DismissOutcomeOut]


class DismissOutcomeOut(TypedDict):
    event_id: str
    status: ReplayStatus
    error: str | None


class EntryError(TypedDict):
    index: int
    error: str


class EventsTaken(TypedDict):
    """The counts, and of a single entry what became of it and how it was read."""

    status: Literal["accepted"]
    outcome: NotRequired[Literal["processed", "duplicate", "dead_letter"] | None]
    workspace_id: NotRequired[int | None]
    type: NotRequired[str | None]
    event_type: NotRequired[ProviderEventType | None]
    email: NotRequired[str | None]
    processed_count: int
    rejected_count: int
    dead_lettered_count: int
    duplicate_count: int
    total_count: int
    errors: NotRequired[list[EntryError] | None]


class ProviderEventOut(TypedDict):
    id: int
    workspace_id: int
    provider: str
    smtp_account: str | None
    event_type: ProviderEventType | None
    email: str | None
    reason: str | None
    reject_reason: RejectReason | None
    status: ReportStatus
    attempt_count: int
    last_error: str | None
    next_attempt_at: str | None
    message_id: str | None
    provider_message_id: str | None
    provider_event_id: str | None
    duplicate_of: int | None
    effects: dict[str, Any] | None
    raw_payload: str
    occurred_at: str | None
    created_at: str
    updated_at: str


ProviderEventType: TypeAlias = Literal[
    "queued",
    "sent",
    "delivered",
    "deferred",
    "bounced",
    "rejected",
    "failed",
    "complained",
    "unsubscribed",
    "subscribed",
    "opened",
    "clicked",
    "autoresponded",
    "unknown",
]


RejectReason: TypeAlias = Literal[
    "invalid", "bounced", "timed_out", "blocked", "spam", "unsubscribed", "other"
]


class ReplayOut(TypedDict):
    workspace_id: int
    requested: int
    replayed: int
    failed: int
    skipped: int
    duplicate: int
    waiting: int
    replay_source: ReplaySource
    dry_run: bool
    effects: dict[str, int]
    outcomes: list[ReplayOutcomeOut]


class ReplayOutcomeOut(TypedDict):
    event_id: str
    status: ReplayStatus
    attempt_count: int
    error: str | None
    effects: list[dict[str, Any]]


ReplaySource: TypeAlias = Literal["ids", "latest"]


ReplayStatus: TypeAlias = Literal[
    "replayed", "duplicate", "skipped", "waiting", "dismissed", "failed"
]


ReportStatus: TypeAlias = Literal[
    "received", "applied", "ignored", "duplicate", "dead_letter", "replayed"
]


WebhookLogPage = TypedDict(
    "WebhookLogPage",
    {
        "workspace_id": "int",
        "from": "str | None",
        "to": "str | None",
        "status": "ReportStatus | None",
        "count": "int",
        "events": "list[ProviderEventOut]",
        "next_cursor": "str | None",
    },
)


class WebhookReady(TypedDict):
    status: Literal["ready"]


class WebhookTaken(TypedDict):
    """The payload is stored as it came; a worker reads it."""

    status: Literal["accepted"]

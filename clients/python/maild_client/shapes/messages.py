"""Shapes: Messages. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from maild_client.shapes.shared import (
    AttemptOut,
    DecisionOut,
    EventOut,
    FieldProblem,
    MessageSummary,
    Status,
    Stream,
    Verdict,
)


class AttachmentIn(TypedDict):
    filename: str
    content_type: NotRequired[str]
    content_base64: str
    content_id: NotRequired[str | None]


class AttachmentOut(TypedDict):
    filename: str
    content_type: str
    size_bytes: int


class BatchAccepted(TypedDict):
    index: int
    id: str
    status: Status
    related_ids: list[str]


class BatchOut(TypedDict):
    workspace_id: int
    accepted: int
    rejected: int
    results: list[BatchAccepted | BatchRejected]


class BatchRejected(TypedDict):
    index: int
    error: str
    code: str
    errors: list[FieldProblem]


class BodyOut(TypedDict):
    """What a message says, as it was submitted."""

    from_name: str | None
    reply_to: str | None
    cc: list[str]
    headers: list[list[str]]
    body_text: str | None
    body_html: str | None
    attachments: list[AttachmentOut]


class InterventionOut(TypedDict):
    workspace_id: int
    requested: int
    done: int
    skipped: int
    failed: int
    outcomes: list[OutcomeOut]


InterventionStatus: TypeAlias = Literal[
    "retried", "cancelled", "held", "released", "resolved", "skipped", "failed"
]


LogPage = TypedDict(
    "LogPage",
    {
        "workspace_id": "int",
        "from": "str | None",
        "to": "str | None",
        "count": "int",
        "messages": "list[MessageSummary]",
        "next_cursor": "str | None",
    },
)


class MessageDetail(TypedDict):
    """A message, with what `include` asks for."""

    id: str
    workspace_id: int
    from_email: str
    to_email: str
    subject: str
    status: Status
    stream: Stream
    topic: str | None
    tags: list[str]
    metadata: dict[str, Any]
    submission_id: str
    attempt_count: int
    excused_count: int
    next_attempt_at: str | None
    scheduled_at: str | None
    expires_at: str
    hold_reason: str | None
    last_error: str | None
    error_class: str | None
    smtp_account: str | None
    pinned_smtp_account: str | None
    message_id_header: str
    created_at: str
    updated_at: str
    body_text: str | None
    body_pruned_at: str | None
    related_ids: list[str]
    body: NotRequired[BodyOut | None]
    decision: NotRequired[list[DecisionOut] | None]
    events: NotRequired[list[EventOut] | None]


class MessageIn(TypedDict):
    from_email: str
    to_email: str
    subject: NotRequired[str]
    body_text: NotRequired[str | None]
    body_html: NotRequired[str | None]
    template: NotRequired[int | str | None]
    data: NotRequired[dict[str, Any] | None]
    workspace_id: NotRequired[int | None]
    from_name: NotRequired[str | None]
    reply_to: NotRequired[str | None]
    cc: NotRequired[list[str]]
    bcc: NotRequired[list[str]]
    headers: NotRequired[dict[str, str]]
    attachments: NotRequired[list[AttachmentIn]]
    stream: NotRequired[Stream]
    topic: NotRequired[str | None]
    tags: NotRequired[list[str]]
    metadata: NotRequired[dict[str, Any]]
    scheduled_at: NotRequired[str | dt.datetime | None]
    expires_at: NotRequired[str | dt.datetime | None]
    smtp_account: NotRequired[str | None]


class MessageOut(TypedDict):
    """A message with its text."""

    id: str
    workspace_id: int
    from_email: str
    to_email: str
    subject: str
    status: Status
    stream: Stream
    topic: str | None
    tags: list[str]
    metadata: dict[str, Any]
    submission_id: str
    attempt_count: int
    excused_count: int
    next_attempt_at: str | None
    scheduled_at: str | None
    expires_at: str
    hold_reason: str | None
    last_error: str | None
    error_class: str | None
    smtp_account: str | None
    pinned_smtp_account: str | None
    message_id_header: str
    created_at: str
    updated_at: str
    body_text: str | None
    body_pruned_at: str | None
    related_ids: list[str]


class OutcomeOut(TypedDict):
    message_id: str
    status: InterventionStatus
    error: str | None


class RecipientDecision(TypedDict):
    to_email: str
    decision: DecisionOut
    send_at: str | None


class ResendOut(TypedDict):
    workspace_id: int
    requested: int
    resent: int
    skipped: int
    failed: int
    outcomes: list[ResendOutcome]


class ResendOutcome(TypedDict):
    message_id: str
    status: ResendStatus
    new_message_id: str | None
    new_status: Status | None
    error: str | None


ResendStatus: TypeAlias = Literal["resent", "skipped", "failed"]


RetryFilter = TypedDict(
    "RetryFilter",
    {
        "status": 'NotRequired[Literal["failed", "unknown"] | None]',
        "stream": "NotRequired[Stream | None]",
        "to_email": "NotRequired[str | None]",
        "from_email": "NotRequired[str | None]",
        "subject": "NotRequired[str | None]",
        "q": "NotRequired[str | None]",
        "tag": "NotRequired[str | None]",
        "smtp_account": "NotRequired[str | None]",
        "error_class": "NotRequired[str | None]",
        "from": "NotRequired[str | dt.datetime | None]",
        "to": "NotRequired[str | dt.datetime | None]",
    },
)


class RetryOut(TypedDict):
    workspace_id: int
    requested: int
    retried: int
    skipped: int
    failed: int
    replay_source: RetrySource
    dry_run: bool
    truncated: bool
    outcomes: list[OutcomeOut]


RetrySource: TypeAlias = Literal["ids", "latest_failed", "filter"]


class TimelineOut(TypedDict):
    message: MessageOut
    attempts: list[AttemptOut]
    events: list[EventOut]
    decision: list[DecisionOut]


class ValidateOut(TypedDict):
    """What would become of the message; nothing was stored."""

    workspace_id: int
    verdict: Verdict
    code: str | None
    recipients: list[RecipientDecision]

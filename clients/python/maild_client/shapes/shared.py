"""Shapes: What several chapters share. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict


class AttemptOut(TypedDict):
    attempt_no: int
    status: AttemptStatus
    smtp_account: str
    remote: str | None
    started_at: str
    finished_at: str | None
    duration_ms: int | None
    success: bool
    excused: bool
    stage: str | None
    smtp_code: int | None
    enhanced_code: str | None
    response: str | None
    error_class: str | None
    timings: dict[str, float] | None


AttemptStatus: TypeAlias = Literal[
    "started", "sent", "deferred", "failed", "unknown", "interrupted"
]


BarKind: TypeAlias = Literal["suppression", "unsubscribe"]


class BarOut(TypedDict):
    """A suppression or an unsubscribe that is in force."""

    kind: BarKind
    id: int
    stream: Stream | None
    topic: str | None
    since: str


Check: TypeAlias = Literal[
    "lifetime",
    "from_domain",
    "recipient_domain",
    "suppression",
    "unsubscribe",
    "freeze",
    "workspace_limit",
    "domain_limit",
    "provider",
]


class CheckOut(TypedDict):
    """One check of a decision. What else it was made from stands beside these ..."""

    check: Check
    verdict: Verdict


class ConsentOut(TypedDict):
    source: str
    at: str
    proof: str | None


class ContactOut(TypedDict):
    id: int
    workspace_id: int
    email: str
    name: str | None
    attributes: dict[str, str | float | bool | None]
    topics: list[str]
    status: ContactStatus
    consent: ConsentOut | None
    standing: StandingOut
    version: int
    created_by: str
    created_at: str
    updated_at: str


ContactStatus: TypeAlias = Literal["pending", "active"]


class DecisionOut(TypedDict):
    """Why a message was let through, or was not."""

    at: str | None
    stage: Literal["accept", "send"]
    attempt_no: int | None
    policy_version: int | None
    verdict: Verdict
    checks: list[CheckOut]


class EventOut(TypedDict):
    id: int
    type: str
    data: dict[str, Any]
    created_at: str


class FieldProblem(TypedDict):
    field: str
    message: str


class MessageSummary(TypedDict):
    """A message without its content, as in the log."""

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


Severity: TypeAlias = Literal["minor", "major", "critical"]


class StandingOut(TypedDict):
    """How they stand at this moment, as suppressions and unsubscribes have it."""

    state: StandingState
    can_be_mailed: bool
    suppressed: bool
    unsubscribed: bool
    left_topics: list[str]
    because: list[BarOut]


StandingState: TypeAlias = Literal["suppressed", "unsubscribed", "pending", "open"]


Status: TypeAlias = Literal[
    "queued",
    "sending",
    "sent",
    "delivered",
    "bounced",
    "complained",
    "failed",
    "suppressed",
    "cancelled",
    "expired",
    "held",
    "unknown",
]


class StepOut(TypedDict):
    """One step of trying an SMTP account."""

    stage: str
    ok: bool
    text: str
    ms: float


Stream: TypeAlias = Literal["transactional", "marketing"]


Verdict: TypeAlias = Literal["pass", "wait", "stop", "reject"]

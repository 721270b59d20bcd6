"""Shapes: Incidents. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict

from maild_client.shapes.shared import (
    AttemptOut,
    DecisionOut,
    EventOut,
    MessageSummary,
    Severity,
    Status,
    Stream,
)


class AdviceOut(TypedDict):
    likely_cause: str
    suggested_action: str


BundleOut: TypeAlias = "MessageBundleOut | IncidentBundleOut"


class BundleSummary(TypedDict):
    attempted_sends: int
    failed_attempts: int
    related_webhook_outcomes: int
    dead_letter_webhooks: int


class BundledAdvice(TypedDict):
    likely_cause: str
    suggested_action: str


class BundledAuditEntry(TypedDict):
    seq: int
    at: str
    actor: str
    action: str
    reason: str | None


class BundledBreaker(TypedDict):
    state: str
    reason: str | None
    error_class: str | None
    opened_at: str | None
    retry_at: str | None


class BundledDialogue(TypedDict):
    """The SMTP dialogue of an attempt, as far as it is kept."""

    attempt_no: int
    smtp_account: str
    remote: str | None
    steps: list[BundledStep]


class BundledEntry(TypedDict):
    at: str
    kind: str
    actor: str | None
    text: str | None
    data: dict[str, Any]


class BundledIncident(TypedDict):
    id: int
    kind: str
    title: str
    status: str
    severity: str
    smtp_account: str | None
    recipient_domain: str | None
    message_count: int
    recipient_count: int
    opened_at: str
    opened_by: str
    since_at: str
    last_seen_at: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    assigned_to: str | None
    resolved_at: str | None
    resolved_by: str | None
    cause: str | None
    reopen_count: int
    merged_into: int | None


class BundledMail(TypedDict):
    """The mail as it goes over the wire, without what would let its reader act as ..."""

    encoding: Literal["utf-8", "base64"]
    content: str | None
    size_bytes: int | None
    sha256: str | None
    is_cut: bool
    has_attachments_left_out: bool
    removed: list[str]
    why_not: str | None


class BundledMessage(TypedDict):
    """The message without its content."""

    id: str
    workspace_id: int
    submission_id: str
    message_id_header: str
    status: Status
    stream: Stream
    topic: str | None
    tags: list[str]
    metadata: dict[str, Any]
    from_email: str
    to_email: str
    subject: str
    size_bytes: int
    attempt_count: int
    excused_count: int
    smtp_account: str | None
    pinned_smtp_account: str | None
    last_error: str | None
    error_class: str | None
    hold_reason: str | None
    created_at: str
    updated_at: str
    scheduled_at: str | None
    next_attempt_at: str | None
    expires_at: str


class BundledMessageParts(TypedDict):
    """All that is known of one message."""

    message: BundledMessage
    attempts: list[AttemptOut]
    dialogues: list[BundledDialogue]
    webhook_outcomes: list[BundledReport]
    summary: BundleSummary
    decision: list[DecisionOut]
    events: list[EventOut]
    raw: BundledMail


class BundledPolicy(TypedDict):
    accepted_by_version: int | None
    version_in_force: int
    in_force_since: str | None
    rules: dict[str, Any]


class BundledPolicyVersion(TypedDict):
    version: int
    created_at: str | None
    created_by: str | None
    reason: str | None
    rules: dict[str, Any]


class BundledReport(TypedDict):
    """What a provider has reported, without the payload that it was read from."""

    id: int
    provider: str
    smtp_account: str | None
    event_type: str | None
    status: str
    email: str | None
    message_id: str | None
    attempt_count: int
    last_error: str | None
    occurred_at: str | None
    received_at: str


class BundledSignal(TypedDict):
    kind: str
    error_class: str | None
    smtp_account: str | None
    recipient_domain: str | None
    pattern: str | None
    sample: str | None
    detail: dict[str, Any]
    is_active: bool
    first_seen_at: str
    since_at: str
    last_seen_at: str
    message_count: int


class BundledStep(TypedDict):
    step: str
    ms: float | None
    smtp_code: int | None
    enhanced_code: str | None
    reply: str | None


class DeploymentOut(TypedDict):
    workspace_id: int
    name: str
    version: str
    url: str | None
    recorded_at: str


class IncidentBundleOut(TypedDict):
    format: str
    generated_by: str
    workspace_id: int
    generated_at: str
    webhook_window_from: str
    webhook_window_to: str
    policy: BundledPolicy
    policies: list[BundledPolicyVersion]
    provider_states: list[ProviderState]
    audit: list[BundledAuditEntry]
    caps: dict[str, int]
    left_out: list[str]
    removed: list[str]
    sha256: str
    message_id: None
    incident_id: int
    incident: BundledIncident
    advice: BundledAdvice
    signals: list[BundledSignal]
    timeline: list[BundledEntry]
    message_count: int
    messages_by_status: dict[str, int]
    messages: list[BundledMessageParts]
    summary: BundleSummary


class IncidentDetail(TypedDict):
    workspace_id: int
    id: int
    kind: IncidentKind
    title: str
    status: IncidentStatus
    severity: Severity
    is_severity_set: bool
    smtp_account: str | None
    recipient_domain: str | None
    message_count: int
    recipient_count: int
    opened_at: str
    opened_by: str
    since_at: str
    last_seen_at: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    assigned_to: str | None
    resolved_at: str | None
    resolved_by: str | None
    cause: str | None
    reopen_count: int
    merged_into: int | None
    version: int
    signals: list[SignalOut]
    replies: list[ReplyOut]
    advice: AdviceOut
    messages_by_status: dict[str, int]
    timeline: list[StoryEntryOut]


IncidentKind: TypeAlias = Literal[
    "delivery",
    "provider",
    "unknown_outcomes",
    "silent_provider",
    "dead_letters",
    "conservation",
    "domain",
    "manual",
]


class IncidentMessages(TypedDict):
    workspace_id: int
    incident_id: int
    count: int
    messages: list[MessageSummary]
    next_cursor: str | None


class IncidentOut(TypedDict):
    workspace_id: int
    id: int
    kind: IncidentKind
    title: str
    status: IncidentStatus
    severity: Severity
    is_severity_set: bool
    smtp_account: str | None
    recipient_domain: str | None
    message_count: int
    recipient_count: int
    opened_at: str
    opened_by: str
    since_at: str
    last_seen_at: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    assigned_to: str | None
    resolved_at: str | None
    resolved_by: str | None
    cause: str | None
    reopen_count: int
    merged_into: int | None
    version: int


class IncidentPage(TypedDict):
    workspace_id: int
    count: int
    incidents: list[IncidentOut]
    next_cursor: str | None


IncidentStatus: TypeAlias = Literal["open", "acknowledged", "resolved"]


class MessageBundleOut(TypedDict):
    message: BundledMessage
    attempts: list[AttemptOut]
    dialogues: list[BundledDialogue]
    webhook_outcomes: list[BundledReport]
    summary: BundleSummary
    decision: list[DecisionOut]
    events: list[EventOut]
    raw: BundledMail
    format: str
    generated_by: str
    workspace_id: int
    generated_at: str
    webhook_window_from: str
    webhook_window_to: str
    policy: BundledPolicy
    policies: list[BundledPolicyVersion]
    provider_states: list[ProviderState]
    audit: list[BundledAuditEntry]
    caps: dict[str, int]
    left_out: list[str]
    removed: list[str]
    sha256: str
    message_id: str
    incident_id: None


class ProviderState(TypedDict):
    smtp_account: str
    state: str
    is_active: bool
    pause_reason: str | None
    freeze_reason: str | None
    last_fault_at: str | None
    breaker: BundledBreaker


class ReplyOut(TypedDict):
    text: str
    error_class: str | None
    smtp_account: str | None
    recipient_domain: str | None
    seen_at: str


class SignalOut(TypedDict):
    """One thing that goes wrong, as it is told apart from others."""

    kind: IncidentKind
    error_class: str | None
    smtp_account: str | None
    recipient_domain: str | None
    first_seen_at: str
    last_seen_at: str
    is_active: bool | None


class StoryEntryOut(TypedDict):
    at: str
    kind: str
    actor: str | None
    text: str | None
    data: dict[str, Any]

"""Bundles: the evidence of what became of a message, or of an incident, in one piece."""

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, RootModel

from maild.api.schemas.base import WorkspaceQuery
from maild.api.schemas.messages import AttemptOut, DecisionOut, EventOut
from maild.domain.states import Status, Stream


class BundleQuery(WorkspaceQuery):
    message_id: str | None = Field(None, description="This, or `incident_id`: one of the two.")
    incident_id: str | None = Field(None, description="The number of an incident.")
    format: Literal["json", "zip"] = Field("json", description="`zip` is for people.")


class BundledMessage(BaseModel):
    """The message without its content."""

    id: uuid.UUID
    workspace_id: int
    submission_id: uuid.UUID
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
    created_at: datetime
    updated_at: datetime
    scheduled_at: datetime | None
    next_attempt_at: datetime | None
    expires_at: datetime


class BundledReport(BaseModel):
    """What a provider has reported, without the payload that it was read from."""

    id: int
    provider: str
    smtp_account: str | None
    event_type: str | None = Field(description="None: the payload could not be read.")
    status: str
    email: str | None
    message_id: uuid.UUID | None = Field(
        description="None: it names the recipient, and was linked to no message."
    )
    attempt_count: int
    last_error: str | None
    occurred_at: datetime | None
    received_at: datetime


class BundleSummary(BaseModel):
    attempted_sends: int
    failed_attempts: int = Field(description="Those that have ended without success.")
    related_webhook_outcomes: int
    dead_letter_webhooks: int


class BundledPolicy(BaseModel):
    accepted_by_version: int | None = Field(description="Null for an incident.")
    version_in_force: int
    in_force_since: datetime | None
    rules: dict[str, Any] = Field(description="Those in force.")


class BundledBreaker(BaseModel):
    state: str
    reason: str | None
    error_class: str | None
    opened_at: datetime | None
    retry_at: datetime | None


class ProviderState(BaseModel):
    smtp_account: str
    state: str
    is_active: bool
    pause_reason: str | None
    freeze_reason: str | None
    last_fault_at: datetime | None
    breaker: BundledBreaker


class BundledAuditEntry(BaseModel):
    seq: int
    at: datetime
    actor: str
    action: str
    reason: str | None


class BundledStep(BaseModel):
    step: str
    ms: float | None
    smtp_code: int | None = Field(description="Of the step that decided; null for the others.")
    enhanced_code: str | None
    reply: str | None


class BundledDialogue(BaseModel):
    """The SMTP dialogue of an attempt, as far as it is kept."""

    attempt_no: int
    smtp_account: str
    remote: str | None
    steps: list[BundledStep]


class BundledMail(BaseModel):
    """The mail as it goes over the wire, without what would let its reader act as somebody else."""

    encoding: Literal["utf-8", "base64"] = Field(description="How `content` holds the bytes.")
    content: str | None
    size_bytes: int | None
    sha256: str | None = Field(description="Of the bytes.")
    is_cut: bool
    has_attachments_left_out: bool
    removed: list[str] = Field(description="What was taken out and marked as [removed].")
    why_not: str | None = Field(description="Why there is none.")


class BundledPolicyVersion(BaseModel):
    version: int
    created_at: datetime | None
    created_by: str | None
    reason: str | None
    rules: dict[str, Any]


class BundledMessageParts(BaseModel):
    """All that is known of one message."""

    message: BundledMessage
    attempts: list[AttemptOut]
    dialogues: list[BundledDialogue]
    webhook_outcomes: list[BundledReport] = Field(
        description="Of this message, and of its recipient within the window where nobody could"
        " tell of which message."
    )
    summary: BundleSummary
    decision: list[DecisionOut]
    events: list[EventOut]
    raw: BundledMail


class BundleHead(BaseModel):
    """What every bundle has."""

    format: str
    generated_by: str = Field(description="The version of maild.")
    workspace_id: int
    generated_at: datetime
    webhook_window_from: datetime
    webhook_window_to: datetime
    policy: BundledPolicy
    policies: list[BundledPolicyVersion] = Field(
        description="The versions by which the messages were decided about."
    )
    provider_states: list[ProviderState]
    audit: list[BundledAuditEntry]
    caps: dict[str, int] = Field(description="The most that it holds of each; the newest.")
    left_out: list[str] = Field(description="What is not in it, in sentences.")
    removed: list[str] = Field(description="What was taken out of it, in sentences.")
    sha256: str = Field(
        description="In hex, over all the other members: sorted by name, without spaces, in UTF-8."
    )


class MessageBundleOut(BundleHead, BundledMessageParts):
    message_id: uuid.UUID
    incident_id: None


class BundledIncident(BaseModel):
    id: int
    kind: str
    title: str
    status: str
    severity: str
    smtp_account: str | None
    recipient_domain: str | None
    message_count: int
    recipient_count: int
    opened_at: datetime
    opened_by: str
    since_at: datetime
    last_seen_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    assigned_to: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    cause: str | None
    reopen_count: int
    merged_into: int | None


class BundledSignal(BaseModel):
    kind: str
    error_class: str | None
    smtp_account: str | None
    recipient_domain: str | None
    pattern: str | None
    sample: str | None
    detail: dict[str, Any]
    is_active: bool
    first_seen_at: datetime
    since_at: datetime
    last_seen_at: datetime
    message_count: int


class BundledEntry(BaseModel):
    at: datetime
    kind: str
    actor: str | None
    text: str | None
    data: dict[str, Any]


class BundledAdvice(BaseModel):
    likely_cause: str
    suggested_action: str


class IncidentBundleOut(BundleHead):
    message_id: None
    incident_id: int
    incident: BundledIncident
    advice: BundledAdvice
    signals: list[BundledSignal]
    timeline: list[BundledEntry]
    message_count: int
    messages_by_status: dict[str, int]
    messages: list[BundledMessageParts] = Field(description="A sample: the newest.")
    summary: BundleSummary = Field(description="Of the messages of the sample.")


class BundleOut(RootModel[MessageBundleOut | IncidentBundleOut]):
    """All that is known of a message, or of an incident with a sample of its messages."""

"""Bundles: the evidence of what became of a message, in one piece."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from maild.api.schemas.base import WorkspaceQuery
from maild.api.schemas.messages import AttemptOut, DecisionOut, EventOut
from maild.domain.states import Status, Stream


class BundleQuery(WorkspaceQuery):
    message_id: str


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
    accepted_by_version: int
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


class BundleOut(BaseModel):
    workspace_id: int
    message_id: uuid.UUID
    generated_at: datetime
    webhook_window_from: datetime
    webhook_window_to: datetime
    message: BundledMessage
    attempts: list[AttemptOut]
    webhook_outcomes: list[BundledReport] = Field(
        description="Of this message, and of its recipient within the window where nobody could"
        " tell of which message."
    )
    summary: BundleSummary
    decision: list[DecisionOut]
    events: list[EventOut]
    policy: BundledPolicy
    provider_states: list[ProviderState]
    audit: list[BundledAuditEntry]

"""Shapes: Campaigns. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from maild_client.shapes.shared import Status

AudienceKind: TypeAlias = Literal["everyone", "list", "segment"]


class CampaignChecks(TypedDict):
    workspace_id: int
    campaign_id: int
    can_be_sent: bool
    findings: list[CampaignFinding]
    audience_name: str | None
    reach: CampaignReach | None
    missing_fields: list[CampaignLacking]
    is_missing_exact: bool
    per_hour: int | None
    takes_seconds: int | None


class CampaignDeleted(TypedDict):
    workspace_id: int
    id: int
    name: str
    status: Literal["deleted"]


class CampaignDetail(TypedDict):
    workspace_id: int
    id: int
    name: str
    status: CampaignStatus
    version: int
    audience_kind: AudienceKind
    audience_id: int | None
    segment_id: int | None
    topic: str | None
    from_email: str
    from_name: str | None
    reply_to: str | None
    smtp_account: str | None
    template_id: int | None
    template_version: int | None
    subject: str | None
    subject_b: str | None
    test_percent: int | None
    test_minutes: int | None
    test_metric: TestMetric | None
    winner: Variant | None
    decide_at: str | None
    per_hour: int | None
    ramp: list[int] | None
    send_at: str | None
    time_zone: str
    starts_at: str | None
    created_by: str
    changed_by: str | None
    submitted_by: str | None
    approved_by: str | None
    paused_from: CampaignStatus | None
    paused_by: str | None
    pause_reason: str | None
    cancelled_by: str | None
    audience_count: int
    handed_count: int
    fault: str | None
    created_at: str
    updated_at: str
    started_at: str | None
    prepared_at: str | None
    ended_at: str | None
    figures: CampaignFigures
    engagement: CampaignEngagement


class CampaignEngagement(TypedDict):
    """How many have done it at least once."""

    opened_count: int
    clicked_count: int
    complained_count: int
    unsubscribed_count: int


class CampaignFigures(TypedDict):
    audience_count: int
    by_status: dict[str, int]
    by_reason: list[CampaignReasonCount]
    waiting_count: int
    done_count: int
    difference: int


class CampaignFinding(TypedDict):
    severity: Literal["stop", "warn", "hint"]
    code: str
    message: str
    advice: str
    line: int | None


class CampaignHeld(TypedDict):
    workspace_id: int
    id: int
    name: str
    status: CampaignStatus
    version: int
    audience_kind: AudienceKind
    audience_id: int | None
    segment_id: int | None
    topic: str | None
    from_email: str
    from_name: str | None
    reply_to: str | None
    smtp_account: str | None
    template_id: int | None
    template_version: int | None
    subject: str | None
    subject_b: str | None
    test_percent: int | None
    test_minutes: int | None
    test_metric: TestMetric | None
    winner: Variant | None
    decide_at: str | None
    per_hour: int | None
    ramp: list[int] | None
    send_at: str | None
    time_zone: str
    starts_at: str | None
    created_by: str
    changed_by: str | None
    submitted_by: str | None
    approved_by: str | None
    paused_from: CampaignStatus | None
    paused_by: str | None
    pause_reason: str | None
    cancelled_by: str | None
    audience_count: int
    handed_count: int
    fault: str | None
    created_at: str
    updated_at: str
    started_at: str | None
    prepared_at: str | None
    ended_at: str | None
    message_count: int


class CampaignLacking(TypedDict):
    field: str
    count: int
    samples: list[str]


class CampaignOut(TypedDict):
    workspace_id: int
    id: int
    name: str
    status: CampaignStatus
    version: int
    audience_kind: AudienceKind
    audience_id: int | None
    segment_id: int | None
    topic: str | None
    from_email: str
    from_name: str | None
    reply_to: str | None
    smtp_account: str | None
    template_id: int | None
    template_version: int | None
    subject: str | None
    subject_b: str | None
    test_percent: int | None
    test_minutes: int | None
    test_metric: TestMetric | None
    winner: Variant | None
    decide_at: str | None
    per_hour: int | None
    ramp: list[int] | None
    send_at: str | None
    time_zone: str
    starts_at: str | None
    created_by: str
    changed_by: str | None
    submitted_by: str | None
    approved_by: str | None
    paused_from: CampaignStatus | None
    paused_by: str | None
    pause_reason: str | None
    cancelled_by: str | None
    audience_count: int
    handed_count: int
    fault: str | None
    created_at: str
    updated_at: str
    started_at: str | None
    prepared_at: str | None
    ended_at: str | None


class CampaignPage(TypedDict):
    workspace_id: int
    count: int
    campaigns: list[CampaignOut]
    next_cursor: str | None


class CampaignPreview(TypedDict):
    workspace_id: int
    campaign_id: int
    email: str | None
    variant: Variant | None
    template_version: int
    from_email: str
    from_name: str | None
    subject: str
    html: str | None
    text: str
    missing_fields: list[str]


class CampaignReach(TypedDict):
    """Whom it would reach now. All but `pending_count` are in the audience."""

    audience_count: int
    mailable_count: int
    suppressed_count: int
    unsubscribed_count: int
    left_topic_count: int
    pending_count: int


class CampaignReasonCount(TypedDict):
    status: RecipientStatus
    reason: str | None
    count: int


class CampaignRecipientOut(TypedDict):
    id: int
    contact_id: int
    email: str
    variant: Variant | None
    status: RecipientStatus
    reason: str | None
    message_id: str | None
    handed_at: str | None
    opened_at: str | None
    clicked_at: str | None
    complained_at: str | None
    unsubscribed_at: str | None
    updated_at: str


class CampaignRecipientPage(TypedDict):
    workspace_id: int
    campaign_id: int
    count: int
    recipients: list[CampaignRecipientOut]
    next_cursor: str | None


class CampaignReport(TypedDict):
    workspace_id: int
    campaign_id: int
    name: str
    status: CampaignStatus
    figures: CampaignFigures
    engagement: CampaignEngagement
    by_variant: list[CampaignSlice]
    by_domain: list[CampaignSlice]


class CampaignSettingsOut(TypedDict):
    workspace_id: int
    needs_second_person: bool
    version: int
    updated_by: str | None
    updated_at: str | None


class CampaignSlice(TypedDict):
    name: str | None
    total_count: int
    by_status: dict[str, int]
    engagement: CampaignEngagement


CampaignStatus: TypeAlias = Literal[
    "draft", "in_review", "scheduled", "preparing", "sending", "paused", "finished", "cancelled"
]


class CampaignTestOutcome(TypedDict):
    email: str
    message_id: str | None
    status: Status | None
    error: str | None


class CampaignTested(TypedDict):
    workspace_id: int
    campaign_id: int
    outcomes: list[CampaignTestOutcome]
    missing_fields: list[str]


RecipientStatus: TypeAlias = Literal[
    "queued", "sent", "delivered", "bounced", "suppressed", "failed", "cancelled", "unknown"
]


TestMetric: TypeAlias = Literal["opens", "clicks"]


Variant: TypeAlias = Literal["a", "b"]

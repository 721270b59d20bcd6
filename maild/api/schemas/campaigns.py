"""Campaigns: what is said of one, what is found before it is sent, what became of whom."""

import re
import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    NaiveDatetime,
    StrictBool,
    StrictInt,
    WithJsonSchema,
)

from maild.api.schemas.base import (
    LIMIT_MAX,
    Input,
    SearchText,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.domain.campaign import (
    AudienceKind,
    CampaignStatus,
    RecipientStatus,
    TestMetric,
    Variant,
)
from maild.domain.states import Status

_LOCAL = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?"
_ID_MAX = 2**31 - 1


def _check_local(value: Any) -> Any:
    """Pydantic would take a number too, and an offset."""
    if not isinstance(value, str) or not re.fullmatch(_LOCAL, value, re.ASCII):
        raise ValueError("must be the time of a clock, such as 2027-01-31T09:30:00, without Z")
    return value


LocalTime = Annotated[
    NaiveDatetime,
    BeforeValidator(_check_local),
    WithJsonSchema({"type": "string", "pattern": f"^{_LOCAL}$"}),
]
ShownTime = Annotated[
    datetime, WithJsonSchema({"type": "string", "pattern": f"^{_LOCAL}$"}, mode="serialization")
]
RowId = Annotated[StrictInt, Field(ge=1, le=_ID_MAX)]
CampaignVersion = Annotated[
    StrictInt | None,
    Field(
        ge=1,
        le=_ID_MAX,
        description="The `version` that was read: 409 where somebody has changed it since.",
    ),
]
SendAt = Annotated[
    LocalTime | None,
    Field(
        description="When it begins, by the clocks of `time_zone`: `2027-01-31T09:30:00`. Null: as"
        " soon as it is scheduled."
    ),
]
ZoneName = Annotated[str, Field(description="`Europe/Vienna`, `UTC`, ...")]


class _CampaignFields(Input):
    """What may be left out."""

    audience_id: RowId | None = Field(
        None, description="The list, where `audience_kind` is `list`."
    )
    segment_id: RowId | None = Field(
        None, description="The segment, where `audience_kind` is `segment`."
    )
    topic: str | None = Field(None, description="Who has left this topic gets nothing of it.")
    from_name: str | None = Field(None, description="256 characters at most.")
    reply_to: str | None = Field(None, description="Where answers go.")
    smtp_account: str | None = Field(
        None, description="The one account that it goes through. Null: any."
    )
    template_id: RowId | None = Field(
        None, description="What is sent: its latest version, fixed when the campaign is submitted."
    )
    subject: str | None = Field(
        None, description="In place of the template's; with merge fields, as that one."
    )
    subject_b: str | None = Field(
        None, description="The other subject of a test: the three fields `test_...` belong to it."
    )
    test_percent: StrictInt | None = Field(
        None,
        ge=1,
        le=100,
        description="So many of a hundred contacts are in the test, half with each subject.",
    )
    test_minutes: StrictInt | None = Field(
        None,
        ge=1,
        le=7 * 24 * 60,
        description="How long the test is waited for, once all of it was handed over.",
    )
    test_metric: TestMetric | None = Field(
        None, description="By what the better subject is told; nothing known: the first."
    )
    per_hour: StrictInt | None = Field(
        None, ge=1, le=100_000_000, description="At most so many messages an hour."
    )
    ramp: list[Annotated[StrictInt, Field(ge=1, le=100_000_000)]] | None = Field(
        None,
        max_length=90,
        description="At most so many messages on the first day, the second, ...",
    )
    send_at: SendAt = None
    time_zone: ZoneName = "UTC"
    workspace_id: WorkspaceId | None = None


class CampaignIn(_CampaignFields):
    name: str = Field(description="200 characters at most.")
    audience_kind: AudienceKind = Field(description="Whom it is for.")
    from_email: str = Field(description="Whom it comes from.")


class CampaignChange(_CampaignFields):
    """What is left out stays as it is; null takes it away."""

    name: str = Field("", description="200 characters at most.")
    audience_kind: AudienceKind = Field(AudienceKind.EVERYONE, description="Whom it is for.")
    from_email: str = Field("", description="Whom it comes from.")
    version: CampaignVersion = None


class CampaignRemoval(Input):
    id: RowId = Field(description="Of the draft.")
    version: CampaignVersion = None
    workspace_id: WorkspaceId | None = None


class CampaignVerb(Input):
    version: CampaignVersion = None
    workspace_id: WorkspaceId | None = None


class CampaignSendBack(CampaignVerb):
    reason: str | None = Field(None, description="One line, 500 characters at most.")


class CampaignSchedule(CampaignVerb):
    send_at: SendAt = None
    time_zone: ZoneName | None = None
    now: StrictBool = Field(False, description="Begin at once, whatever the draft says.")


class CampaignReason(Input):
    reason: str | None = Field(None, description="One line, 500 characters at most.")
    workspace_id: WorkspaceId | None = None


class CampaignCopy(Input):
    workspace_id: WorkspaceId | None = None


class CampaignResume(Input):
    workspace_id: WorkspaceId | None = None


class CampaignWinner(Input):
    winner: Variant = Field(description="Whose subject the others get.")
    workspace_id: WorkspaceId | None = None


class CampaignTest(Input):
    to: list[str] = Field(
        max_length=50, description="Addresses of members of the workspace: 5 at most."
    )
    email: str | None = Field(
        None, description="The contact whose mail it is; null: the first one of the audience."
    )
    variant: Variant | None = Field(None, description="Which subject of a test.")
    workspace_id: WorkspaceId | None = None


class CampaignQuery(WorkspaceQuery):
    status: CampaignStatus | None = Field(None, description="Where they stand.")
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class CampaignGet(WorkspaceQuery):
    pass


class CampaignPreviewQuery(WorkspaceQuery):
    email: SearchText | None = Field(
        None, description="The contact, in the audience or not; the first one of it otherwise."
    )
    variant: Variant | None = Field(None, description="Which subject of a test.")


class CampaignReportQuery(WorkspaceQuery):
    campaign_id: int = Field(ge=1, le=_ID_MAX, description="The campaign.")


class CampaignRecipientFilter(WorkspaceQuery):
    campaign_id: int = Field(ge=1, le=_ID_MAX, description="The campaign.")
    status: RecipientStatus | None = Field(None, description="What has become of them.")
    reason: SearchText | None = Field(
        None, description="Why, in a word: `unsubscribed`, `invalid_recipient`, ..."
    )
    variant: Variant | None = Field(None, description="Those of the test with this subject.")
    did: Literal["opened", "clicked", "complained", "unsubscribed"] | None = Field(
        None, description="What they have done at least once."
    )


class CampaignRecipientQuery(CampaignRecipientFilter):
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class CampaignSettingsQuery(WorkspaceQuery):
    pass


class CampaignSettingsIn(Input):
    needs_second_person: StrictBool = Field(
        description="Whether somebody else than who submitted a campaign, and than who changed it"
        " last, has to approve it."
    )
    version: StrictInt | None = Field(
        None,
        ge=0,
        le=_ID_MAX,
        description="The `version` that was read: 409 where somebody has changed it since.",
    )
    workspace_id: WorkspaceId | None = None


class CampaignSettingsOut(BaseModel):
    workspace_id: int
    needs_second_person: bool
    version: int = Field(description="0: nobody has said anything yet.")
    updated_by: str | None
    updated_at: datetime | None


class CampaignOut(BaseModel):
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
    template_version: int | None = Field(
        description="What is sent; null in a draft, where it is the latest."
    )
    subject: str | None
    subject_b: str | None
    test_percent: int | None
    test_minutes: int | None
    test_metric: TestMetric | None
    winner: Variant | None
    decide_at: datetime | None = Field(description="When the test is decided.")
    per_hour: int | None
    ramp: list[int] | None
    send_at: ShownTime | None = Field(description="By the clocks of `time_zone`.")
    time_zone: str
    starts_at: datetime | None = Field(description="The moment at which it begins.")
    created_by: str
    changed_by: str | None = Field(description="Who changed what it says last.")
    submitted_by: str | None
    approved_by: str | None
    paused_from: CampaignStatus | None = Field(description="Where it goes on.")
    paused_by: str | None
    pause_reason: str | None
    cancelled_by: str | None
    audience_count: int = Field(description="Contacts in its ledger.")
    handed_count: int = Field(description="Those of which a message was made.")
    fault: str | None = Field(
        description="Why its latest step was not done; or that a restore leaves it in doubt."
    )
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    prepared_at: datetime | None = Field(description="When its ledger was complete.")
    ended_at: datetime | None


class CampaignPage(BaseModel):
    workspace_id: int
    count: int = Field(description="Campaigns on this page.")
    campaigns: list[CampaignOut] = Field(description="Newest first.")
    next_cursor: str | None


class CampaignReasonCount(BaseModel):
    status: RecipientStatus
    reason: str | None
    count: int


class CampaignFigures(BaseModel):
    audience_count: int
    by_status: dict[RecipientStatus, int] = Field(
        description="Together they are the audience, at every moment."
    )
    by_reason: list[CampaignReasonCount]
    waiting_count: int = Field(description="Of those queued: no message was made of them yet.")
    done_count: int = Field(description="Those that have come to their end.")
    difference: int = Field(description="The audience minus the sum: 0.")


class CampaignEngagement(BaseModel):
    """How many have done it at least once."""

    opened_count: int
    clicked_count: int
    complained_count: int
    unsubscribed_count: int


class CampaignDetail(CampaignOut):
    figures: CampaignFigures
    engagement: CampaignEngagement


class CampaignHeld(CampaignOut):
    message_count: int = Field(description="Messages that were held, queued again or cancelled.")


class CampaignDeleted(BaseModel):
    workspace_id: int
    id: int
    name: str
    status: Literal["deleted"] = "deleted"


class CampaignFinding(BaseModel):
    severity: Literal["stop", "warn", "hint"] = Field(description="`stop`: it cannot be sent so.")
    code: str
    message: str
    advice: str = Field(description="What to do about it.")
    line: int | None = Field(description="Of the template's source.")


class CampaignReach(BaseModel):
    """Whom it would reach now. All but `pending_count` are in the audience."""

    audience_count: int
    mailable_count: int
    suppressed_count: int
    unsubscribed_count: int
    left_topic_count: int
    pending_count: int = Field(description="They have not confirmed their address yet.")


class CampaignLacking(BaseModel):
    field: str = Field(description="A merge field.")
    count: int = Field(description="Contacts without a value for it.")
    samples: list[str] = Field(description="Addresses of the first of them.")


class CampaignChecks(BaseModel):
    workspace_id: int
    campaign_id: int
    can_be_sent: bool
    findings: list[CampaignFinding] = Field(description="The gravest first.")
    audience_name: str | None
    reach: CampaignReach | None = Field(description="Null where it could not be counted.")
    missing_fields: list[CampaignLacking]
    is_missing_exact: bool = Field(
        description="Otherwise the counts are the most that they can be: the template leaves out"
        " parts, and too many contacts lack something to try each."
    )
    per_hour: int | None = Field(description="The slower of its pace and the policy's.")
    takes_seconds: int | None = Field(
        description="How long it takes at that pace, the wait for a test of two subjects"
        " included; 0 where nothing slows it down."
    )


class CampaignPreview(BaseModel):
    workspace_id: int
    campaign_id: int
    email: str | None = Field(description="Whose mail it is; null: nobody is in the audience.")
    variant: Variant | None
    template_version: int
    from_email: str
    from_name: str | None
    subject: str
    html: str | None
    text: str
    missing_fields: list[str] = Field(description="Merge fields without a value.")


class CampaignTestOutcome(BaseModel):
    email: str
    message_id: uuid.UUID | None
    status: Status | None
    error: str | None = Field(description="Why it was not accepted.")


class CampaignTested(BaseModel):
    workspace_id: int
    campaign_id: int
    outcomes: list[CampaignTestOutcome]
    missing_fields: list[str]


class CampaignRecipientOut(BaseModel):
    id: int
    contact_id: int
    email: str
    variant: Variant | None
    status: RecipientStatus
    reason: str | None
    message_id: uuid.UUID | None
    handed_at: datetime | None = Field(description="When the message was made.")
    opened_at: datetime | None
    clicked_at: datetime | None
    complained_at: datetime | None
    unsubscribed_at: datetime | None
    updated_at: datetime


class CampaignRecipientPage(BaseModel):
    workspace_id: int
    campaign_id: int
    count: int = Field(description="Recipients on this page.")
    recipients: list[CampaignRecipientOut]
    next_cursor: str | None


class CampaignSlice(BaseModel):
    name: str | None = Field(
        description="A domain, `a` or `b`; null: all others, or who was in no test."
    )
    total_count: int
    by_status: dict[RecipientStatus, int]
    engagement: CampaignEngagement


class CampaignReport(BaseModel):
    workspace_id: int
    campaign_id: int
    name: str
    status: CampaignStatus
    figures: CampaignFigures
    engagement: CampaignEngagement
    by_variant: list[CampaignSlice]
    by_domain: list[CampaignSlice] = Field(description="The largest first, then all others.")

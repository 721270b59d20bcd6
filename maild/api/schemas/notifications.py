"""Notification channels, and what they were told. Secrets go in, or come out once."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt

from maild.api.schemas.base import LIMIT_MAX, Input, SearchText, WorkspaceId, WorkspaceQuery
from maild.domain.incident import IncidentKind, IncidentStatus, Severity
from maild.domain.notification import (
    OF_INCIDENTS,
    ChannelKind,
    NotificationStatus,
    Occasion,
)
from maild.services.notification_channels import NAME_MAX_CHARS, URL_MAX_CHARS

IncidentOccasion = Literal["opened", "escalated", "resolved", "reopened"]
RowId = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]


class NotificationChannelIn(Input):
    name: str = Field(
        min_length=1, max_length=NAME_MAX_CHARS, description="As people know it; each once."
    )
    kind: ChannelKind = Field(description="How it is told.")
    target: str = Field(
        min_length=1,
        max_length=URL_MAX_CHARS,
        description="`webhook` and `slack`: an http or https URL, kept encrypted, never comes back"
        " whole. `email`: the confirmed address of a member.",
    )
    min_severity: Severity = Field(Severity.MAJOR, description="What is less bad is not told.")
    occasions: list[IncidentOccasion] = Field(
        default_factory=lambda: [one.value for one in OF_INCIDENTS],  # type: ignore[arg-type]
        min_length=1,
        max_length=len(OF_INCIDENTS),
        description="What it is told; all of them unless given.",
    )
    is_active: StrictBool = Field(True, description="Whether it is told at all.")
    workspace_id: WorkspaceId | None = None


class NotificationChannelOut(BaseModel):
    id: int
    workspace_id: int
    name: str
    kind: ChannelKind
    target: str = Field(description="Of a URL, its host and its last four characters.")
    min_severity: Severity
    occasions: list[IncidentOccasion]
    is_active: bool
    off_reason: str | None = Field(description="Why maild switched it off, where it did.")
    failing_since: datetime | None
    last_error: str | None
    last_sent_at: datetime | None
    created_at: datetime
    created_by: str


class NotificationChannelAdded(NotificationChannelOut):
    signing_secret: str | None = Field(
        description="`webhook`: what its requests are signed with. It is told this once."
    )


class NotificationChannelList(BaseModel):
    workspace_id: int
    count: int
    channels: list[NotificationChannelOut] = Field(description="By name.")


class NotificationChannelId(Input):
    id: RowId = Field(description="The channel's.")
    workspace_id: WorkspaceId | None = None


class NotificationChannelDeleted(BaseModel):
    workspace_id: int
    id: int
    status: Literal["deleted"] = "deleted"


class NotificationOut(BaseModel):
    id: int
    workspace_id: int
    channel_id: int
    channel: str = Field(description="Its name.")
    incident_id: int | None = Field(description="Null: a test.")
    occasion: Occasion
    title: str
    status: NotificationStatus
    outcome: str | None = Field(description="What came of the latest attempt, in a sentence.")
    code: int | None = Field(description="What the server answered, an HTTP status.")
    attempt_count: int
    created_at: datetime
    due_at: datetime | None = Field(description="When it is tried next, while it waits.")
    settled_at: datetime | None


class NoticeData(BaseModel):
    """What it is about, as it was then. What is not known is left out."""

    left_out: ClassVar[frozenset[str]] = frozenset(
        {"incident_id", "kind", "severity", "status", "since", "message_count", "recipient_count"}
        | {"smtp_account", "recipient_domain", "likely_cause", "cause", "also", "more_count"}
    )

    workspace_id: int
    workspace: str = Field(description="The workspace's name.")
    title: str
    url: str = Field(description="Where the console shows it.")
    incident_id: int | None = Field(None, description="Not in a test.")
    kind: IncidentKind | None = None
    severity: Severity | None = None
    status: IncidentStatus | None = None
    since: datetime | None = None
    message_count: int | None = None
    recipient_count: int | None = None
    smtp_account: str | None = None
    recipient_domain: str | None = Field(None, description="The family of recipient domains.")
    likely_cause: str | None = None
    cause: str | None = Field(None, description="What it was, once it is resolved.")
    also: list[IncidentOccasion] | None = Field(
        None, description="What was to be told of the same incident, and is told by this."
    )
    more_count: int | None = Field(
        None, description="For how many notifications of other incidents it stands."
    )


class Notice(BaseModel):
    """The body of the request that a channel of the kind `webhook` gets."""

    type: Literal[
        "incident.opened", "incident.escalated", "incident.resolved", "incident.reopened", "test"
    ]
    timestamp: datetime
    data: NoticeData


class NotificationQuery(WorkspaceQuery):
    channel_id: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Only what this channel was told."
    )
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class NotificationList(BaseModel):
    workspace_id: int
    count: int
    notifications: list[NotificationOut] = Field(description="The newest first.")
    next_cursor: str | None = Field(description="Where the next page begins; null: there is none.")

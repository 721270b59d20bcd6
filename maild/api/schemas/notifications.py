"""Notification channels, and what they were told. Secrets go in, or come out once."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt

from maild.api.schemas.base import LIMIT_MAX, Input, SearchText, WorkspaceId, WorkspaceQuery
from maild.domain.incident import Severity
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
    name: str = Field(min_length=1, max_length=NAME_MAX_CHARS)
    kind: ChannelKind
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
    )
    is_active: StrictBool = True
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


class NotificationQuery(WorkspaceQuery):
    channel_id: int | None = Field(None, ge=1, le=2**31 - 1)
    limit: int = Field(50, ge=1, le=LIMIT_MAX)
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class NotificationList(BaseModel):
    workspace_id: int
    count: int
    notifications: list[NotificationOut] = Field(description="The newest first.")
    next_cursor: str | None = Field(description="Where the next page begins; null: there is none.")

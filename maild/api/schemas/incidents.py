"""Incidents: what goes wrong, what belongs to it, and what people do about it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictInt

from maild.api.schemas.base import (
    Input,
    SearchText,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.api.schemas.messages import MessageSummary
from maild.domain.incident import IncidentKind, IncidentStatus, Severity
from maild.domain.states import Status

INCIDENTS_LIMIT_MAX = 100

IncidentVersion = Annotated[
    StrictInt | None,
    Field(
        ge=1,
        le=2**31 - 1,
        description="The `version` that was read: 409 where somebody has changed it since.",
    ),
]


class IncidentQuery(WorkspaceQuery):
    status: Literal["unresolved", "open", "acknowledged", "resolved", "all"] = Field(
        "unresolved", description="`unresolved` are those that are open or acknowledged."
    )
    kind: IncidentKind | None = Field(None, description="What goes wrong.")
    severity: Severity | None = Field(None, description="How bad it is.")
    smtp_account: SearchText | None = Field(
        None, description="The account that it is about, by name."
    )
    assigned_to: SearchText | None = Field(
        None, description="The address of the member who has it."
    )
    limit: int = Field(50, ge=1, le=INCIDENTS_LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class IncidentGet(WorkspaceQuery):
    pass


class IncidentMessagesQuery(WorkspaceQuery):
    limit: int = Field(50, ge=1, le=INCIDENTS_LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class IncidentIn(Input):
    workspace_id: WorkspaceId | None = None
    message_id: str = Field(description="The message that it is about.")
    title: str | None = Field(None, description="One line, 500 characters at most.")
    note: str | None = Field(None, description="4,000 characters at most.")


class IncidentAcknowledge(Input):
    workspace_id: WorkspaceId | None = None
    version: IncidentVersion = None


class IncidentAssign(Input):
    workspace_id: WorkspaceId | None = None
    to: str | None = Field(description="The address of a member; null gives it to nobody.")
    version: IncidentVersion = None


class IncidentNote(Input):
    workspace_id: WorkspaceId | None = None
    text: str = Field(description="4,000 characters at most.")
    version: IncidentVersion = None


class IncidentSeverityIn(Input):
    workspace_id: WorkspaceId | None = None
    severity: Severity = Field(description="How bad it is.")
    version: IncidentVersion = None


class IncidentResolve(Input):
    workspace_id: WorkspaceId | None = None
    cause: str = Field(description="What it was, in one line of 500 characters at most.")
    version: IncidentVersion = None


class IncidentReopen(Input):
    workspace_id: WorkspaceId | None = None
    reason: str = Field(description="One line, 500 characters at most.")
    version: IncidentVersion = None


class IncidentMerge(Input):
    workspace_id: WorkspaceId | None = None
    into_id: Annotated[StrictInt, Field(ge=1, le=2**31 - 1)] = Field(
        description="The incident that it becomes part of."
    )
    version: IncidentVersion = None


class IncidentOut(BaseModel):
    workspace_id: int
    id: int
    kind: IncidentKind
    title: str
    status: IncidentStatus
    severity: Severity
    is_severity_set: bool = Field(description="A person chose it: it does not change by itself.")
    smtp_account: str | None
    recipient_domain: str | None = Field(description="The family of recipient domains.")
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
    version: int


class IncidentPage(BaseModel):
    workspace_id: int
    count: int = Field(description="Incidents on this page.")
    incidents: list[IncidentOut] = Field(description="Newest first.")
    next_cursor: str | None


class SignalOut(BaseModel):
    """One thing that goes wrong, as it is told apart from others."""

    kind: IncidentKind
    error_class: str | None
    smtp_account: str | None
    recipient_domain: str | None
    first_seen_at: datetime
    last_seen_at: datetime
    is_active: bool | None = Field(description="Whether a state holds; null for what is counted.")


class ReplyOut(BaseModel):
    text: str
    error_class: str | None
    smtp_account: str | None
    recipient_domain: str | None
    seen_at: datetime


class AdviceOut(BaseModel):
    likely_cause: str
    suggested_action: str


class StoryEntryOut(BaseModel):
    at: datetime
    kind: str = Field(description="Of an entry (`opened`, `note`, ...) or of an event.")
    actor: str | None = Field(description="Who did it; null for an event.")
    text: str | None
    data: dict[str, Any]


class IncidentDetail(IncidentOut):
    signals: list[SignalOut]
    replies: list[ReplyOut] = Field(description="What servers said, the latest first.")
    advice: AdviceOut
    messages_by_status: dict[Status, int]
    timeline: list[StoryEntryOut] = Field(
        description="What was done about it, and what else happened since an hour before; oldest"
        " first."
    )


class IncidentMessages(BaseModel):
    workspace_id: int
    incident_id: int
    count: int
    messages: list[MessageSummary] = Field(description="Newest first.")
    next_cursor: str | None


class DeploymentIn(Input):
    workspace_id: WorkspaceId | None = None
    name: str = Field(description="What was deployed; 100 characters at most.")
    version: str = Field(description="100 characters at most.")
    url: str | None = Field(None, description="Where more can be read: http or https.")


class DeploymentOut(BaseModel):
    workspace_id: int
    name: str
    version: str
    url: str | None
    recorded_at: datetime

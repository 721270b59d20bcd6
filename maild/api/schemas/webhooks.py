"""What providers report: what is answered to them, the log of their events, and replays."""

import uuid
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StrictBool, StrictInt, StrictStr

from maild.api.schemas.base import (
    LIMIT_MAX,
    Input,
    SearchText,
    Timestamp,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.domain.provider_event import ProviderEventType, RejectReason, ReportStatus
from maild.services.dead_letters import IDS_MAX, OutcomeStatus, Source


class WebhookTaken(BaseModel):
    """The payload is stored as it came; a worker reads it."""

    status: Literal["accepted"] = "accepted"


class WebhookReady(BaseModel):
    status: Literal["ready"] = "ready"


class ReportedEvent(BaseModel):
    """An event in maild's own format. Other fields are kept, and not read; an entry that a provider
    has written (SES, SendGrid, Mailgun, Postmark) is known by its looks and read as such.
    """

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`delivered`, `bounced`, `complained`, ... in any case.")
    email: str = Field(description="The recipient.")
    workspace_id: int | None = Field(None, description="1 unless given.")
    message_id: str | None = Field(
        None, description="The message's id, its Message-ID, or the provider's own id for it."
    )
    event_id: str | None = Field(None, description="What is the same when the event is sent again.")
    timestamp: str | int | float | None = Field(
        None, description="When it happened: RFC 3339 or unix seconds."
    )
    reason: str | None = Field(
        None, description="The words of the recipient's server or the provider."
    )
    bounce_type: str | None = Field(None, description="Of a bounce: `hard`, `soft`, ...")


class ReportedEvents(RootModel[ReportedEvent | list[ReportedEvent]]):
    """One event, or up to 1,000."""


class EntryError(BaseModel):
    index: int = Field(description="Its place in the request, from 0.")
    error: str


class EventsTaken(BaseModel):
    """The counts, and of a single entry what became of it and how it was read."""

    left_out: ClassVar[frozenset[str]] = frozenset(
        {"outcome", "workspace_id", "type", "event_type", "email", "errors"}
    )

    status: Literal["accepted"] = Field(description="They were taken: see the counts.")
    outcome: Annotated[
        Literal["processed", "duplicate", "dead_letter"] | None,
        Field(description="Of a single entry: what became of it."),
    ] = None
    workspace_id: int | None = None
    type: Annotated[str | None, Field(description="As the entry has it.")] = None
    event_type: Annotated[ProviderEventType | None, Field(description="As it was read.")] = None
    email: str | None = None
    processed_count: int = Field(description="Stored, and applied in a moment.")
    rejected_count: int = Field(description="Not stored: they name a workspace that is not there.")
    dead_lettered_count: int = Field(description="Stored, but not to be read; see `errors`.")
    duplicate_count: int = Field(description="They came before, and have no effect again.")
    total_count: int
    errors: list[EntryError] | None = Field(None, description="The first of them.")


class WebhookLogQuery(WorkspaceQuery):
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")
    status: ReportStatus | None = Field(None, description="Where the event stands.")
    provider: SearchText | None = Field(None, description="Who reported it.")
    type: ProviderEventType | None = Field(None, description="What happened.")
    email: SearchText | None = Field(None, description="The whole address of the recipient.")
    linked: bool | None = Field(None, description="Whether its message was found.")
    since: Timestamp | None = Field(None, alias="from", description="From this time on.")
    until: Timestamp | None = Field(None, alias="to", description="Before this time.")


class ProviderEventOut(BaseModel):
    id: int
    workspace_id: int
    provider: str
    smtp_account: str | None
    event_type: ProviderEventType | None = Field(description="Null: it could not be read.")
    email: str | None
    reason: str | None = Field(description="The words of the recipient's server or the provider.")
    reject_reason: RejectReason | None
    status: ReportStatus
    attempt_count: int
    last_error: str | None
    next_attempt_at: datetime | None
    message_id: uuid.UUID | None = Field(description="Null: no message was found.")
    provider_message_id: str | None
    provider_event_id: str | None
    duplicate_of: int | None
    effects: dict[str, Any] | None = Field(description="What it has done.")
    raw_payload: str
    occurred_at: datetime | None = Field(description="When it happened, as the provider says.")
    created_at: datetime
    updated_at: datetime


class WebhookLogPage(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)

    workspace_id: int
    since: datetime | None = Field(serialization_alias="from")
    until: datetime | None = Field(serialization_alias="to")
    status: ReportStatus | None
    count: int = Field(description="Events on this page.")
    events: list[ProviderEventOut]
    next_cursor: str | None


EventId = Annotated[StrictInt, Field(ge=1)] | StrictStr
EventIds = Annotated[
    list[EventId],
    Field(min_length=1, max_length=IDS_MAX, description="The ids of provider events."),
]


class ReplayIn(Input):
    """Either `event_ids` or `limit`."""

    workspace_id: WorkspaceId | None = None
    event_ids: EventIds | None = None
    limit: Annotated[StrictInt, Field(ge=1, le=IDS_MAX)] | None = Field(
        None, description="So many of the dead letters, the newest ones."
    )
    dry_run: StrictBool = Field(False, description="Say what would happen, and change nothing.")


class DismissIn(Input):
    workspace_id: WorkspaceId | None = None
    event_ids: EventIds
    reason: str = Field(description="For the audit log; 500 characters at most.")


class DismissOutcomeOut(BaseModel):
    event_id: str
    status: OutcomeStatus
    error: str | None


class DismissOut(BaseModel):
    workspace_id: int
    requested: int
    dismissed: int
    skipped: int
    failed: int
    outcomes: list[DismissOutcomeOut]


class ReplayOutcomeOut(BaseModel):
    event_id: str
    status: OutcomeStatus
    attempt_count: int
    error: str | None
    effects: list[dict[str, Any]] = Field(description="Of each event that the payload holds.")


class ReplayOut(BaseModel):
    workspace_id: int
    requested: int
    replayed: int = Field(description="With `dry_run`: how many would be.")
    failed: int
    skipped: int
    duplicate: int
    waiting: int = Field(description="Applied by themselves in a moment.")
    replay_source: Source
    dry_run: bool
    effects: dict[str, int] = Field(description="What was done, counted: `suppressions_added`, ...")
    outcomes: list[ReplayOutcomeOut]

"""What a person does to messages by hand: retry, cancel, hold, release, resolve."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt

from maild.api.schemas.base import Input, SearchText, Timestamp, WorkspaceId
from maild.domain.states import Stream
from maild.services.interventions import IDS_MAX, OutcomeStatus, Source

Ids = Annotated[
    list[str], Field(min_length=1, max_length=IDS_MAX, description="The ids of messages.")
]
Reason = Annotated[str, Field(description="Kept on the timeline; 500 characters at most.")]


class RetryFilter(Input):
    """The fields of the log's search; `status` is failed or unknown, or both unless given."""

    status: Literal["failed", "unknown"] | None = Field(None, description="Both unless given.")
    stream: Stream | None = Field(None, description="As in the log's search.")
    to_email: SearchText | None = Field(None, description="The whole address.")
    from_email: SearchText | None = Field(None, description="The whole address.")
    subject: SearchText | None = Field(None, description="As in the log's search.")
    q: SearchText | None = Field(None, description="As in the log's search.")
    tag: SearchText | None = Field(None, description="As in the log's search.")
    smtp_account: SearchText | None = Field(None, description="As in the log's search.")
    error_class: SearchText | None = Field(None, description="As in the log's search.")
    since: Timestamp | None = Field(None, alias="from", description="From this time on.")
    until: Timestamp | None = Field(None, alias="to", description="Before this time.")


class RetryIn(Input):
    """Exactly one of `message_ids`, `limit` and `filter`."""

    workspace_id: WorkspaceId | None = None
    message_ids: Ids | None = None
    limit: Annotated[StrictInt, Field(ge=1, le=IDS_MAX)] | None = Field(
        None, description="So many of the failed messages, the newest ones."
    )
    filter: RetryFilter | None = Field(None, description="Those that match, the newest first.")
    dry_run: StrictBool = Field(False, description="Say what would happen, and change nothing.")
    reason: Reason | None = None


class OutcomeOut(BaseModel):
    message_id: str
    status: OutcomeStatus
    error: str | None


class RetryOut(BaseModel):
    workspace_id: int
    requested: int
    retried: int = Field(description="With `dry_run`: how many would be.")
    skipped: int
    failed: int
    replay_source: Source
    dry_run: bool
    truncated: bool = Field(description="More match than one call takes: call again for the rest.")
    outcomes: list[OutcomeOut] = Field(
        description="Of each message; with a filter, of the first ones only."
    )


class CancelIn(Input):
    workspace_id: WorkspaceId | None = None
    message_ids: Ids
    reason: Reason | None = None


class ReleaseIn(CancelIn):
    pass


class HoldIn(Input):
    workspace_id: WorkspaceId | None = None
    message_ids: Ids
    reason: Reason


class ResolveIn(HoldIn):
    outcome: Literal["sent", "not_sent"] = Field(
        description="What a person found out: `sent` ends it, `not_sent` queues it again."
    )


class InterventionOut(BaseModel):
    workspace_id: int
    requested: int
    done: int
    skipped: int
    failed: int
    outcomes: list[OutcomeOut]

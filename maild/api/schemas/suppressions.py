"""Suppressions: what must not be mailed, and why."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from maild.api.schemas.base import (
    LIMIT_MAX,
    Input,
    SearchText,
    Timestamp,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.domain.states import Status, Stream
from maild.domain.suppression import SuppressionClass, SuppressionState

Reason = Annotated[str, Field(description="500 characters at most.")]
OfStream = Annotated[Stream | None, Field(description="Null: all streams.")]
Class = Annotated[SuppressionClass, Field(alias="class")]


class SuppressionIn(Input):
    email: str = Field(description="The address.")
    reason: Reason
    class_: Class = Field(SuppressionClass.MANUAL, description="Why.")
    stream: OfStream = None
    expires_at: Timestamp | None = Field(
        None, description="In force until then; null: until a person removes it."
    )
    workspace_id: WorkspaceId | None = None


class SuppressionOut(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: int
    workspace_id: int
    email: str = Field(description="In lower case, with its domain in Unicode.")
    stream: OfStream
    reason: str
    class_: Class
    source: str = Field(description="`api`, `import`, `smtp_reply`, ...")
    message_id: uuid.UUID | None = Field(description="The message whose fate led to it.")
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    state: SuppressionState
    removed_at: datetime | None
    removed_by: str | None
    removal_reason: str | None


class SuppressionSaved(SuppressionOut):
    """The suppression in force: of an address that had one already, that one."""

    status: Literal["suppressed"] = "suppressed"


class SuppressionFilter(WorkspaceQuery):
    source: SearchText | None = Field(
        None, description="Where it came from: `api`, `import`, `smtp_reply`, ..."
    )
    class_: Annotated[SuppressionClass | None, Field(alias="class")] = Field(
        None, description="Why the address is suppressed."
    )
    stream: Literal["transactional", "marketing", "all"] | None = Field(
        None, description="As the suppression says; `all`: those that are for all streams."
    )
    state: Literal["in_force", "expired", "removed", "all"] = Field(
        "in_force", description="Which of them."
    )


class SuppressionQuery(SuppressionFilter):
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")
    email: SearchText | None = Field(None, description="The whole address, in any form.")


class SuppressionPage(BaseModel):
    workspace_id: int
    count: int = Field(description="Suppressions on this page.")
    suppressions: list[SuppressionOut]
    next_cursor: str | None


class BlockedQuery(WorkspaceQuery):
    suppression_id: int = Field(ge=1, le=2**31 - 1, description="The suppression's.")
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class BlockedMessage(BaseModel):
    id: uuid.UUID
    from_email: str
    to_email: str
    subject: str
    stream: Stream
    status: Status
    created_at: datetime
    updated_at: datetime


class BlockedPage(BaseModel):
    workspace_id: int
    suppression: SuppressionOut
    count: int = Field(description="Messages on this page.")
    messages: list[BlockedMessage]
    next_cursor: str | None


class SuppressionRemoval(Input):
    email: str = Field(description="The address.")
    reason: Reason
    stream: OfStream = None
    workspace_id: WorkspaceId | None = None


class SuppressionRemoved(SuppressionOut):
    status: Literal["removed"] = "removed"
    blocked_count: int = Field(description="Messages that it had held back; they stay so.")
    has_more_blocked: bool = Field(description="There are more than were counted.")
    blocked_ids: list[uuid.UUID] = Field(
        description="The newest of them, as many as `POST /v1/messages/resend` takes."
    )
    remaining: list[SuppressionOut] = Field(
        description="What still keeps the address from being mailed."
    )


class SuppressionImport(Input):
    csv: str = Field(
        description="The file's text. A header line names the columns `email`, and any of"
        " `reason`, `class`, `stream`, `expires_at`; without one they stand in this order."
    )
    dry_run: StrictBool = Field(False, description="Say what would happen, and change nothing.")
    default_reason: Reason | None = Field(None, description="For lines that give none.")
    class_: Annotated[SuppressionClass, Field(alias="class", description="As above.")] = (
        SuppressionClass.MANUAL
    )
    workspace_id: WorkspaceId | None = None


class Rejection(BaseModel):
    line: int = Field(description="Where it begins in the file, from 1.")
    error: str


class SuppressionImported(BaseModel):
    """`rows` = `imported` + `existing` + `duplicate` + `rejected`."""

    workspace_id: int
    dry_run: bool
    rows: int = Field(description="Lines with something on them, but for the header.")
    imported: int
    existing: int = Field(description="Suppressed already.")
    extended: int = Field(description="Of those, how many last longer now.")
    duplicate: int = Field(description="Once more in the same file.")
    rejected: int
    rejections: list[Rejection] = Field(description="The first ones.")
    ignored_columns: list[str]

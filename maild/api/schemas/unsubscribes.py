"""Unsubscribes: what people do not want to hear of any more."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from maild.api.schemas.base import (
    LIMIT_MAX,
    Input,
    SearchText,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.domain.states import Stream
from maild.services.unsubscribe_lists import State

Topic = Annotated[
    str | None, Field(description="What it is about, in any case; null: every topic.")
]
OfStream = Annotated[
    Stream | None,
    Field(description="Null: both, so that important mail stops as well."),
]


class UnsubscribeIn(Input):
    email: str = Field(description="The address.")
    topic: Topic = None
    stream: OfStream = None
    reason: str | None = Field(None, description="500 characters at most.")
    workspace_id: WorkspaceId | None = None


class UnsubscribeOut(BaseModel):
    id: int
    workspace_id: int
    email: str = Field(description="In lower case.")
    topic: str | None
    stream: Stream | None
    reason: str | None
    source: str = Field(
        description="`one_click`, `page` and `preferences` by a link in mail, or `api`."
    )
    message_id: uuid.UUID | None = Field(description="The message whose link was used.")
    created_by: str
    created_at: datetime
    state: State
    removed_at: datetime | None
    removed_by: str | None
    removal_reason: str | None


class UnsubscribeSaved(UnsubscribeOut):
    status: Literal["unsubscribed"] = "unsubscribed"


class UnsubscribeQuery(WorkspaceQuery):
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")
    email: SearchText | None = Field(None, description="The whole address.")
    topic: SearchText | None = Field(None, description="The whole topic, in any case.")
    source: SearchText | None = Field(
        None, description="`one_click`, `page` and `preferences` by a link in mail, or `api`."
    )
    state: State | None = Field(None, description="Both unless given.")


class UnsubscribePage(BaseModel):
    workspace_id: int
    count: int = Field(description="Unsubscribes on this page.")
    unsubscribes: list[UnsubscribeOut]
    next_cursor: str | None


class UnsubscribeRemoval(Input):
    email: str = Field(description="The address.")
    topic: Topic = None
    stream: OfStream = None
    reason: str = Field(
        description="How the person has asked for it, for only they may; 500 characters at most."
    )
    workspace_id: WorkspaceId | None = None


class UnsubscribeRemoved(UnsubscribeOut):
    status: Literal["removed"] = "removed"
    blocked_count: int = Field(description="Messages that it had held back; they stay so.")
    has_more_blocked: bool = Field(description="There are more than were counted.")
    blocked_ids: list[uuid.UUID] = Field(description="The newest of them.")
    remaining: list[UnsubscribeOut] = Field(
        description="What the address is still unsubscribed from."
    )

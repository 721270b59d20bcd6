"""Freezes: what stands still, why and until when, and what waits because of it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictInt

from maild.api.schemas.base import (
    Input,
    SearchText,
    Timestamp,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.domain.freeze import MAX_DAYS, FreezeKind, FreezeState

FREEZES_LIMIT_MAX = 100

FreezeId = Annotated[StrictInt, Field(ge=1, le=2**31 - 1, description="The freeze's.")]
FreezeReason = Annotated[
    str, Field(description="Kept and shown; one line, 500 characters at most.")
]
FreezeEnd = Annotated[
    Timestamp, Field(description=f"In the future, {MAX_DAYS} days ahead at most.")
]


class FreezeIn(Input):
    workspace_id: WorkspaceId | None = None
    kind: FreezeKind = Field(description="What stands still.")
    target: str | None = Field(
        None,
        description="Which one: `transactional` or `marketing`, the name of an SMTP account"
        " (`default` is that of the environment), the id of an API key, a From address, or a"
        " recipient domain. Left out for the kind `workspace`.",
    )
    reason: FreezeReason
    expires_at: FreezeEnd


class FreezeExtension(Input):
    workspace_id: WorkspaceId | None = None
    id: FreezeId
    expires_at: FreezeEnd
    reason: FreezeReason


class FreezeLift(Input):
    workspace_id: WorkspaceId | None = None
    id: FreezeId
    reason: FreezeReason


class FreezeQuery(WorkspaceQuery):
    state: Literal["in_force", "ended", "all"] = Field("in_force", description="Which of them.")
    limit: int = Field(50, ge=1, le=FREEZES_LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class WaitingOut(BaseModel):
    """Messages that the freeze holds, and due ones that it would hold."""

    count: int
    is_more: bool = Field(description="There are more than that, or may be: counting is bounded.")


class FreezeOut(BaseModel):
    workspace_id: int
    id: int
    kind: FreezeKind
    target: str | None
    state: FreezeState
    reason: str
    expires_at: datetime
    created_at: datetime
    created_by: str
    lifted_at: datetime | None
    lifted_by: str | None = Field(description="`maild` where its time was over.")
    lift_reason: str | None
    waiting: WaitingOut
    drain_estimate_seconds: int | None = Field(
        description="How long what waits takes to go out once the freeze is lifted."
    )
    drain_note: str = Field(description="What the estimate is made from, or why there is none.")


class FreezePage(BaseModel):
    workspace_id: int
    count: int = Field(description="Freezes on this page.")
    freezes: list[FreezeOut] = Field(description="Newest first.")
    next_cursor: str | None

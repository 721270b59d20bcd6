"""Retention: for how long a workspace keeps what, what a change would remove, and how much room it
takes.
"""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictBool, StrictInt

from maild.api.schemas.base import Input, WorkspaceId
from maild.domain.retention import DAYS_MAX, DAYS_MIN, Subject

_OWN = " Null: as the instance does."


def _days(subject: Subject, what: str) -> object:
    low = DAYS_MIN[subject]
    return Field(None, ge=low, le=DAYS_MAX, description=f"{what}, {low} to {DAYS_MAX} days.{_OWN}")


class RetentionIn(Input):
    """The whole choice: what is left out is as the instance has it."""

    workspace_id: WorkspaceId | None = None
    version: Annotated[
        StrictInt,
        Field(ge=0, le=2**31 - 1, description="The present `version`: 409 where it is another."),
    ]
    bodies_days: Annotated[StrictInt | None, _days(Subject.BODIES, "Content of messages")] = None
    messages_days: Annotated[
        StrictInt | None, _days(Subject.MESSAGES, "Messages with all that happened to them")
    ] = None
    webhooks_days: Annotated[
        StrictInt | None, _days(Subject.WEBHOOKS, "What providers sent, as it came")
    ] = None
    audit_days: Annotated[StrictInt | None, _days(Subject.AUDIT, "The audit log")] = None
    dry_run: StrictBool = Field(False, description="Only tell what would go; nothing is changed.")


class KeepOut(BaseModel):
    """Days; null: for ever."""

    bodies_days: int | None
    messages_days: int | None
    webhooks_days: int | None
    audit_days: int | None


class PrunedOut(BaseModel):
    rule: str = Field(description="`bodies`, `messages`, `payloads`, `audit`, `events`, ...")
    count: int = Field(description="What it has removed in this workspace, ever.")
    last_at: datetime | None


class EstimateOut(BaseModel):
    """What the workspace's mail takes, about, told from its own traffic of the last days. Null:
    nothing to tell it from; `settled_bytes` also where something is kept for ever.
    """

    messages: int
    accepted_per_day: float
    bytes_now: int | None
    bytes_per_day: int | None
    settled_bytes: int | None = Field(description="Where it ends at the present rate.")


class PartOut(BaseModel):
    part: str
    bytes: int
    growth_bytes_per_day: int | None
    settled_bytes: int | None


class DatabaseOut(BaseModel):
    """The whole database. Growth is null before there are notes of two days."""

    bytes: int
    free_bytes: int | None = Field(description="Null: nobody says how much room there is.")
    growth_bytes_per_day: int | None
    settled_bytes: int | None
    full_in_seconds: int | None = Field(description="Null: never at this rate, or not known.")
    parts: list[PartOut]


class RetentionOut(BaseModel):
    workspace_id: int
    version: int = Field(description="0: nothing was ever chosen.")
    bodies_days: int | None = Field(description=f"What the workspace has chosen.{_OWN}")
    messages_days: int | None
    webhooks_days: int | None
    audit_days: int | None
    in_force: KeepOut
    default: KeepOut = Field(description="What the instance keeps.")
    updated_at: datetime | None
    updated_by: str | None
    pruned: list[PrunedOut]
    estimate: EstimateOut
    database: DatabaseOut | None = Field(
        description="For the keys of the instance; null for a workspace's own."
    )


class GoingOut(BaseModel):
    """What the next rounds remove of a subject, but for what has not ended."""

    subject: Subject
    before: datetime | None = Field(description="What is older goes. Null: nothing ever does.")
    count: int
    is_more: bool = Field(description="There are more than that: counting is bounded.")


class RetentionChange(BaseModel):
    dry_run: bool
    going: list[GoingOut]
    retention: RetentionOut

"""Resending: new messages, copied from old ones."""

import uuid
from typing import Annotated

from pydantic import BaseModel, Field

from maild.api.schemas.base import Input, WorkspaceId
from maild.domain.states import Status
from maild.services.resending import IDS_MAX, OutcomeStatus


class ResendIn(Input):
    workspace_id: WorkspaceId | None = None
    message_ids: Annotated[list[str], Field(min_length=1, max_length=IDS_MAX)] = Field(
        description="The ids of messages that have ended."
    )
    reason: str | None = Field(None, description="Kept on both timelines; 500 characters at most.")


class ResendOutcome(BaseModel):
    message_id: str
    status: OutcomeStatus
    new_message_id: uuid.UUID | None
    new_status: Status | None = Field(description="Of the new message, when it was accepted.")
    error: str | None


class ResendOut(BaseModel):
    workspace_id: int
    requested: int
    resent: int
    skipped: int
    failed: int
    outcomes: list[ResendOutcome]

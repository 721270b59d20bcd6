"""Topics: what a workspace mails about."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, StrictBool

from maild.api.schemas.base import Input, WorkspaceId, WorkspaceQuery


class TopicIn(Input):
    name: str = Field(
        description="As messages name it, such as `news`; in lower case, 100 characters at most."
    )
    label: str | None = Field(
        None, description="What people read, 100 characters at most. Without it the name."
    )
    description: str = Field(
        "", description="One sentence about it for them, 300 characters at most."
    )
    is_public: StrictBool = Field(
        True,
        description="Whether the preference centre offers it to those who have not asked for it.",
    )
    workspace_id: WorkspaceId | None = None


class TopicNamed(Input):
    name: str = Field(description="The topic, in any form.")
    workspace_id: WorkspaceId | None = None


class TopicQuery(WorkspaceQuery):
    """Which workspace's."""


class TopicOut(BaseModel):
    workspace_id: int
    name: str = Field(description="In lower case.")
    label: str = Field(description="What people read.")
    description: str
    is_public: bool
    created_by: str
    created_at: datetime


class TopicSaved(TopicOut):
    status: Literal["declared", "saved"] = Field(description="`declared`: it is new.")


class TopicDeleted(TopicOut):
    status: Literal["deleted"] = "deleted"


class TopicList(BaseModel):
    workspace_id: int
    count: int
    topics: list[TopicOut]

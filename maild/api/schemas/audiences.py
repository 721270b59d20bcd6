"""Audiences: lists of contacts, and who is on them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictInt, model_validator

from maild.api.schemas.base import LIMIT_MAX, Input, SearchText, WorkspaceId, WorkspaceQuery
from maild.api.schemas.contacts import ContactId, ContactPage
from maild.services.audience_members import MEMBERS_MAX, MemberOutcome

AudienceId = Annotated[StrictInt, Field(ge=1, le=2**31 - 1, description="The number of the list.")]
Description = Annotated[str, Field(description="500 characters at most.")]


class AudienceIn(Input):
    name: str = Field(description="100 characters at most; a workspace has it once.")
    description: Description = ""
    workspace_id: WorkspaceId | None = None


class AudienceChange(Input):
    """What is left out stays."""

    audience_id: AudienceId
    name: str | None = Field(None, description="100 characters at most.")
    description: str | None = Field(None, description="500 characters at most.")
    workspace_id: WorkspaceId | None = None


class AudienceRef(Input):
    audience_id: AudienceId
    workspace_id: WorkspaceId | None = None


class AudienceOut(BaseModel):
    id: int
    workspace_id: int
    name: str
    description: str
    created_by: str
    created_at: datetime
    updated_at: datetime


class AudienceCounted(AudienceOut):
    contact_count: int = Field(description="How many contacts are on it.")
    has_more: bool = Field(description="Whether they are more than `contact_count`.")


class AudienceList(BaseModel):
    workspace_id: int
    count: int = Field(description="Lists of the workspace: these are all of them.")
    audiences: list[AudienceCounted]


class AudienceRemoved(AudienceOut):
    status: Literal["deleted"] = "deleted"


class MembersQuery(WorkspaceQuery):
    audience_id: int = Field(ge=1, le=2**31 - 1, description="The number of the list.")
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class MemberPage(ContactPage):
    audience_id: int


class MembersIn(Input):
    """By one of the two."""

    audience_id: AudienceId
    emails: list[str] | None = Field(
        None, min_length=1, max_length=MEMBERS_MAX, description="Addresses, in any form."
    )
    contact_ids: list[ContactId] | None = Field(
        None, min_length=1, max_length=MEMBERS_MAX, description="The numbers of contacts."
    )
    workspace_id: WorkspaceId | None = None

    @model_validator(mode="after")
    def _one(self) -> "MembersIn":
        if (self.emails is None) == (self.contact_ids is None):
            raise ValueError("give either emails or contact_ids")
        return self


class MemberResult(BaseModel):
    index: int
    contact_id: int | None
    email: str | None = Field(description="As it is kept; null where there is no such contact.")
    outcome: MemberOutcome
    error: str | None


class MembersOut(BaseModel):
    workspace_id: int
    audience_id: int
    done: int = Field(description="How many were added, or removed.")
    rejected: int
    results: list[MemberResult]

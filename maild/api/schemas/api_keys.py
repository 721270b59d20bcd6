"""API keys: what is asked for, and what is told of them. The key itself is in one answer only."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictInt

from maild.api.schemas.base import (
    LIMIT_MAX,
    Input,
    SearchText,
    Timestamp,
    WorkspaceId,
    WorkspaceQuery,
)
from maild.services.api_keys import REQUESTS_MAX, State

Requests = Annotated[
    StrictInt | None,
    Field(
        ge=0,
        le=REQUESTS_MAX,
        description="How many requests a minute it may make; null: as many as"
        " API_REQUESTS_PER_MINUTE says. More than that, or 0 for as many as it likes, can be set"
        " with the instance's admin key only.",
    ),
]


class ApiKeyIn(Input):
    name: str = Field(description="What it is for, as people will read it in the audit log.")
    role: str = Field(
        description="`admin`, `operator`, `viewer` or `sender`.",
        json_schema_extra={"enum": ["sender", "viewer", "operator", "admin"]},
    )
    expires_at: Timestamp | None = Field(None, description="It works until then; null: for good.")
    allowed_networks: list[str] | None = Field(
        None, description="Addresses or networks that it works from; null: from everywhere."
    )
    requests_per_minute: Requests = None
    workspace_id: WorkspaceId | None = None


class ApiKeyOut(BaseModel):
    id: int
    workspace_id: int
    name: str
    prefix: str = Field(description="The visible beginning of the key.")
    role: str
    state: State
    allowed_networks: list[str] | None
    requests_per_minute: int | None = Field(
        description="Null: as many as API_REQUESTS_PER_MINUTE says; 0: as many as it likes."
    )
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    created_at: datetime
    created_by: str
    revoked_at: datetime | None
    revoked_by: str | None


class ApiKeyCreated(ApiKeyOut):
    key: str = Field(description="The key itself. It is shown this once.")


class ApiKeyQuery(WorkspaceQuery):
    limit: int = Field(50, ge=1, le=LIMIT_MAX, description="How many a page has at most.")
    cursor: SearchText | None = Field(None, description="`next_cursor` of the page before.")


class ApiKeyPage(BaseModel):
    workspace_id: int
    count: int
    api_keys: list[ApiKeyOut]
    next_cursor: str | None


class ApiKeyRevoke(Input):
    id: StrictInt = Field(ge=1, le=2**31 - 1, description="The key's.")
    reason: str | None = Field(None, description="Kept in the audit log.")
    workspace_id: WorkspaceId | None = None


class ApiKeyLimit(ApiKeyRevoke):
    requests_per_minute: Requests


class ApiKeyRevoked(ApiKeyOut):
    status: Literal["revoked", "already_revoked"]

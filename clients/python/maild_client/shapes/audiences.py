"""Shapes: Audiences. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from maild_client.shapes.shared import ContactOut


class AudienceCounted(TypedDict):
    id: int
    workspace_id: int
    name: str
    description: str
    created_by: str
    created_at: str
    updated_at: str
    contact_count: int
    has_more: bool


class AudienceList(TypedDict):
    workspace_id: int
    count: int
    audiences: list[AudienceCounted]


class AudienceOut(TypedDict):
    id: int
    workspace_id: int
    name: str
    description: str
    created_by: str
    created_at: str
    updated_at: str


class AudienceRemoved(TypedDict):
    id: int
    workspace_id: int
    name: str
    description: str
    created_by: str
    created_at: str
    updated_at: str
    status: Literal["deleted"]


MemberOutcome: TypeAlias = Literal["added", "known", "removed", "absent", "rejected"]


class MemberPage(TypedDict):
    workspace_id: int
    count: int
    contacts: list[ContactOut]
    next_cursor: str | None
    audience_id: int


class MemberResult(TypedDict):
    index: int
    contact_id: int | None
    email: str | None
    outcome: MemberOutcome
    error: str | None


class MembersOut(TypedDict):
    workspace_id: int
    audience_id: int
    done: int
    rejected: int
    results: list[MemberResult]

"""Shapes: Suppressions. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from maild_client.shapes.shared import Status, Stream


class BlockedMessage(TypedDict):
    id: str
    from_email: str
    to_email: str
    subject: str
    stream: Stream
    status: Status
    created_at: str
    updated_at: str


class BlockedPage(TypedDict):
    workspace_id: int
    suppression: SuppressionOut
    count: int
    messages: list[BlockedMessage]
    next_cursor: str | None


class Rejection(TypedDict):
    line: int
    error: str


SuppressionClass: TypeAlias = Literal["hard_bounce", "soft_bounce", "complaint", "manual"]


class SuppressionImported(TypedDict):
    """`rows` = `imported` + `existing` + `duplicate` + `rejected`."""

    workspace_id: int
    dry_run: bool
    rows: int
    imported: int
    existing: int
    extended: int
    duplicate: int
    rejected: int
    rejections: list[Rejection]
    ignored_columns: list[str]


SuppressionOut = TypedDict(
    "SuppressionOut",
    {
        "id": "int",
        "workspace_id": "int",
        "email": "str",
        "stream": "Stream | None",
        "reason": "str",
        "class": "SuppressionClass",
        "source": "str",
        "message_id": "str | None",
        "created_by": "str",
        "created_at": "str",
        "expires_at": "str | None",
        "state": "SuppressionState",
        "removed_at": "str | None",
        "removed_by": "str | None",
        "removal_reason": "str | None",
    },
)


class SuppressionPage(TypedDict):
    workspace_id: int
    count: int
    suppressions: list[SuppressionOut]
    next_cursor: str | None


SuppressionRemoved = TypedDict(
    "SuppressionRemoved",
    {
        "id": "int",
        "workspace_id": "int",
        "email": "str",
        "stream": "Stream | None",
        "reason": "str",
        "class": "SuppressionClass",
        "source": "str",
        "message_id": "str | None",
        "created_by": "str",
        "created_at": "str",
        "expires_at": "str | None",
        "state": "SuppressionState",
        "removed_at": "str | None",
        "removed_by": "str | None",
        "removal_reason": "str | None",
        "status": 'Literal["removed"]',
        "blocked_count": "int",
        "has_more_blocked": "bool",
        "blocked_ids": "list[str]",
        "remaining": "list[SuppressionOut]",
    },
)


SuppressionSaved = TypedDict(
    "SuppressionSaved",
    {
        "id": "int",
        "workspace_id": "int",
        "email": "str",
        "stream": "Stream | None",
        "reason": "str",
        "class": "SuppressionClass",
        "source": "str",
        "message_id": "str | None",
        "created_by": "str",
        "created_at": "str",
        "expires_at": "str | None",
        "state": "SuppressionState",
        "removed_at": "str | None",
        "removed_by": "str | None",
        "removal_reason": "str | None",
        "status": 'Literal["suppressed"]',
    },
)


SuppressionState: TypeAlias = Literal["in_force", "expired", "removed"]

"""Shapes: Retention. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict


class DatabaseOut(TypedDict):
    """The whole database. Growth is null before there are notes of two days."""

    bytes: int
    free_bytes: int | None
    growth_bytes_per_day: int | None
    settled_bytes: int | None
    full_in_seconds: int | None
    parts: list[PartOut]


class EstimateOut(TypedDict):
    """What the workspace's mail takes, about, told from its own traffic of the last ..."""

    messages: int
    accepted_per_day: float
    bytes_now: int | None
    bytes_per_day: int | None
    settled_bytes: int | None


class GoingOut(TypedDict):
    """What the next rounds remove of a subject, but for what has not ended."""

    subject: Subject
    before: str | None
    count: int
    is_more: bool


class KeepOut(TypedDict):
    """Days; null: for ever."""

    bodies_days: int | None
    messages_days: int | None
    webhooks_days: int | None
    audit_days: int | None


class PartOut(TypedDict):
    part: str
    bytes: int
    growth_bytes_per_day: int | None
    settled_bytes: int | None


class PrunedOut(TypedDict):
    rule: str
    count: int
    last_at: str | None


class RetentionChange(TypedDict):
    dry_run: bool
    going: list[GoingOut]
    retention: RetentionOut


class RetentionOut(TypedDict):
    workspace_id: int
    version: int
    bodies_days: int | None
    messages_days: int | None
    webhooks_days: int | None
    audit_days: int | None
    in_force: KeepOut
    default: KeepOut
    updated_at: str | None
    updated_by: str | None
    pruned: list[PrunedOut]
    estimate: EstimateOut
    database: DatabaseOut | None


Subject: TypeAlias = Literal["bodies", "messages", "webhooks", "audit"]

"""Shapes: Topics. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal, TypedDict


class TopicDeleted(TypedDict):
    workspace_id: int
    name: str
    label: str
    description: str
    is_public: bool
    created_by: str
    created_at: str
    status: Literal["deleted"]


class TopicList(TypedDict):
    workspace_id: int
    count: int
    topics: list[TopicOut]


class TopicOut(TypedDict):
    workspace_id: int
    name: str
    label: str
    description: str
    is_public: bool
    created_by: str
    created_at: str


class TopicSaved(TypedDict):
    workspace_id: int
    name: str
    label: str
    description: str
    is_public: bool
    created_by: str
    created_at: str
    status: Literal["declared", "saved"]

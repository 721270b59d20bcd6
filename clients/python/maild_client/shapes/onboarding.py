"""Shapes: Onboarding. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Any, TypedDict


class ChecklistItem(TypedDict):
    id: str
    title: str
    description: str
    done: bool
    evidence: dict[str, Any]
    action: str


class OnboardingChecklist(TypedDict):
    workspace_id: int
    generated_at: str
    completed: int
    total: int
    items: list[ChecklistItem]

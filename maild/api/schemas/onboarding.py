"""The onboarding checklist: how far a workspace is set up, and what shows it."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class ChecklistItem(BaseModel):
    id: str = Field(description="What programs know it by; the ids stay.")
    title: str
    description: str = Field(description="What it is for.")
    done: bool = Field(description="What the database says just now; it may become false again.")
    evidence: dict[str, Any] = Field(
        description="`summary`, a sentence, and the facts in it by their names: times, names,"
        " counts, ids; null where there is none."
    )
    action: str = Field(description="What to do next, with the console's path and the call.")


class OnboardingChecklist(BaseModel):
    workspace_id: int
    generated_at: datetime
    completed: int = Field(description="How many items are done.")
    total: int
    items: list[ChecklistItem]

"""The wizard through setting up: which of its steps are done, which somebody put off, and which is
the next one. The facts are `onboarding`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import peewee

from maild.db import database
from maild.domain.actor import Actor
from maild.models import OnboardingStep
from maild.services import audit, onboarding, onboarding_facts, workspaces


class StepId(StrEnum):
    """The steps, in their order."""

    WORKSPACE = "workspace"
    """Done once an admin of it has confirmed their address."""
    PROVIDER = "provider"
    DOMAIN = "domain"
    POLICY = "policy"
    TEST_MESSAGE = "test-message"
    WEBHOOK = "webhook"


TITLES: dict[StepId, str] = {
    StepId.WORKSPACE: "Workspace",
    StepId.PROVIDER: "Provider",
    StepId.DOMAIN: "Domain",
    StepId.POLICY: "Policy",
    StepId.TEST_MESSAGE: "Test message",
    StepId.WEBHOOK: "Webhook",
}


class State(StrEnum):
    """Where a step stands."""

    DONE = "done"
    SKIPPED = "skipped"
    TODO = "todo"


@dataclass(frozen=True, slots=True)
class WizardStep:
    """`summary` is the evidence in words; `skipped_by` is there for a step that was put off."""

    id: StepId
    state: State
    summary: str
    skipped_by: str | None = None
    skipped_at: datetime | None = None

    @property
    def title(self) -> str:
        return TITLES[self.id]


@dataclass(frozen=True, slots=True)
class Wizard:
    """All steps, in their order, and the facts that they are judged by."""

    steps: tuple[WizardStep, ...]
    facts: Mapping[str, Any]

    @property
    def done_count(self) -> int:
        return sum(step.state is State.DONE for step in self.steps)

    @property
    def current(self) -> WizardStep | None:
        """The first that is neither done nor put off; None where nothing is left."""
        return next((step for step in self.steps if step.state is State.TODO), None)

    @property
    def is_complete(self) -> bool:
        return all(step.state is State.DONE for step in self.steps)

    def get(self, step_id: StepId) -> WizardStep:
        return self.steps[list(StepId).index(step_id)]

    def before(self, step_id: StepId) -> WizardStep | None:
        place = list(StepId).index(step_id)
        return self.steps[place - 1] if place else None

    def after(self, step_id: StepId) -> WizardStep | None:
        place = list(StepId).index(step_id) + 1
        return self.steps[place] if place < len(self.steps) else None


def find(workspace_id: int) -> Wizard:
    """Where a workspace stands."""
    facts = onboarding_facts.find(workspace_id)
    skipped = {
        row.step: row
        for row in OnboardingStep.select().where(
            OnboardingStep.workspace == workspace_id, OnboardingStep.resumed_at.is_null()
        )
    }
    steps = []
    for step_id, (is_done, summary) in _judge(facts).items():
        row = None if is_done else skipped.get(step_id)
        state = State.DONE if is_done else State.SKIPPED if row else State.TODO
        steps.append(
            WizardStep(
                step_id,
                state,
                summary,
                skipped_by=row.skipped_by if row else None,
                skipped_at=row.skipped_at if row else None,
            )
        )
    return Wizard(tuple(steps), facts)


def skip(workspace_id: int, step_id: StepId, *, by: Actor) -> None:
    """Put a step off, until somebody resumes it or it is done. Raises NotFound (the workspace)."""
    with database.atomic():
        workspaces.take_turns(workspace_id)
        if _is_skipped(workspace_id, step_id):
            return
        values = {
            "skipped_at": peewee.fn.now(),
            "skipped_by": by.name,
            "resumed_at": None,
            "resumed_by": None,
        }
        OnboardingStep.insert(workspace=workspace_id, step=step_id, **values).on_conflict(
            conflict_target=[OnboardingStep.workspace, OnboardingStep.step], update=values
        ).execute()
        _record(workspace_id, step_id, "skipped", by=by)


def resume(workspace_id: int, step_id: StepId, *, by: Actor) -> None:
    """Take a step up again that was put off. Raises NotFound (the workspace)."""
    with database.atomic():
        workspaces.take_turns(workspace_id)
        if not _is_skipped(workspace_id, step_id):
            return
        values = {"resumed_at": peewee.fn.now(), "resumed_by": by.name}
        OnboardingStep.update(**values).where(
            OnboardingStep.workspace == workspace_id, OnboardingStep.step == step_id
        ).execute()
        _record(workspace_id, step_id, "resumed", by=by)


def _is_skipped(workspace_id: int, step_id: StepId) -> bool:
    own = OnboardingStep.select().where(
        OnboardingStep.workspace == workspace_id,
        OnboardingStep.step == step_id,
        OnboardingStep.resumed_at.is_null(),
    )
    return bool(own.exists())


def _record(workspace_id: int, step_id: StepId, what: str, *, by: Actor) -> None:
    actions = {"skipped": "onboarding.skipped", "resumed": "onboarding.resumed"}
    audit.record(workspace_id, by, action=actions[what], target=f"step {step_id}")


def _judge(facts: Mapping[str, Any]) -> dict[StepId, tuple[bool, str]]:
    """Whether each step is done, and what says so."""
    found = {step.id: step for step in onboarding.judge(facts)}
    admin, account = facts["confirmed_admin"], found["smtp_account_configured"]
    active = found["active_smtp_provider_selected"]
    judged = {
        StepId.WORKSPACE: (
            admin is not None,
            f"{admin} is confirmed, and looks after it as its admin."
            if admin
            else "No admin of it has confirmed their address yet.",
        ),
        StepId.PROVIDER: (
            active.is_done,
            (active if active.is_done or not account.is_done else account).evidence["summary"],
        ),
    }
    for step_id, item in (
        (StepId.DOMAIN, "domain_readiness_checked"),
        (StepId.POLICY, "workspace_policy_reviewed"),
        (StepId.TEST_MESSAGE, "message_flow_verified"),
        (StepId.WEBHOOK, "webhook_flow_verified"),
    ):
        judged[step_id] = (found[item].is_done, found[item].evidence["summary"])
    return judged

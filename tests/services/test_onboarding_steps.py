"""The steps of the wizard: done by evidence, put off, taken up again."""

import pytest

from maild import clock
from maild.domain.actor import Actor
from maild.errors import Conflict
from maild.models import AuditEntry, Person
from maild.services import onboarding_steps, policies, policy_reviews
from maild.services.onboarding_steps import State, StepId
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")

ANN = Actor("ann@a.example")


def states(workspace_id=WORKSPACE_A):
    return [step.state for step in onboarding_steps.find(workspace_id).steps]


def test_a_new_workspace_begins_with_the_first_step(make_person):
    person = make_person("ann@a.example", is_verified=False)
    wizard = onboarding_steps.find(WORKSPACE_A)
    assert [step.id for step in wizard.steps] == list(StepId)
    assert states() == [State.TODO] * 6
    assert wizard.current.id is StepId.WORKSPACE
    assert (wizard.before(StepId.WORKSPACE), wizard.after(StepId.WEBHOOK)) == (None, None)
    Person.update(email_verified_at=clock.now()).where(Person.id == person.id).execute()
    wizard = onboarding_steps.find(WORKSPACE_A)
    assert wizard.current.id is StepId.PROVIDER
    assert "ann@a.example is confirmed" in wizard.get(StepId.WORKSPACE).summary


def test_a_step_is_put_off_by_somebody_and_taken_up_again():
    onboarding_steps.skip(WORKSPACE_A, StepId.DOMAIN, by=ANN)
    onboarding_steps.skip(WORKSPACE_A, StepId.DOMAIN, by=Actor("olaf@a.example"))
    step = onboarding_steps.find(WORKSPACE_A).get(StepId.DOMAIN)
    assert (step.state, step.skipped_by) == (State.SKIPPED, "ann@a.example")
    assert step.skipped_at is not None
    onboarding_steps.resume(WORKSPACE_A, StepId.DOMAIN, by=ANN)
    onboarding_steps.resume(WORKSPACE_A, StepId.DOMAIN, by=ANN)
    assert states() == [State.TODO] * 6
    onboarding_steps.skip(WORKSPACE_A, StepId.DOMAIN, by=ANN)
    assert states()[2] is State.SKIPPED
    actions = [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]
    assert actions == ["onboarding.skipped", "onboarding.resumed", "onboarding.skipped"]


def test_what_was_put_off_is_done_all_the_same_once_it_is():
    onboarding_steps.skip(WORKSPACE_A, StepId.POLICY, by=ANN)
    policy_reviews.mark(WORKSPACE_A, version=0, by=ANN)
    step = onboarding_steps.find(WORKSPACE_A).get(StepId.POLICY)
    assert (step.state, step.skipped_by) == (State.DONE, None)


def test_nothing_is_current_when_all_is_done_or_put_off():
    for step_id in StepId:
        onboarding_steps.skip(WORKSPACE_A, step_id, by=ANN)
    wizard = onboarding_steps.find(WORKSPACE_A)
    assert (wizard.current, wizard.done_count, wizard.is_complete) == (None, 0, False)
    assert states(WORKSPACE_B) == [State.TODO] * 6


def test_a_review_is_of_one_version_and_its_first_reviewer_stays():
    policy_reviews.mark(WORKSPACE_A, version=0, by=ANN)
    policy_reviews.mark(WORKSPACE_A, version=0, by=Actor("olaf@a.example"))
    assert AuditEntry.select().where(AuditEntry.action == "policy.reviewed").count() == 1
    policies.save(WORKSPACE_A, changes={"soft_bounce_threshold": 4}, by=ANN)
    with pytest.raises(Conflict, match="was changed since"):
        policy_reviews.mark(WORKSPACE_A, version=0, by=ANN)
    policy_reviews.mark(WORKSPACE_A, version=1, by=Actor("olaf@a.example"))
    facts = onboarding_steps.find(WORKSPACE_A).facts
    assert (facts["policy_version"], facts["reviewed_by"]) == (1, "olaf@a.example")

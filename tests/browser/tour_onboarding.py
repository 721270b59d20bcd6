"""Setting up: the wizard's pages, as a beginner and as somebody who is done sees them."""

import pytest

from maild.config import Addr, Sandbox
from maild.domain.actor import SYSTEM, Actor
from maild.services import onboarding_steps, sandboxes
from maild.services.onboarding_steps import StepId
from tests.browser import hard_rows
from tests.browser.guide import Sight, posted, tour
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/ui/onboarding"


@pytest.fixture
def starter(admin, make_person, settled, accept, use_settings):
    """The admin, who sets a workspace up; the sandbox is there, and one step is put off."""
    use_settings(sandbox=Sandbox(Addr("127.0.0.1", 1025), "http://127.0.0.1:8025"))
    sandboxes.add(WORKSPACE_A, by=SYSTEM)
    onboarding_steps.skip(WORKSPACE_A, StepId.WEBHOOK, by=Actor(hard_rows.LONG_ADDRESS))
    message = settled(subject="Test")
    accept()
    here = {"workspace_id": str(WORKSPACE_A)}
    return tour(
        admin,
        PATH,
        *(f"{PATH}/{step}" for step in StepId),
        f"{PATH}/provider?preset=ses",
        posted(f"{PATH}/sandbox/remove", 409, by=f"{PATH}/provider", **here),
        posted(f"{PATH}/provider", 422, by=f"{PATH}/provider", port="x", **here),
        Sight(f"{PATH}/test-message?message={message.id}"),
        posted(f"{PATH}/test-message", 422, from_email="x", to_email="y", **here),
        posted(f"{PATH}/policy/review", 409, by=f"{PATH}/policy", version="7", **here),
        posted(f"{PATH}/key", 200, by=f"{PATH}/test-message", **here),
    )


@pytest.fixture
def newborn(make_person):
    """The admin of a workspace in which nothing has happened, whose address is not confirmed."""
    person = make_person("ben@b.example", workspace_id=WORKSPACE_B, is_verified=False)
    return tour(person, *(f"{PATH}/{step}" for step in StepId))


@pytest.fixture
def settler(admin):
    """The admin, when nothing is left that was not put off."""
    for step in StepId:
        onboarding_steps.skip(WORKSPACE_A, step, by=SYSTEM)
    return tour(admin, PATH, f"{PATH}/policy")

"""Which jobs the pruner waits for: those that find what they do by messages, and no others."""

from collections.abc import Callable

import pytest

from maild.models import Job, Message
from maild.services import job_kinds, jobs, retention_pruner
from tests.conftest import WORKSPACE_A
from tests.services.test_retention_pruner import age, prune

Accept = Callable[..., Message]

pytestmark = pytest.mark.usefixtures("database")

STAND_BY_THEMSELVES = {
    "contacts.check_import", "contacts.delete_attribute", "contacts.import", "contacts.import.undo",
    "dead_letters.dismiss", "dead_letters.dismiss.undo", "dead_letters.replay",
    "incidents.unsuppress.undo", "suppressions.import", "suppressions.import.undo",
}  # fmt: skip


def test_of_each_kind_of_job_it_is_known_whether_it_wants_messages() -> None:
    assert job_kinds.ALL
    wanting = retention_pruner.NAME_MESSAGES
    known = {kind for kind in jobs.list_kinds() if "." in kind}  # other tests have kinds of theirs
    assert wanting | STAND_BY_THEMSELVES == known
    assert not wanting & STAND_BY_THEMSELVES


def open_job(kind: str) -> None:
    Job.create(
        workspace=WORKSPACE_A, kind=kind, params={}, created_by="x", status="queued", breakdown={}
    )


@pytest.mark.parametrize("kind", sorted(retention_pruner.NAME_MESSAGES))
def test_a_job_that_wants_messages_finds_them(accept: Accept, kind: str) -> None:
    age(accept(), 500)
    open_job(kind)
    assert prune() == {}


@pytest.mark.parametrize("kind", sorted({*STAND_BY_THEMSELVES, "moons.count", "messages.praise"}))
def test_a_job_that_wants_no_message_or_that_nobody_knows_stops_nothing(
    accept: Accept, kind: str
) -> None:
    age(accept(), 500)
    open_job(kind)
    assert prune()["messages"] == 1

"""I19: what was accepted is there. A difference is found, told once, and told when it is over."""

import uuid
from collections.abc import Callable

import pytest

from maild.db import database as db
from maild.domain.states import EventType, Status
from maild.models import AcceptedTally, ConservationCheck, Event, Message
from maild.services import conservation, health
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import at_once

Accept = Callable[..., Message]

pytestmark = pytest.mark.usefixtures("database")


def latest(workspace_id: int) -> ConservationCheck:
    found = conservation.latest(workspace_id)
    assert found is not None
    return found


def check_all() -> dict[int, conservation.Balance]:
    return {balance.workspace_id: balance for balance in conservation.check()}


def told() -> list[tuple[int | None, str]]:
    rows = Event.select().where(Event.message.is_null()).order_by(Event.id)
    return [(event.workspace_id, event.type) for event in rows]


def test_before_the_first_check_nothing_is_known() -> None:
    assert conservation.latest(WORKSPACE_A) is None
    check = health.check_conservation()
    assert check.is_ok
    assert "not checked yet" in check.detail


@pytest.mark.proves("I19")
def test_every_state_counts(accept: Accept) -> None:
    messages = [accept() for _ in range(5)]
    accept(workspace_id=WORKSPACE_B)
    Message.update(status=Status.FAILED, next_attempt_at=None).where(
        Message.id == messages[0].id
    ).execute()
    Message.update(status=Status.SENDING, next_attempt_at=None, worker_id=uuid.uuid4()).where(
        Message.id == messages[1].id
    ).execute()
    balances = check_all()
    assert balances[WORKSPACE_A].by_status == {"queued": 3, "failed": 1, "sending": 1}
    assert (balances[WORKSPACE_A].accepted_count, balances[WORKSPACE_A].difference) == (5, 0)
    assert balances[WORKSPACE_B].found_count == 1
    assert (latest(WORKSPACE_A).accepted_count, latest(WORKSPACE_A).difference) == (5, 0)
    assert latest(WORKSPACE_A).broken_since is None
    assert told() == []
    assert health.check_conservation().detail == "ok (6 accepted, all of them there)"


def test_a_workspace_without_messages_is_in_balance() -> None:
    assert {balance.difference for balance in check_all().values()} == {0}


@pytest.mark.proves("I19")
def test_a_lost_message_is_told_once_and_so_is_its_return(accept: Accept) -> None:
    accept()
    lost = accept()
    Message.delete().where(Message.id == lost.id).execute()
    for _ in range(2):
        balances = check_all()
        assert balances[WORKSPACE_A].difference == 1
        assert balances[WORKSPACE_B].difference == 0
    assert told() == [(WORKSPACE_A, EventType.CONSERVATION_BROKEN.value)]
    event = Event.get(Event.message.is_null())
    assert event.data == {
        "accepted": 2,
        "found": 1,
        "difference": 1,
        "by_status": {"queued": 1},
    }
    since = latest(WORKSPACE_A).broken_since
    assert since is not None
    assert since < latest(WORKSPACE_A).checked_at
    check = health.check_conservation()
    assert not check.is_ok
    assert check.detail.startswith("Workspace 1: 1 messages missing of 2 accepted, since ")

    AcceptedTally.update(accepted_count=AcceptedTally.accepted_count - 1).where(
        AcceptedTally.workspace == WORKSPACE_A
    ).execute()
    for _ in range(2):
        assert check_all()[WORKSPACE_A].difference == 0
    assert told()[1:] == [(WORKSPACE_A, EventType.CONSERVATION_RESTORED.value)]
    assert latest(WORKSPACE_A).broken_since is None
    assert health.check_conservation().is_ok


def test_one_message_too_many_is_a_difference_too(accept: Accept) -> None:
    accept()
    AcceptedTally.update(accepted_count=0).execute()
    assert check_all()[WORKSPACE_A].difference == -1
    assert "1 messages too many of 0 accepted" in health.check_conservation().detail


def grow_old(*, minutes: int, took_seconds: int = 0) -> None:
    """As if the latest count had begun so long ago."""
    db.execute_sql(
        "UPDATE conservation_checks SET checked_at = now() - %s * interval '1 minute'", (minutes,)
    )
    db.execute_sql(
        "UPDATE periodic_jobs SET ran_at = now() - %s * interval '1 minute'"
        " + %s * interval '1 second' WHERE name = %s",
        (minutes, took_seconds, conservation.PERIODIC_JOB),
    )


def test_a_check_that_nobody_makes_any_more_is_told() -> None:
    conservation.check()
    grow_old(minutes=10)
    check = health.check_conservation()
    assert not check.is_ok
    assert check.detail == "Nobody has counted for 10 minutes."


@pytest.mark.parametrize(
    ("minutes", "took_seconds", "is_due"),
    [(0, 0, False), (1, 0, True), (1, 5, True), (1, 30, False), (6, 30, True), (99, 600, False)],
)
def test_what_takes_long_is_counted_seldom(minutes: int, took_seconds: int, is_due: bool) -> None:
    conservation.check()
    grow_old(minutes=minutes, took_seconds=took_seconds)
    assert bool(conservation.check_when_due()) is is_due
    assert conservation.check_when_due() == [], "not at once again"


def test_a_count_that_takes_long_is_not_overdue_as_soon() -> None:
    conservation.check()
    grow_old(minutes=10, took_seconds=60)
    assert health.check_conservation().is_ok
    grow_old(minutes=21, took_seconds=60)
    assert health.check_conservation().detail == "Nobody has counted for 21 minutes."


def test_the_first_count_is_due_at_once_and_so_is_one_after_an_older_version() -> None:
    assert conservation.check_when_due()
    grow_old(minutes=2)
    db.execute_sql("DELETE FROM periodic_jobs")
    assert conservation.check_when_due()
    assert conservation.find_pace().took_seconds < 5


def test_how_long_it_took_is_kept(accept: Accept, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = conservation._CHECK.replace(
        "FROM workspaces w", "FROM (SELECT pg_sleep(0.3)) AS slow CROSS JOIN workspaces w", 1
    )
    monkeypatch.setattr(conservation, "_CHECK", slow)
    conservation.check()
    pace = conservation.find_pace()
    assert pace.took_seconds >= 0.3
    assert pace.every_seconds == max(60, 10 * pace.took_seconds)


def test_of_several_one_counts() -> None:
    conservation.check()
    grow_old(minutes=2)
    found: list[list[conservation.Balance]] = []
    with db.atomic():
        db.execute_sql(conservation._HOLD, (conservation.PERIODIC_JOB,))
        at_once(lambda: found.append(conservation.check_when_due()))
    assert found == [[]]
    at_once(*[lambda: found.append(conservation.check_when_due())] * 3)
    assert sum(bool(balances) for balances in found) == 1


def test_after_a_count_that_was_given_up_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conservation, "_CHECK", "SELECT pg_sleep(60)")
    monkeypatch.setattr(conservation, "TIMEOUT_MS", 20)
    monkeypatch.setattr(conservation, "_resting_until", 0.0)
    monkeypatch.setattr(conservation, "SHARE", 1_000_000)
    assert conservation.check_when_due() == []
    monkeypatch.setattr(conservation, "_CHECK", "SELECT 1 / 0")
    assert conservation.check_when_due() == [], "it does not even try"


def test_a_count_that_takes_too_long_is_given_up(
    accept: Accept, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept()
    slow = conservation._CHECK.replace(
        "FROM workspaces w", "FROM workspaces w CROSS JOIN pg_sleep(60)"
    )
    monkeypatch.setattr(conservation, "_CHECK", slow)
    monkeypatch.setattr(conservation, "TIMEOUT_MS", 20)
    assert conservation.check() == []
    assert conservation.latest(WORKSPACE_A) is None
    assert db.execute_sql("SHOW statement_timeout").fetchone()[0] == "0"

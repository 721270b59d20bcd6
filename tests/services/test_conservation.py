"""I19: what was accepted is there. A difference is found, told once, and told when it is over."""

import uuid
from collections.abc import Callable

import pytest

from maild.db import database as db
from maild.domain.states import EventType, Status
from maild.models import AcceptedTally, ConservationCheck, Event, Message
from maild.services import conservation, health
from tests.conftest import WORKSPACE_A, WORKSPACE_B

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


def test_a_check_that_nobody_makes_any_more_is_told() -> None:
    conservation.check()
    db.execute_sql("UPDATE conservation_checks SET checked_at = now() - interval '10 minutes'")
    check = health.check_conservation()
    assert not check.is_ok
    assert check.detail == "Nobody has counted for 10 minutes."


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

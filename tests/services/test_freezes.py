"""Freezes: what they held is let go when they are over."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.states import EventType, Status, Stream
from maild.models import Event, Freeze, Message, Workspace
from maild.services import freezes
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import (
    A_PATIENT,
    Accept,
    ago,
    at_once,
    event_types,
    reload,
    start_freeze,
    take,
)


def test_a_freeze_in_force_lets_nothing_go(accept: Accept, lease: Lease) -> None:
    start_freeze(WORKSPACE_A, reason="a test", expires_at=datetime.now(UTC) + timedelta(hours=1))
    message = accept()
    take(lease)
    assert freezes.release_thawed() == 0
    assert reload(message).status is Status.HELD


@pytest.mark.parametrize("how", ["lifted", "ended"])
def test_what_it_held_is_queued_again_when_it_is_over(
    how: str, accept: Accept, lease: Lease
) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="a test")
    message = accept()
    take(lease)
    if how == "lifted":
        freezes.lift(freeze)
    else:
        Freeze.update(expires_at=ago(seconds=1)).execute()
    assert freezes.release_thawed() == 1

    after = reload(message)
    assert (after.status, after.hold_reason, after.freeze_id) == (Status.QUEUED, None, None)
    assert after.attempt_count == 0
    assert event_types(message) == [EventType.ACCEPTED, EventType.HELD, EventType.RELEASED]
    assert [c.message_id for c in take(lease)] == [message.id], "it is due at once"
    assert freezes.release_thawed() == 0


def test_what_is_scheduled_for_later_keeps_its_time(accept: Accept, lease: Lease) -> None:
    """A person may have moved the time of a held message."""
    freeze = start_freeze(WORKSPACE_A, reason="a test")
    message = accept()
    take(lease)
    later = datetime.now(UTC) + timedelta(hours=3)
    Message.update(scheduled_at=later).execute()
    freezes.lift(freeze)
    freezes.release_thawed()
    assert reload(message).next_attempt_at == later


def test_what_a_person_holds_stays_held(accept: Accept, lease: Lease) -> None:
    message = accept()
    Message.update(status=Status.HELD, next_attempt_at=None, hold_reason="look at it").execute()
    freezes.lift(start_freeze(WORKSPACE_A, reason="a test"))
    assert freezes.release_thawed() == 0
    assert reload(message).hold_reason == "look at it"


def test_a_second_freeze_holds_what_the_first_lets_go(accept: Accept, lease: Lease) -> None:
    first = start_freeze(WORKSPACE_A, reason="first", stream=Stream.MARKETING)
    second = start_freeze(WORKSPACE_A, reason="second")
    message = accept(stream=Stream.MARKETING)
    take(lease, A_PATIENT)
    assert reload(message).hold_reason == "first"
    freezes.lift(first)
    freezes.release_thawed()
    assert take(lease, A_PATIENT) == []
    assert (reload(message).hold_reason, reload(message).freeze_id) == ("second", second.id)


def test_one_workspaces_end_of_a_freeze_lets_go_its_own(accept: Accept, lease: Lease) -> None:
    mine = start_freeze(WORKSPACE_A, reason="a test")
    start_freeze(WORKSPACE_B, reason="a test")
    accept()
    other = accept(workspace_id=WORKSPACE_B)
    take(lease)
    take(lease, A_PATIENT._replace(priority=0, workspace_id=WORKSPACE_B))
    freezes.lift(mine)
    assert freezes.release_thawed() == 1
    assert reload(other).status is Status.HELD


def test_lifting_twice_keeps_the_first_time(database: None) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="a test")
    freezes.lift(freeze)
    first = Freeze.get_by_id(freeze.id).lifted_at
    assert first is not None
    freezes.lift(freeze)
    assert Freeze.get_by_id(freeze.id).lifted_at == first


def test_it_works_through_more_than_one_batch(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="a test")
    for _ in range(7):
        accept()
    take(lease)
    freezes.lift(freeze)
    monkeypatch.setattr(freezes, "RELEASE_BATCH", 3)
    assert freezes.release_thawed() == 7
    assert Message.select().where(Message.status == Status.QUEUED).count() == 7


def test_two_at_once_let_each_message_go_once(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="a test")
    for _ in range(60):
        accept()
    take(lease)
    freezes.lift(freeze)
    monkeypatch.setattr(freezes, "RELEASE_BATCH", 7)
    released: list[int] = []
    at_once(*[lambda: released.append(freezes.release_thawed())] * 3)
    released.append(freezes.release_thawed())  # what one skipped while another had it
    assert sum(released) == 60
    assert Event.select().where(Event.type == EventType.RELEASED).count() == 60


def test_a_workspace_goes_with_its_freezes(accept: Accept, lease: Lease) -> None:
    start_freeze(WORKSPACE_A, reason="a test")
    accept()
    take(lease)
    Workspace.delete().where(Workspace.id == WORKSPACE_A).execute()
    assert Freeze.select().count() == 0

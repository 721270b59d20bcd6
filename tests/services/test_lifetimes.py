"""Lifetimes: what waits past its end is expired, wherever it waits."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.states import EventType, Status
from maild.models import Event, Message
from maild.services import freezes, lifetimes
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A
from tests.services.helpers import (
    LATER,
    Accept,
    ago,
    at_once,
    end,
    event_types,
    reload,
    start_freeze,
    take,
    take_one,
)


def run_out() -> None:
    """As if the lifetime of every message had ended."""
    Message.update(expires_at=ago(seconds=1)).execute()


def test_what_is_still_alive_is_left_alone(accept: Accept) -> None:
    message = accept()
    accept(expires_at=datetime.now(UTC) + timedelta(minutes=1))
    assert lifetimes.expire_overdue() == 0
    assert reload(message).status is Status.QUEUED


def test_a_queued_message_expires(accept: Accept) -> None:
    message = accept()
    run_out()
    assert lifetimes.expire_overdue() == 1
    expired = reload(message)
    assert (expired.status, expired.next_attempt_at) == (Status.EXPIRED, None)
    assert event_types(message) == [EventType.ACCEPTED, EventType.EXPIRED]
    assert lifetimes.expire_overdue() == 0


def test_a_deferred_message_keeps_what_its_last_attempt_said(accept: Accept, lease: Lease) -> None:
    message = accept()
    end(take_one(lease), LATER)
    run_out()
    lifetimes.expire_overdue()
    expired = reload(message)
    assert (expired.status, expired.attempt_count) == (Status.EXPIRED, 1)
    assert "Try later" in expired.last_error


def test_a_held_message_expires_and_its_hold_with_it(accept: Accept, lease: Lease) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="a test")
    message = accept()
    take(lease)
    assert reload(message).status is Status.HELD
    run_out()
    assert lifetimes.expire_overdue() == 1
    expired = reload(message)
    assert (expired.status, expired.hold_reason, expired.freeze_id) == (Status.EXPIRED, None, None)
    freezes.lift(freeze)
    assert freezes.release_thawed() == 0


def test_what_a_worker_has_in_its_hands_is_its_own(accept: Accept, lease: Lease) -> None:
    on_its_way, sent = accept(), accept()
    first, second = take(lease)
    end(second)
    run_out()
    assert lifetimes.expire_overdue() == 0
    assert reload(on_its_way).status is Status.SENDING
    assert reload(sent).status is Status.SENT
    assert first.message_id == on_its_way.id


def test_it_works_through_more_than_one_batch(
    accept: Accept, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(7):
        accept()
    run_out()
    monkeypatch.setattr(lifetimes, "EXPIRE_BATCH", 3)
    assert lifetimes.expire_overdue() == 7


def test_a_share_is_one_batch_at_least_and_the_next_goes_on(
    accept: Accept, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(7):
        accept()
    run_out()
    monkeypatch.setattr(lifetimes, "EXPIRE_BATCH", 3)
    assert [lifetimes.expire_overdue(seconds=0) for _ in range(4)] == [3, 3, 1, 0]


def test_two_at_once_expire_each_message_once(
    accept: Accept, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(60):
        accept()
    run_out()
    monkeypatch.setattr(lifetimes, "EXPIRE_BATCH", 7)
    expired: list[int] = []
    at_once(*[lambda: expired.append(lifetimes.expire_overdue())] * 3)
    expired.append(lifetimes.expire_overdue())  # what one skipped while another had it
    assert sum(expired) == 60
    assert Event.select().where(Event.type == EventType.EXPIRED).count() == 60
    assert Message.select().where(Message.status == Status.EXPIRED).count() == 60

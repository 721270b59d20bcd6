"""The worker process' own threads: they go on whatever happens, and end when they should."""

import threading
from collections.abc import Callable

import pytest

from maild import worker
from maild.domain.states import Status
from maild.errors import Unavailable
from maild.models import Message
from maild.services import outcomes, recorder, workers
from maild.services.recorder import Recorder
from maild.services.workers import Lease
from tests.services.helpers import ACCEPTED, ago, kill, reload, take, take_one

WAIT_SECONDS = 30


def test_what_is_done_again_and_again_outlives_every_error() -> None:
    until, done = threading.Event(), threading.Event()
    errors = iter([Unavailable("away"), ValueError("odd"), ZeroDivisionError()])

    def action() -> None:
        for error in errors:
            raise error
        done.set()

    thread = worker._every(0.0, action, until=until, name="test")
    assert done.wait(WAIT_SECONDS)
    until.set()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


def test_it_is_done_at_once_and_ends_without_waiting_out_its_pause() -> None:
    until, done = threading.Event(), threading.Event()
    thread = worker._every(3_600.0, done.set, until=until, name="test")
    assert done.wait(WAIT_SECONDS)
    until.set()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


def test_nothing_is_done_once_it_has_ended() -> None:
    until = threading.Event()
    until.set()
    done: list[int] = []
    worker._every(0.0, lambda: done.append(1), until=until, name="test").join(WAIT_SECONDS)
    assert done == []


def test_a_stop_begins_nothing_new_and_writes_what_is_left(
    accept: Callable[..., Message], lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I21."""
    monkeypatch.setattr(recorder, "_recorder", Recorder())
    made = [accept() for _ in range(3)]
    for claim in take(lease):
        recorder.current().put(outcomes.decide(claim, ACCEPTED, duration_ms=1))
    ended = threading.Thread(target=lease.stopping.wait)
    ended.start()
    worker._stop(lease, [ended])
    assert not ended.is_alive()
    assert not lease.may_claim()
    assert {reload(m).status for m in made} == {Status.SENT}


def test_a_stop_does_not_wait_for_ever(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_recorder", Recorder())
    monkeypatch.setattr(worker, "GRACE_SECONDS", 0.01)
    released = threading.Event()
    stuck = threading.Thread(target=released.wait)
    stuck.start()
    worker._stop(lease, [stuck])
    assert stuck.is_alive()
    released.set()
    stuck.join(WAIT_SECONDS)


def test_a_heartbeat_after_a_long_stop_goes_on_under_another_id(lease: Lease) -> None:
    """I15."""
    old_id = lease.worker_id
    worker._renew(lease)
    assert lease.worker_id == old_id
    kill(lease)
    lease.renewed_at -= lease.seconds
    worker._renew(lease)
    assert lease.worker_id != old_id
    assert lease.is_fresh()


def test_mending_puts_back_what_was_forgotten(accept: Callable[..., Message], lease: Lease) -> None:
    message = accept()
    take_one(lease)
    Message.update(updated_at=ago(minutes=1)).execute()
    worker._mend(lease)
    assert reload(message).status is Status.UNKNOWN


def test_heartbeats_come_well_before_a_worker_has_to_stop_sending() -> None:
    """Two may be lost on the way."""
    assert 3 / worker.BEATS_PER_LEASE <= workers.FRESH_SHARE

"""The sweep: everything that must happen every few seconds, and only one does it at a time."""

import threading
from collections.abc import Iterator
from datetime import datetime

import pytest
import redis

from maild import clock, db, queue, scheduler
from maild.config import Settings
from maild.domain.limits import WINDOW_SLOTS, slot_of
from maild.domain.states import EventType, Status, Stream
from maild.models import (
    AccountTally,
    Event,
    Freeze,
    IdempotencyKey,
    LimitTally,
    Message,
    PeriodicJob,
    Worker,
)
from maild.services import (
    conservation,
    freezes,
    lifetimes,
    locks,
    messages,
    providers,
    rescues,
    workers,
)
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A
from tests.services.helpers import (
    A_PATIENT,
    Accept,
    ago,
    at_once,
    end,
    event_types,
    kill,
    logged,
    reload,
    set_end,
    start_freeze,
    take,
    take_one,
)


@pytest.fixture
def bell(settings: Settings, database: None) -> Iterator[redis.Redis]:
    """The run's Valkey, emptied, and the doorbell on it."""
    with redis.Redis.from_url(settings.redis_url, protocol=2) as client:
        client.flushall()
        queue.init(settings.redis_url)
        yield client


def rings(bell: redis.Redis) -> int:
    return int(bell.llen("huey.redis.maild"))


def test_it_frees_what_the_dead_held_and_forgets_them(accept: Accept, lease: Lease) -> None:
    message = accept()
    take_one(lease)
    kill(lease)
    alive = workers.enter()
    scheduler.sweep()
    assert reload(message).status is Status.UNKNOWN, "nothing tells what became of it"
    assert [w.id for w in Worker.select()] == [alive.worker_id]


def test_it_lets_go_what_freezes_held(accept: Accept, lease: Lease, bell: redis.Redis) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="a test")
    message = accept()
    take(lease)
    bell.flushall()
    scheduler.sweep()
    assert (reload(message).status, rings(bell)) == (Status.HELD, 0)
    set_end(freeze, ago(seconds=1))
    scheduler.sweep()
    assert reload(message).status is Status.QUEUED
    assert rings(bell) == 1, "there is work"
    assert bell.lindex("huey.redis.maild", 0)
    assert messages.DELIVER.encode() in bell.lindex("huey.redis.maild", 0)


def test_it_expires_what_waits_in_vain(accept: Accept, bell: redis.Redis) -> None:
    message = accept()
    bell.flushall()
    Message.update(expires_at=ago(seconds=1)).execute()
    scheduler.sweep()
    assert reload(message).status is Status.EXPIRED
    assert rings(bell) == 0, "nothing to send"


def test_what_a_freeze_held_too_long_expires_instead_of_being_sent(
    accept: Accept, lease: Lease
) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="a test")
    message = accept()
    take(lease)
    set_end(freeze, ago(seconds=1))
    Message.update(expires_at=ago(seconds=1)).execute()
    scheduler.sweep()
    assert reload(message).status is Status.EXPIRED


def test_it_forgets_old_counts_of_accounts(accept: Accept, lease: Lease) -> None:
    accept()
    end(take_one(lease))
    assert AccountTally.select().count() == 1
    scheduler.take_stock()
    assert AccountTally.select().count() == 1
    AccountTally.update(slot_at=ago(days=2)).execute()
    PeriodicJob.update(ran_at=ago(minutes=1)).execute()
    scheduler.take_stock()
    assert AccountTally.select().count() == 0


def test_it_forgets_what_no_limit_and_no_key_needs_any_more(accept: Accept) -> None:
    accept()
    now = slot_of(clock.now().timestamp())
    for age in (0, WINDOW_SLOTS, WINDOW_SLOTS + 2):
        LimitTally.insert(workspace=1, domain="a", slot=now - age, message_count=1).execute()
    for key, hours in (("old", 25), ("new", 23)):
        IdempotencyKey.insert(
            workspace=1, key=key, request_hash=b"", answer={}, created_at=ago(hours=hours)
        ).execute()
    scheduler.take_stock()
    kept = LimitTally.select(LimitTally.slot).where(LimitTally.domain == "a").tuples()
    assert sorted(slot for (slot,) in kept) == [now - WINDOW_SLOTS, now]
    assert [row.key for row in IdempotencyKey.select()] == ["new"]


def test_a_second_scheduler_stands_by(accept: Accept, lease: Lease) -> None:
    message = accept()
    Message.update(expires_at=ago(seconds=1)).execute()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with db.connection(), locks.only_one(locks.SWEEP) as is_ours:
            assert is_ours
            held.set()
            done.wait(30)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(30)
    scheduler.sweep()
    assert reload(message).status is Status.QUEUED
    done.set()
    other.join()
    scheduler.sweep()
    assert reload(message).status is Status.EXPIRED


def test_many_schedulers_at_once_do_everything_once(accept: Accept, lease: Lease) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="a test", stream=Stream.MARKETING)
    for _ in range(30):
        accept()
        accept(stream=Stream.MARKETING)
    take(lease)
    take(lease, A_PATIENT)
    set_end(freeze, ago(seconds=1))
    kill(lease)
    at_once(*[scheduler.sweep] * 4)
    scheduler.sweep()
    told = Event.select().where(Event.type != EventType.ACCEPTED, Event.message.is_null(False))
    by_type = {kind: told.where(Event.type == kind).count() for kind in EventType}
    assert by_type[EventType.HELD] == by_type[EventType.RELEASED] == 30
    assert by_type[EventType.OUTCOME_UNKNOWN] == 30
    assert told.count() == 90


def test_one_sweep_catches_up_with_an_outage(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I24: however much has come together, and in however many batches."""
    for module, name in (
        (freezes, "RELEASE_BATCH"),
        (lifetimes, "EXPIRE_BATCH"),
        (rescues, "BATCH"),
    ):
        monkeypatch.setattr(module, name, 3)
    freeze = start_freeze(WORKSPACE_A, reason="a test", stream=Stream.MARKETING)
    held = [accept(stream=Stream.MARKETING) for _ in range(10)]
    take(lease, A_PATIENT)
    set_end(freeze, ago(seconds=1))
    on_its_way = [accept() for _ in range(10)]
    take(lease)
    late = [accept() for _ in range(10)]
    Message.update(expires_at=ago(hours=1)).where(Message.id << [m.id for m in late]).execute()
    kill(lease)
    scheduler.sweep()
    assert {reload(m).status for m in held} == {Status.QUEUED}
    assert {reload(m).status for m in on_its_way} == {Status.UNKNOWN}
    assert {reload(m).status for m in late} == {Status.EXPIRED}
    assert Worker.select().count() == 0


def test_a_sweep_takes_a_share_and_the_next_goes_on(
    accept: Accept, lease: Lease, bell: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is free to go, what dead workers held does not wait for it."""
    monkeypatch.setattr(scheduler, "SHARE_SECONDS", 0)
    monkeypatch.setattr(freezes, "RELEASE_BATCH", 3)
    monkeypatch.setattr(lifetimes, "EXPIRE_BATCH", 3)
    freeze = start_freeze(WORKSPACE_A, reason="a test", stream=Stream.MARKETING)
    held = [accept(stream=Stream.MARKETING) for _ in range(4)]
    take(lease, A_PATIENT)
    set_end(freeze, ago(seconds=1))
    late = [accept() for _ in range(4)]
    Message.update(expires_at=ago(hours=1)).where(Message.id << [m.id for m in late]).execute()
    bell.flushall()
    scheduler.sweep()
    assert sorted(reload(m).status for m in held) == ["held", "queued", "queued", "queued"]
    assert sorted(reload(m).status for m in late) == ["expired", "expired", "expired", "queued"]
    assert rings(bell) == 1
    assert PeriodicJob.get(PeriodicJob.name == "sweep"), "it has swept"
    scheduler.sweep()
    assert {reload(m).status for m in held} == {Status.QUEUED}
    assert {reload(m).status for m in late} == {Status.EXPIRED}


def test_a_job_that_fails_is_named_and_keeps_none_of_the_others_from_running(
    accept: Accept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    message = accept()
    Message.update(expires_at=ago(seconds=1)).execute()

    def release_thawed(*, seconds: float) -> int:
        raise ValueError("no luck")

    monkeypatch.setattr(freezes, "release_thawed", release_thawed)
    scheduler.sweep()
    assert [line["job"] for line in logged(caplog) if "job" in line] == ["release_thawed"]
    assert reload(message).status is Status.EXPIRED


def test_all_is_counted_once_a_minute(accept: Accept) -> None:
    accept()
    scheduler.count_all()
    check = conservation.latest(WORKSPACE_A)
    assert check is not None
    assert check.accepted_count == 1
    accept()
    scheduler.count_all()
    assert conservation.latest(WORKSPACE_A).accepted_count == 1


def test_nothing_to_do_is_nothing(database: None, bell: redis.Redis) -> None:
    scheduler.sweep()
    assert rings(bell) == 0
    assert providers.prune_tallies() == 0


def test_a_freeze_that_ended_by_itself_is_noticed(accept: Accept, lease: Lease) -> None:
    start_freeze(WORKSPACE_A, reason="a test")
    message = accept()
    take(lease)
    ended: datetime = ago(seconds=1)
    Freeze.update(expires_at=ended).execute()
    scheduler.sweep()
    assert event_types(message)[-1] == EventType.RELEASED

"""The sweep: it frees what the dead held, and only one does it at a time."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from maild import db, scheduler
from maild.domain.states import Status
from maild.models import Message, Worker
from maild.services import claims, locks, messages
from maild.services.workers import Lease


def test_it_frees_what_the_dead_held_and_forgets_them(
    accept: Callable[..., Message], lease: Lease
) -> None:
    message = accept()
    claims.claim(lease.worker_id, limit=1)
    Worker.update(seen_at=datetime(2020, 1, 1, tzinfo=UTC)).execute()
    scheduler.sweep()
    assert messages.get(1, message.id).status is Status.QUEUED
    assert Worker.select().count() == 0


def test_a_second_scheduler_stands_by(accept: Callable[..., Message], lease: Lease) -> None:
    message = accept()
    claims.claim(lease.worker_id, limit=1)
    Worker.update(seen_at=datetime(2020, 1, 1, tzinfo=UTC)).execute()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with db.connection(), locks.only_one(locks.SWEEP) as is_ours:
            assert is_ours
            held.set()
            done.wait(10)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(10)
    scheduler.sweep()
    assert messages.get(1, message.id).status is Status.SENDING
    done.set()
    other.join()
    scheduler.sweep()
    assert messages.get(1, message.id).status is Status.QUEUED

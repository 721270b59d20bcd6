"""A worker's lease on what it holds, and its heartbeat.

The lease is one row that Postgres' clock judges (`workers.seen_at`). The worker itself judges by
its monotonic clock whether it renewed in time, and dials nothing when it did not: by then others
may hold its messages.
"""

import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime

import peewee

from maild import config
from maild.db import database
from maild.models import Message, Worker

FRESH_SHARE = 0.5
"""A worker stops dialling when this share of its lease has gone by without a renewal."""


@dataclass(slots=True)
class Lease:
    """What a running worker knows of itself. `stopping` is set at SIGTERM: nothing new is begun.

    `held` are the messages that it has claimed and not yet written the outcome of. A message that
    Postgres thinks it holds and that is not among them was forgotten, by an error on the way.
    """

    worker_id: uuid.UUID
    seconds: float
    stopping: threading.Event = field(default_factory=threading.Event)
    renewed_at: float = field(default_factory=time.monotonic)
    held: set[uuid.UUID] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, message_ids: set[uuid.UUID]) -> None:
        with self._lock:
            self.held |= message_ids

    def let_go(self, message_ids: set[uuid.UUID]) -> None:
        with self._lock:
            self.held -= message_ids

    def may_dial(self) -> bool:
        """Whether a message may be begun: not stopping, and the lease surely still ours."""
        is_fresh = time.monotonic() - self.renewed_at < self.seconds * FRESH_SHARE
        return is_fresh and not self.stopping.is_set()


_current: Lease | None = None


def enter() -> Lease:
    """Enter this process as a worker; its lease is what `current()` returns from now on."""
    global _current  # noqa: PLW0603 - a process is one worker
    _current = Lease(uuid.uuid4(), float(config.current().lease_seconds))
    _insert(_current.worker_id)
    return _current


def current() -> Lease:
    """The lease of this process, after `enter()`."""
    assert _current is not None, "workers.enter() comes first"
    return _current


def let_go(message_ids: set[uuid.UUID]) -> None:
    """These messages are no longer in this worker's hands: their outcome is written."""
    if _current is not None:
        _current.let_go(message_ids)


def renew(lease: Lease) -> bool:
    """Renew the lease. False where it had ended, as after a long stop.

    The worker then goes on under a new id, and what it held under the old one is for the rescue.
    """
    asked_at = time.monotonic()  # before the query: never believe in more lease than there is
    is_held = (
        Worker.update(seen_at=peewee.fn.now())
        .where(Worker.id == lease.worker_id, _is_alive(lease.seconds))
        .execute()
    )
    if not is_held:
        new_id = uuid.uuid4()
        _insert(new_id)
        lease.worker_id = new_id
    lease.renewed_at = asked_at
    return bool(is_held)


def leave(lease: Lease) -> None:
    """Take the worker off the list, unless it still holds messages: the rescue needs its row."""
    holds = Message.select(peewee.SQL("1")).where(
        Message.worker_id == lease.worker_id, peewee.SQL("status = 'sending'")
    )
    Worker.delete().where(Worker.id == lease.worker_id, ~peewee.fn.EXISTS(holds)).execute()


def list_alive() -> list[Worker]:
    """The workers whose lease is fresh, oldest first."""
    seconds = config.current().lease_seconds
    return list(Worker.select().where(_is_alive(seconds)).order_by(Worker.started_at))


def find_last_seen() -> datetime | None:
    """When any worker was last seen, or None where there never was one."""
    seen_at: datetime | None = Worker.select(peewee.fn.max(Worker.seen_at)).scalar()
    return seen_at


def prune_dead() -> int:
    """Forget workers whose lease ended and who hold nothing any more; returns how many."""
    dead_for = config.current().lease_seconds
    cursor = database.execute_sql(
        """
        DELETE FROM workers w
        WHERE w.seen_at < now() - %s * interval '1 second'
            AND NOT EXISTS (
                SELECT FROM messages m WHERE m.worker_id = w.id AND m.status = 'sending')
        """,
        (dead_for,),
    )
    return int(cursor.rowcount)


def _insert(worker_id: uuid.UUID) -> None:
    Worker.insert(id=worker_id, host=socket.gethostname(), pid=os.getpid()).execute()


def _is_alive(seconds: float) -> peewee.Expression:
    return Worker.seen_at > peewee.fn.now() - peewee.SQL("%s * interval '1 second'", (seconds,))

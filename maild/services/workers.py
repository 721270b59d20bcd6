"""A worker's lease on what it holds, and its heartbeat.

The lease is one row that Postgres' clock judges (`workers.seen_at`). The worker itself judges by a
clock that runs on through a suspended machine whether it renewed in time, and lets no message out
when it did not: by then others may hold them.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import peewee

from maild import config
from maild.db import database
from maild.models import Message, Worker

FRESH_SHARE = 0.5
"""A worker stops sending when this share of its lease has gone by without a renewal."""
STATEMENT_TIMEOUT_MS = 5_000
"""A renewal that takes longer than this is no use; the next one asks anew."""


def elapsed() -> float:
    """Seconds since the machine started, those of its sleep included; CLOCK_MONOTONIC leaves these
    out on Linux.
    """
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Holding(Protocol):
    """A message that was claimed, with the token of its claim, as a `claims.Claim` has it."""

    @property
    def message_id(self) -> uuid.UUID: ...
    @property
    def worker_id(self) -> uuid.UUID: ...
    @property
    def attempt_no(self) -> int: ...


@dataclass(slots=True)
class Lease:
    """What a running worker knows of itself. `stopping` is set at SIGTERM: nothing new is begun.

    `held` are the messages that it has claimed and not yet written the outcome of, each with the
    worker's id and the number of the attempt that it was claimed with. A message that Postgres
    thinks it holds and that is not among them was forgotten, by an error on the way.
    `rank` of `count` is its place among the workers that are alive: limits are shared by it.
    """

    worker_id: uuid.UUID
    seconds: float
    stopping: threading.Event = field(default_factory=threading.Event)
    renewed_at: float = field(default_factory=elapsed)
    rank: int = 0
    count: int = 1
    held: dict[uuid.UUID, tuple[uuid.UUID, int]] = field(default_factory=dict)
    claiming: threading.Lock = field(default_factory=threading.Lock)
    """Held while Postgres and `held` change together (`holds`): from a claim until its messages are
    in `held`, and from giving some back until they are not. Whoever compares the two waits for it.
    """
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, claimed: Iterable[Holding]) -> None:
        """These are in this worker's hands."""
        with self._lock:
            self.held |= {one.message_id: (one.worker_id, one.attempt_no) for one in claimed}

    def let_go(self, claimed: Iterable[Holding]) -> None:
        """These are not any more. What was claimed again meanwhile, with another attempt or under
        another id of the worker, stays: the late end of one claim does not end the next.
        """
        with self._lock:
            for one in claimed:
                if self.held.get(one.message_id) == (one.worker_id, one.attempt_no):
                    del self.held[one.message_id]

    def let_all_go(self) -> None:
        """Nothing is in this worker's hands."""
        with self._lock:
            self.held.clear()

    def is_fresh(self) -> bool:
        """Whether the lease is surely still ours: what we hold may be sent."""
        return elapsed() - self.renewed_at < self.seconds * FRESH_SHARE

    def may_claim(self) -> bool:
        """Whether more messages may be taken: not stopping, and the lease surely still ours."""
        return self.is_fresh() and not self.stopping.is_set()

    def share(self, total: int) -> int:
        """This worker's part of a limit that all workers keep together."""
        return total // self.count + (self.rank < total % self.count)


_current: Lease | None = None


def enter() -> Lease:
    """Enter this process as a worker; its lease is what `current()` returns from now on."""
    global _current  # noqa: PLW0603 - a process is one worker
    _current = Lease(uuid.uuid4(), float(config.current().lease_seconds))
    _insert(_current.worker_id)
    renew(_current)  # which tells how many there are
    return _current


def current() -> Lease:
    """The lease of this process, after `enter()`."""
    assert _current is not None, "workers.enter() comes first"
    return _current


def let_go(claimed: Iterable[Holding]) -> None:
    """These messages are no longer in this worker's hands: their outcome is written."""
    if _current is not None:
        _current.let_go(claimed)


_RENEW = """
UPDATE workers SET seen_at = now()
WHERE id = %(id)s AND seen_at > now() - %(lease)s * interval '1 second'
"""
_PLACE = """
SELECT count(*) FILTER (WHERE id < %(id)s), count(*) FROM workers
WHERE seen_at > now() - %(lease)s * interval '1 second'
"""


def renew(lease: Lease) -> bool:
    """Renew the lease, and see how many share the work. False where it had ended, as after a long
    stop.

    The worker then goes on under a new id, and what it held under the old one is for the rescue.
    """
    asked_at = elapsed()  # before the query: never believe in more lease than there is
    with database.atomic():
        database.execute_sql(
            "SELECT set_config('statement_timeout', %s, true)", (str(STATEMENT_TIMEOUT_MS),)
        )
        values = {"id": str(lease.worker_id), "lease": lease.seconds}
        is_held = bool(database.execute_sql(_RENEW, values).rowcount)
        if not is_held:
            new_id = uuid.uuid4()
            _insert(new_id)
            values["id"] = str(new_id)
        rank, count = database.execute_sql(_PLACE, values).fetchone()
    if not is_held:
        lease.worker_id = new_id
    lease.rank, lease.count = rank, max(count, 1)
    lease.renewed_at = asked_at
    return is_held


def set_has_marks(worker_id: uuid.UUID, has_marks: bool) -> None:
    """Say whether Redis knows everything that this worker has on the wire (`maild.marks`)."""
    Worker.update(has_marks=has_marks).where(Worker.id == worker_id).execute()


def begin_anew(lease: Lease) -> None:
    """Go on under a new id; the old one is dead from now on, and what it held is for the rescue."""
    old_id = lease.worker_id
    new_id = uuid.uuid4()
    with database.atomic():
        _insert(new_id)
        database.execute_sql(
            "UPDATE workers SET seen_at = now() - %s * interval '1 second' WHERE id = %s",
            (lease.seconds, str(old_id)),
        )
    lease.worker_id = new_id
    renew(lease)


def has_marks(worker_id: uuid.UUID) -> bool:
    """Whether it does."""
    row: Worker | None = Worker.get_or_none(Worker.id == worker_id)
    return row is not None and row.has_marks


def leave(lease: Lease) -> bool:
    """Take the worker off the list, unless it still holds messages: the rescue needs its row, and
    False is returned.
    """
    holds = Message.select(peewee.SQL("1")).where(
        Message.worker_id == lease.worker_id, peewee.SQL("status = 'sending'")
    )
    leaving = Worker.delete().where(Worker.id == lease.worker_id, ~peewee.fn.EXISTS(holds))
    with database.atomic():
        # A claim that is not committed keeps the row (`claims`): wait for it, and only then look at
        # what the worker holds. A statement that has waited still sees what there was before.
        database.execute_sql("SELECT FROM workers WHERE id = %s FOR UPDATE", (lease.worker_id,))
        return bool(leaving.execute())


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
    with database.atomic():
        # A claim that is not committed keeps the row (`claims`): another time. What is not locked
        # now has committed what it holds, which a statement that begins after this one sees.
        dead = database.execute_sql(
            "SELECT id FROM workers WHERE seen_at < now() - %s * interval '1 second'"
            " FOR UPDATE SKIP LOCKED",
            (config.current().lease_seconds,),
        ).fetchall()
        if not dead:
            return 0
        cursor = database.execute_sql(
            """
            DELETE FROM workers w
            WHERE w.id = ANY(%s::uuid[]) AND NOT EXISTS (
                SELECT FROM messages m WHERE m.worker_id = w.id AND m.status = 'sending')
            """,
            ([str(worker_id) for (worker_id,) in dead],),
        )
    return int(cursor.rowcount)


def _insert(worker_id: uuid.UUID) -> None:
    Worker.insert(id=worker_id, host=socket.gethostname(), pid=os.getpid()).execute()


def _is_alive(seconds: float) -> peewee.Expression:
    return Worker.seen_at > peewee.fn.now() - peewee.SQL("%s * interval '1 second'", (seconds,))

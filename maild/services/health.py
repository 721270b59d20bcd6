"""Whether the parts of maild are well: what /readyz, the console and `maild doctor` ask."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import peewee

from maild import db, queue
from maild.db import database
from maild.errors import MaildError, Unavailable
from maild.services import conservation, lanes, migrations, workers
from maild.services.lanes import StreamDepth

DEPTH_MAX = lanes.COUNT_MAX
"""The queue's depth is counted no further than this."""

PATIENCE_SECONDS = 2.5

NOT_CHECKED = "not checked while PostgreSQL is away"


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency. `detail` says what is wrong, or in a word that it is well."""

    name: str
    is_ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What waits. Counts stop at DEPTH_MAX; `oldest_due_seconds` is None when nothing is due."""

    due_count: int
    later_count: int
    sending_count: int
    oldest_due_seconds: float | None


def list_checks() -> list[Check]:
    """Every dependency. What Postgres would have to tell is not asked while it is away."""
    return _in_order(_ask_postgres(), _run("redis", queue.check))


def list_checks_in_time() -> list[Check]:
    """The same within some three seconds, whatever Postgres and Redis do: a server that hangs takes
    what it is sent, and says nothing, for as long as one waits.
    """
    question = _Question.current()
    redis = _run("redis", queue.check)
    return _in_order(question.wait(), redis)


class _Question(threading.Thread):
    """What Postgres is asked, in a thread of its own. There is one at a time: who comes while it is
    open waits for its answer as well, and not at all where it is overdue.
    """

    _open: "_Question | None" = None
    _lock = threading.Lock()

    def __init__(self) -> None:
        super().__init__(name="health", daemon=True)
        self.deadline = time.monotonic() + PATIENCE_SECONDS
        self.checks: list[Check] = []

    @classmethod
    def current(cls) -> "_Question":
        with cls._lock:
            if cls._open is None or not cls._open.is_alive():
                cls._open = cls()
                cls._open.start()
            return cls._open

    def run(self) -> None:
        self.checks = _ask_postgres()

    def wait(self) -> list[Check]:
        self.join(max(0.0, self.deadline - time.monotonic()))
        if self.checks:
            return self.checks
        words = f"PostgreSQL does not answer within {PATIENCE_SECONDS} seconds: it may hang"
        return [Check("postgres", False, words), *_not_checked()]


def _ask_postgres() -> list[Check]:
    postgres = _run("postgres", _check_postgres)
    if not postgres.is_ok:
        return [postgres, *_not_checked()]
    return [postgres, *(_run(name, check) for name, check in _IN_POSTGRES.items())]


def _not_checked() -> list[Check]:
    return [Check(name, False, NOT_CHECKED) for name in _IN_POSTGRES]


def _in_order(of_postgres: Sequence[Check], redis: Check) -> list[Check]:
    postgres, *others = of_postgres
    return [postgres, redis, *others]


def check_conservation() -> Check:
    """Whether every message that was accepted is still there, as the scheduler counted last."""
    return _run("conservation", _check_conservation)


def measure_queue(workspace_id: int) -> QueueDepth:
    """How much of the workspace's mail waits, and how long the oldest due message has."""
    return sum_up(lanes.measure(workspace_id, count_max=DEPTH_MAX))


def sum_up(streams: Sequence[StreamDepth]) -> QueueDepth:
    """The streams together."""
    return QueueDepth(
        min(sum(one.due_count for one in streams), DEPTH_MAX),
        min(sum(one.later_count for one in streams), DEPTH_MAX),
        min(sum(one.sending_count for one in streams), DEPTH_MAX),
        max((one.oldest_due_seconds or 0.0 for one in streams if one.due_count), default=None),
    )


def _run(name: str, check: Callable[[], str | None]) -> Check:
    """`check` returns words where there is more to say than that it is well."""
    try:
        words = check()
    except MaildError as error:
        return Check(name, False, error.detail)
    except peewee.DatabaseError as error:
        return Check(name, False, f"The database does not answer: {type(error).__name__}")
    return Check(name, True, words or "ok")


def _check_postgres() -> None:
    with db.connection():
        database.execute_sql("SELECT 1")


def _check_migrations() -> None:
    with db.connection():
        migrations.check()


def _check_worker() -> None:
    with db.connection():
        if workers.list_alive():
            return
        seen_at = workers.find_last_seen()
    # Of one that took its leave, or was settled after its death, nothing is known any more.
    when = f"; the last one was seen at {seen_at:%Y-%m-%d %H:%M:%S} UTC" if seen_at else ""
    raise Unavailable(f"No worker is alive{when}.")


_IN_POSTGRES = {"migrations": _check_migrations, "worker": _check_worker}


def _check_conservation() -> str:
    with db.connection():
        checks = conservation.list_latest()
        if not checks:
            return "not checked yet: the scheduler does so every minute"
        now = database.execute_sql("SELECT now()").fetchone()[0]
        pace = conservation.find_pace()
    difference = conservation.find_difference(checks)
    if difference is not None:
        raise Unavailable(difference)
    seconds = (now - min(check.checked_at for check in checks)).total_seconds()
    if seconds > pace.stale_seconds:
        raise Unavailable(f"Nobody has counted for {round(seconds / 60)} minutes.")
    accepted = sum(check.accepted_count for check in checks)
    pruned = sum(check.pruned_count for check in checks)
    what = f"all of them there, but for {pruned} that were old" if pruned else "all of them there"
    return f"ok ({accepted} accepted, {what})"

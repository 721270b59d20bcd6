"""Whether the parts of maild are well: what /readyz, the console and `maild doctor` ask."""

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

CONSERVATION_STALE_SECONDS = 300
"""A count that should be made every minute, and is older than this, was not made."""

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
    postgres = _run("postgres", _check_postgres)
    checks = [postgres, _run("redis", queue.check)]
    for name, check in (("migrations", _check_migrations), ("worker", _check_worker)):
        checks.append(_run(name, check) if postgres.is_ok else Check(name, False, NOT_CHECKED))
    return checks


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
    when = (
        f"the last one was seen at {seen_at:%Y-%m-%d %H:%M:%S} UTC"
        if seen_at
        else "none was ever seen"
    )
    raise Unavailable(f"No worker is alive; {when}.")


def _check_conservation() -> str:
    with db.connection():
        checks = conservation.list_latest()
        if not checks:
            return "not checked yet: the scheduler does so every minute"
        now = database.execute_sql("SELECT now()").fetchone()[0]
    for check in checks:
        if check.difference:
            what = "missing" if check.difference > 0 else "too many"
            raise Unavailable(
                f"Workspace {check.workspace_id}: {abs(check.difference)} messages {what} of"
                f" {check.accepted_count} accepted, since {check.broken_since:%Y-%m-%d %H:%M} UTC."
            )
    seconds = (now - min(check.checked_at for check in checks)).total_seconds()
    if seconds > CONSERVATION_STALE_SECONDS:
        raise Unavailable(f"Nobody has counted for {round(seconds / 60)} minutes.")
    accepted = sum(check.accepted_count for check in checks)
    return f"ok ({accepted} accepted, all of them there)"

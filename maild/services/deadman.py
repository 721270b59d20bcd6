"""The dead man's ping: once a minute, and only while all is well, the instance tells a watcher
outside of it that it is. The watcher raises the alarm when it hears nothing, whatever the reason:
a machine that is off, a scheduler that hangs, or something that is said here not to be well.

What is well: the database answers, the sweep runs, a worker is alive, no message was missing when
they were counted last, and nothing that could be sent has waited for long without anything being
tried. How long ago they were counted stops no ping: a count may take too long on an instance where
all is well, and its age is told by `maild doctor` and the metrics.
"""

from datetime import datetime

import peewee

from maild import clock, config, db, log
from maild.db import database
from maild.domain.breaker import State
from maild.errors import MaildError
from maild.services import conservation, periodic_jobs, providers, workers
from maild.services.health import Check
from maild.transports import ping
from maild.transports.ping import NotAnswered

SWEPT = "sweep"
"""The periodic job by which a sweep leaves word that it was done."""
SWEPT_SLOT_SECONDS = 10
PINGED = "deadman-pinged"
_SLOT = "deadman-ping"
SLOT_SECONDS = 60
TRIES = 3
SWEEP_STALE_SECONDS = 120
STUCK_SECONDS = 30 * 60
"""Due for so long, with an account that works, and nothing tried through any: it is stuck."""
LANES_MAX = 1_000
PING_STALE_SECONDS = 300

logger = log.get(__name__)


def swept() -> None:
    """Leave word that a sweep was done. Writes seldom, however often it is called."""
    periodic_jobs.take_slot(SWEPT, seconds=SWEPT_SLOT_SECONDS)


def beat() -> None:
    """Once a minute, whoever else does: look whether all is well, and say so to the watcher.

    Holds no connection to the database while it waits for the watcher. Raises Unavailable.
    """
    url = config.current().deadman_ping_url
    if url is None:
        return
    with db.connection():
        if not periodic_jobs.take_slot(_SLOT, seconds=SLOT_SECONDS):
            return
        problems = list_problems()
    if problems:
        logger.warning("deadman.silent", problems=problems)
        return
    reason = _try(url)
    if reason is not None:
        logger.warning("deadman.not_answered", tries=TRIES, detail=reason)
        return
    with db.connection():
        periodic_jobs.note(PINGED)


def _try(url: str) -> str | None:
    """Ping, a few times if need be. Returns why the last one failed, or None."""
    reason = None
    for _ in range(TRIES):
        try:
            ping.ping(url)
        except NotAnswered as error:
            reason = str(error)
        else:
            return None
    return reason


def list_problems() -> list[str]:
    """What is not well, in sentences; nothing, where all is."""
    found: list[str] = []
    for look in (_look_at_sweep, _look_at_workers, _look_at_conservation, _look_for_stuck):
        problem = look()
        if problem is not None:
            found.append(problem)
    return found


def check() -> Check:
    """Whether the watcher has heard of us lately, for `maild doctor`."""
    name = "deadman"
    try:
        with db.connection():
            pinged_at, problems = periodic_jobs.find_last(PINGED), list_problems()
    except MaildError as error:
        return Check(name, False, error.detail)
    except peewee.DatabaseError as error:
        return Check(name, False, f"The database does not answer: {type(error).__name__}")
    if pinged_at is not None and _age(pinged_at) <= PING_STALE_SECONDS:
        return Check(name, True, f"ok (the watcher took a ping {_age(pinged_at):.0f} seconds ago)")
    since = f"since {pinged_at:%Y-%m-%d %H:%M} UTC" if pinged_at else "yet"
    why = " ".join(problems) or "Nothing is wrong here: does the scheduler reach the watcher?"
    return Check(name, False, f"The watcher has taken no ping {since}. {why}")


def _look_at_sweep() -> str | None:
    swept_at = periodic_jobs.find_last(SWEPT)
    if swept_at is None:
        return "The scheduler has never swept."
    if _age(swept_at) > SWEEP_STALE_SECONDS:
        return f"The scheduler has not swept for {_age(swept_at):.0f} seconds."
    return None


def _look_at_workers() -> str | None:
    return None if workers.list_alive() else "No worker is alive."


def _look_at_conservation() -> str | None:
    checks = conservation.list_latest()
    if not checks:
        return "Nobody has counted the messages yet."
    return conservation.find_difference(checks)


# One probe of the index for each lane, as `claims` does it.
_OVERDUE = """
WITH RECURSIVE lane AS (
    (SELECT priority, workspace_id, pinned_account, next_attempt_at FROM messages
        WHERE status = 'queued'
        ORDER BY priority, workspace_id, pinned_account, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT next.* FROM lane, LATERAL (
        SELECT priority, workspace_id, pinned_account, next_attempt_at FROM messages
        WHERE status = 'queued' AND (priority, workspace_id, pinned_account)
            > (lane.priority, lane.workspace_id, lane.pinned_account)
        ORDER BY priority, workspace_id, pinned_account, next_attempt_at LIMIT 1) AS next
)
SELECT workspace_id, pinned_account, min(next_attempt_at) FROM lane
WHERE next_attempt_at < now() - %s * interval '1 second'
GROUP BY workspace_id, pinned_account ORDER BY 3 LIMIT %s
"""
_TRIED = """
SELECT DISTINCT account_id FROM account_tallies
WHERE account_id = ANY(%s::int[]) AND try_count > 0
    AND slot_at > now() - %s * interval '1 second'
"""


def _look_for_stuck() -> str | None:
    """Mail that waits because a person or a breaker stops its accounts is no concern of the
    instance's, and neither is a long queue that moves.
    """
    overdue = database.execute_sql(_OVERDUE, (STUCK_SECONDS, LANES_MAX)).fetchall()
    if not overdue:
        return None
    ways = providers.list_ways([(workspace_id, name) for workspace_id, name, _ in overdue])
    usable = {
        wish: {c.account.id for c in route if not c.is_paused and c.state is State.CLOSED}
        for wish, route in ways.items()
    }
    ids = list({id_ for found in usable.values() for id_ in found})
    rows = database.execute_sql(_TRIED, (ids, STUCK_SECONDS)).fetchall()
    tried = {row[0] for row in rows}
    for workspace_id, name, due_at in overdue:
        found = usable[workspace_id, name]
        if found and not found & tried:
            return (
                f"Mail of workspace {workspace_id} is due since {due_at:%Y-%m-%d %H:%M} UTC, its"
                " SMTP account works, and nothing is tried."
            )
    return None


def _age(at: datetime) -> float:
    """Seconds since then."""
    return (clock.now() - at).total_seconds()

"""Conservation: every message that was ever accepted is still there, in exactly one state, or was
removed when it was old, and counted then.

`check` compares, for every workspace, the tally that accepting keeps with the messages themselves,
and remembers the figures. It mends nothing: a difference is for a person to look at.

All rows are counted, so it takes the longer the more there are. The scheduler does it once a
minute, and where it takes long so seldom that it is at work a tenth of the time at most. How long
the latest count took is kept: it had begun at `conservation_checks.checked_at`, and ended when the
periodic job of its name was done. Whoever asks whether a count is overdue goes by that.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import peewee

from maild import clock, log
from maild.db import database
from maild.domain.states import EventType
from maild.models import ConservationCheck

logger = log.get(__name__)

PERIODIC_JOB = "conservation"
EVERY_SECONDS = 60
SHARE = 10
"""From one count to the next it is at least so many times as long as one takes."""
STALE_SECONDS = 300
"""A count that should be made every minute, and is older than this, was not made."""
TIMEOUT_MS = 600_000
"""A count keeps PostgreSQL from clearing away what was deleted since it began: not for longer."""

_resting_until = 0.0
"""After a count that was given up; by a clock that only runs on."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What a workspace's count came to. `difference` is accepted minus found and pruned: 0 where
    all is well.

    `was_broken` is what the check before this one had said.
    """

    workspace_id: int
    accepted_count: int
    by_status: dict[str, int]
    pruned_count: int
    difference: int
    broken_since: datetime | None
    was_broken: bool

    @property
    def found_count(self) -> int:
        return self.accepted_count - self.pruned_count - self.difference


# One statement, so one snapshot: a message and its tally commit together, and are seen together.
_CHECK = """
WITH accepted AS (
    SELECT workspace_id, sum(accepted_count)::bigint AS total
    FROM accepted_tallies GROUP BY workspace_id
), pruned AS (
    SELECT workspace_id, pruned_count AS total FROM retention_progress WHERE rule = 'messages'
), found AS (
    SELECT workspace_id, sum(count)::bigint AS total, jsonb_object_agg(status, count) AS by_status
    FROM (
        SELECT workspace_id, status, count(*) FROM messages GROUP BY workspace_id, status
    ) AS counted
    GROUP BY workspace_id
), checked AS (
    SELECT w.id AS workspace_id, coalesce(a.total, 0) AS accepted_count,
        coalesce(f.by_status, '{}') AS by_status,
        coalesce(p.total, 0) AS pruned_count,
        coalesce(a.total, 0) - coalesce(f.total, 0) - coalesce(p.total, 0) AS difference,
        coalesce(old.difference, 0) <> 0 AS was_broken
    FROM workspaces w
    LEFT JOIN accepted a ON a.workspace_id = w.id
    LEFT JOIN found f ON f.workspace_id = w.id
    LEFT JOIN pruned p ON p.workspace_id = w.id
    LEFT JOIN conservation_checks old ON old.workspace_id = w.id
), written AS (
    INSERT INTO conservation_checks AS c (
        workspace_id, accepted_count, by_status, pruned_count, difference, broken_since, checked_at)
    SELECT workspace_id, accepted_count, by_status, pruned_count, difference,
        CASE WHEN difference <> 0 THEN now() END, now()
    FROM checked
    ON CONFLICT (workspace_id) DO UPDATE SET
        accepted_count = excluded.accepted_count, by_status = excluded.by_status,
        pruned_count = excluded.pruned_count, difference = excluded.difference,
        checked_at = excluded.checked_at,
        broken_since = CASE WHEN excluded.difference <> 0
            THEN coalesce(c.broken_since, excluded.broken_since) END
    RETURNING workspace_id, broken_since
)
SELECT k.workspace_id, k.accepted_count, k.by_status, k.pruned_count, k.difference, w.broken_since,
    k.was_broken
FROM checked k JOIN written w USING (workspace_id)
ORDER BY k.workspace_id
"""
_TELL = "INSERT INTO events (workspace_id, type, data) VALUES (%s, %s, %s)"
# Whoever counts holds the row of the periodic job, so that nobody else does meanwhile. Of a count
# by an earlier version, which leaves no such row, it is not known how long it took: it was short.
_ENTER = """
INSERT INTO periodic_jobs (name, ran_at)
SELECT %s, coalesce(max(checked_at), now()) FROM conservation_checks
ON CONFLICT DO NOTHING
"""
_HOLD = "SELECT FROM periodic_jobs WHERE name = %s FOR UPDATE"
_HOLD_IF_FREE = "SELECT FROM periodic_jobs WHERE name = %s FOR UPDATE SKIP LOCKED"
_END = "UPDATE periodic_jobs SET ran_at = clock_timestamp() WHERE name = %s"
_PACE = """
SELECT extract(epoch FROM now() - max(checked_at))::float8,
    greatest(extract(epoch FROM (
        SELECT ran_at FROM periodic_jobs WHERE name = %s) - max(checked_at)), 0)::float8
FROM conservation_checks
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often it is counted. `age_seconds`: since the latest finished count began, None before
    the first; `took_seconds`: how long that one took.
    """

    age_seconds: float | None
    took_seconds: float

    @property
    def every_seconds(self) -> float:
        return max(EVERY_SECONDS, SHARE * self.took_seconds)

    @property
    def is_due(self) -> bool:
        return self.age_seconds is None or self.age_seconds >= self.every_seconds

    @property
    def stale_seconds(self) -> float:
        """A count that is older than this should have been followed by another one: by one that
        took twice as long, at that.
        """
        return max(STALE_SECONDS, 2 * self.every_seconds)


def find_pace() -> Pace:
    """How often it is counted, by what the latest count took."""
    age, took = database.execute_sql(_PACE, (PERIODIC_JOB,)).fetchone()
    return Pace(age, took or 0.0)


def check_when_due() -> list[Balance]:
    """As `check`, where it is time and nobody else counts; else nothing is done, and nothing
    returned. After a count that was given up this process rests as after one that took so long.
    """
    global _resting_until  # noqa: PLW0603 - a process is one scheduler
    if time.monotonic() < _resting_until or not find_pace().is_due:
        return []
    balances = _count(is_waiting=False)
    if balances is None:
        _resting_until = time.monotonic() + SHARE * TIMEOUT_MS / 1000
    return balances or []


def check() -> list[Balance]:
    """Count every workspace's messages, and remember and tell what it came to.

    Where that takes longer than TIMEOUT_MS nothing is known, and nothing is returned: a log line
    says so, and the age of the latest check shows it.
    """
    return _count(is_waiting=True) or []


def _count(*, is_waiting: bool) -> list[Balance] | None:
    """The balances; none where somebody else counts, unless he is waited for; None where it took
    too long.
    """
    database.execute_sql(_ENTER, (PERIODIC_JOB,))
    try:
        with database.atomic():
            database.execute_sql(
                "SELECT set_config('statement_timeout', %s, true)", (str(TIMEOUT_MS),)
            )
            hold = _HOLD if is_waiting else _HOLD_IF_FREE
            is_ours = database.execute_sql(hold, (PERIODIC_JOB,)).fetchone() is not None
            # Somebody may have ended a count just before.
            if not is_ours or not (is_waiting or find_pace().is_due):
                return []
            balances = [Balance(*row) for row in database.execute_sql(_CHECK).fetchall()]
            for balance in balances:
                _tell(balance)
            database.execute_sql(_END, (PERIODIC_JOB,))
    except peewee.OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        logger.warning("conservation.not_finished", timeout_ms=TIMEOUT_MS)
        return None
    return balances


def latest(workspace_id: int) -> ConservationCheck | None:
    """What the latest check of a workspace came to; None before the first."""
    found: ConservationCheck | None = ConservationCheck.get_or_none(
        ConservationCheck.workspace == workspace_id
    )
    return found


def is_stale(check: ConservationCheck) -> bool:
    """Whether another count should have followed this one by now."""
    age = (clock.now() - check.checked_at).total_seconds()
    return age > STALE_SECONDS and age > find_pace().stale_seconds


def list_latest() -> list[ConservationCheck]:
    """The latest check of every workspace."""
    return list(ConservationCheck.select().order_by(ConservationCheck.workspace))


def find_difference(checks: Iterable[ConservationCheck]) -> str | None:
    """What the first of these checks that does not come out says, in a sentence; None: all do."""
    for check in checks:
        if check.difference:
            what = "missing" if check.difference > 0 else "too many"
            return (
                f"Workspace {check.workspace_id}: {abs(check.difference)} messages {what} of"
                f" {check.accepted_count} accepted, since {check.broken_since:%Y-%m-%d %H:%M} UTC."
            )
    return None


def _tell(balance: Balance) -> None:
    """An event when it breaks and when it is whole again; a log line as long as it is broken."""
    is_broken = balance.difference != 0
    figures = {
        "accepted": balance.accepted_count,
        "found": balance.found_count,
        "difference": balance.difference,
        "by_status": balance.by_status,
    }
    if balance.pruned_count:
        figures["pruned"] = balance.pruned_count
    if is_broken:
        logger.error("conservation.broken", workspace_id=balance.workspace_id, **figures)
    elif balance.was_broken:
        logger.warning("conservation.restored", workspace_id=balance.workspace_id, **figures)
    if is_broken != balance.was_broken:
        kind = EventType.CONSERVATION_BROKEN if is_broken else EventType.CONSERVATION_RESTORED
        database.execute_sql(_TELL, (balance.workspace_id, kind.value, json.dumps(figures)))

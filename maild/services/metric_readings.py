"""The gauges that come from the database, read for a scrape: how much waits and for how long, who
is alive, what is broken. `metrics.READINGS` has their names.

Every statement is bounded: by an index, by a limit, and by TIMEOUT_MS, after which its gauges are
left out of this scrape and the others are not. They are of the instance as a whole: no workspace is
told apart.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import peewee

from maild import clock, config, db, log
from maild.db import database
from maild.domain.breaker import State
from maild.domain.job import JobStatus
from maild.domain.states import PRIORITY, Status, Stream
from maild.services import providers, retention_forecast
from maild.services.backups import PERIODIC_JOB as BACKUP

TIMEOUT_MS = 1_000
DUE_MAX = 50_000
"""Due messages of a stream are counted no further."""
LANES_MAX = 10_000
WAYS = ("usable", "stopped")
"""Whether an account that the mail may take is in order."""
LATE_SECONDS = 60.0
"""Of what is due for less nobody asks which accounts it may take: it counts as usable."""
LATE_MAX = 500
"""Of so many late lanes of a stream it is asked. Where more are late it is no single tenant's
concern, and the rest counts as usable.
"""
COUNT_MAX = 10_000
"""Anything else that is counted row by row is counted no further."""

Sample = tuple[str, dict[str, str], float]
"""A gauge's name, its labels, its value."""

logger = log.get(__name__)


def read() -> list[Sample]:
    """All of them. Raises Unavailable where the database is away; opens a connection of its own."""
    found: list[Sample] = []
    db.limit_statements(TIMEOUT_MS)
    try:
        with db.connection():
            for look in _LOOKS:
                found += _finish(look)
    finally:
        db.limit_statements(0)
    return found


# All that is read in great tables stands in an index, in order. Statistics that are out of date
# would have the planner read a whole table for a few rows.
_BY_INDEX = """
SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true),
    set_config('enable_seqscan', 'off', true)
"""


def _finish(look: Callable[[], Iterator[Sample]]) -> list[Sample]:
    try:
        with database.atomic():
            database.execute_sql(_BY_INDEX)
            return list(look())
    except peewee.PeeweeException as error:
        if "statement timeout" not in str(error):
            raise
        logger.warning("metrics.reading_not_finished", reading=look.__name__)
        return []


def _rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = database.execute_sql(sql, values).fetchall()
    return rows


def _clock() -> Iterator[Sample]:
    began, before = time.monotonic(), clock.now().timestamp()
    ((theirs,),) = _rows("SELECT extract(epoch FROM clock_timestamp())::float8")
    # It was asked somewhere between the two.
    yield "maild_clock_skew_seconds", {}, before + (time.monotonic() - began) / 2 - theirs


# One probe of the index for each lane, as `claims` does it, and what is due of each, in its order.
# The lanes whose mail has waited longest come along.
_QUEUE = """
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
), known AS (
    SELECT * FROM lane LIMIT %s
)
SELECT p.priority, (
        SELECT count(*) FROM (
            SELECT FROM known CROSS JOIN LATERAL (
                SELECT FROM messages m
                WHERE m.status = 'queued' AND m.priority = known.priority
                    AND m.workspace_id = known.workspace_id
                    AND m.pinned_account = known.pinned_account AND m.next_attempt_at <= now()
                LIMIT %s) AS one
            WHERE known.priority = p.priority LIMIT %s) AS due),
    coalesce((
        SELECT json_agg(json_build_array(workspace_id, pinned_account, seconds)) FROM (
            SELECT workspace_id, pinned_account,
                extract(epoch FROM now() - next_attempt_at)::float8 AS seconds
            FROM known WHERE priority = p.priority AND next_attempt_at <= now()
            ORDER BY next_attempt_at LIMIT %s) AS oldest), '[]')
FROM unnest(%s::int[]) AS p (priority)
"""


def _queue() -> Iterator[Sample]:
    streams = {PRIORITY[stream]: stream for stream in Stream}
    rows = _rows(_QUEUE, LANES_MAX, DUE_MAX, DUE_MAX, LATE_MAX + 1, list(streams))
    stopped = _find_stopped([lane for _, _, lanes in rows for lane in lanes[:LATE_MAX]])
    for priority, count, lanes in rows:
        labels = {"stream": streams[priority].value}
        yield "maild_queue_due", labels, count
        oldest = dict.fromkeys(WAYS, 0.0)
        for workspace_id, name, seconds in lanes:
            way = "stopped" if (workspace_id, name) in stopped else "usable"
            oldest[way] = max(oldest[way], seconds)
        for way, seconds in oldest.items():
            yield "maild_queue_oldest_due_seconds", {**labels, "way": way}, seconds


def _find_stopped(lanes: Sequence[tuple[int, str, float]]) -> set[providers.Wish]:
    """Those of the lanes whose mail is late, and finds every account that it may take paused,
    frozen or out of use.
    """
    late = {(workspace_id, name) for workspace_id, name, seconds in lanes if seconds > LATE_SECONDS}
    ways = providers.list_ways(late) if late else {}
    return {wish for wish, route in ways.items() if providers.choose(route) is None}


_CONSERVATION = """
SELECT coalesce(sum(abs(difference)), 0)::float8,
    extract(epoch FROM now() - min(checked_at))::float8
FROM conservation_checks
"""
_STATES = """
SELECT status, sum(count::bigint)::float8
FROM conservation_checks CROSS JOIN LATERAL jsonb_each_text(by_status) AS one (status, count)
GROUP BY status
"""


def _conservation() -> Iterator[Sample]:
    counted = dict(_rows(_STATES))
    for status in Status:
        yield "maild_messages", {"status": status.value}, counted.get(status.value, 0.0)
    ((difference, age),) = _rows(_CONSERVATION)
    yield "maild_conservation_difference", {}, difference
    if age is not None:
        yield "maild_conservation_age_seconds", {}, age


_WORKERS = """
SELECT count(*) FILTER (WHERE is_alive), count(*) FILTER (WHERE is_alive AND NOT has_marks),
    extract(epoch FROM now() - max(seen_at))::float8
FROM (
    SELECT seen_at, has_marks, seen_at > now() - %s * interval '1 second' AS is_alive
    FROM workers) AS known
"""
_LEASED = """
SELECT count(*) FROM (SELECT FROM messages WHERE status = 'sending' LIMIT %s) AS one
"""


def _workers() -> Iterator[Sample]:
    ((alive, unmarked, age),) = _rows(_WORKERS, config.current().lease_seconds)
    yield "maild_workers_alive", {}, alive
    yield "maild_workers_without_marks", {}, unmarked
    if age is not None:
        yield "maild_worker_heartbeat_seconds", {}, age
    yield "maild_leased_messages", {}, _rows(_LEASED, DUE_MAX)[0][0]


_PERIODIC = """
SELECT name, extract(epoch FROM now() - ran_at)::float8 FROM periodic_jobs ORDER BY name LIMIT 100
"""


def _scheduler() -> Iterator[Sample]:
    for name, age in _rows(_PERIODIC):
        yield "maild_periodic_job_age_seconds", {"name": name}, age
        if name == BACKUP:
            yield "maild_backup_age_seconds", {}, age


def _accounts() -> Iterator[Sample]:
    counted = dict(_rows("SELECT state, count(*) FROM breakers GROUP BY state"))
    for state in State:
        yield "maild_breakers", {"state": state.value}, counted.get(state.value, 0)
    ((freezes,),) = _rows(
        "SELECT count(*) FROM freezes WHERE lifted_at IS NULL AND expires_at > now()"
    )
    yield "maild_freezes", {}, freezes


_DEAD_LETTERS = """
SELECT coalesce(sum(one.count), 0)::float8 FROM workspaces w CROSS JOIN LATERAL (
    SELECT count(*) AS count FROM (
        SELECT FROM provider_events WHERE workspace_id = w.id AND status = 'dead_letter'
        LIMIT %s) AS dead) AS one
"""
_REPORTS = """
SELECT count(*), coalesce(greatest(extract(epoch FROM now() - min(next_attempt_at))::float8, 0), 0)
FROM (
    (SELECT next_attempt_at FROM webhook_payloads WHERE status = 'received'
        ORDER BY next_attempt_at LIMIT %s)
    UNION ALL
    (SELECT next_attempt_at FROM provider_events WHERE status = 'received'
        ORDER BY next_attempt_at LIMIT %s)) AS waiting
"""
_ENDPOINTS = """
SELECT count(*) FILTER (WHERE silent_since IS NULL AND refusing_since IS NULL),
    count(*) FILTER (WHERE silent_since IS NOT NULL),
    count(*) FILTER (WHERE refusing_since IS NOT NULL)
FROM webhook_endpoints
"""


def _reports() -> Iterator[Sample]:
    yield "maild_dead_letters", {}, _rows(_DEAD_LETTERS, COUNT_MAX)[0][0]
    ((waiting, oldest),) = _rows(_REPORTS, COUNT_MAX, COUNT_MAX)
    yield "maild_reports_waiting", {}, waiting
    yield "maild_reports_oldest_seconds", {}, oldest
    (counts,) = _rows(_ENDPOINTS)
    for state, count in zip(("well", "silent", "refusing"), counts, strict=True):
        yield "maild_webhook_endpoints", {"state": state}, count


_INCIDENTS = """
SELECT kind, severity, count(*) FROM incidents WHERE status IN ('open', 'acknowledged')
GROUP BY kind, severity
"""


def _incidents() -> Iterator[Sample]:
    for kind, severity, count in _rows(_INCIDENTS):
        yield "maild_incidents", {"kind": kind, "severity": severity}, count


_NOTIFICATIONS = """
SELECT count(*), coalesce(greatest(extract(epoch FROM now() - min(due_at))::float8, 0), 0)
FROM (SELECT due_at FROM notifications WHERE status = 'waiting' ORDER BY due_at LIMIT %s) AS waiting
"""
_JOBS = """
SELECT count(*) FILTER (WHERE status = 'queued'), count(*) FILTER (WHERE status = 'running'),
    coalesce(greatest(max(extract(epoch FROM
        now() - greatest(due_at, stepped_at, lease_until)))::float8, 0), 0)
FROM (
    SELECT status, due_at, stepped_at, lease_until FROM jobs WHERE finished_at IS NULL
    LIMIT %s) AS unfinished
"""


def _errands() -> Iterator[Sample]:
    ((waiting, oldest),) = _rows(_NOTIFICATIONS, COUNT_MAX)
    yield "maild_notifications_waiting", {}, waiting
    yield "maild_notifications_oldest_seconds", {}, oldest
    *counts, oldest = _rows(_JOBS, COUNT_MAX)[0]
    for status, count in zip((JobStatus.QUEUED, JobStatus.RUNNING), counts, strict=True):
        yield "maild_jobs_waiting", {"status": status.value}, count
    yield "maild_jobs_oldest_seconds", {}, oldest


# Everybody may read how many there are, those of other applications included.
_SERVER = """
SELECT pg_database_size(current_database()), current_setting('max_connections')::int,
    (SELECT coalesce(sum(numbackends), 0)::int FROM pg_stat_database)
"""


def _server() -> Iterator[Sample]:
    ((size, connections_max, connections),) = _rows(_SERVER)
    yield "maild_database_bytes", {}, size
    yield "maild_database_connections", {}, connections
    yield "maild_database_connections_max", {}, connections_max
    seconds = retention_forecast.measure().full_seconds
    if seconds is not None:
        yield "maild_disk_full_seconds", {}, seconds


# They stand in an index in the order of their steps, and there are few.
_CAMPAIGNS = """
SELECT status, count(*), extract(epoch FROM now() - min(step_at))::float8 FROM (
    SELECT status, step_at FROM campaigns
    WHERE status IN ('scheduled', 'preparing', 'sending', 'cancelled') AND settled_at IS NULL
    ORDER BY step_at LIMIT %s) AS c
GROUP BY status
"""


def _campaigns() -> Iterator[Sample]:
    found = {status: (count, late) for status, count, late in _rows(_CAMPAIGNS, COUNT_MAX)}
    for status in ("scheduled", "preparing", "sending", "cancelled"):
        yield "maild_campaigns", {"status": status}, found.get(status, (0, 0.0))[0]
    late = max((seconds for _, seconds in found.values()), default=0.0)
    yield "maild_campaign_step_overdue_seconds", {}, max(0.0, late)


_LOOKS: tuple[Callable[[], Iterator[Sample]], ...] = (
    _clock,
    _workers,
    _queue,
    _conservation,
    _scheduler,
    _accounts,
    _reports,
    _incidents,
    _errands,
    _campaigns,
    _server,
)

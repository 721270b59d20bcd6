"""The pruner: what is too old goes, batch by batch, beside everything else.

`prune` works for some seconds and comes back; the scheduler calls it again and again. All rules and
workspaces that have something old take turns, a batch each, so that none waits for another. After
each batch it rests for a part of the time that the batch took: delivery and accepting come first.
One process at a time prunes; what it has done is in the database, and the next one goes on there.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from maild import config, db, log, metrics
from maild.db import database
from maild.domain.retention import Subject
from maild.services import (
    audit_cuts,
    incident_jobs,
    jobs,
    locks,
    notifications,
    retention_walks,
)
from maild.services.bulk_messages import Action
from maild.services.retention_walks import BODIES, MESSAGES, PAYLOADS, Walk

BATCH = 1_000
REST = 0.5
"""Of the time that a batch took."""
REST_MAX_SECONDS = 1.0

NAME_MESSAGES = frozenset(
    {
        *(action.kind for action in Action),
        *(f"{action.kind}.undo" for action in Action if action is not Action.CANCEL),
        incident_jobs.SEND,
        incident_jobs.UNSUPPRESS,
    }
)
"""Kinds of jobs that find what they do by messages: while one is open, no message of its workspace
goes. Imports, dead letters and suppressions stand by themselves.

A kind that this version does not know is none of them: no worker here ever ends such a job, and
one that misses a message counts it, as it does one that was removed before it began.
"""

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Delete:
    """A rule whose rows go as they are, by an index that has them in the order of their age, of a
    workspace `k` with the horizon `k.horizon`. `prune` removes a batch, and returns how many.
    """

    rule: str
    subject: Subject
    ready: str
    prune: Callable[[int, datetime], int]


_PRUNE_EVENTS = """
DELETE FROM events WHERE id IN (
    SELECT id FROM events
    WHERE message_id IS NULL AND workspace_id = %(workspace)s ORDER BY id LIMIT %(batch)s)
AND created_at < %(before)s
"""
_PRUNE_INSTANCE_EVENTS = """
DELETE FROM events WHERE id IN (
    SELECT id FROM events
    WHERE message_id IS NULL AND workspace_id IS NULL ORDER BY id LIMIT %s)
AND created_at < now() - %s * interval '1 day'
"""
# With the events that were in them. What is not read or applied yet stays.
_PRUNE_REPORTS = """
DELETE FROM webhook_payloads p WHERE id IN (
    SELECT id FROM webhook_payloads WHERE workspace_id = %(workspace)s ORDER BY id LIMIT %(batch)s)
AND p.created_at < %(before)s AND p.status = 'read' AND NOT EXISTS (
    SELECT FROM provider_events e WHERE e.payload_id = p.id AND e.status = 'received')
"""
_PRUNE_INCIDENTS = """
DELETE FROM incidents WHERE id IN (
    SELECT id FROM incidents
    WHERE workspace_id = %(workspace)s AND resolved_at < %(before)s
    ORDER BY resolved_at LIMIT %(batch)s)
"""


def _by(statement: str, batch: int = BATCH) -> Callable[[int, datetime], int]:
    def prune(workspace_id: int, before: datetime) -> int:
        values = {"workspace": workspace_id, "before": before, "batch": batch}
        return int(database.execute_sql(statement, values).rowcount)

    return prune


EVENTS = Delete(
    "events",
    Subject.MESSAGES,
    """SELECT FROM (
        SELECT created_at FROM events
        WHERE message_id IS NULL AND workspace_id = k.id ORDER BY id LIMIT 1) AS first
    WHERE created_at < k.horizon""",
    _by(_PRUNE_EVENTS),
)
REPORTS = Delete(
    "reports",
    Subject.MESSAGES,
    """SELECT FROM (
        SELECT created_at FROM webhook_payloads
        WHERE workspace_id = k.id ORDER BY id LIMIT 1) AS first
    WHERE created_at < k.horizon""",
    _by(_PRUNE_REPORTS, batch=500),
)
INCIDENTS = Delete(
    "incidents",
    Subject.MESSAGES,
    "SELECT FROM incidents WHERE workspace_id = k.id AND resolved_at < k.horizon",
    _by(_PRUNE_INCIDENTS, batch=100),
)
JOBS = Delete(
    "jobs",
    Subject.MESSAGES,
    "SELECT FROM jobs WHERE workspace_id = k.id AND finished_at < k.horizon",
    jobs.prune,
)
NOTIFICATIONS = Delete(
    "notifications",
    Subject.MESSAGES,
    "SELECT FROM notifications WHERE workspace_id = k.id AND settled_at < k.horizon",
    lambda workspace_id, before: notifications.prune(workspace_id, before, limit=BATCH),
)
# At most once a day, or the entries that tell of cuts would be most of them.
AUDIT = Delete(
    "audit",
    Subject.AUDIT,
    """SELECT FROM (
        SELECT at FROM audit_entries WHERE workspace_id = k.id ORDER BY seq LIMIT 1) AS first
    WHERE at < k.horizon - interval '1 day'""",
    lambda workspace_id, before: audit_cuts.cut(workspace_id, before, limit=BATCH),
)
RULES: tuple[Walk | Delete, ...] = (
    BODIES, MESSAGES, PAYLOADS, REPORTS, EVENTS, INCIDENTS, JOBS, NOTIFICATIONS, AUDIT,
)  # fmt: skip

_Turn = tuple[Walk | Delete, int, datetime]
"""A rule, a workspace, and what is old there."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_TABLES = {
    BODIES.rule: "message_bodies",
    PAYLOADS.rule: "webhook_payloads",
    REPORTS.rule: "webhook_payloads",
    AUDIT.rule: "audit_entries",
    "instance_events": "events",
}
"""What is counted under another name than the rule's."""
_READY = """
WITH k AS MATERIALIZED (
    SELECT w.id, now() - coalesce(p.{subject}_days, %(default)s) * interval '1 day' AS horizon
    FROM workspaces w LEFT JOIN retention_policies p ON p.workspace_id = w.id
)
SELECT k.id, k.horizon, g.pruned_at
FROM k LEFT JOIN retention_progress g ON g.workspace_id = k.id AND g.rule = %(rule)s
WHERE k.horizon IS NOT NULL AND (EXISTS ({ready}) OR EXISTS (
        SELECT FROM retention_leftovers l
        WHERE l.workspace_id = k.id AND l.rule = %(rule)s AND l.look_at <= now()))
    AND NOT (%(spares)s AND EXISTS (
        SELECT FROM jobs j
        WHERE j.workspace_id = k.id AND j.finished_at IS NULL AND j.kind = ANY(%(kinds)s)))
ORDER BY k.id
"""
_COUNT = """
INSERT INTO retention_progress AS g (workspace_id, rule, pruned_count, pruned_at)
VALUES (%(workspace)s, %(rule)s, %(count)s, now())
ON CONFLICT (workspace_id, rule) DO UPDATE
SET pruned_count = g.pruned_count + excluded.pruned_count, pruned_at = now()
"""


def prune(
    *,
    seconds: float,
    batch: int = BATCH,
    is_stopping: Callable[[], bool] = lambda: False,
    rest: Callable[[float], object] = time.sleep,
) -> Counter[str]:
    """Remove what is too old, for about so long, a batch at least; how much of it, by rule. Where
    somebody else does so already, nothing.
    """
    removed: Counter[str] = Counter()
    with locks.only_one(locks.RETENTION) as is_ours:
        if not is_ours:
            return removed
        removed["instance_events"] = _prune_instance_events()
        turns = _list_turns()
        ends_at, is_over = time.monotonic() + seconds, False
        while turns and not is_over:
            again = []
            for rule, workspace_id, horizon in turns:
                if is_stopping():
                    is_over = True
                    break
                started_at = time.monotonic()
                count, is_more = _try(rule, workspace_id, horizon, batch=batch)
                removed[rule.rule] += count
                if is_more:
                    again.append((rule, workspace_id, horizon))
                is_over = time.monotonic() >= ends_at
                if is_over:
                    break
                rest(min((time.monotonic() - started_at) * REST, REST_MAX_SECONDS))
            turns = again
    removed = +removed
    if removed:
        logger.info("retention.pruned", **removed)
        for name, count in removed.items():
            metrics.PRUNED.labels(_TABLES.get(name, name)).inc(count)
    return removed


def _try(
    rule: Walk | Delete, workspace_id: int, horizon: datetime, *, batch: int
) -> tuple[int, bool]:
    """One batch; one that fails waits for the next round, and keeps none of the others from their
    turn.
    """
    try:
        return _step(rule, workspace_id, horizon, batch=batch)
    except Exception as error:
        if db.is_away(error):
            raise
        logger.exception("retention.crashed", rule=rule.rule, workspace_id=workspace_id)
        return 0, False


def _step(
    rule: Walk | Delete, workspace_id: int, horizon: datetime, *, batch: int
) -> tuple[int, bool]:
    """One batch, in one transaction: how many went, and whether there may be more."""
    if isinstance(rule, Walk):
        return retention_walks.step(rule, workspace_id, horizon, batch=batch)
    with retention_walks.by_index():
        count = rule.prune(workspace_id, horizon)
        if count:
            values = {"workspace": workspace_id, "rule": rule.rule, "count": count}
            database.execute_sql(_COUNT, values)
    return count, count > 0


def _list_turns() -> list[_Turn]:
    """What has something old, that which waits for longest first."""
    found: list[tuple[datetime, _Turn]] = []
    for rule in RULES:
        statement = _READY.format(subject=rule.subject.value, ready=rule.ready)
        values = {
            "rule": rule.rule,
            "default": _default_days(rule.subject),
            "spares": isinstance(rule, Walk) and rule.spares_open_jobs,
            "kinds": list(NAME_MESSAGES),
        }
        with retention_walks.by_index():
            rows = database.execute_sql(statement, values).fetchall()
        for workspace_id, horizon, pruned_at in rows:
            found.append((pruned_at or _NEVER, (rule, workspace_id, horizon)))
    return [turn for _, turn in sorted(found, key=lambda one: one[0])]


def _prune_instance_events() -> int:
    """What happened to the instance's own SMTP account, and to maild itself."""
    days = _default_days(Subject.MESSAGES)
    if days is None:
        return 0
    with retention_walks.by_index():
        return int(database.execute_sql(_PRUNE_INSTANCE_EVENTS, (BATCH, days)).rowcount)


def _default_days(subject: Subject) -> int | None:
    days: int | None = getattr(config.current().retention, f"{subject.value}_days")
    return days

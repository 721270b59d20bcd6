"""Walking through what is old, a batch at a time, and removing of it what has ended.

A walk goes over a workspace's rows in the order of their time, once: `retention_progress` keeps the
place. What is old and cannot go yet is written down as a leftover, and looked at again a day later.
So no row is read over and over, however long what is younger is kept. Each batch is a transaction;
the rows, the place and the leftovers change together.

In charge of how messages, their content and providers' payloads go. When, and for which workspaces,
is `retention`.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maild.db import database
from maild.domain.retention import Subject
from maild.domain.states import Status

ENDED = tuple(
    s.value for s in Status if s not in {Status.QUEUED, Status.SENDING, Status.HELD, Status.UNKNOWN}
)
"""Statuses of messages that may go; maild, or a person, still has something to do about others."""
LOOK_AGAIN = "1 day"


@dataclass(frozen=True, slots=True)
class Walk:
    """`ready` says whether something old lies ahead in a workspace `k` with the horizon
    `k.horizon`, `ahead` lists the next (time, id) of it; `prune` removes what may go of some ids,
    and returns the ids of what went or is gone, and how many that counts.
    """

    rule: str
    subject: Subject
    ready: str
    ahead: str
    prune: Callable[[int, Sequence[str], datetime], tuple[set[str], int]]
    spares_open_jobs: bool = False
    """Nothing goes while a job of the workspace names messages: it may want them."""


_MESSAGES_READY = """
SELECT FROM messages m
WHERE m.workspace_id = k.id AND m.created_at < k.horizon
    AND (m.created_at, m.id) > (coalesce(g.after_at, '-infinity'),
        coalesce(g.after_ref, '00000000-0000-0000-0000-000000000000')::uuid)
"""
_MESSAGES_AHEAD = """
SELECT created_at, id FROM messages
WHERE workspace_id = %(workspace)s AND created_at < %(horizon)s
    AND (created_at, id) > (%(after_at)s::timestamptz,
        coalesce(%(after_ref)s, '00000000-0000-0000-0000-000000000000')::uuid)
ORDER BY created_at, id LIMIT %(batch)s
"""
_PAYLOADS_READY = """
SELECT FROM (
    SELECT created_at FROM webhook_payloads
    WHERE workspace_id = k.id AND id > coalesce(g.after_ref, '0')::bigint
    ORDER BY id LIMIT 1) AS first
WHERE created_at < k.horizon
"""
# By the number, which grows with the time: the first that is young ends the batch.
_PAYLOADS_AHEAD = """
SELECT created_at, id FROM (
    SELECT created_at, id FROM webhook_payloads
    WHERE workspace_id = %(workspace)s AND id > coalesce(%(after_ref)s, '0')::bigint
    ORDER BY id LIMIT %(batch)s) AS next
WHERE created_at < %(horizon)s ORDER BY id
"""
# The recipients of one submission share its first message's content, and go together.
_OVER = """
m.workspace_id = %(workspace)s AND m.id = ANY(%(ids)s) AND m.status = ANY(%(ended)s)
AND m.updated_at < %(horizon)s
AND (m.submission_id IS NULL OR NOT EXISTS (
    SELECT FROM messages s WHERE s.submission_id = m.submission_id
        AND (s.status <> ALL(%(ended)s) OR s.updated_at >= %(horizon)s)))
"""
_PRUNE_BODIES = """
WITH going AS MATERIALIZED (
    SELECT m.id FROM messages m WHERE IS_OVER
), files AS (
    DELETE FROM message_attachments a USING going g WHERE a.message_id = g.id
), bodies AS (
    UPDATE message_bodies b SET
        from_name = NULL, reply_to = NULL, headers = '[]', body_text = NULL, body_html = NULL,
        pruned_at = now()
    FROM going g WHERE b.message_id = g.id AND b.pruned_at IS NULL
    RETURNING 1
)
SELECT array_agg(id), (SELECT count(*) FROM bodies) FROM going
""".replace("IS_OVER", _OVER)  # nosec B608
# Those, and the others of their submissions.
_TOGETHER = """
SELECT id, submission_id FROM messages WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
UNION
SELECT other.id, other.submission_id
FROM messages m JOIN messages other ON other.submission_id = m.submission_id
WHERE m.workspace_id = %(workspace)s AND m.id = ANY(%(ids)s)
"""
_TAKE_MESSAGES = """
SELECT m.id, m.created_at FROM messages m WHERE IS_OVER ORDER BY m.id FOR UPDATE SKIP LOCKED
""".replace("IS_OVER", _OVER)  # nosec B608
# Before the messages, all at once: the cascade, which goes row by row, then finds nothing to do.
_DELETE_PARTS = (
    "DELETE FROM events WHERE message_id = ANY(%s)",
    "DELETE FROM attempts WHERE message_id = ANY(%s)",
    "DELETE FROM message_attachments WHERE message_id = ANY(%s)",
    "DELETE FROM message_bodies WHERE message_id = ANY(%s)",
    "DELETE FROM messages WHERE id = ANY(%s)",
)
# Blocks of the search index that lead to nothing any more: those that hold one of these messages.
_DELETE_BLOCKS = """
DELETE FROM log_blocks b USING (
    SELECT DISTINCT c.first_at, c.first_id, c.last_at, c.last_id
    FROM unnest(%(times)s) AS t (at) CROSS JOIN LATERAL (
        SELECT first_at, first_id, last_at, last_id FROM log_blocks
        WHERE workspace_id = %(workspace)s AND first_at <= t.at
        ORDER BY first_at DESC, first_id DESC LIMIT 2) AS c) AS old
WHERE b.workspace_id = %(workspace)s AND b.first_at = old.first_at AND b.first_id = old.first_id
    AND NOT EXISTS (
        SELECT FROM messages m
        WHERE m.workspace_id = %(workspace)s
            AND (m.created_at, m.id) >= (old.first_at, old.first_id)
            AND (m.created_at, m.id) <= (old.last_at, old.last_id))
"""
# A dead letter is there to be replayed: it keeps what it was read from.
_PRUNE_PAYLOADS = """
WITH going AS MATERIALIZED (
    SELECT p.id FROM webhook_payloads p
    WHERE p.workspace_id = %(workspace)s AND p.id = ANY(%(ids)s) AND p.status = 'read'
        AND p.created_at < %(horizon)s AND NOT EXISTS (
            SELECT FROM provider_events e
            WHERE e.payload_id = p.id AND e.status IN ('received', 'dead_letter'))
    FOR UPDATE SKIP LOCKED
), parts AS (
    UPDATE provider_events e SET report = e.report - 'raw'
    FROM going g WHERE e.payload_id = g.id AND e.report ? 'raw'
), bodies AS (
    UPDATE webhook_payloads p SET body = '', headers = '{}', pruned_at = now()
    FROM going g WHERE p.id = g.id AND p.pruned_at IS NULL
    RETURNING 1
)
SELECT array_agg(id), (SELECT count(*) FROM bodies) FROM going
"""


# What nothing matches any more, the planner would look for in the whole of a table, as long as its
# statistics promise that a match comes soon.
_BY_INDEX = (
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)"
)


@contextmanager
def by_index() -> Iterator[None]:
    """A transaction whose statements find their rows by indexes."""
    with database.atomic():
        database.execute_sql(_BY_INDEX)
        yield


def _prune_bodies(workspace_id: int, ids: Sequence[str], horizon: datetime) -> tuple[set[str], int]:
    found, count = database.execute_sql(
        _PRUNE_BODIES, _values(workspace_id, [uuid.UUID(i) for i in ids], horizon)
    ).fetchone()
    return {str(i) for i in found or ()}, count


def _prune_messages(
    workspace_id: int, ids: Sequence[str], horizon: datetime
) -> tuple[set[str], int]:
    values = _values(workspace_id, [uuid.UUID(i) for i in ids], horizon)
    submissions = dict(database.execute_sql(_TOGETHER, values).fetchall())
    values["ids"] = list(submissions)
    taken = dict(database.execute_sql(_TAKE_MESSAGES, values).fetchall())
    # One that somebody holds keeps the others of its submission, whose content it has.
    kept = {submissions[i] for i in submissions if i not in taken} - {None}
    gone = [i for i in taken if submissions[i] not in kept]
    if not gone:
        return set(), 0
    for statement in _DELETE_PARTS:
        database.execute_sql(statement, (gone,))
    times = [taken[i] for i in gone]
    database.execute_sql(_DELETE_BLOCKS, {"workspace": workspace_id, "times": times})
    return {str(i) for i in gone}, len(gone)


def _prune_payloads(
    workspace_id: int, ids: Sequence[str], horizon: datetime
) -> tuple[set[str], int]:
    found, count = database.execute_sql(
        _PRUNE_PAYLOADS, _values(workspace_id, [int(i) for i in ids], horizon)
    ).fetchone()
    return {str(i) for i in found or ()}, count


def _values(workspace_id: int, ids: list[Any], horizon: datetime) -> dict[str, Any]:
    return {"workspace": workspace_id, "ids": ids, "horizon": horizon, "ended": list(ENDED)}


BODIES = Walk(
    "bodies", Subject.BODIES, _MESSAGES_READY, _MESSAGES_AHEAD, _prune_bodies, spares_open_jobs=True
)
MESSAGES = Walk(
    "messages",
    Subject.MESSAGES,
    _MESSAGES_READY,
    _MESSAGES_AHEAD,
    _prune_messages,
    spares_open_jobs=True,
)
PAYLOADS = Walk("payloads", Subject.WEBHOOKS, _PAYLOADS_READY, _PAYLOADS_AHEAD, _prune_payloads)

_PLACE = """
INSERT INTO retention_progress (workspace_id, rule) VALUES (%(workspace)s, %(rule)s)
ON CONFLICT (workspace_id, rule) DO UPDATE SET rule = excluded.rule
RETURNING after_at::text, after_ref
"""
_STEP = """
UPDATE retention_progress SET
    after_at = coalesce(%(after_at)s, after_at), after_ref = coalesce(%(after_ref)s, after_ref),
    pruned_count = pruned_count + %(count)s,
    pruned_at = CASE WHEN %(count)s > 0 THEN now() ELSE pruned_at END
WHERE workspace_id = %(workspace)s AND rule = %(rule)s
"""
_LEAVE = """
INSERT INTO retention_leftovers (workspace_id, rule, ref, look_at)
SELECT %(workspace)s, %(rule)s, ref, now() + %(again)s::interval
FROM json_array_elements_text(%(refs)s) AS ref
ON CONFLICT (workspace_id, rule, ref) DO UPDATE SET look_at = excluded.look_at
"""
_DUE = """
SELECT ref FROM retention_leftovers
WHERE workspace_id = %(workspace)s AND rule = %(rule)s AND look_at <= now()
ORDER BY look_at LIMIT %(batch)s
"""
_SETTLE = "DELETE FROM retention_leftovers WHERE workspace_id = %s AND rule = %s AND ref = ANY(%s)"
_THERE = {
    "messages": "SELECT id::text FROM messages WHERE id = ANY(%s::uuid[])",
    "bodies": "SELECT id::text FROM messages WHERE id = ANY(%s::uuid[])",
    "payloads": "SELECT id::text FROM webhook_payloads WHERE id = ANY(%s::bigint[])",
}


def step(walk: Walk, workspace_id: int, horizon: datetime, *, batch: int) -> tuple[int, bool]:
    """One batch: how many were removed, and whether there may be more to look at."""
    values: dict[str, Any] = {
        "workspace": workspace_id,
        "rule": walk.rule,
        "horizon": horizon,
        "batch": batch,
        "again": LOOK_AGAIN,
    }
    with by_index():
        place = database.execute_sql(_PLACE, values).fetchone()
        values |= {"after_at": place[0], "after_ref": place[1]}
        rows = database.execute_sql(walk.ahead, values).fetchall()
        if rows:
            refs = [str(row[1]) for row in rows]
            gone, count = walk.prune(workspace_id, refs, horizon)
            left = [ref for ref in refs if ref not in gone]
            values |= {"after_at": rows[-1][0], "after_ref": refs[-1]}
        else:
            refs = [row[0] for row in database.execute_sql(_DUE, values).fetchall()]
            if not refs:
                return 0, False
            gone, count = walk.prune(workspace_id, refs, horizon)
            there = {r for (r,) in database.execute_sql(_THERE[walk.rule], (refs,)).fetchall()}
            left = [ref for ref in refs if ref not in gone and ref in there]
            done = [ref for ref in refs if ref not in set(left)]
            database.execute_sql(_SETTLE, (workspace_id, walk.rule, done))
            values |= {"after_at": None, "after_ref": None}
        if left:
            database.execute_sql(_LEAVE, {**values, "refs": json.dumps(left)})
        database.execute_sql(_STEP, {**values, "count": count})
    return count, len(refs) == batch or bool(rows)

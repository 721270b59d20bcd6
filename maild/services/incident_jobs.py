"""The jobs that mend what an incident has done: they send what waits at once, end the suppressions
that its bounces made, and take that back.

A job walks through the messages of its incident in the order of their ids, a chunk a step, and
looks at each again: what has changed meanwhile is left alone, and counted with the reason. What
has come to the incident since somebody looked at it is not touched.
"""

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from maild import queue
from maild.db import database
from maild.domain.actor import SYSTEM
from maild.domain.states import EventType, Status
from maild.domain.suppression import SuppressionClass
from maild.models import Job
from maild.services import incident_messages, jobs, suppression_jobs
from maild.services.jobs import Handler, Step
from maild.services.messages import DELIVER

SEND = "incidents.send"
UNSUPPRESS = "incidents.unsuppress"
UNSUPPRESS_UNDO = "incidents.unsuppress.undo"
CHUNK = 500

DUE_ALREADY = "is due already, and goes out by itself"
LATER = "is to go out later: its sender, or a limit of the policy, says when"
COMPLAINED = "the recipient has complained"
BY_A_PERSON = "a person or a program has suppressed it"
HEARD = "a bounce of other mail, or a complaint, came in since"
SUPPRESSED_ANEW = "the address has been suppressed anew since"
ENDED = "somebody has acted on it since, or its time was over"

# Those of a chunk in one order, as everybody has it: nobody acts on them until the step ends.
_LOOK = """
SELECT id, status, next_attempt_at <= now(),
    coalesce(greatest(scheduled_at, not_before) > now(), false)
FROM messages WHERE workspace_id = %s AND id = ANY(%s::uuid[])
ORDER BY id FOR NO KEY UPDATE
"""
_HASTEN = """
WITH moved AS (
    UPDATE messages SET next_attempt_at = now(), updated_at = now()
    WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s::uuid[]) AND status = 'queued'
    RETURNING id
), told AS (
    INSERT INTO events (workspace_id, message_id, type, data)
    SELECT %(workspace)s, id, %(event)s, %(data)s::jsonb FROM moved
)
SELECT id FROM moved
"""


def why_not_sent(status: Status, is_due: bool, is_later: bool) -> str | None:
    """Why a message is not sent at once; None where it is."""
    if status is not Status.QUEUED:
        return f"is {status.value}: only what waits for its next attempt can be sent at once"
    if is_due:
        return DUE_ALREADY
    return LATER if is_later else None


def _send(job: Job) -> Step:
    message_ids = _next(job)
    rows = database.execute_sql(_LOOK, (job.workspace_id, message_ids)).fetchall()
    reasons: Counter[str] = Counter()
    going = []
    for message_id, status, is_due, is_later in rows:
        if why := why_not_sent(Status(status), bool(is_due), is_later):
            reasons[why] += 1
        else:
            going.append(message_id)
    told = {"by": job.created_by, "reason": job.reason, "job_id": job.id}
    values = {
        "workspace": job.workspace_id,
        "ids": going,
        "event": EventType.HASTENED.value,
        "data": json.dumps({name: value for name, value in told.items() if value is not None}),
    }
    moved = [row[0] for row in database.execute_sql(_HASTEN, values).fetchall()] if going else []
    jobs.note_messages(job, moved, outcome="sent at once")
    if moved:
        queue.enqueue(DELIVER)
    return _step(job, message_ids, done=len(moved), reasons=reasons)


_OF_INCIDENT = incident_messages.OF_INCIDENT
# What a bounce of the incident's own mail says is what it is about; all else stays true.
HEARD_SINCE = """(EXISTS (
        SELECT FROM provider_events p
        WHERE p.workspace_id = s.workspace_id AND p.email = s.email
            AND p.updated_at > s.created_at AND p.status NOT IN ('ignored', 'duplicate')
            AND (p.event_type = 'complained' OR p.event_type = 'bounced' AND NOT EXISTS (
                {of_incident} AND im.message_id = p.message_id)))
    OR EXISTS (
        SELECT FROM messages o
        WHERE o.workspace_id = s.workspace_id AND o.to_email = m.to_email
            AND o.updated_at > s.created_at
            AND (o.status = 'complained' OR o.status = 'bounced' AND NOT EXISTS (
                {of_incident} AND im.message_id = o.id))))""".replace("{of_incident}", _OF_INCIDENT)  # nosec B608
"""Whether something bad was heard of the address of `s`, which `m` is to, since it was suppressed.
"""
# What is in force because of these messages, whoever made it.
FOUND = """
SELECT s.id, s.email, s.class, s.created_by, {heard} FROM messages m
JOIN suppressions s ON s.workspace_id = m.workspace_id
    AND s.email = lower(m.to_email COLLATE "pg_c_utf8") AND s.message_id = m.id
    AND s.removed_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
WHERE m.workspace_id = %(workspace)s AND m.id = ANY(%(ids)s::uuid[])
""".replace("{heard}", HEARD_SINCE)  # nosec B608
# As everybody has it: first the soft bounces, then the rows in one order. The count begins anew, or
# the next bounce would bring the suppression back.
_FORGET_BOUNCES = """
DELETE FROM soft_bounces WHERE workspace_id = %(workspace)s AND email = ANY(%(emails)s)
"""
_END = """
UPDATE suppressions SET removed_at = now(), removed_by = %(by)s, removal_reason = %(why)s
WHERE id IN (
    SELECT s.id FROM suppressions s
    WHERE s.workspace_id = %(workspace)s AND s.id = ANY(%(ids)s) AND s.removed_at IS NULL
        AND s.created_by = %(system)s AND s.class <> 'complaint'
    ORDER BY s.email, s.stream
    FOR NO KEY UPDATE OF s)
RETURNING id
"""


def why_kept(class_: str, created_by: str, is_heard: bool) -> str | None:
    """Why a suppression stays; None where it is ended."""
    if class_ == SuppressionClass.COMPLAINT:
        return COMPLAINED
    if created_by != SYSTEM.name or class_ == SuppressionClass.MANUAL:
        return BY_A_PERSON
    return HEARD if is_heard else None


def _unsuppress(job: Job) -> Step:
    message_ids = _next(job)
    values = {
        "workspace": job.workspace_id,
        "incident": job.params["incident"],
        "ids": message_ids,
    }
    rows = database.execute_sql(FOUND, values).fetchall() if message_ids else []
    reasons: Counter[str] = Counter()
    going: dict[int, str] = {}
    for suppression_id, email, class_, created_by, is_heard in rows:
        if why := why_kept(class_, created_by, is_heard):
            reasons[why] += 1
        else:
            going[suppression_id] = email
    ended: list[int] = []
    if going:
        of_these = {
            "workspace": job.workspace_id,
            "ids": list(going),
            "emails": list(going.values()),
            "by": job.created_by,
            "why": job.reason,
            "system": SYSTEM.name,
        }
        database.execute_sql(_FORGET_BOUNCES, of_these)
        ended = [row[0] for row in database.execute_sql(_END, of_these).fetchall()]
        jobs.note_targets(job, ended, outcome="removed")
    return _step(job, message_ids, done=len(ended), reasons=reasons)


_BACK = """
UPDATE suppressions SET removed_at = NULL, removed_by = NULL, removal_reason = NULL
WHERE id IN (
    SELECT s.id FROM suppressions s
    WHERE s.workspace_id = %(workspace)s AND s.id = ANY(%(ids)s)
        AND s.removed_at >= %(begun)s AND s.removed_by = %(by)s
        AND (s.expires_at IS NULL OR s.expires_at > now())
        AND NOT EXISTS (
            SELECT FROM suppressions o
            WHERE o.workspace_id = s.workspace_id AND o.email = s.email
                AND o.stream IS NOT DISTINCT FROM s.stream AND o.removed_at IS NULL)
    ORDER BY s.email, s.stream
    FOR NO KEY UPDATE OF s)
RETURNING id
"""


def _suppress_again(job: Job) -> Step:
    items = jobs.list_changes(job.undo_of_id, limit=CHUNK, after=job.cursor or 0)
    before = jobs.get(job.workspace_id, job.undo_of_id or 0)
    values = {
        "workspace": job.workspace_id,
        "ids": [item.target_id for item in items],
        "by": before.created_by,
        "begun": before.created_at,
    }
    back = [row[0] for row in database.execute_sql(_BACK, values).fetchall()] if items else []
    jobs.note_targets(job, back, outcome="suppressed again")
    left = len(items) - len(back)
    anew = suppression_jobs.count_in_force(values) - len(back) if left else 0
    reasons = {SUPPRESSED_ANEW: max(anew, 0), ENDED: left - max(anew, 0)}
    return Step(
        cursor=items[-1].id if items else job.cursor,
        is_done=len(items) < CHUNK,
        done=len(back),
        skipped=left,
        reasons={why: n for why, n in reasons.items() if n},
    )


def _next(job: Job) -> list[uuid.UUID]:
    return incident_messages.list_ids(
        job.workspace_id,
        job.params["incident"],
        limit=CHUNK,
        after=job.cursor,
        until=incident_messages.load_until(job.params),
    )


def _step(job: Job, message_ids: Sequence[Any], *, done: int, reasons: Counter[str]) -> Step:
    is_done = len(message_ids) < CHUNK
    skipped = sum(reasons.values())
    return Step(
        cursor=str(message_ids[-1]) if message_ids else job.cursor,
        is_done=is_done,
        done=done,
        skipped=skipped,
        reasons=dict(reasons),
        total_count=job.handled_count + done + skipped if is_done else None,
    )


jobs.register(
    SEND,
    Handler(
        _send,
        no_undo="What was sent at once is on its way. What still waits can be held or cancelled.",
    ),
)
jobs.register(UNSUPPRESS, Handler(_unsuppress, undo=UNSUPPRESS_UNDO))
jobs.register(UNSUPPRESS_UNDO, Handler(_suppress_again))

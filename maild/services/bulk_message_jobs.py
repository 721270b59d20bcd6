"""The jobs that do something to many messages, and those that take it back.

A job walks from the newest of what was chosen to the oldest, a chunk a step, and asks of each
message again whether it may be touched: what has changed since somebody looked is left alone, and
counted with the reason. To undo is to walk through what the job has changed, and nothing else.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from maild import queue
from maild.db import database
from maild.domain import cursor, ids
from maild.domain.states import Status
from maild.models import Job, Message
from maild.services import (
    bulk_messages,
    incident_messages,
    jobs,
    message_log,
    suppression_jobs,
    suppressions,
    transitions,
    verbs,
)
from maild.services.bulk_messages import (
    SAME_ADDRESS,
    SUPPRESSED_ALREADY,
    SUPPRESSED_FOR_A_TIME,
    Action,
    Selection,
)
from maild.services.jobs import Handler, Step
from maild.services.messages import DELIVER
from maild.services.verbs import TOO_LATE, Found, Verb, Who, WhyNot

CHUNK = 500
NOT_FOUND = "there is no such message in this workspace"
NOT_MATCHING = "it did not match any more when its turn came"
ACTED_ON = "somebody has acted on it since"
REMOVED_ALREADY = "the suppression has ended already"


def _step_of(action: Action) -> Callable[[Job], Step]:
    def step(job: Job) -> Step:
        found, position, is_done = _next_chunk(job)
        who = Who(job.workspace_id, jobs.actor_of(job), job.reason, job.id)
        if action is Action.SUPPRESS:
            done, reasons = _suppress(job, found)
        else:
            done, reasons = _carry_out(job, found, bulk_messages.verb_of(action, who))
        return _told(job, done, reasons, position=position, is_done=is_done)

    return step


def _next_chunk(job: Job) -> tuple[list[Any], str | None, bool]:
    """The ids of the next messages, what the next step begins after, and whether it is the last."""
    selection = Selection.load(job.params)
    if selection.incident_id is not None:
        found = incident_messages.list_ids(
            job.workspace_id,
            selection.incident_id,
            limit=CHUNK,
            after=job.cursor,
            until=selection.seen_until,
        )
        return list(found), str(found[-1]) if found else job.cursor, len(found) < CHUNK
    if selection.filter_ is None:
        wanted = dict.fromkeys(selection.ids or ())
        return [ids.parse_id(text) for text in wanted], None, True
    page = message_log.list_page(
        job.workspace_id,
        filter_=selection.filter_,
        limit=CHUNK,
        older_than=cursor.parse(job.cursor) if job.cursor else None,
        timeout_ms=jobs.STATEMENT_TIMEOUT_MS,
    )
    jobs.allow_time()
    position = str(page.older) if page.older else job.cursor
    return [message.id for message in page.messages], position, page.older is None


def _carry_out(job: Job, message_ids: Sequence[Any], verb: Verb) -> tuple[int, Counter[str]]:
    """Move those that may be moved; how many were, and why the others were not."""
    reasons: Counter[str] = Counter()
    known = [one for one in message_ids if one is not None]
    found = _find(job.workspace_id, known)
    if missing := len(message_ids) - len(found):
        reasons[NOT_FOUND] = missing
    going = []
    for message in found:
        if (why := verb.why_not(message)) is None:
            going.append(message)
        else:
            reasons[why.words] += 1
    moved = transitions.apply([verb.move(message) for message in going])
    if late := len(going) - len(moved):
        reasons[TOO_LATE] = late
    jobs.note_messages(job, moved, outcome=verb.done)
    if moved and verb.rings:
        queue.enqueue(DELIVER)
    return len(moved), reasons


def _find(workspace_id: int, message_ids: Sequence[Any]) -> list[Found]:
    if not message_ids:
        return []
    query = verbs.select().where(Message.workspace == workspace_id, Message.id << list(message_ids))
    return verbs.rows(query)


def _told(
    job: Job, done: int, reasons: Counter[str], *, position: str | None, is_done: bool
) -> Step:
    failed = reasons[NOT_FOUND]
    skipped = sum(reasons.values()) - failed
    handled = job.handled_count + done + skipped + failed
    if is_done and job.total_count is not None:
        # Whoever counted before it began shall find all of them again.
        if (gone := job.total_count - handled) > 0:
            reasons[NOT_MATCHING] += gone
            skipped += gone
        handled = max(handled, job.total_count)
    return Step(
        cursor=position,
        is_done=is_done,
        done=done,
        skipped=skipped,
        failed=failed,
        reasons={why: count for why, count in reasons.items() if count},
        total_count=handled if is_done else None,
    )


# What has expired makes room in the unique index. In one order, so that two who suppress the same
# addresses wait for each other, but not in a circle.
_RETIRE = """
UPDATE suppressions SET removed_at = expires_at, removed_by = %(by)s, removal_reason = %(why)s
WHERE id IN (
    SELECT s.id FROM suppressions s
    WHERE s.workspace_id = %(workspace)s AND s.stream IS NULL AND s.removed_at IS NULL
        AND s.expires_at <= now() AND s.email IN (
            SELECT lower(to_email COLLATE "pg_c_utf8") FROM messages
            WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s::uuid[]))
    ORDER BY s.email
    FOR NO KEY UPDATE)
"""
# What is suppressed for a time stays so. What this job has added in a step before is told apart.
_SUPPRESS = """
WITH chosen AS MATERIALIZED (
    SELECT id, lower(to_email COLLATE "pg_c_utf8") AS email, created_at FROM messages
    WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s::uuid[])
), added AS (
    INSERT INTO suppressions AS s (
        workspace_id, email, reason, source, class, message_id, created_by)
    SELECT DISTINCT ON (email) %(workspace)s, email, %(reason)s, %(source)s, 'manual', id, %(by)s
    FROM chosen ORDER BY email, created_at DESC
    ON CONFLICT (workspace_id, email, stream) WHERE removed_at IS NULL DO NOTHING
    RETURNING id, email
), known AS (
    SELECT s.expires_at, s.created_by = %(by)s AND s.source = %(source)s
        AND s.reason = %(reason)s AND s.created_at >= %(begun)s AS is_own
    FROM suppressions s
    WHERE s.workspace_id = %(workspace)s AND s.stream IS NULL AND s.removed_at IS NULL
        AND s.email IN (SELECT email FROM chosen) AND s.email NOT IN (SELECT email FROM added)
)
SELECT count(*), count(DISTINCT email),
    (SELECT coalesce(array_agg(id), '{}') FROM added),
    (SELECT count(*) FROM known WHERE expires_at IS NOT NULL),
    (SELECT count(*) FROM known WHERE expires_at IS NULL AND is_own)
FROM chosen
"""


def _suppress(job: Job, message_ids: Sequence[Any]) -> tuple[int, Counter[str]]:
    """Suppress the recipients of these messages for all mail."""
    known = [one for one in message_ids if one is not None]
    values = {
        "workspace": job.workspace_id,
        "ids": known,
        "reason": job.reason,
        "source": suppressions.CONSOLE,
        "by": job.created_by,
        "why": suppressions.FOLLOWED,
        "begun": job.created_at,
    }
    database.execute_sql(_RETIRE, values)
    [(found, different, added, ending, own)] = database.execute_sql(_SUPPRESS, values).fetchall()
    jobs.note_targets(job, added, outcome="suppressed")
    reasons = Counter(
        {
            NOT_FOUND: len(message_ids) - found,
            SAME_ADDRESS: found - different + own,
            SUPPRESSED_FOR_A_TIME: ending,
            SUPPRESSED_ALREADY: different - len(added) - ending - own,
        }
    )
    return len(added), reasons


# In one order, as everybody has it: nobody acts on them until the step ends.
_LOCK = "SELECT FROM messages WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
# What a worker or a freeze has done has no `by`.
_ACTED_ON = """
SELECT i.id FROM unnest(%s::uuid[]) AS i (id)
WHERE (
    SELECT e.data->>'job_id' FROM events e
    WHERE e.message_id = i.id AND e.data->>'by' IS NOT NULL
        AND e.type IN ('message.held', 'message.released', 'message.retried')
    ORDER BY e.id DESC LIMIT 1
) IS DISTINCT FROM %s
"""


def _find_acted_on(message_ids: Sequence[Any], job_id: int | None) -> set[Any]:
    """On which of them somebody has acted since the job did."""
    if not message_ids:
        return set()
    known = list(message_ids)
    database.execute_sql(_LOCK, (known,))
    return {row[0] for row in database.execute_sql(_ACTED_ON, (known, str(job_id))).fetchall()}


def _undo_by(way: Callable[[Who], Verb], needed: Status) -> Callable[[Job], Step]:
    """The step of a job that takes moves back, of messages that are still `needed`, and that nobody
    has touched since.
    """

    def step(job: Job) -> Step:
        items = jobs.list_changes(job.undo_of_id, limit=CHUNK, after=job.cursor or 0)
        who = Who(job.workspace_id, jobs.actor_of(job), job.reason, job.id)
        verb = way(who)
        message_ids = [item.message_id for item in items]
        acted_on = _find_acted_on(message_ids, job.undo_of_id)

        def why_not(message: Found) -> WhyNot | None:
            if message.status is not needed:
                return WhyNot(f"is {message.status.value} by now, not {needed.value}")
            if message.id in acted_on:
                return WhyNot(ACTED_ON)
            return verb.why_not(message)

        done, reasons = _carry_out(job, message_ids, replace(verb, why_not=why_not))
        failed = reasons[NOT_FOUND]
        return Step(
            cursor=items[-1].id if items else job.cursor,
            is_done=len(items) < CHUNK,
            done=done,
            skipped=sum(reasons.values()) - failed,
            failed=failed,
            reasons={why: count for why, count in reasons.items() if count},
        )

    return step


# The count of bounces goes first, as everybody has it; it begins anew, or the next one would bring
# the suppression back.
_FORGET_BOUNCES = """
DELETE FROM soft_bounces WHERE workspace_id = %(workspace)s AND email IN (
    SELECT s.email FROM suppressions s
    WHERE s.id = ANY(%(ids)s) AND s.workspace_id = %(workspace)s AND s.removed_at IS NULL
        AND {unheard})
""".replace("{unheard}", suppression_jobs.UNHEARD)  # nosec B608
_UNSUPPRESS = """
UPDATE suppressions SET removed_at = now(), removed_by = %(by)s, removal_reason = %(why)s
WHERE id IN (
    SELECT s.id FROM suppressions s
    WHERE s.id = ANY(%(ids)s) AND s.workspace_id = %(workspace)s AND s.removed_at IS NULL
        AND (s.expires_at IS NULL OR s.expires_at > now())
        AND {unheard}
    ORDER BY s.email FOR NO KEY UPDATE OF s)
RETURNING id
""".replace("{unheard}", suppression_jobs.UNHEARD)  # nosec B608


def _unsuppress(job: Job) -> Step:
    items = jobs.list_changes(job.undo_of_id, limit=CHUNK, after=job.cursor or 0)
    values = {
        "ids": [item.target_id for item in items],
        "workspace": job.workspace_id,
        "by": job.created_by,
        "why": job.reason,
    }
    removed: list[int] = []
    if items:
        database.execute_sql(_FORGET_BOUNCES, values)
        removed = [row[0] for row in database.execute_sql(_UNSUPPRESS, values).fetchall()]
        jobs.note_targets(job, removed, outcome="removed")
    left = len(items) - len(removed)
    kept = suppression_jobs.count_in_force(values) if left else 0
    reasons = {suppression_jobs.HEARD: kept, REMOVED_ALREADY: left - kept}
    return Step(
        cursor=items[-1].id if items else job.cursor,
        is_done=len(items) < CHUNK,
        done=len(removed),
        skipped=left,
        reasons={why: count for why, count in reasons.items() if count},
    )


def _undo_kind(action: Action) -> str:
    return f"{action.kind}.undo"


for _action in Action:
    _undo = None if _action is Action.CANCEL else _undo_kind(_action)
    jobs.register(
        _action.kind,
        Handler(
            _step_of(_action),
            undo=_undo,
            no_undo="A cancelled message stays cancelled. Resend it to have a copy sent.",
        ),
    )
jobs.register(_undo_kind(Action.RETRY), Handler(_undo_by(verbs.cancelling, Status.QUEUED)))
jobs.register(_undo_kind(Action.HOLD), Handler(_undo_by(verbs.releasing, Status.HELD)))
jobs.register(_undo_kind(Action.RELEASE), Handler(_undo_by(verbs.holding, Status.QUEUED)))
jobs.register(_undo_kind(Action.SUPPRESS), Handler(_unsuppress))

"""Rescuing what a dead worker held, by the marks that it left in Redis (`maild.marks`).

A message without a mark was only claimed: it is queued again, and its attempt not used. One that
was begun, and whose final dot was not written, was certainly not sent. One whose reply was marked
is recorded with it. What remains may have been sent: its outcome is unknown. So is that of all
without a final dot or a reply, where Redis was started anew and may have lost the latest marks.
"""

import contextlib
import dataclasses
import json
import time
import uuid
from collections.abc import Sequence

from maild import config, log, marks, metrics
from maild.db import database
from maild.domain.smtp_reply import Reply, Stage, classify
from maild.domain.states import Stream
from maild.errors import Unavailable
from maild.marks import Found
from maild.services import outcomes, policies, workers
from maild.services.claims import Claim
from maild.services.outcomes import Result
from maild.services.workers import Lease
from maild.transports.smtp import Outcome

logger = log.get(__name__)

BATCH = 500
WAIT_FOR_REDIS_SECONDS = 60
"""How long a dead worker's messages wait for a Redis that is away to tell of them, from when this
process first asked it in vain: after a start of the whole machine Redis may be the last to answer.
"""
FORGOTTEN_AFTER_SECONDS = 5
"""Longer than the answer to a claim can be under way."""

_asked_at: dict[uuid.UUID, float] = {}
"""When Redis was first asked in vain for the marks of a worker, by a clock that only runs on."""

_CLAIMS = """
SELECT m.worker_id, m.id, m.workspace_id, m.attempt_count, m.excused_count, m.path_fault_count,
m.stream, m.from_email, m.to_email, m.subject, m.size_bytes,
extract(epoch FROM greatest(m.created_at, m.scheduled_at))::float8,
extract(epoch FROM m.expires_at - now())::float8,
m.submission_id, m.topic, coalesce((
    SELECT max(version) FROM policies p WHERE p.workspace_id = m.workspace_id), 0),
coalesce(a.id, CASE m.smtp_account_name WHEN 'default' THEN 0 ELSE -1 END), m.smtp_account_name
FROM messages m
LEFT JOIN smtp_accounts a ON a.workspace_id = m.workspace_id AND a.name = m.smtp_account_name
WHERE m.status = 'sending' AND m.worker_id = %s
"""
_DEAD = """
SELECT d.worker_id, coalesce(w.has_marks, false)
FROM (SELECT DISTINCT worker_id FROM messages WHERE status = 'sending') AS d
LEFT JOIN workers w ON w.id = d.worker_id
WHERE w.id IS NULL OR w.seen_at <= now() - %s * interval '1 second'
"""
_HELD = _CLAIMS + "ORDER BY m.id LIMIT %s"
_FORGOTTEN = _CLAIMS + "AND m.updated_at < now() - %s * interval '1 second'"


def rescue(*, drop_marks: bool = True) -> int:
    """Settle everything that dead workers held, and return how many messages that was.

    `drop_marks`: the Redis of the settings is this database's, and may forget them then.
    """
    settings = config.current()
    rescued = 0
    dead = database.execute_sql(_DEAD, (settings.lease_seconds,)).fetchall()
    for gone in _asked_at.keys() - {worker_id for worker_id, _ in dead}:
        _asked_at.pop(gone, None)
    for worker_id, has_marks in dead:
        known: Found | None = None
        if has_marks:
            try:
                known = marks.read(settings.redis_url, worker_id)
            except Unavailable as error:
                if _has_time_left(worker_id):
                    logger.warning("rescue.waits_for_redis", detail=error.detail)
                    continue
            else:
                _asked_at.pop(worker_id, None)
        rescued += _rescue_worker(worker_id, known)
        if drop_marks:
            with contextlib.suppress(Unavailable):  # they end by themselves
                marks.drop(settings.redis_url, worker_id)
    metrics.RESCUED.labels("dead_worker").inc(rescued)
    return rescued


def _has_time_left(worker_id: uuid.UUID) -> bool:
    """Whether Redis, which is away, may still come and tell of this worker."""
    now = time.monotonic()
    return now - _asked_at.setdefault(worker_id, now) < WAIT_FOR_REDIS_SECONDS


def _rescue_worker(worker_id: uuid.UUID, known: Found | None) -> int:
    rescued = 0
    while True:
        # Not locked: whoever settles a message first wins, by the guard of its transition.
        rows = database.execute_sql(_HELD, (worker_id, BATCH)).fetchall()
        outcomes.record([_settle(_claim(row), known) for row in rows])
        rescued += len(rows)
        if len(rows) < BATCH:
            return rescued


def rescue_forgotten(lease: Lease) -> int:
    """Put back what Postgres thinks this worker holds, and the worker does not know of.

    An error between the claim and the outcome leaves such messages: the answer to the claim was
    lost, or the outcome could not be written. Returns how many there were.
    """
    with lease.claiming:
        values = (lease.worker_id, FORGOTTEN_AFTER_SECONDS)
        rows = database.execute_sql(_FORGOTTEN, values).fetchall()
        forgotten = [row for row in rows if row[1] not in lease.held]
    if not forgotten:
        return 0
    known: Found | None = None
    if workers.has_marks(lease.worker_id):
        try:
            known = marks.read(config.current().redis_url, lease.worker_id)
        except Unavailable:
            return 0  # the next sweep asks again
    outcomes.record([_settle(_claim(row), known) for row in forgotten])
    metrics.RESCUED.labels("forgotten").inc(len(forgotten))
    return len(forgotten)


def _claim(row: Sequence[object]) -> Claim:
    *facts, account_id, account_name = row
    policy = policies.known(row[2], row[15])  # type: ignore[arg-type] # workspace and version
    stream = Stream(str(row[6]))
    rules = policy.stream(stream)
    claim = Claim(*facts, rules, account_id, account_name)  # type: ignore[arg-type, call-arg]
    return dataclasses.replace(claim, stream=stream)


def _settle(claim: Claim, known: Found | None) -> Result:
    """What becomes of a message that its worker died with. `known` None: nobody can tell."""
    if known is None:
        text = "The worker died, and the marks that tell whether this message was out are lost."
        return outcomes.decide(claim, outcomes.lost_contact(text), duration_ms=0)
    mark = known.get(marks.field(claim.message_id, claim.attempt_no))
    if (mark is None or mark == marks.BEGUN) and not known.is_whole:
        text = "The worker died, and Redis was started anew: it may have lost the latest marks."
        return outcomes.decide(claim, outcomes.lost_contact(text), duration_ms=0)
    if mark is None or mark == marks.BEGUN:
        return outcomes.interrupted(claim, is_begun=mark is not None)
    if mark == marks.DOT:
        text = (
            "The worker died between the final dot and the reply; the message may have been taken."
        )
        return outcomes.decide(claim, outcomes.lost_contact(text), duration_ms=0)
    try:
        outcome = read_mark(mark)
    except (ValueError, TypeError, AttributeError):  # of another version of maild
        outcome = outcomes.lost_contact(
            f"The worker died, and left a mark that says {mark[:100]!r}."
        )
    return outcomes.decide(claim, outcome, duration_ms=0)


def write_mark(outcome: Outcome) -> str:
    """A reply to the final dot, as a mark."""
    reply = outcome.reply
    assert reply is not None
    return json.dumps([reply.code, reply.enhanced_code, reply.text[:500], outcome.remote])


def read_mark(mark: str) -> Outcome:
    """The outcome that `write_mark` kept."""
    code, enhanced_code, text, remote = json.loads(mark)
    if not isinstance(code, int):
        raise ValueError("not a mark")
    reply = Reply(code, enhanced_code, text)
    if code // 100 == 2:
        return Outcome(
            accepted=True,
            stage=Stage.FINAL_DOT,
            reply=reply,
            error_class=None,
            is_permanent=False,
            is_unknown=False,
            is_stale=False,
            text=f"accepted: {reply}",
            remote=remote,
        )
    verdict = classify(reply, Stage.FINAL_DOT)
    return outcomes.not_offered(
        Stage.FINAL_DOT,
        verdict.error_class,
        str(reply),
        verdict=verdict,
        reply=reply,
        remote=remote,
        is_permanent=verdict.is_permanent,
    )

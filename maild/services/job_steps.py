"""How workers do jobs: take one, do steps of it for a moment, give it back, take the next.

A claim gives the job a lease with an id of its own, by Postgres' clock. Every step is a transaction
that does a chunk, and saves the counts and the cursor where the lease still has that id: a worker
that was too slow, and whose job another has taken meanwhile, changes nothing. One that is killed
leaves its step undone; when its lease is over, another goes on.

Turns are fair: the workspace that has waited longest comes first, and of its jobs the one that has.
"""

import json
import time
from collections import Counter
from collections.abc import Callable

from maild import config, log, metrics
from maild.db import database
from maild.errors import MaildError, Unavailable
from maild.models import Job
from maild.services import jobs
from maild.services.jobs import Step

SLICE_SECONDS = 1.0
"""A worker stays with one job for so long, or for one step."""
FAULT_PAUSE_SECONDS = (1, 5, 15)
"""How long a step that raised waits before each further try; after the last of them it has failed.
"""
REASONS_MAX = 40
OTHER_REASONS = "for other reasons"
"""Beyond so many different reasons, the others are counted as one."""
ERROR_MAX_CHARS = 500

logger = log.get(__name__)


class _LeaseLost(Exception):
    """Another worker has the job by now."""


def drain(should_stop: Callable[[], bool] = lambda: False) -> int:
    """Do all that can be done now; how many slices that was. On `should_stop` the step that is
    under way is the last. Raises what the database raises when it goes away.
    """
    count = 0
    while not should_stop() and (job := claim()) is not None:
        carry_on(job, should_stop)
        count += 1
    return count


_CLAIM = """
WITH next AS (
    SELECT j.id FROM jobs j CROSS JOIN LATERAL (
        SELECT max(stepped_at) AS at FROM jobs own WHERE own.workspace_id = j.workspace_id
    ) AS served
    WHERE j.finished_at IS NULL AND j.due_at <= now() AND coalesce(j.lease_until <= now(), true)
        AND j.kind = ANY(%(kinds)s)
    ORDER BY served.at NULLS FIRST, j.stepped_at NULLS FIRST, j.id
    LIMIT 1
    FOR NO KEY UPDATE OF j SKIP LOCKED
)
UPDATE jobs SET status = 'running', started_at = coalesce(started_at, now()),
    stepped_at = clock_timestamp(), lease_id = gen_random_uuid(),
    running_seconds = running_seconds + CASE WHEN status = 'running'
        THEN extract(epoch FROM clock_timestamp() - stepped_at) ELSE 0 END,
    lease_until = clock_timestamp() + %(seconds)s * interval '1 second',
    fault_count = fault_count + (lease_until IS NOT NULL)::int
FROM next WHERE jobs.id = next.id
RETURNING jobs.*
"""
# A lease that was over, and not given back, is a worker that ended in the middle of a step.


def claim() -> Job | None:
    """The job whose turn it is, with a lease that is ours; None where none is due."""
    values = {"kinds": jobs.list_kinds(), "seconds": config.current().lease_seconds}
    with database.atomic():
        rows = jobs.rows_of(_CLAIM, values)
    return rows[0] if rows else None


def carry_on(job: Job, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Do steps of a claimed job until its slice is over, and give it back."""
    ends_at = time.monotonic() + SLICE_SECONDS
    current: Job | None = job
    if job.cancelled_by is not None:  # its worker died before it could stop
        _end(job, "cancelled", error=None)
        return
    if job.fault_count > len(FAULT_PAUSE_SECONDS):
        _end(job, "failed", error=_died_too_often(job))
        return
    while current is not None and current.lease_id is not None:
        if current is not job and (should_stop() or time.monotonic() > ends_at):
            _give_back(current)
            return
        current = _try_step(current)


def _try_step(job: Job) -> Job | None:
    """The job after one more step; None where it is not ours any more, or must wait."""
    try:
        return take_step(job)
    except _LeaseLost:
        logger.warning("job.lease_lost", workspace_id=job.workspace_id, job_id=job.id)
    except Exception as error:
        logger.warning(
            "job.step_failed",
            workspace_id=job.workspace_id,
            job_id=job.id,
            kind=job.kind,
            fault_count=job.fault_count + 1,
            exc_info=not isinstance(error, MaildError),
        )
        _note_fault(job, error)
    return None


def take_step(job: Job) -> Job:
    """Do one step, all of it or nothing; the job as it is then. Raises what the handler raises."""
    with database.atomic():
        jobs.allow_time()
        step = jobs.handler_of(job.kind).step(job)
        saved = _save(job, step)
        if saved is None:
            raise _LeaseLost
    if saved.lease_id is None:
        _log_end(saved)
    return saved


_SAVE = """
UPDATE jobs SET done_count = done_count + %(done)s, skipped_count = skipped_count + %(skipped)s,
    failed_count = failed_count + %(failed)s, breakdown = %(breakdown)s::jsonb,
    cursor = %(cursor)s::jsonb, total_count = coalesce(%(total)s, total_count),
    error = NULL, fault_count = 0, stepped_at = clock_timestamp(),
    running_seconds = running_seconds + extract(epoch FROM clock_timestamp() - stepped_at),
    status = CASE WHEN %(is_done)s THEN 'done' WHEN cancelled_by IS NULL THEN 'running'
        ELSE 'cancelled' END,
    finished_at = CASE WHEN %(is_done)s OR cancelled_by IS NOT NULL THEN clock_timestamp() END,
    lease_id = CASE WHEN %(is_done)s OR cancelled_by IS NOT NULL THEN NULL ELSE lease_id END,
    lease_until = CASE WHEN %(is_done)s OR cancelled_by IS NOT NULL THEN NULL
        ELSE clock_timestamp() + %(seconds)s * interval '1 second' END
WHERE id = %(id)s AND lease_id = %(lease)s
RETURNING *
"""


def _save(job: Job, step: Step) -> Job | None:
    values = {
        "done": step.done,
        "skipped": step.skipped,
        "failed": step.failed,
        "breakdown": json.dumps(_add_reasons(job.breakdown, step)),
        "cursor": None if step.cursor is None else json.dumps(step.cursor),
        "total": step.total_count,
        "is_done": step.is_done,
        "seconds": config.current().lease_seconds,
        "id": job.id,
        "lease": job.lease_id,
    }
    rows = jobs.rows_of(_SAVE, values)
    return rows[0] if rows else None


def _add_reasons(before: dict[str, int], step: Step) -> dict[str, int]:
    counts = Counter(before)
    for reason, count in step.reasons.items():
        is_known = reason in counts or len(counts) < REASONS_MAX
        counts[reason if is_known else OTHER_REASONS] += count
    return dict(counts)


_GIVE_BACK = """
UPDATE jobs SET lease_id = NULL, lease_until = NULL WHERE id = %(id)s AND lease_id = %(lease)s
"""


def _give_back(job: Job) -> None:
    database.execute_sql(_GIVE_BACK, {"id": job.id, "lease": job.lease_id})


_POSTPONE = """
UPDATE jobs SET lease_id = NULL, lease_until = NULL, fault_count = fault_count + 1,
    error = %(error)s, due_at = CASE WHEN cancelled_by IS NULL
        THEN now() + %(seconds)s * interval '1 second' ELSE now() END
WHERE id = %(id)s AND lease_id = %(lease)s
"""


def _note_fault(job: Job, error: Exception) -> None:
    """Let the job wait for another try of the same step; or fail, where it has had them all."""
    words = explain(error)
    is_for_good = isinstance(error, MaildError) and not isinstance(error, Unavailable)
    if is_for_good or job.fault_count >= len(FAULT_PAUSE_SECONDS):
        _end(job, "failed", error=words)
        return
    seconds = FAULT_PAUSE_SECONDS[job.fault_count]
    values = {"error": words, "seconds": seconds, "id": job.id, "lease": job.lease_id}
    database.execute_sql(_POSTPONE, values)


_END = """
UPDATE jobs SET status = %(status)s, finished_at = now(), lease_id = NULL, lease_until = NULL,
    error = %(error)s
WHERE id = %(id)s AND lease_id = %(lease)s
RETURNING *
"""


def _end(job: Job, status: str, *, error: str | None) -> None:
    values = {"status": status, "error": error, "id": job.id, "lease": job.lease_id}
    for ended in jobs.rows_of(_END, values):
        _log_end(ended)


def explain(error: Exception) -> str:
    """What a page says of a step that raised."""
    if isinstance(error, MaildError):
        return error.detail[:ERROR_MAX_CHARS]
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"Something unexpected happened: {text}"[:ERROR_MAX_CHARS].replace("\0", " ")


def _died_too_often(job: Job) -> str:
    return (
        f"The worker that carried out this step has ended in the middle of it, {job.fault_count}"
        " times in a row. Its log tells why."
    )


def _log_end(job: Job) -> None:
    assert job.finished_at is not None
    metrics.JOBS.labels(job.kind, job.status.value).inc()
    tell = logger.error if job.status.value == "failed" else logger.info
    tell(
        f"job.{job.status.value}",
        workspace_id=job.workspace_id,
        job_id=job.id,
        kind=job.kind,
        done_count=job.done_count,
        skipped_count=job.skipped_count,
        failed_count=job.failed_count,
        seconds=round((job.finished_at - (job.started_at or job.created_at)).total_seconds(), 3),
        error=job.error,
    )

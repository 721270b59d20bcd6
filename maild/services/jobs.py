"""Jobs: work that is too long for a request. A row says what is to be done and how far it has come;
workers do it step by step (`job_steps`, `job_loop`), and a page looks at the row meanwhile.

A kind of job is a Handler, registered under a name by the module that knows the work:

    def _step(job: Job) -> Step:
        after = job.cursor or 0
        rows = ...  # the next chunk after the cursor; none where all is done
        ...  # change them; note what was changed: jobs.note_messages(job, ids, outcome="held")
        return Step(cursor=rows[-1].id, is_done=len(rows) < CHUNK, done=len(rows))

    jobs.register("messages.hold", Handler(_step, undo="messages.hold.undo"))

`_step` is called inside a transaction, which saves its counts and its cursor as well, and commits
only while the worker still has the job: a chunk is done and counted, or neither. So it does a chunk
of a second or so, and neither commits nor dials nor waits. What it raises ends the step without a
trace: it is tried again a few times, and then the job has failed with the words of the error; a
MaildError fails it at once. The work must be found by the cursor alone, never by what an earlier
step has left in memory.

So to add a kind: write the module with its `_step`, call `register` at its end, name the module in
`job_kinds`, and give the kind its words in `web/job_words.py`. What it needs goes into `params`, as
plain JSON; a file goes into `content` and is read with `get_input`. To undo a job is a kind of its
own, whose step reads `list_changes(job.undo_of_id, ...)`: what the job has changed, and nothing
else.

    job = jobs.start(workspace_id, kind="messages.hold", params={...}, reason=reason, by=by)
    # then 303 to url_for("jobs.show", job_id=job.id)
"""

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from peewee import fn

from maild import log, queue
from maild.db import database
from maild.domain import submission
from maild.domain.actor import Actor
from maild.domain.job import JobStatus
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import Job, JobInput, JobItem
from maild.services import audit, workspaces

HINT = "jobs"
"""The hint that wakes whoever takes jobs."""
OPEN_MAX = 20
"""Jobs of a workspace that are not over, at once."""
REASON_MAX_CHARS = 500
STATEMENT_TIMEOUT_MS = 30_000
"""No statement of a step takes longer."""
PRUNED_JOBS = 50
PRUNED_ITEMS = 5_000
"""As much is forgotten in one go."""

logger = log.get(__name__)

_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class Step:
    """What one step came to. The counts are of this step alone, and are added up.

    `cursor` is plain JSON, where the next step begins. `reasons` says why something was skipped or
    failed, in words, and how often. `total_count` replaces the job's where it is known by now.
    """

    cursor: Any
    is_done: bool
    done: int = 0
    skipped: int = 0
    failed: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    total_count: int | None = None


@dataclass(frozen=True, slots=True)
class Handler:
    """How a kind of job is done.

    `undo` is the kind that takes back what a job of this kind has changed; None where nothing can,
    and `no_undo` says why, in a sentence.
    """

    step: Callable[[Job], Step]
    undo: str | None = None
    no_undo: str = "What this job has done cannot be taken back."


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `older` is the id after which the next page begins."""

    jobs: list[Job]
    older: int | None


_handlers: dict[str, Handler] = {}


def register(kind: str, handler: Handler) -> None:
    """Let jobs of this kind be done by `handler`, in this process."""
    _handlers[kind] = handler


def handler_of(kind: str) -> Handler:
    """Raises KeyError for a kind that this version does not know."""
    return _handlers[kind]


def list_kinds() -> list[str]:
    """All kinds that this process knows."""
    return sorted(_handlers)


def start(
    workspace_id: int,
    *,
    kind: str,
    params: Mapping[str, Any],
    by: Actor,
    reason: str | None = None,
    total_count: int | None = None,
    content: bytes | None = None,
    told: Mapping[str, Any] | None = None,
) -> Job:
    """Have something done by a worker, soon. Audited; `told` is what the entry says besides.

    Raises InvalidFields (the reason), NotFound (the workspace), and Conflict where OPEN_MAX jobs of
    the workspace are not over.
    """
    reason = check_reason(reason)
    with database.atomic():
        job = _insert(workspace_id, kind, params, by=by, reason=reason, total_count=total_count)
        if content is not None:
            JobInput.insert(job=job, content=content).execute()
        _audit(job, by, "job.started", reason=reason, **(told or {}))
        queue.enqueue(HINT)
    logger.info("job.started", workspace_id=workspace_id, job_id=job.id, kind=kind, by=by.name)
    return job


def get(workspace_id: int, job_id: int) -> Job:
    """One job, over or not. Raises NotFound, also for another workspace's."""
    job = find(workspace_id, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id} in this workspace.")
    return job


def find(workspace_id: int, job_id: int) -> Job | None:
    """As `get`; None where there is none."""
    row: Job | None = Job.get_or_none(Job.id == job_id, Job.workspace == workspace_id)
    return row


def list_page(workspace_id: int, *, limit: int = 50, older_than: int | None = None) -> Page:
    """The newest jobs, or those before an id."""
    query = Job.select().where(Job.workspace == workspace_id)
    if older_than is not None:
        query = query.where(Job.id < older_than)
    rows = list(query.order_by(Job.id.desc()).limit(limit + 1))
    return Page(rows[:limit], older=rows[limit - 1].id if len(rows) > limit else None)


def list_open(workspace_id: int) -> list[Job]:
    """Those that are not over, oldest first; OPEN_MAX or hardly more."""
    return list(_open(workspace_id).order_by(Job.id).limit(OPEN_MAX))


def get_input(job: Job) -> bytes:
    """The file that a job was given. Raises NotFound."""
    row: JobInput | None = JobInput.get_or_none(JobInput.job == job.id)
    if row is None:
        raise NotFound(f"The job {job.id} was given no file.")
    return bytes(row.content)


def actor_of(job: Job) -> Actor:
    """Whose doing the work is."""
    return Actor(job.created_by)


def cancel(workspace_id: int, job_id: int, *, by: Actor) -> Job:
    """Stop a job: at once, or after the step that is under way. What it has done stays done.

    Raises NotFound, and Conflict where it is over already.
    """
    with database.atomic():
        rows = rows_of(_CANCEL, {"by": by.name, "id": job_id, "workspace": workspace_id})
        if not rows:
            job = get(workspace_id, job_id)
            if job.is_open:  # somebody was quicker, and wants the same
                return job
            raise Conflict(f"The job {job.id} is {job.status.value} already. Nothing was stopped.")
        [job] = rows
        _audit(job, by, "job.cancelled")
    logger.info("job.cancelled", workspace_id=workspace_id, job_id=job.id, by=by.name)
    return job


# A worker that has it sees it when it saves its step.
_CANCEL = """
UPDATE jobs SET cancelled_by = %(by)s,
    status = CASE WHEN lease_until > now() THEN status ELSE 'cancelled' END,
    finished_at = CASE WHEN lease_until > now() THEN NULL ELSE now() END,
    lease_id = CASE WHEN lease_until > now() THEN lease_id END,
    lease_until = CASE WHEN lease_until > now() THEN lease_until END
WHERE id = %(id)s AND workspace_id = %(workspace)s AND finished_at IS NULL AND cancelled_by IS NULL
RETURNING *
"""


def resume(workspace_id: int, job_id: int, *, by: Actor) -> Job:
    """Let a job that has failed or was stopped go on from where it is.

    Raises NotFound, and Conflict where it is open, done, or was undone.
    """
    with database.atomic():
        job = _lock(workspace_id, job_id)
        if why := why_no_resume(job, find_undo(job)):
            raise Conflict(why)
        resumed: Job
        [resumed] = (
            Job.update(
                status=JobStatus.QUEUED,
                finished_at=None,
                error=None,
                fault_count=0,
                cancelled_by=None,
                due_at=fn.now(),
            )
            .where(Job.id == job_id)
            .returning(Job)
            .execute()
        )
        _audit(resumed, by, "job.resumed")
        queue.enqueue(HINT)
    logger.info("job.resumed", workspace_id=workspace_id, job_id=job_id, by=by.name)
    return resumed


def undo(workspace_id: int, job_id: int, *, reason: str, by: Actor) -> Job:
    """Start a job that takes back what this one has changed. Once: it is that job afterwards.

    Raises InvalidFields (the reason), NotFound, and Conflict where it cannot be undone, with why.
    """
    given = check_reason(reason)
    with database.atomic():
        job = _lock(workspace_id, job_id)
        if why := why_no_undo(job, find_undo(job)):
            raise Conflict(why)
        kind = handler_of(job.kind).undo
        assert kind is not None
        undoing = _insert(
            workspace_id,
            kind,
            {},
            by=by,
            reason=given,
            total_count=job.done_count,
            undo_of=job.id,
        )
        _audit(undoing, by, "job.undone", reason=given, undo_of=job.id)
        queue.enqueue(HINT)
    logger.info("job.undone", workspace_id=workspace_id, job_id=job_id, by_job_id=undoing.id)
    return undoing


def find_undo(job: Job) -> Job | None:
    """The job that takes this one back, or has; None where none was started."""
    row: Job | None = Job.get_or_none(Job.undo_of == job.id, Job.workspace == job.workspace_id)
    return row


def why_no_resume(job: Job, undone_by: Job | None) -> str | None:
    """Why a job cannot go on, in a sentence; None where it can."""
    if job.is_open:
        return f"The job {job.id} has not stopped."
    if job.status is JobStatus.DONE:
        return f"The job {job.id} is done: there is nothing left of it."
    if undone_by is not None:
        return f"The job {job.id} has been undone, by job {undone_by.id}. Start a new one instead."
    return None


def why_no_undo(job: Job, undone_by: Job | None) -> str | None:
    """Why a job cannot be undone now, in a sentence; None where it can."""
    if undone_by is not None:
        return f"It has been undone already, by job {undone_by.id}."
    if why := _why_never_undone(job):
        return why
    if job.is_open:
        return "It has not ended yet. Stop it first."
    if not job.done_count:
        return "It has changed nothing."
    return None


def _why_never_undone(job: Job) -> str | None:
    if job.undo_of_id is not None:
        return "It has taken another job back itself. Start that one again instead."
    handler = _handlers.get(job.kind)
    if handler is None:
        return "This version of maild does not know what kind of job it is."
    return None if handler.undo else handler.no_undo


def allow_time() -> None:
    """Let the statements of this step take their time again, after a search that was cut short."""
    database.execute_sql(
        "SELECT set_config('statement_timeout', %s, true)", (str(STATEMENT_TIMEOUT_MS),)
    )


def note_messages(job: Job, message_ids: Iterable[uuid.UUID], *, outcome: str) -> None:
    """Write down which messages this step has changed, in the caller's transaction."""
    rows = sorted(message_ids)
    sql = (
        "INSERT INTO job_items (job_id, message_id, outcome)"
        " SELECT %s, id, %s FROM unnest(%s::uuid[]) AS id"
    )
    database.execute_sql(sql, (job.id, outcome, rows))


def note_targets(job: Job, target_ids: Iterable[int], *, outcome: str) -> None:
    """As `note_messages`, for what has a number: suppressions, provider events."""
    sql = (
        "INSERT INTO job_items (job_id, target_id, outcome)"
        " SELECT %s, id, %s FROM unnest(%s::bigint[]) AS id"
    )
    database.execute_sql(sql, (job.id, outcome, sorted(target_ids)))


def list_changes(job_id: int | None, *, limit: int, after: int = 0) -> list[JobItem]:
    """What a job has changed, in that order, from after an item's id on. Who asks knows that the
    job is of their workspace.
    """
    query = JobItem.select().where(JobItem.job == job_id, JobItem.id > after)
    return list(query.order_by(JobItem.id).limit(limit))


_PRUNE_ITEMS = """
DELETE FROM job_items WHERE id IN (
    SELECT i.id FROM job_items i WHERE i.job_id = ANY(%s) LIMIT %s)
"""
_PRUNE_CHANGES = """
DELETE FROM contact_changes WHERE (job_id, contact_id) IN (
    SELECT c.job_id, c.contact_id FROM contact_changes c WHERE c.job_id = ANY(%s) LIMIT %s)
"""
_PRUNE_JOBS = """
DELETE FROM jobs WHERE id = ANY(%s)
    AND NOT EXISTS (SELECT FROM job_items i WHERE i.job_id = jobs.id)
    AND NOT EXISTS (SELECT FROM contact_changes c WHERE c.job_id = jobs.id)
"""


def prune(workspace_id: int, before: datetime) -> int:
    """Forget some of what ended before that; returns how many jobs and things that they changed. In
    the caller's transaction.
    """
    old = (
        Job.select(Job.id)
        .where(Job.workspace == workspace_id, Job.finished_at < before)
        .order_by(Job.finished_at)
    )
    ids = [row.id for row in old.limit(PRUNED_JOBS)]
    if not ids:
        return 0
    items = database.execute_sql(_PRUNE_ITEMS, (ids, PRUNED_ITEMS)).rowcount
    items += database.execute_sql(_PRUNE_CHANGES, (ids, PRUNED_ITEMS)).rowcount
    return int(items + database.execute_sql(_PRUNE_JOBS, (ids,)).rowcount)


def rows_of(sql: str, values: Mapping[str, Any]) -> list[Job]:
    """The jobs that a statement with named parameters returns."""
    names = _PARAMETER.findall(sql)
    return list(Job.raw(_PARAMETER.sub("%s", sql), *[values[name] for name in names]))


def check_reason(reason: str | None) -> str | None:
    """The reason without blanks around it. Raises InvalidFields."""
    if reason is None:
        return None
    reason = reason.strip()
    problems = list(submission.check_line("reason", reason, max_chars=REASON_MAX_CHARS))
    if not reason:
        problems.append(("reason", "must not be empty"))
    if problems:
        errors = [FieldError(name, message) for name, message in problems]
        raise InvalidFields(summarise(errors), errors=errors)
    return reason


def _insert(
    workspace_id: int,
    kind: str,
    params: Mapping[str, Any],
    *,
    by: Actor,
    reason: str | None,
    total_count: int | None,
    undo_of: int | None = None,
) -> Job:
    handler_of(kind)
    workspaces.require(workspace_id)
    if _open(workspace_id).count() >= OPEN_MAX:
        raise Conflict(
            f"{OPEN_MAX} jobs of this workspace are not over yet. Wait for one of them, or stop"
            " one, and try again."
        )
    [job] = (
        Job.insert(
            workspace=workspace_id,
            kind=kind,
            params=dict(params),
            reason=reason,
            created_by=by.name,
            status=JobStatus.QUEUED,
            total_count=total_count,
            breakdown={},
            undo_of=undo_of,
        )
        .returning(Job)
        .execute()
    )
    return job  # type: ignore[no-any-return]


def _open(workspace_id: int) -> Any:
    return Job.select().where(Job.workspace == workspace_id, Job.finished_at.is_null())


def _lock(workspace_id: int, job_id: int) -> Job:
    """A job, kept from others until the transaction ends. Raises NotFound."""
    query = Job.select().where(Job.id == job_id, Job.workspace == workspace_id)
    job: Job | None = query.for_update("FOR NO KEY UPDATE").first()  # type: ignore[arg-type]
    return get(workspace_id, job_id) if job is None else job


def _audit(job: Job, by: Actor, action: str, *, reason: str | None = None, **told: Any) -> None:
    facts = {"job_id": job.id, "kind": job.kind, "total_count": job.total_count, **told}
    audit.record(
        job.workspace_id,
        by,
        action=action,
        target=f"job {job.id}",
        after={
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in facts.items()
            if value is not None
        },
        reason=reason,
    )

"""Jobs: the list of them, and the page of each, which tells how far it is while it goes on, and
where it is stopped, let go on, or undone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField

from maild import db
from maild.domain import serial_cursor
from maild.domain.role import OPERATORS
from maild.domain.states import Status
from maild.errors import Conflict, Forbidden, InvalidFields, InvalidRequest, NotFound
from maild.models import Job
from maild.services import job_items, job_kinds, jobs, workers
from maild.web import access, job_words, paging, render, toasts
from maild.web.forms import Form, text
from maild.web.job_words import Fate, Target

PAGE_ROWS = 50
ITEM_ROWS = 50
_ID_MAX = 2**31 - 1
_SPEED_AFTER_SECONDS = 1.0
"""Before that nobody can say how fast it is."""
_MOVING = frozenset({Status.QUEUED, Status.SENDING})
"""Messages in these go on by themselves; what is held may be so for days."""

blueprint = Blueprint("jobs", __name__, url_prefix="/ui/jobs")

assert job_kinds.ALL  # importing them registered them


class UndoForm(Form):
    reason = StringField("Reason")


@dataclass(frozen=True, slots=True)
class Pace:
    """Things a second, and how many seconds are left; None where nobody knows."""

    per_second: float | None
    seconds_left: float | None


@blueprint.get("")
@db.connection()
def index() -> Response:
    """All jobs, newest first; its first page looks again while one is going on."""
    older_than = paging.older_than()
    page = jobs.list_page(access.current_workspace_id(), limit=PAGE_ROWS, older_than=older_than)
    is_live = older_than is None and any(job.is_open for job in page.jobs)
    mark = render.digest([_facts(job) for job in page.jobs])
    if is_live and render.has_seen(mark):
        return render.nothing_new()
    return render.page_or_partial(
        "pages/jobs.html",
        "partials/jobs.html",
        jobs=page.jobs,
        older=paging.mark(page.older),
        is_newest=older_than is None,
        is_live=is_live,
        mark=mark,
        words_of=job_words.of,
        badge_of_job=job_words.badge,
        counts_of=job_words.counts,
    )


@blueprint.get("/<int:job_id>")
@db.connection()
def show(job_id: int) -> Response:
    """One job. While it goes on, the page asks for it again; afterwards, more slowly, while some of
    its messages are on their way.
    """
    job = _find(job_id)
    after = _after()
    undone_by = jobs.find_undo(job)
    is_lonely = _is_lonely(job)
    fates = _fates(job)
    mark = render.digest(_facts(job), undone_by and undone_by.id, is_lonely, fates)
    if render.has_seen(mark):
        return render.nothing_new()
    return _page(job, fates=fates, undone_by=undone_by, is_lonely=is_lonely, mark=mark, after=after)


@blueprint.post("/<int:job_id>/cancel")
@access.allow(OPERATORS)
@db.connection()
def cancel(job_id: int) -> BaseResponse:
    """Stop it, after the step that is under way."""
    job = _find_own(job_id)
    try:
        stopped = jobs.cancel(job.workspace_id, job_id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    else:
        done = "It stops after the step that is under way." if stopped.is_open else "Stopped."
        toasts.show(f"{done} What it has done stays done.", kind="ok")
    return _go_to(job_id)


@blueprint.post("/<int:job_id>/resume")
@access.allow(OPERATORS)
@db.connection()
def resume(job_id: int) -> BaseResponse:
    """Let it go on from where it is."""
    job = _find_own(job_id)
    try:
        jobs.resume(job.workspace_id, job_id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    else:
        toasts.show("It goes on from where it was.", kind="ok")
    return _go_to(job_id)


@blueprint.post("/<int:job_id>/undo")
@access.allow(OPERATORS)
@db.connection()
def undo(job_id: int) -> BaseResponse:
    """Have what it has changed taken back, by a job of its own; and go there."""
    job, form = _find_own(job_id), UndoForm()
    try:
        undoing = jobs.undo(
            job.workspace_id, job_id, reason=text(form.reason.data), by=access.actor()
        )
    except InvalidFields as error:
        form.show(error)
        return _page(job, fates=_fates(job), undone_by=jobs.find_undo(job), undo_form=form)
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return _go_to(job_id)
    return _go_to(undoing.id)


def _after() -> int:
    """The item behind which the list of changes begins. Raises InvalidRequest."""
    text_given = request.args.get("after")
    if not text_given:
        return 0
    try:
        return serial_cursor.parse(text_given)
    except ValueError as error:
        raise InvalidRequest(f"after: {error}. Start again from the first page.") from error


def _find(job_id: int) -> Job:
    if job_id > _ID_MAX:
        raise NotFound(f"There is no job {job_id} in this workspace.")
    return jobs.get(access.current_workspace_id(), job_id)


def _find_own(job_id: int) -> Job:
    """Raises Forbidden where its kind is for others to start."""
    job = _find(job_id)
    if access.current_workspace().role not in job_words.of(job).roles:
        raise Forbidden(f"{job_words.of(job).title}: only an admin may do this.")
    return job


def _go_to(job_id: int) -> BaseResponse:
    return render.go_to(url_for("jobs.show", job_id=job_id))


def _page(
    job: Job,
    *,
    fates: Sequence[Fate],
    undone_by: Job | None,
    is_lonely: bool = False,
    mark: str = "",
    after: int = 0,
    undo_form: UndoForm | None = None,
) -> Response:
    words = job_words.of(job)
    changes = job_items.list_page(job, limit=ITEM_ROWS, after=after)
    targets = [item.target_id for item in changes.items if item.target_id is not None]
    emails = (
        job_items.emails_of(job.workspace_id, targets) if words.target is Target.SUPPRESSION else {}
    )
    return render.page_or_partial(
        "pages/job.html",
        "partials/job.html",
        status=422 if undo_form else 200,
        job=job,
        words=words,
        job_badge=job_words.badge(job),
        counts=job_words.counts(job),
        reasons=sorted(job.breakdown.items(), key=lambda pair: (-pair[1], pair[0])),
        pace=_pace(job),
        fates=fates,
        counted_max=job_items.COUNTED_MAX,
        is_moving=any(fate.status in _MOVING for fate in fates),
        about=job.params.get("words"),
        undone_by=undone_by,
        no_undo=jobs.why_no_undo(job, undone_by),
        can_resume=jobs.why_no_resume(job, undone_by) is None,
        is_lonely=is_lonely,
        mark=mark,
        changes=changes,
        emails=emails,
        next=paging.mark(changes.next),
        after=paging.mark(after) if after else None,
        undo_form=undo_form or UndoForm(formdata=None),
        is_undoing=undo_form is not None,
        reason_max_chars=jobs.REASON_MAX_CHARS,
        lock=_lock(job),
        has_ended_since=render.wants_partial() and "open" in request.args and not job.is_open,
    )


def _lock(job: Job) -> str | None:
    """Why this person may not touch it; None where they may."""
    if access.current_workspace().role in job_words.of(job).roles:
        return None
    if access.current_workspace().role in OPERATORS:
        return access.ADMIN_NEEDED
    return access.OPERATOR_NEEDED


def _facts(job: Job) -> tuple[object, ...]:
    """What a page shows of it that may change."""
    return (
        job.id,
        job.status,
        job.total_count,
        job.handled_count,
        job.error,
        job.cancelled_by,
        job.started_at,
    )


def _fates(job: Job) -> list[Fate]:
    """What has become of the messages that it has moved; none while it still moves some."""
    if job.is_open or not job.done_count or job_words.of(job).leads_to is None:
        return []
    return job_words.fates(job, job_items.count_by_status(job))


def _pace(job: Job) -> Pace:
    if job.handled_count == 0 or job.running_seconds < _SPEED_AFTER_SECONDS:
        return Pace(None, None)
    per_second = job.handled_count / job.running_seconds
    if not job.is_open or job.total_count is None:
        return Pace(per_second, None)
    return Pace(per_second, max(job.total_count - job.handled_count, 0) / per_second)


def _is_lonely(job: Job) -> bool:
    """Whether it waits, and there is no worker to take it."""
    return job.is_open and not workers.list_alive()

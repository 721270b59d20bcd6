"""Files of contacts: sending one, saying what its columns are and what is done with its rows,
looking at what that comes to, importing it, and taking that back. The work itself is a job.
"""

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain import contact_layout
from maild.domain.contact_layout import USES, Layout
from maild.domain.role import OPERATORS, READERS
from maild.domain.text_encoding import ENCODINGS
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Audience, Job
from maild.services import (
    audiences,
    contact_files,
    contact_import_jobs,
    contact_imports,
    contact_rejections,
    jobs,
)
from maild.services.contact_imports import Stand
from maild.web import access, contact_import_forms, render, throttle, toasts
from maild.web.contact_import_forms import DELIMITER_WORDS, KIND_WORDS, USE_WORDS
from maild.web.suppressions import csv_file

_FORM_MAX_BYTES = 64 * 1024
"""Beside the file itself."""
_BLOCK_BYTES = 256 * 1024
_NO_FILE = "Choose a file, or drop one here."
_REJECTED_SHOWN = 10

# Each reads a whole file, which keeps a processor busy for some seconds.
_readings = throttle.limiter.shared_limit(
    "30 per minute", scope="files", key_func=lambda: str(access.visitor().id), methods=["POST"]
)

blueprint = Blueprint("contact_imports", __name__, url_prefix="/ui/audience/imports")


@blueprint.get("")
@access.allow(READERS)
@db.connection()
def index() -> BaseResponse:
    """The form for a file, and those that came before."""
    return _upload_page()


@blueprint.post("")
@access.allow(OPERATORS)
@access.takes_file(contact_files.MAX_BYTES + _FORM_MAX_BYTES)
@_readings
@db.connection()
def receive() -> BaseResponse:
    """Take a file in, and go on to what is in it. Nothing is imported yet."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return _upload_page(problem=_NO_FILE)
    try:
        row = contact_files.receive(
            access.current_workspace_id(),
            iter(lambda: file.stream.read(_BLOCK_BYTES), b""),
            name=re.split(r"[/\\]", file.filename)[-1],
            by=access.actor(),
        )
    except InvalidFields as error:
        said = " ".join(one.message for one in error.errors)
        return _upload_page(problem=f"“{file.filename}” {said}.")
    except Conflict as error:
        return _upload_page(problem=error.detail, status=409)
    return _to(row.id)


@blueprint.get("/<int:file_id>")
@db.connection()
def show(file_id: int) -> BaseResponse:
    """What is in a file, what an import would come to, and how far it is."""
    return _file_page(contact_imports.get(access.current_workspace_id(), file_id))


@blueprint.post("/<int:file_id>")
@access.allow(OPERATORS)
@_readings
@db.connection()
def configure(file_id: int) -> BaseResponse:
    """Say what its columns are and what is done with its rows, and have that looked at."""
    workspace_id = access.current_workspace_id()
    stand = contact_imports.get(workspace_id, file_id)
    typed = contact_import_forms.read(stand.file)
    try:
        layout, options = contact_import_forms.parse(stand.file, typed)
        contact_imports.configure(
            workspace_id, file_id, layout=layout, options=options, by=access.actor()
        )
    except InvalidFields as error:
        errors = {one.field: one.message for one in reversed(error.errors)}
        return _file_page(stand, typed=typed, errors=errors)
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    return _to(file_id)


@blueprint.post("/<int:file_id>/read")
@access.allow(OPERATORS)
@_readings
@db.connection()
def reread(file_id: int) -> BaseResponse:
    """Take it to be in another encoding, or to have another delimiter."""
    try:
        contact_imports.reread(
            access.current_workspace_id(),
            file_id,
            encoding=request.form.get("encoding", ""),
            delimiter=contact_import_forms.DELIMITERS.get(request.form.get("delimiter", ""), ""),
            by=access.actor(),
        )
    except (Conflict, InvalidFields) as error:
        toasts.show(error.detail, kind="bad")
    return _to(file_id)


@blueprint.post("/<int:file_id>/start")
@access.allow(OPERATORS)
@_readings
@db.connection()
def start(file_id: int) -> BaseResponse:
    """Start the import that was looked at. Pressed twice, it starts once."""
    seen = request.form.get("check_job_id", "")
    try:
        contact_imports.start(
            access.current_workspace_id(),
            file_id,
            check_job_id=int(seen) if re.fullmatch(r"[0-9]{1,9}", seen) else -1,
            by=access.actor(),
        )
    except (Conflict, InvalidFields) as error:
        toasts.show(error.detail, kind="bad")
    return _to(file_id)


@blueprint.post("/<int:file_id>/undo")
@access.allow(OPERATORS)
@db.connection()
def undo(file_id: int) -> BaseResponse:
    """Have the import taken back."""
    workspace_id = access.current_workspace_id()
    reason = request.form.get("reason", "")
    try:
        contact_imports.undo(workspace_id, file_id, reason=reason, by=access.actor())
    except InvalidFields as error:
        errors = {one.field: one.message for one in error.errors}
        return _file_page(contact_imports.get(workspace_id, file_id), reason=reason, errors=errors)
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    return _to(file_id)


@blueprint.get("/<int:file_id>/rejected.csv")
def rejected(file_id: int) -> BaseResponse:
    """The rows that are refused, as a file: to be mended there, and sent again."""
    return csv_file(
        contact_rejections.write(access.current_workspace_id(), file_id), "rejected.csv"
    )


def _upload_page(*, problem: str = "", status: int = 422) -> BaseResponse:
    rows = contact_files.list_newest(access.current_workspace_id())
    return render.page(
        "pages/contact_imports.html",
        status=status if problem else 200,
        problem=problem,
        stands=contact_imports.look_up(rows),
        rows_max=contact_import_jobs.ROWS_MAX,
        megabytes_max=contact_files.MAX_BYTES // 1024 // 1024,
        kept_days=contact_files.KEPT_DAYS,
    )


def _file_page(
    stand: Stand,
    *,
    typed: Mapping[str, Any] | None = None,
    reason: str = "",
    errors: Mapping[str, str] | None = None,
) -> BaseResponse:
    row = stand.file
    jobs_of_it = (stand.check, stand.imported, stand.undo)
    mark = render.digest(row.foreseen, *(_shown(job) for job in jobs_of_it))
    if render.has_seen(mark):
        return render.nothing_new()
    live: dict[str, Any] = {
        "stand": stand,
        "row": row,
        "mark": mark,
        "reason_words": [(one.value, word) for one, word in contact_import_jobs.WORDS.items()],
        "no_undo": contact_imports.why_no_undo(stand) if row.import_job_id else None,
        "rejections": (
            contact_rejections.list_first(row, limit=_REJECTED_SHOWN)
            if stand.foreseen or row.import_job_id
            else []
        ),
        "importable": contact_imports.importable(stand.foreseen or {}),
        "reason": reason,
        "errors": errors or {},
        "reason_max_chars": jobs.REASON_MAX_CHARS,
        "kept_days": contact_files.KEPT_DAYS,
        "joined": _joined(stand),
    }
    if render.wants_partial():
        return render.page("partials/contact_import.html", **live)
    return render.page(
        "pages/contact_import.html",
        status=422 if errors else 200,
        **live,
        **_of_columns(stand, typed),
        same=None if row.import_job_id else contact_files.find_same(row),
    )


def _joined(stand: Stand) -> Audience | None:
    """The list that its rows joined, as long as that is there."""
    audience_id = stand.imported.params.get("audience_id") if stand.imported else None
    if audience_id is None:
        return None
    try:
        return audiences.get(stand.file.workspace_id, audience_id)
    except NotFound:
        return None


def _of_columns(stand: Stand, typed: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the form for the columns shows; once it is imported, there is none."""
    row = stand.file
    if row.import_job_id is not None:
        return {}
    layout: Layout = contact_layout.parse(row.layout)
    names, sample = contact_files.sample(row)
    return {
        "layout": layout,
        "names": names,
        "sample": sample,
        "values": typed or contact_import_forms.values_of(row),
        "lists": audiences.list_names(row.workspace_id),
        "use_choices": [(use, USE_WORDS[use]) for use in USES],
        "kind_choices": list(KIND_WORDS.items()),
        "encodings": list(ENCODINGS.items()),
        "delimiters": list(DELIMITER_WORDS.items()),
        "delimiter": contact_import_forms.name_of_delimiter(layout.delimiter),
    }


def _shown(job: Job | None) -> tuple[object, ...] | None:
    return (
        None if job is None else (job.id, job.status, job.handled_count, job.total_count, job.error)
    )


def _to(file_id: int) -> BaseResponse:
    return redirect(url_for("contact_imports.show", file_id=file_id), 303)

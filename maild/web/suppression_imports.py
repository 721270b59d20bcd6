"""Files of suppressions: sending one, saying what its columns are, looking at what an import would
do, starting it, and what it has come to. The work itself is a job.
"""

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import ADMINS, READERS
from maild.domain.suppression import SuppressionClass
from maild.domain.suppression_layout import COLUMNS
from maild.errors import Conflict, InvalidFields
from maild.models import Job, SuppressionFile
from maild.services import (
    jobs,
    suppression_files,
    suppression_imports,
    suppression_jobs,
    suppressions,
)
from maild.web import access, provenance, render, throttle, toasts
from maild.web.suppressions import csv_file

_FORM_MAX_BYTES = 64 * 1024
"""Beside the file itself."""
_NO_FILE = "Choose a file, or drop one here."

COLUMN_WORDS: Mapping[str, str] = {
    "email": "the address",
    "reason": "the reason",
    "class": "the kind (hard_bounce, soft_bounce, complaint, manual)",
    "stream": "what it stops (transactional, marketing, all)",
    "expires_at": "when it ends",
}

# Each reads a whole file, which keeps a processor busy for some seconds.
_readings = throttle.limiter.shared_limit(
    "30 per minute", scope="files", key_func=lambda: str(access.visitor().id), methods=["POST"]
)

blueprint = Blueprint("suppression_imports", __name__, url_prefix="/ui/suppressions/import")


@blueprint.get("")
@access.allow(READERS)
@db.connection()
def new() -> BaseResponse:
    """The form for a file, and those that came before."""
    return _upload_page()


@blueprint.post("")
@access.allow(ADMINS)
@access.takes_file(suppression_files.MAX_BYTES + _FORM_MAX_BYTES)
@_readings
@db.connection()
def receive() -> BaseResponse:
    """Take a file in, and go on to what is in it. Nothing is suppressed yet."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return _upload_page(problem=_NO_FILE)
    try:
        row = suppression_files.receive(
            access.current_workspace_id(),
            file.read(),
            name=re.split(r"[/\\]", file.filename)[-1],
            by=access.actor(),
        )
    except InvalidFields as error:
        said = " ".join(one.message for one in error.errors)
        return _upload_page(problem=f"“{file.filename}” {said}.")
    return _to(row)


@blueprint.get("/<int:file_id>")
@db.connection()
def show(file_id: int) -> BaseResponse:
    """What is in a file, and what an import would do, or how far it has come."""
    row = suppression_files.get_without_content(access.current_workspace_id(), file_id)
    return _file_page(row)


@blueprint.post("/<int:file_id>")
@access.allow(ADMINS)
@_readings
@db.connection()
def configure(file_id: int) -> BaseResponse:
    """Say what its columns are, and look at it again."""
    workspace_id = access.current_workspace_id()
    row = suppression_files.get_without_content(workspace_id, file_id)
    count = len(row.layout["columns"])
    typed: dict[str, Any] = {
        "columns": [request.form.get(f"column-{place}", "") for place in range(count)],
        "has_header": request.form.get("has_header") == "yes",
        "default_reason": request.form.get("default_reason", "").strip(),
        "class_": request.form.get("class", ""),
    }
    try:
        suppression_files.configure(workspace_id, file_id, **typed)
    except InvalidFields as error:
        return _file_page(row, typed=typed, errors={e.field: e.message for e in error.errors})
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    return _to(row)


@blueprint.post("/<int:file_id>/start")
@access.allow(ADMINS)
@_readings
@db.connection()
def start(file_id: int) -> BaseResponse:
    """Start the import. Pressed twice, it starts once."""
    workspace_id = access.current_workspace_id()
    row = suppression_files.get_without_content(workspace_id, file_id)
    try:
        suppression_jobs.start(workspace_id, file_id, by=access.actor())
    except (Conflict, InvalidFields) as error:
        toasts.show(error.detail, kind="bad")
    return _to(row)


@blueprint.get("/<int:file_id>/rejected.csv")
def rejected(file_id: int) -> BaseResponse:
    """The lines that are refused, as a file: to be mended there, and sent again."""
    lines = suppression_files.write_rejected(access.current_workspace_id(), file_id)
    return csv_file(lines, "rejected.csv")


def _upload_page(*, problem: str = "") -> BaseResponse:
    return render.page(
        "pages/suppression_import.html",
        status=422 if problem else 200,
        problem=problem,
        files=[
            (row, suppression_files.outlook_of(row))
            for row in suppression_files.list_newest(access.current_workspace_id())
        ],
        columns=COLUMN_WORDS,
        classes=list(SuppressionClass),
        lines_max=suppression_imports.ROWS_MAX,
        megabytes_max=suppression_files.MAX_BYTES // 1024 // 1024,
        kept_days=suppression_files.KEPT_DAYS,
    )


def _file_page(
    row: SuppressionFile,
    *,
    typed: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
) -> BaseResponse:
    job = None if row.job_id is None else jobs.find(row.workspace_id, row.job_id)
    undone_by = None if job is None else jobs.find_undo(job)
    mark = render.digest(row.job_id, job and _shown(job))
    if render.has_seen(mark):
        return render.nothing_new()
    if render.wants_partial():
        return render.page(
            "partials/suppression_job.html",
            row=row,
            job=job,
            undone_by=undone_by,
            mark=mark,
            **_counts(row),
        )
    # Once it is imported, the page has no columns to choose.
    names, sample = ([], []) if row.job_id else suppression_files.sample(row)
    values = {
        "columns": row.layout["columns"],
        "has_header": row.layout["has_header"],
        "default_reason": row.default_reason,
        "class_": row.class_.value,
    }
    return render.page(
        "pages/suppression_file.html",
        status=422 if errors else 200,
        row=row,
        job=job,
        undone_by=undone_by,
        mark=mark,
        names=names,
        sample=sample,
        values=typed or values,
        errors=errors or {},
        column_choices=[(column, COLUMN_WORDS[column]) for column in COLUMNS],
        class_choices=[(one.value, badge.word) for one, badge in provenance.CLASSES.items()],
        reason_max_chars=suppressions.REASON_MAX_CHARS,
        kept_days=suppression_files.KEPT_DAYS,
        **_counts(row),
    )


def _counts(row: SuppressionFile) -> dict[str, Any]:
    return {
        "outlook": suppression_files.outlook_of(row),
        "extended_words": suppression_jobs.EXTENDED,
    }


def _shown(job: Job) -> tuple[object, ...]:
    return job.status, job.handled_count, job.total_count, job.error


def _to(row: SuppressionFile) -> BaseResponse:
    return redirect(url_for("suppression_imports.show", file_id=row.id), 303)

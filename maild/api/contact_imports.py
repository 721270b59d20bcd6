"""/v1/contacts/imports: contacts from files, looked at first, and taken back as a whole."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from flask import Response

from maild import db
from maild.api import schemas
from maild.api.auth import OPERATORS, READERS, Caller
from maild.api.endpoint import File, endpoint
from maild.domain import contact_layout
from maild.domain.contact_layout import Column, Layout
from maild.errors import Conflict, InvalidFields
from maild.models import ContactFile, Job
from maild.services import (
    contact_files,
    contact_import_rows,
    contact_imports,
    contact_rejections,
)
from maild.services.contact_import_rows import Options, Reason
from maild.services.contact_imports import Stand

_COUNTS = ("rows", "new", "updated", "unchanged", "duplicate", "rejected")


@endpoint(
    "POST",
    "/v1/contacts/imports",
    summary="Send a CSV file of contacts; nothing is imported yet",
    allow=OPERATORS,
    body=File("text/csv", contact_files.MAX_BYTES),
    query=schemas.ImportFileQuery,
    answer=schemas.ImportDetails,
    status=201,
    connects=False,  # a long file keeps no connection while it comes
    raises=(Conflict, InvalidFields),
)
def send_contact_file(
    caller: Caller, query: schemas.ImportFileQuery, blocks: Iterator[bytes]
) -> schemas.ImportDetails:
    """The body is the file, up to 256 MB and 1,000,000 rows, in UTF-8, UTF-16 or as Windows writes
    it, with commas, semicolons, tabs or bars. The answer says what its columns most likely are.
    Then `configure`, and `start`.
    """
    row = contact_files.receive(
        caller.workspace_id(query.workspace_id),
        blocks,
        name=query.name or "a file",
        by=caller.actor,
    )
    with db.connection():
        return _details(contact_imports.get(row.workspace_id, row.id))


@endpoint(
    "GET",
    "/v1/contacts/imports",
    summary="The files of contacts of the last days, newest first",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.ImportPage,
)
def list_contact_imports(caller: Caller, query: schemas.WorkspaceQuery) -> schemas.ImportPage:
    """20 at most: files are kept for a week."""
    workspace_id = caller.workspace_id(query.workspace_id)
    stands = contact_imports.look_up(contact_files.list_newest(workspace_id))
    return schemas.ImportPage(
        workspace_id=workspace_id,
        count=len(stands),
        imports=[schemas.ImportOut(**_fields(stand)) for stand in stands],
    )


@endpoint(
    "GET",
    "/v1/contacts/imports/<import_id>",
    summary="One file: its layout, what an import would do, and how far it is",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.ImportDetails,
)
def get_contact_import(
    caller: Caller, query: schemas.WorkspaceQuery, import_id: str
) -> schemas.ImportDetails:
    """Ask again until `check` or `job` is `done`."""
    workspace_id = caller.workspace_id(query.workspace_id)
    return _details(contact_imports.get(workspace_id, _id(import_id)))


@endpoint(
    "POST",
    "/v1/contacts/imports/configure",
    summary="Say what the columns are and what is done with the rows, and have it looked at",
    allow=OPERATORS,
    body=schemas.ImportConfigure,
    answer=schemas.ImportDetails,
    raises=(Conflict,),
)
def configure_contact_import(
    caller: Caller, body: schemas.ImportConfigure
) -> schemas.ImportDetails:
    """Starts a dry run over the whole file, the job `check`, which changes nothing. What it finds
    is `foreseen`.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    row = contact_files.get(workspace_id, body.id)
    stand = contact_imports.configure(
        workspace_id,
        body.id,
        layout=_layout(row, body),
        options=_options(body),
        by=caller.actor,
    )
    return _details(stand)


@endpoint(
    "POST",
    "/v1/contacts/imports/start",
    summary="Import a file as it was looked at",
    allow=OPERATORS,
    body=schemas.ImportStart,
    answer=schemas.ImportDetails,
    raises=(Conflict,),
)
def start_contact_import(caller: Caller, body: schemas.ImportStart) -> schemas.ImportDetails:
    """Who is suppressed or has unsubscribed is not imported, and stays so. Sent twice, it starts
    once: then it is a conflict.
    """
    stand = contact_imports.start(
        caller.workspace_id(body.workspace_id),
        body.id,
        check_job_id=body.check_job_id,
        by=caller.actor,
    )
    return _details(stand)


@endpoint(
    "POST",
    "/v1/contacts/imports/undo",
    summary="Take an import back, as far as nobody has changed its contacts since",
    allow=OPERATORS,
    body=schemas.ImportUndo,
    answer=schemas.ImportDetails,
    raises=(Conflict,),
)
def undo_contact_import(caller: Caller, body: schemas.ImportUndo) -> schemas.ImportDetails:
    """Contacts that it made are deleted, those that it changed are as they were, and who joined the
    list leaves it.
    """
    stand = contact_imports.undo(
        caller.workspace_id(body.workspace_id), body.id, reason=body.reason, by=caller.actor
    )
    return _details(stand)


@endpoint(
    "GET",
    "/v1/contacts/imports/<import_id>/rejected",
    summary="The rows of a file that were refused, with why, as a CSV file",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer="text/csv",
    connects=False,  # it reads portion by portion, long after the view has answered
)
def export_rejected_contacts(
    caller: Caller, query: schemas.WorkspaceQuery, import_id: str
) -> Response:
    """Line, reason, a sentence, and the cells as they were: mend them, and send them again."""
    lines = contact_rejections.write(caller.workspace_id(query.workspace_id), _id(import_id))
    response = Response(lines, content_type="text/csv; charset=utf-8; header=present")
    response.headers["Content-Disposition"] = 'attachment; filename="rejected.csv"'
    return response


def _id(text: str) -> int:
    """No file has a number that is too large for the column."""
    return min(int(text), 2**31 - 1)


def _layout(row: ContactFile, body: schemas.ImportConfigure) -> Layout:
    before = contact_layout.parse(row.layout)
    encoding = body.encoding or before.encoding
    delimiter = body.delimiter or before.delimiter
    layout = before
    if (encoding, delimiter) != (before.encoding, before.delimiter):
        layout = contact_files.guess(row, encoding=encoding, delimiter=delimiter)
    if body.has_header is not None:
        layout = replace(layout, has_header=body.has_header)
    if body.columns is not None:
        columns = tuple(Column(one.use, one.name, one.kind) for one in body.columns)
        layout = replace(layout, columns=columns)
    return layout


def _options(body: schemas.ImportConfigure) -> Options:
    consent = body.consent
    return Options(
        audience_id=body.audience_id,
        audience_name=body.audience_name,
        topics=tuple(body.topics),
        consent_at=consent.at if consent else None,
        consent_source=consent.source if consent else None,
        consent_proof=consent.proof if consent else None,
        updates=body.update_known,
        leaves_out_roles=body.leave_out_roles,
        leaves_out_disposable=body.leave_out_disposable,
    )


def _details(stand: Stand) -> schemas.ImportDetails:
    names, sample = contact_files.sample(stand.file)
    return schemas.ImportDetails(**_fields(stand, names), sample=sample)


def _fields(stand: Stand, names: list[str] | None = None) -> dict[str, Any]:
    row = stand.file
    layout = contact_layout.parse(row.layout)
    options = contact_import_rows.parse_options(row.options)
    return {
        "id": row.id,
        "workspace_id": row.workspace_id,
        "name": row.name,
        "size_bytes": row.size_bytes,
        "line_count": row.line_count,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "encoding": layout.encoding,
        "delimiter": layout.delimiter,
        "has_header": layout.has_header,
        "columns": [
            schemas.ImportColumnOut(
                use=column.use,  # type: ignore[arg-type] # one of USES
                name=column.name,
                kind=column.kind,
                header=names[place] if names else None,
            )
            for place, column in enumerate(layout.columns)
        ],
        "options": schemas.ImportOptions(
            audience_id=options.audience_id,
            audience_name=options.audience_name,
            topics=list(options.topics),
            consent_at=options.consent_at,
            consent_source=options.consent_source,
            consent_proof=options.consent_proof,
            update_known=options.updates,
            leave_out_roles=options.leaves_out_roles,
            leave_out_disposable=options.leaves_out_disposable,
        ),
        "check": _job(stand.check),
        "foreseen": _counts(stand.foreseen),
        "job": _job(stand.imported),
        "counts": _counts(stand.counts),
        "joined": (stand.counts or {}).get("joined", 0),
        "undo": _job(stand.undo),
    }


def _job(job: Job | None) -> schemas.ImportJob | None:
    if job is None:
        return None
    return schemas.ImportJob(
        id=job.id,
        status=job.status,
        handled_count=job.handled_count,
        total_count=job.total_count,
        error=job.error,
    )


def _counts(counts: Mapping[str, int] | None) -> schemas.ImportCounts | None:
    if counts is None:
        return None
    return schemas.ImportCounts(
        **{name: counts.get(name, 0) for name in _COUNTS},
        reasons={reason.value: counts[reason] for reason in Reason if counts.get(reason)},
    )

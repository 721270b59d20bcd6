"""Importing contacts: saying what the columns of a file are and what is done with its rows, looking
at what that would come to, starting it, and taking it back. The work is done by the jobs of
`contact_import_jobs`, the file is kept by `contact_files`.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from maild import clock
from maild.db import database
from maild.domain import contact_cells, contact_layout, submission
from maild.domain.actor import Actor
from maild.domain.contact import ATTRIBUTES_MAX, CONSENT_MAX_CHARS, TOPICS_MAX
from maild.domain.contact_layout import CONSENT_AT, Layout
from maild.domain.csv_table import DELIMITERS
from maild.domain.job import JobStatus
from maild.domain.submission import Complaint
from maild.domain.suppression import normalise_topic
from maild.domain.text_encoding import ENCODINGS
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import ContactFile, Job
from maild.services import (
    audiences,
    contact_attributes,
    contact_files,
    contact_import_jobs,
    contact_import_rows,
    jobs,
    workspaces,
)
from maild.services.contact_import_rows import Options

NOT_LOOKED_AT = "Nobody has looked yet at what an import of this file would do: configure it first."


@dataclass(frozen=True, slots=True)
class Stand:
    """A file, and the jobs that have to do with it, as far as they are known still: the one that
    looks at it or has, the one that imports it, and the one that takes that back.
    """

    file: ContactFile
    check: Job | None = None
    imported: Job | None = None
    undo: Job | None = None

    @property
    def foreseen(self) -> Mapping[str, int] | None:
        """What an import would come to, in counts; None where nobody has looked to the end."""
        return self.file.foreseen["counts"] if self.file.foreseen else None

    @property
    def counts(self) -> Mapping[str, int] | None:
        """What the import has come to until now; None where it has not begun, or is forgotten."""
        if self.imported is None or not self.imported.cursor:
            return None
        counts: Mapping[str, int] = self.imported.cursor["counts"]
        return counts

    @property
    def can_start(self) -> bool:
        return self.file.import_job_id is None and importable(self.foreseen or {}) > 0


def importable(counts: Mapping[str, int]) -> int:
    """The contacts that an import is about: those that are made, change, or join a list."""
    return sum(counts.get(name, 0) for name in ("new", "updated", "unchanged"))


def look_up(rows: Sequence[ContactFile]) -> list[Stand]:
    """How these files of one workspace stand."""
    ids = {one for row in rows for one in (row.check_job_id, row.import_job_id) if one}
    if not ids:
        return [Stand(row) for row in rows]
    query = Job.select().where(
        Job.workspace == rows[0].workspace_id, (Job.id << ids) | (Job.undo_of << ids)
    )
    found: dict[int | None, Job] = {}
    undone: dict[int | None, Job] = {}
    for job in query:
        found[job.id] = job
        if job.undo_of_id is not None:
            undone[job.undo_of_id] = job
    return [
        Stand(
            row,
            check=found.get(row.check_job_id),
            imported=found.get(row.import_job_id),
            undo=undone.get(row.import_job_id) if row.import_job_id else None,
        )
        for row in rows
    ]


def get(workspace_id: int, file_id: int) -> Stand:
    """Raises NotFound, also for another workspace's file."""
    [stand] = look_up([contact_files.get(workspace_id, file_id)])
    return stand


def configure(
    workspace_id: int, file_id: int, *, layout: Layout, options: Options, by: Actor
) -> Stand:
    """Say what the columns are and what is done with the rows, and have somebody look at what that
    comes to, soon. An earlier look that is under way is stopped. Changes no contact.

    Raises InvalidFields, NotFound, and Conflict where the import was started already.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = contact_files.lock(workspace_id, file_id)
        if row.import_job_id is not None:
            raise Conflict(_started(row))
        options = _clean(options)
        problems = [
            *_check_layout(row, layout),
            *_check_options(workspace_id, layout, options),
        ]
        if problems:
            errors = [FieldError(name, message) for name, message in problems]
            raise InvalidFields(summarise(errors), errors=errors)
        _stop_looking(row, by=by)
        job = jobs.start(
            workspace_id,
            kind=contact_import_jobs.CHECK,
            params={"file_id": row.id, "name": row.name},
            total_count=max(row.line_count - layout.has_header, 1),
            told={"file": row.name},
            by=by,
        )
        ContactFile.update(
            layout=layout.as_json(),
            options=options.as_json(),
            foreseen=None,
            check_job_id=job.id,
        ).where(ContactFile.id == row.id).execute()
    return get(workspace_id, file_id)


def reread(
    workspace_id: int, file_id: int, *, encoding: str, delimiter: str, by: Actor
) -> ContactFile:
    """Take a file to be in another encoding, or to have another delimiter: what its columns are is
    guessed anew. Raises InvalidFields, NotFound, and Conflict where its import was started already.
    """
    with database.atomic():
        row = contact_files.lock(workspace_id, file_id)
        if row.import_job_id is not None:
            raise Conflict(_started(row))
        if encoding not in ENCODINGS or delimiter not in DELIMITERS:
            text = "must be ones that the page offers"
            raise InvalidFields(f"encoding and delimiter {text}")
        _stop_looking(row, by=by)
        layout = contact_files.guess(row, encoding=encoding, delimiter=delimiter)
        ContactFile.update(layout=layout.as_json(), foreseen=None, check_job_id=None).where(
            ContactFile.id == row.id
        ).execute()
    return contact_files.get(workspace_id, file_id)


def start(workspace_id: int, file_id: int, *, check_job_id: int | None = None, by: Actor) -> Stand:
    """Import a file as it was looked at, soon. `check_job_id` is the look that somebody has seen;
    None: the latest. What its columns need is declared, and a new list made.

    Raises NotFound, InvalidFields (no row of it can be imported), and Conflict where that was
    started already, nobody has looked, or somebody has changed since what its columns are.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = contact_files.lock(workspace_id, file_id)
        if row.import_job_id is not None:
            raise Conflict(_started(row))
        if check_job_id is not None and check_job_id != row.check_job_id:
            raise Conflict("Somebody has changed since what its columns are. Look at it again.")
        if not row.foreseen:
            raise Conflict(NOT_LOOKED_AT)
        if not importable(row.foreseen["counts"]):
            raise InvalidFields("No row of the file can be imported: see why.")
        layout = contact_layout.parse(row.layout)
        kinds = contact_attributes.find_kinds(workspace_id)
        for name, problem in contact_layout.check(layout, kinds):
            raise Conflict(f"The attributes have changed since. {name}: {problem}.")
        new = {name: kind for name, kind in layout.attributes.items() if name not in kinds}
        contact_attributes.declare_new(workspace_id, new, by=by)
        options = _with_audience(workspace_id, contact_import_rows.parse_options(row.options), by)
        job = jobs.start(
            workspace_id,
            kind=contact_import_jobs.IMPORT,
            params={"file_id": row.id, "name": row.name, "audience_id": options.audience_id},
            total_count=row.foreseen["counts"]["rows"],
            told={
                "file": row.name,
                "audience_id": options.audience_id,
                "new_attributes": sorted(new),
            },
            by=by,
        )
        ContactFile.update(options=options.as_json(), import_job_id=job.id).where(
            ContactFile.id == row.id
        ).execute()
    return get(workspace_id, file_id)


def undo(workspace_id: int, file_id: int, *, reason: str, by: Actor) -> Stand:
    """Take an import back, soon: contacts that it made and nobody has touched since are deleted,
    those that it changed are as they were, and who joined the list leaves it. The list and the
    attributes stay.

    Raises InvalidFields (the reason), NotFound, and Conflict where it cannot be, with why.
    """
    row = contact_files.get(workspace_id, file_id)
    if row.import_job_id is None:
        raise Conflict("The file was not imported: there is nothing to take back.")
    jobs.undo(workspace_id, row.import_job_id, reason=reason, by=by)
    return get(workspace_id, file_id)


def why_no_undo(stand: Stand) -> str | None:
    """Why an import cannot be taken back now, in a sentence; None where it can."""
    if stand.imported is None:
        return "What it has changed is not kept any more."
    return jobs.why_no_undo(stand.imported, stand.undo)


def is_over(job: Job | None) -> bool:
    """Whether a job has done all that it had to."""
    return job is not None and job.status is JobStatus.DONE


def _stop_looking(row: ContactFile, *, by: Actor) -> None:
    if row.check_job_id is not None:
        with contextlib.suppress(Conflict, NotFound):
            jobs.cancel(row.workspace_id, row.check_job_id, by=by)


def _with_audience(workspace_id: int, options: Options, by: Actor) -> Options:
    """The options with the list that rows join, which is made where it is a new one."""
    if options.audience_name is not None:
        made = audiences.create(workspace_id, name=options.audience_name, by=by)
        return replace(options, audience_id=made.id, audience_name=None)
    if options.audience_id is not None:
        audiences.get(workspace_id, options.audience_id)
    return options


def _clean(options: Options) -> Options:
    """The options in the form in which they are kept."""
    return replace(
        options,
        audience_name=" ".join((options.audience_name or "").split()) or None,
        topics=tuple(dict.fromkeys(map(normalise_topic, options.topics))),
        consent_source=(options.consent_source or "").strip() or None,
        consent_proof=(options.consent_proof or "").strip() or None,
    )


def _check_layout(row: ContactFile, layout: Layout) -> Iterator[Complaint]:
    before = contact_layout.parse(row.layout)
    is_read_anew = (layout.delimiter, layout.encoding) != (before.delimiter, before.encoding)
    kinds = contact_attributes.find_kinds(row.workspace_id)
    found = list(contact_layout.check(layout, kinds))
    yield from found
    if not found and is_read_anew:
        before = contact_files.guess(row, encoding=layout.encoding, delimiter=layout.delimiter)
    if len(layout.columns) != len(before.columns):
        yield "columns", f"must say of each of the {len(before.columns)} columns what it is"
    new = {name for name in layout.attributes if name not in kinds}
    if len(kinds) + len(new) > ATTRIBUTES_MAX:
        yield "columns", f"there would be more than {ATTRIBUTES_MAX} attributes"


def _check_options(workspace_id: int, layout: Layout, options: Options) -> Iterator[Complaint]:
    if options.audience_id is not None and options.audience_name is not None:
        yield "audience_name", "is for a new list: choose one, or make one"
    elif options.audience_id is not None:
        try:
            audiences.get(workspace_id, options.audience_id)
        except NotFound:
            yield "audience_id", "is no list of this workspace"
    elif options.audience_name is not None:
        yield from _check_new_list(workspace_id, options.audience_name)
    if len(options.topics) > TOPICS_MAX:
        yield "topics", f"has more than {TOPICS_MAX} entries"
    for topic in options.topics[:TOPICS_MAX]:
        yield from submission.check_topic("topics", topic)
        yield from _check_plain("topics", topic)
    for name in ("consent_source", "consent_proof"):
        text = getattr(options, name)
        if text is not None:
            yield from submission.check_line(name, text, max_chars=CONSENT_MAX_CHARS)
            yield from _check_plain(name, text)
    has_time = any(column.use == CONSENT_AT for column in layout.columns)
    if (options.consent_source or options.consent_proof) and not (options.consent_at or has_time):
        yield "consent_at", "is needed: a consent without a time proves nothing"
    at = options.consent_at
    if at is not None and at > clock.now() + contact_cells.CLOCKS_DIFFER:
        yield "consent_at", "must not lie in the future"


def _check_plain(name: str, text: str) -> Iterator[Complaint]:
    if any(ord(letter) < 32 for letter in text):
        yield name, "must not contain control characters"


def _check_new_list(workspace_id: int, name: str) -> Iterator[Complaint]:
    known = audiences.list_names(workspace_id)
    if name.lower() in {one.name.lower() for one in known}:
        yield "audience_name", "is that of a list which is there already: choose that one"
    elif len(known) >= audiences.AUDIENCES_MAX:
        yield "audience_name", f"there are {audiences.AUDIENCES_MAX} lists already"
    yield from submission.check_line("audience_name", name, max_chars=audiences.NAME_MAX_CHARS)


def _started(row: ContactFile) -> str:
    return f"The import of this file was started already: it is job {row.import_job_id}."

"""The jobs that look at a file of contacts, import it, and take such an import back.

Each step is a part of the file, which its cursor names together with the counts until then. A look
writes down which rows are duplicates, so that an import need not remember what came before. What an
import changes it notes with what was there, and taking it back touches only what nobody has touched
since.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from maild.db import database
from maild.domain import contact_layout
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import ContactFile, ContactFileAddress, ContactFileChunk, Job
from maild.services import (
    audiences,
    audit,
    contact_attributes,
    contact_import_rows,
    contact_import_sql,
    contact_rejections,
    jobs,
)
from maild.services.contact_import_rows import Options, Read, Reason, Rejection
from maild.services.contact_import_sql import Outcome, Verdict
from maild.services.jobs import Handler, Step

CHECK = "contacts.check_import"
IMPORT = "contacts.import"
UNDO = "contacts.import.undo"
ROWS_MAX = 1_000_000
UNDO_CHUNK = 5_000

UNCHANGED = "known already, and nothing new"
DUPLICATE = "twice in the file"
CHANGED_SINCE = "changed, or named again, since"
GONE = "deleted since"
ON_ANOTHER_LIST = "on another list by now"
"""Why rows were skipped, and why an undo leaves a contact as it is."""

WORDS: Mapping[Reason, str] = {
    Reason.UNREADABLE: "cannot be read",
    Reason.TOO_MANY_CELLS: "too many cells",
    Reason.MISSING_ADDRESS: "no address",
    Reason.INVALID_ADDRESS: "no valid address",
    Reason.INVALID_VALUE: "a value that does not fit",
    Reason.ROLE_ADDRESS: "the address of a function",
    Reason.DISPOSABLE_DOMAIN: "a throw-away address",
    Reason.SUPPRESSED: "suppressed",
    Reason.UNSUBSCRIBED: "unsubscribed",
}
_PROBLEMS: Mapping[Verdict, tuple[Reason, str]] = {
    Verdict.SUPPRESSED: (Reason.SUPPRESSED, "the address is suppressed, and stays so"),
    Verdict.UNSUBSCRIBED: (Reason.UNSUBSCRIBED, "they have unsubscribed, and stay so"),
    Verdict.INVALID_VALUE: (Reason.INVALID_VALUE, "topics: there would be too many of them"),
}


def _check(job: Job) -> Step:
    row = _file_of(job, "check_job_id")
    position, counts = _so_far(job)
    if position == 0:
        _forget_addresses(row)
    chunk, part = _read(job, row, position)
    duplicates = contact_import_sql.find_duplicates(row.id, part.rows)
    ContactFileChunk.update(duplicates=duplicates).where(
        ContactFileChunk.file == row.id, ContactFileChunk.position == position
    ).execute()
    with _reading_ahead(job, row, position + 1):
        outcome = contact_import_sql.foresee(
            job.workspace_id, part.rows, duplicates=duplicates, options=_options(row)
        )
    step = _finish(
        job, chunk, part, outcome, counts=counts, is_done=position + 1 >= row.chunk_count
    )
    if step.is_done:
        _forget_addresses(row)
        foreseen = {"job_id": job.id, "counts": step.cursor["counts"]}
        ContactFile.update(foreseen=foreseen).where(ContactFile.id == row.id).execute()
    return step


def _import(job: Job) -> Step:
    row = _file_of(job, "import_job_id")
    position, counts = _so_far(job)
    options = _options(row)
    if options.audience_id is not None:
        audiences.get(job.workspace_id, options.audience_id)
    _keep_attributes(row)
    chunk, part = _read(job, row, position)
    with _reading_ahead(job, row, position + 1):
        outcome = contact_import_sql.put(
            job.workspace_id,
            part.rows,
            duplicates=chunk.duplicates,
            options=options,
            job=job,
            position=position,
        )
    step = _finish(
        job, chunk, part, outcome, counts=counts, is_done=position + 1 >= row.chunk_count
    )
    if step.is_done:
        audit.record(
            job.workspace_id,
            jobs.actor_of(job),
            action="contacts.imported",
            target=f"file {row.name}",
            after={"job_id": job.id, "file_id": row.id, **step.cursor["counts"]},
        )
    return step


def _keep_attributes(row: ContactFile) -> None:
    """Until the end of the step nobody takes the attributes away that the file gives. Raises
    Conflict where somebody has.
    """
    needed = contact_layout.parse(row.layout).attributes
    if not needed:
        return
    kinds = contact_attributes.find_kinds(row.workspace_id, keep=list(needed))
    for name, kind in needed.items():
        if kinds.get(name) is not kind:
            raise Conflict(f"Somebody has deleted the attribute “{name}” meanwhile.")


def _finish(
    job: Job,
    chunk: ContactFileChunk,
    part: Read,
    outcome: Outcome,
    *,
    counts: Mapping[str, int],
    is_done: bool,
) -> Step:
    """Keep what was refused of a part, and say what the step came to."""
    rejections = [*part.rejections, *_refused(part, outcome)]
    lines = chunk.first_line, chunk.first_line + chunk.line_count
    contact_rejections.replace(chunk.file_id, lines, rejections)
    own = _count(part, outcome, rejections)
    added = {name: counts.get(name, 0) + count for name, count in own.items()}
    cursor: dict[str, Any] = {"position": chunk.position + 1, "counts": {**counts, **added}}
    if cursor["counts"]["rows"] > ROWS_MAX:
        raise InvalidFields(f"The file has more than {ROWS_MAX:,} rows. Import it in parts.")
    # An undo takes back what is done: who has only joined a list counts as well.
    done = outcome.changed if job.kind == IMPORT else own["new"] + own["updated"]
    skipped = part.row_count - done - len(rejections)
    duplicate = own["duplicate"]
    reasons = {WORDS[Reason(name)]: own[name] for name in Reason if own.get(name)}
    reasons |= {
        word: count
        for word, count in ((DUPLICATE, duplicate), (UNCHANGED, skipped - duplicate))
        if count
    }
    return Step(
        cursor=cursor,
        is_done=is_done,
        done=done,
        skipped=skipped,
        failed=len(rejections),
        reasons=reasons,
        total_count=cursor["counts"]["rows"] if is_done else None,
    )


def _count(part: Read, outcome: Outcome, rejections: Sequence[Rejection]) -> dict[str, int]:
    """`rows` = new + updated + unchanged + duplicate + rejected, and `rejected` is the sum of its
    reasons. `joined` counts among the former.
    """
    counts = {
        "rows": part.row_count,
        **{
            verdict.value: outcome.counts.get(verdict, 0)
            for verdict in (Verdict.NEW, Verdict.UPDATED, Verdict.UNCHANGED, Verdict.DUPLICATE)
        },
        "joined": outcome.joined,
        "rejected": len(rejections),
    }
    for rejection in rejections:
        name = rejection.reason.value
        counts[name] = counts.get(name, 0) + 1
    return counts


def _refused(part: Read, outcome: Outcome) -> Iterable[Rejection]:
    """The rows that the database had a reason against."""
    found = Read()
    for line, verdict in outcome.refused.items():
        reason, problem = _PROBLEMS[verdict]
        found.reject(line, reason, problem, part.texts[line])
    return found.rejections


def _file_of(job: Job, name: str) -> ContactFile:
    """The file of a job, as long as it is this job that has to do with it. Until the end of the
    step nobody says otherwise: two looks at once would take each other's rows for duplicates.
    """
    query = ContactFile.select().where(
        ContactFile.id == job.params["file_id"], ContactFile.workspace == job.workspace_id
    )
    row: ContactFile | None = query.for_update("FOR NO KEY UPDATE").first()  # type: ignore[arg-type]
    if row is None:
        raise NotFound("The file is not kept any more. Send it again.")
    if getattr(row, name) != job.id:
        raise Conflict("Somebody has said since what its columns are: another job looks at it.")
    return row


def _so_far(job: Job) -> tuple[int, dict[str, int]]:
    cursor: dict[str, Any] = job.cursor or {"position": 0, "counts": {}}
    return cursor["position"], cursor["counts"]


def _options(row: ContactFile) -> Options:
    return contact_import_rows.parse_options(row.options)


def _get_chunk(row: ContactFile, position: int) -> ContactFileChunk:
    chunk: ContactFileChunk = ContactFileChunk.get(
        ContactFileChunk.file == row.id, ContactFileChunk.position == position
    )
    return chunk


def _read(job: Job, row: ContactFile, position: int) -> tuple[ContactFileChunk, Read]:
    """A part of the file, which may have been read ahead by the step before."""
    chunk = _get_chunk(row, position)
    if (ahead := _ahead.pop((job.id, position), None)) is not None:
        return chunk, ahead
    return chunk, _read_part(row, chunk)


def _read_part(row: ContactFile, chunk: ContactFileChunk) -> Read:
    return contact_import_rows.read_part(
        bytes(chunk.content),
        contact_layout.parse(row.layout),
        _options(row),
        first_line=chunk.first_line,
    )


_ahead: dict[tuple[int, int], Read] = {}
"""One part at most, by its job and position. A worker that does not have it reads it itself: what
a job says never changes.
"""


@contextmanager
def _reading_ahead(job: Job, row: ContactFile, position: int) -> Iterator[None]:
    """While PostgreSQL works at one part, read the next one: each has a processor of its own."""
    _ahead.clear()
    if position >= row.chunk_count:
        yield
        return
    chunk = _get_chunk(row, position)
    found: list[Read] = []
    thread = threading.Thread(target=lambda: found.append(_read_part(row, chunk)), daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if found:
        _ahead[job.id, position] = found[0]


def _forget_addresses(row: ContactFile) -> None:
    ContactFileAddress.delete().where(ContactFileAddress.file == row.id).execute()


# Locked in the order in which everybody has them. A list that somebody else has put a contact on is
# a reason to keep them.
_DELETE = """
WITH made AS MATERIALIZED (
    SELECT DISTINCT unnest(contact_ids) AS id FROM contact_import_parts
    WHERE job_id = %(job)s AND position = %(position)s
), here AS MATERIALIZED (
    SELECT c.id, c.version, c.is_named_again FROM contacts c
    WHERE c.id IN (SELECT id FROM made) AND c.workspace_id = %(workspace)s
    ORDER BY c.email FOR UPDATE
), judged AS MATERIALIZED (
    SELECT h.id, CASE
        WHEN h.version <> 1 OR h.is_named_again THEN 'changed'
        WHEN (SELECT 1 FROM audience_members m JOIN audiences a ON a.id = m.audience_id
            WHERE m.contact_id = h.id AND a.removed_at IS NULL AND m.audience_id <> %(audience)s
            LIMIT 1) IS NOT NULL THEN 'listed'
        ELSE 'deleted' END AS verdict
    FROM here h
), deleted AS (
    DELETE FROM contacts WHERE id IN (SELECT id FROM judged WHERE verdict = 'deleted')
), taken_off AS (
    DELETE FROM audience_members WHERE audience_id = %(audience)s
        AND contact_id IN (SELECT id FROM judged WHERE verdict <> 'deleted')
)
SELECT verdict, count(*) FROM judged GROUP BY verdict
UNION ALL
SELECT 'gone', (SELECT count(*) FROM made) - (SELECT count(*) FROM here)
"""
_RESTORE = """
WITH noted AS MATERIALIZED (
    SELECT contact_id, before, version, is_new_member FROM contact_changes
    WHERE job_id = %(job)s AND contact_id > %(after)s ORDER BY contact_id LIMIT %(limit)s
), here AS MATERIALIZED (
    SELECT c.id, c.version, n.version AS left_version, n.before, n.is_new_member
    FROM noted n JOIN contacts c ON c.id = n.contact_id AND c.workspace_id = %(workspace)s
    ORDER BY c.email FOR NO KEY UPDATE OF c
), judged AS MATERIALIZED (
    SELECT h.*, CASE WHEN h.before = '{}'::jsonb THEN 'taken_off'
        WHEN h.version <> h.left_version THEN 'changed'
        ELSE 'restored' END AS verdict
    FROM here h
), restored AS (
    UPDATE contacts c SET name = j.before->>'name', attributes = j.before->'attributes',
        topics = ARRAY(SELECT jsonb_array_elements_text(j.before->'topics')),
        consent_source = j.before->>'consent_source',
        consent_at = (j.before->>'consent_at')::timestamptz,
        consent_proof = j.before->>'consent_proof',
        version = c.version + 1, updated_at = now()
    FROM judged j WHERE c.id = j.id AND j.verdict = 'restored'
), taken_off AS (
    DELETE FROM audience_members WHERE audience_id = %(audience)s
        AND contact_id IN (SELECT id FROM judged WHERE is_new_member)
)
SELECT verdict, count(*) FROM judged GROUP BY verdict
UNION ALL
SELECT 'gone', (SELECT count(*) FROM noted) - (SELECT count(*) FROM here)
UNION ALL
SELECT 'last', (SELECT max(contact_id) FROM noted)
"""


def _undo(job: Job) -> Step:
    """Part by part the contacts that it has made, then those that it has changed."""
    assert job.undo_of_id is not None
    undone = jobs.get(job.workspace_id, job.undo_of_id)
    cursor: dict[str, Any] = job.cursor or {"position": 0, "after": 0, "counts": {}}
    position, after = cursor["position"], cursor["after"]
    values = {
        "job": undone.id,
        "workspace": job.workspace_id,
        "audience": undone.params.get("audience_id") or 0,
    }
    part_count = (undone.cursor or {"position": 0})["position"]
    if position < part_count:
        found = database.execute_sql(_DELETE, {**values, "position": position}).fetchall()
        own = dict(found)
        position, is_done = position + 1, False
    else:
        values |= {"after": after, "limit": UNDO_CHUNK}
        own = dict(database.execute_sql(_RESTORE, values).fetchall())
        last = own.pop("last")
        is_done = sum(own.values()) < UNDO_CHUNK
        after = after if last is None else last
    counts = {
        name: cursor["counts"].get(name, 0) + own.get(name, 0)
        for name in ("deleted", "restored", "taken_off")
    }
    if is_done:
        audit.record(
            job.workspace_id,
            jobs.actor_of(job),
            action="contacts.import_undone",
            target=f"file {undone.params['name']}",
            after={"job_id": job.id, "undone_job_id": undone.id, **counts},
            reason=job.reason,
        )
    kept = {
        CHANGED_SINCE: own.get("changed", 0),
        ON_ANOTHER_LIST: own.get("listed", 0),
        GONE: own["gone"],
    }
    return Step(
        cursor={"position": position, "after": after, "counts": counts},
        is_done=is_done,
        done=sum(own.get(name, 0) for name in counts),
        skipped=sum(kept.values()),
        reasons={why: count for why, count in kept.items() if count},
    )


jobs.register(CHECK, Handler(_check, no_undo="It has only looked: there is nothing to take back."))
jobs.register(IMPORT, Handler(_import, undo=UNDO))
jobs.register(UNDO, Handler(_undo))

"""The jobs that import a file of suppressions, and that take such an import back.

An import reads what `start` has made of the file: its good lines as JSON, one below the other, each
suppression once. Its cursor is the place of the next one among these octets. What it has added it
writes down, and taking it back ends that, as far as it is in force still and no bounce
or complaint came in meanwhile, and nothing else.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from maild.db import database
from maild.domain.actor import Actor
from maild.errors import Conflict, InvalidFields
from maild.models import Job, SuppressionFile
from maild.services import (
    audit,
    jobs,
    suppression_files,
    suppression_imports,
    suppressions,
)
from maild.services.jobs import Handler, Step

IMPORT = "suppressions.import"
UNDO = "suppressions.import.undo"
CHUNK_BYTES = 384 * 1024
"""Some 2,500 lines."""
UNDO_CHUNK = 2_000
KNOWN = "suppressed already"
EXTENDED = "suppressed already, and lasts longer now"
ENDED = "ended since, or ended by somebody"
HEARD = "a bounce or a complaint came in meanwhile"
"""Why an undo leaves an address suppressed: a report about it found that it was, and added none."""

_CHUNK = "SELECT substring(content FROM %s FOR %s) FROM job_inputs WHERE job_id = %s"
# Their collations differ; an index is only of use to its own.
_SPELLINGS = """ARRAY[s.email, (
            SELECT o.to_email FROM messages o
            WHERE o.id = s.message_id AND o.workspace_id = s.workspace_id)] COLLATE"""
UNHEARD = """(
        SELECT 1 FROM provider_events p
        WHERE p.workspace_id = s.workspace_id AND p.email = ANY({spellings} "pg_c_utf8")
            AND p.updated_at > s.created_at AND p.status NOT IN ('ignored', 'duplicate')
            AND (p.event_type IN ('bounced', 'complained') OR p.effects->>'suppression' IS NOT NULL)
        LIMIT 1) IS NULL AND (
        SELECT 1 FROM messages m
        WHERE m.workspace_id = s.workspace_id AND m.to_email = ANY({spellings} "default")
            AND m.status IN ('bounced', 'complained') AND m.updated_at > s.created_at
        LIMIT 1) IS NULL""".replace("{spellings}", _SPELLINGS)  # nosec B608
"""The condition that nothing bad was heard of the address of `s` since it was suppressed. It is
looked up as the suppression spells it, and as its message does: both are steps into an index.
"""
# As everybody has it: first the soft bounces, then the rows in one order.
_FORGET = """
DELETE FROM soft_bounces b USING suppressions s
WHERE s.id = ANY(%(ids)s) AND s.workspace_id = %(workspace)s
    AND b.workspace_id = s.workspace_id AND b.email = s.email
    AND {unheard}
""".replace("{unheard}", UNHEARD)  # nosec B608
_END = """
UPDATE suppressions SET removed_at = now(), removed_by = %(by)s, removal_reason = %(why)s
WHERE id IN (
    SELECT s.id FROM suppressions s
    WHERE s.id = ANY(%(ids)s) AND s.workspace_id = %(workspace)s AND s.removed_at IS NULL
        AND (s.expires_at IS NULL OR s.expires_at > now())
        AND {unheard}
    ORDER BY s.email, s.stream
    FOR NO KEY UPDATE OF s)
""".replace("{unheard}", UNHEARD)  # nosec B608
_IN_FORCE = """
SELECT count(*) FROM suppressions
WHERE id = ANY(%(ids)s) AND workspace_id = %(workspace)s AND removed_at IS NULL
    AND (expires_at IS NULL OR expires_at > now())
"""


def start(workspace_id: int, file_id: int, *, by: Actor) -> Job:
    """Import a file, soon; its row then names the job. Raises NotFound, InvalidFields (it cannot be
    read as it is laid out, or asks for nothing), and Conflict where that was started already, or
    too many jobs are open.
    """
    row = suppression_files.get(workspace_id, file_id)
    outlook = suppression_files.outlook_of(row)
    if outlook.problem:
        raise InvalidFields(outlook.problem)
    if not outlook.wanted_count:
        raise InvalidFields("No line of the file can be imported: see why below.")
    rows = distinct(suppression_files.read_good(row))
    content = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows).encode()
    with database.atomic():
        kept = suppression_files.lock(workspace_id, file_id)
        if kept.job_id is not None:
            raise Conflict(f"The import of this file was started already: it is job {kept.job_id}.")
        if (kept.layout, kept.default_reason, kept.class_) != (
            row.layout,
            row.default_reason,
            row.class_,
        ):
            raise Conflict("Somebody has changed what its columns are. Look at it again.")
        job = jobs.start(
            workspace_id,
            kind=IMPORT,
            params={"file_id": row.id, "name": row.name},
            reason=row.default_reason,
            total_count=len(rows),
            content=content,
            told={"file": row.name},
            by=by,
        )
        SuppressionFile.update(job_id=job.id).where(SuppressionFile.id == row.id).execute()
    return job


def distinct(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each suppression once: of an address that comes twice the first line counts, with the latest
    end of them all.
    """
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row in rows:
        first = found.setdefault((_lower(row["email"]), row["stream"]), row)
        ends = first["expires_at"], row["expires_at"]
        first["expires_at"] = None if None in ends else max(ends)
    return list(found.values())


def _lower(email: str) -> str:
    """As PostgreSQL's lower() has it: letter by letter."""
    if email.isascii():
        return email.lower()
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in email)


def _import(job: Job) -> Step:
    so_far = job.cursor or {"at": 0, "extended": 0}
    rows, end = _read(job, so_far["at"])
    _, added, extended = suppression_imports.put(job.workspace_id, rows, by=jobs.actor_of(job))
    jobs.note_targets(job, added, outcome="added")
    # What comes twice after all, by the database's own rules, is known the second time.
    known = len(rows) - len(added) - extended
    cursor = {"at": end, "extended": so_far["extended"] + extended}
    is_done = job.total_count is None or job.handled_count + len(rows) >= job.total_count
    if is_done:
        _audit_end(job, done=job.done_count + len(added), extended=cursor["extended"])
    return Step(
        cursor=cursor,
        is_done=is_done,
        done=len(added),
        skipped=known + extended,
        reasons={why: n for why, n in ((KNOWN, known), (EXTENDED, extended)) if n},
    )


def _read(job: Job, start: int) -> tuple[list[dict[str, Any]], int]:
    """The rows from an octet on, and the octet after them."""
    # substring() counts from 1.
    [(chunk,)] = database.execute_sql(_CHUNK, (start + 1, CHUNK_BYTES, job.id)).fetchall()
    whole = bytes(chunk)
    lines = whole[: whole.rindex(b"\n") + 1]
    return [json.loads(line) for line in lines.splitlines()], start + len(lines)


def _audit_end(job: Job, *, done: int, extended: int) -> None:
    total = job.total_count or 0
    audit.record(
        job.workspace_id,
        jobs.actor_of(job),
        action="suppressions.imported",
        target="suppressions",
        after={
            "job_id": job.id,
            "file": job.params["name"],
            "imported": done,
            "existing": total - done,
            "extended": extended,
        },
        reason=job.reason,
    )


def _undo(job: Job) -> Step:
    items = jobs.list_changes(job.undo_of_id, limit=UNDO_CHUNK, after=job.cursor or 0)
    ids = [item.target_id for item in items]
    values = {
        "ids": ids,
        "workspace": job.workspace_id,
        "by": job.created_by,
        "why": suppressions.cut(f"the import was undone: {job.reason}"),
    }
    ended = 0
    if ids:
        database.execute_sql(_FORGET, values)
        ended = database.execute_sql(_END, values).rowcount
    left = len(ids) - ended
    kept = count_in_force(values) if left else 0
    is_done = len(items) < UNDO_CHUNK
    if is_done:
        audit.record(
            job.workspace_id,
            jobs.actor_of(job),
            action="suppressions.import_undone",
            target="suppressions",
            after={
                "job_id": job.id,
                "undone_job_id": job.undo_of_id,
                "removed": job.done_count + ended,
            },
            reason=job.reason,
        )
    return Step(
        cursor=items[-1].id if items else job.cursor,
        is_done=is_done,
        done=ended,
        skipped=left,
        reasons={why: n for why, n in ((HEARD, kept), (ENDED, left - kept)) if n},
    )


def count_in_force(values: Mapping[str, Any]) -> int:
    """How many of the `ids` of a `workspace` are in force still: those that an undo has left."""
    return int(database.execute_sql(_IN_FORCE, values).fetchone()[0])


jobs.register(IMPORT, Handler(_import, undo=UNDO))
jobs.register(UNDO, Handler(_undo))

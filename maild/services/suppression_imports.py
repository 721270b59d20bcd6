"""Suppressing the addresses of a CSV file: all of its good lines in one transaction, or none.

An import only adds. It never removes a suppression, never makes one end sooner, and leaves the
words of those that are in force.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from maild import clock
from maild.db import database
from maild.domain import submission, suppression_csv
from maild.domain.actor import Actor
from maild.domain.suppression import SuppressionClass
from maild.domain.suppression_csv import BadLine, Line, Reader
from maild.domain.suppression_layout import Layout, UnreadableFile
from maild.errors import FieldError, InvalidFields
from maild.services import addresses, audit, suppressions, workspaces

ROWS_MAX = 200_000
REJECTIONS_SHOWN = 100
DEFAULT_REASON = "imported"

# Of an address that comes twice the first line counts, with the latest end of them all.
_WANTED = """
WITH v AS (
    SELECT lower(email COLLATE "pg_c_utf8") AS email, stream, reason, class, expires_at, place
    FROM json_to_recordset(%(rows)s) AS v (
        email text, stream text, reason text, class text, expires_at timestamptz, place int)
), wanted AS MATERIALIZED (
    SELECT DISTINCT ON (email, stream) email, stream, reason, class,
        CASE WHEN count(expires_at) OVER same = count(*) OVER same
            THEN max(expires_at) OVER same END AS expires_at
    FROM v
    WINDOW same AS (PARTITION BY email, stream)
    ORDER BY email, stream, place
)
"""


def _of_wanted(statement: str) -> str:
    """The statement, with `wanted` for what the file asks for."""
    return _WANTED + statement


_FORESEE = _of_wanted("""
SELECT count(*), count(*) FILTER (WHERE s.id IS NULL),
    count(*) FILTER (WHERE s.expires_at IS NOT NULL
        AND (w.expires_at IS NULL OR w.expires_at > s.expires_at))
FROM wanted w
LEFT JOIN suppressions s ON s.workspace_id = %(workspace)s AND s.email = w.email
    AND s.stream IS NOT DISTINCT FROM w.stream
    AND s.removed_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
""")
_RETIRE = _of_wanted("""
UPDATE suppressions SET removed_at = expires_at, removed_by = %(by)s, removal_reason = %(why)s
WHERE id IN (
    SELECT s.id FROM suppressions s
    JOIN wanted w ON s.email = w.email AND s.stream IS NOT DISTINCT FROM w.stream
    WHERE s.workspace_id = %(workspace)s AND s.removed_at IS NULL AND s.expires_at <= now()
    ORDER BY s.email, s.stream
    FOR NO KEY UPDATE OF s)
""")
# A row has an xmax when it was there before.
_ADD = _of_wanted("""
, written AS (
    INSERT INTO suppressions AS s (
        workspace_id, email, stream, reason, source, class, expires_at, created_by)
    SELECT %(workspace)s, email, stream, reason, %(source)s, class, expires_at, %(by)s
    FROM wanted ORDER BY email, stream
    ON CONFLICT (workspace_id, email, stream) WHERE removed_at IS NULL DO UPDATE
        SET expires_at = excluded.expires_at
        WHERE s.expires_at IS NOT NULL
            AND (excluded.expires_at IS NULL OR excluded.expires_at > s.expires_at)
    RETURNING id, xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM wanted),
    coalesce(array_agg(id) FILTER (WHERE is_new), '{}'), count(*) FILTER (WHERE NOT is_new)
FROM written
""")


@dataclass(slots=True)
class Imported:
    """What became of a file, or with a dry run what would.

    `row_count` = imported + existing + duplicate + rejected. Of the existing ones,
    `extended_count` last longer now. `rejections` has the first REJECTIONS_SHOWN.
    """

    row_count: int = 0
    imported_count: int = 0
    existing_count: int = 0
    extended_count: int = 0
    duplicate_count: int = 0
    rejected_count: int = 0
    rejections: list[BadLine] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        return {
            "rows": self.row_count,
            "imported": self.imported_count,
            "existing": self.existing_count,
            "extended": self.extended_count,
            "duplicate": self.duplicate_count,
            "rejected": self.rejected_count,
        }


def import_csv(
    workspace_id: int,
    text: str,
    *,
    default_reason: str | None = None,
    class_: SuppressionClass = SuppressionClass.MANUAL,
    dry_run: bool = False,
    layout: Layout | None = None,
    by: Actor,
) -> Imported:
    """Suppress what the file names, and tell of each line. `default_reason` and `class_` are for
    lines that give none; `layout` says what its columns are, where the file does not.

    Raises InvalidFields (the file cannot be read as a whole, or is too long), NotFound (the
    workspace); nothing is imported then.
    """
    check_reason(default_reason)
    workspaces.require(workspace_id)
    result = Imported()
    reason = default_reason or DEFAULT_REASON
    rows = list(read(text, result, reason=reason, class_=class_, layout=layout))
    with database.atomic():
        if dry_run:
            distinct, result.imported_count, result.extended_count = foresee(workspace_id, rows)
        else:
            distinct, ids, result.extended_count = put(workspace_id, rows, by=by)
            result.imported_count = len(ids)
        result.existing_count = distinct - result.imported_count
        result.duplicate_count = len(rows) - distinct
        if not dry_run:
            audit.record(
                workspace_id,
                by,
                action="suppressions.imported",
                target="suppressions",
                after=result.counts(),
                reason=default_reason,
            )
    return result


def foresee(workspace_id: int, rows: Sequence[dict[str, Any]]) -> tuple[int, int, int]:
    """How many different suppressions these rows of `read` are, how many of them would be new, and
    how many would last longer.
    """
    values = {"workspace": workspace_id, "rows": json.dumps(rows)}
    [counts] = database.execute_sql(_FORESEE, values).fetchall()
    return counts  # type: ignore[no-any-return]


def put(
    workspace_id: int, rows: Sequence[dict[str, Any]], *, by: Actor
) -> tuple[int, list[int], int]:
    """Suppress what these rows of `read` say, in the caller's transaction. Returns how many
    different suppressions they are, the ids of the new ones, and how many last longer now.
    """
    values = {
        "workspace": workspace_id,
        "rows": json.dumps(rows),
        "source": suppressions.IMPORT,
        "by": by.name,
        "why": suppressions.FOLLOWED,
    }
    database.execute_sql(_RETIRE, values)
    [counts] = database.execute_sql(_ADD, values).fetchall()
    return counts  # type: ignore[no-any-return]


def read(
    text: str,
    result: Imported,
    *,
    reason: str,
    class_: SuppressionClass,
    layout: Layout | None = None,
) -> Iterator[dict[str, Any]]:
    """The good lines as the statements read them. Counts all in `result`, and keeps the first bad
    ones there. Raises InvalidFields where the file as a whole cannot be read.
    """
    for one in read_all(text, result, reason=reason, class_=class_, layout=layout):
        if not isinstance(one, BadLine):
            yield one
        elif len(result.rejections) < REJECTIONS_SHOWN:
            result.rejections.append(one)


def read_all(
    text: str,
    result: Imported,
    *,
    reason: str,
    class_: SuppressionClass,
    layout: Layout | None = None,
) -> Iterator[dict[str, Any] | BadLine]:
    """As `read`, with the bad lines in their places, all of them."""
    now = clock.now()
    try:
        reader = Reader(text, layout)
        result.ignored_columns = reader.ignored_columns
        for line in reader:
            result.row_count += 1
            if result.row_count > ROWS_MAX:
                raise UnreadableFile(f"has more than {ROWS_MAX:,} lines; import it in parts")
            if isinstance(line, BadLine):
                bad = line
            else:
                try:
                    yield _row(line, now=now, reason=reason, class_=class_)
                    continue
                except _BadCell as error:
                    bad = BadLine(line.number, str(error))
            result.rejected_count += 1
            yield bad
    except UnreadableFile as error:
        raise _invalid("csv", str(error)) from None


class _BadCell(ValueError):
    """A cell that cannot be used; the text names its column."""


def _row(line: Line, *, now: Any, reason: str, class_: SuppressionClass) -> dict[str, Any]:
    cells = line.cells
    column = "email"
    try:
        email = addresses.parse(cells["email"]).text
        column = "class"
        if column in cells:
            class_ = suppression_csv.parse_class(cells[column])
        column = "stream"
        stream = suppression_csv.parse_stream(cells[column]) if column in cells else None
        column = "expires_at"
        end = suppression_csv.parse_end(cells[column], now=now) if column in cells else None
    except ValueError as error:
        raise _BadCell(f"{column}: {error}") from None
    return {
        "place": line.number,
        "email": email,
        "class": class_,
        "stream": stream,
        "expires_at": end and end.isoformat(),
        # Other providers keep a server's whole words: better cut than not suppressed.
        "reason": suppressions.cut(cells.get("reason", "")) or reason,
    }


def check_reason(reason: str | None) -> None:
    """Raises InvalidFields where it cannot be the reason of lines that give none."""
    if reason is None:
        return
    if not reason.strip():
        raise _invalid("default_reason", "must not be empty")
    for name, message in submission.check_line(
        "default_reason", reason, max_chars=suppressions.REASON_MAX_CHARS
    ):
        raise _invalid(name, message)


def _invalid(name: str, message: str) -> InvalidFields:
    return InvalidFields(f"{name}: {message}", errors=[FieldError(name, message)])

"""Suppressions and unsubscribes as CSV files, written little by little. The first columns of a file
of suppressions are those that an import reads again.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.csv_safety import neutralise
from maild.models import Suppression, Unsubscribe
from maild.services import audit, suppression_lists, unsubscribe_lists

SUPPRESSION_COLUMNS = (
    "email", "reason", "class", "stream", "expires_at", "source", "created_by", "created_at",
    "message_id", "state", "id",
)  # fmt: skip
UNSUBSCRIBE_COLUMNS = (
    "email", "topic", "stream", "reason", "source", "created_by", "created_at", "message_id",
    "state", "removed_at", "removed_by", "removal_reason", "id",
)  # fmt: skip
PORTION_CHARS = 64 * 1024


def write_suppressions(rows: Iterator[Suppression]) -> Iterator[str]:
    """The lines of a file, in portions of about PORTION_CHARS."""
    return write_rows(SUPPRESSION_COLUMNS, (_suppression(row) for row in rows))


def write_unsubscribes(rows: Iterator[Unsubscribe]) -> Iterator[str]:
    """The lines of a file, in portions of about PORTION_CHARS."""
    return write_rows(UNSUBSCRIBE_COLUMNS, (_unsubscribe(row) for row in rows))


def note(workspace_id: int, *, what: str, asked: str, by: Actor) -> None:
    """Keep in the audit log that somebody takes a list away; `what` is `suppressions` or
    `unsubscribes`, `asked` the filter.
    """
    with database.atomic():
        audit.record(
            workspace_id, by, action=f"{what}.exported", target=what, after={"filter": asked}
        )


def write_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A CSV file (RFC 4180: CRLF, and quotes where they are needed), safe for spreadsheets."""
    line = io.StringIO(newline="")
    writer = csv.writer(line)
    writer.writerow([neutralise(name) for name in columns])
    for row in rows:
        writer.writerow([neutralise(_cell(value)) for value in row])
        if line.tell() > PORTION_CHARS:
            yield line.getvalue()
            line.seek(0)
            line.truncate()
    yield line.getvalue()


def _suppression(row: Suppression) -> list[Any]:
    values = {**row.__data__, "class": row.class_, "state": suppression_lists.state_of(row)}
    return [values[name] for name in SUPPRESSION_COLUMNS]


def _unsubscribe(row: Unsubscribe) -> list[Any]:
    values = {**row.__data__, "state": unsubscribe_lists.state_of(row)}
    return [values[name] for name in UNSUBSCRIBE_COLUMNS]


def _cell(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value

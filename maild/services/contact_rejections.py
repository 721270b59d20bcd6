"""The rows of files of contacts that were refused, with why: kept with their file, and given out as
a CSV file, to be mended there and sent again.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from maild.db import connection, database
from maild.domain import contact_csv, contact_layout
from maild.domain.contact_layout import Layout
from maild.models import ContactFile, ContactRejection
from maild.services import contact_files, suppression_exports
from maild.services.contact_import_rows import Rejection

PORTION_ROWS = 2_000

_INSERT = """
INSERT INTO contact_rejections (file_id, line, reason, problem, content)
SELECT %s, line, reason, problem, content
FROM json_to_recordset(%s) AS v (line int, reason text, problem text, content text)
"""


def replace(file_id: int, lines: tuple[int, int], rejections: Sequence[Rejection]) -> None:
    """What was refused of these lines, in place of what an earlier look found; in the caller's
    transaction. `lines` are the first, and the one after the last.
    """
    ContactRejection.delete().where(
        ContactRejection.file == file_id,
        ContactRejection.line >= lines[0],
        ContactRejection.line < lines[1],
    ).execute()
    if not rejections:
        return
    rows = [
        {"line": one.line, "reason": one.reason, "problem": one.problem, "content": one.content}
        for one in rejections
    ]
    database.execute_sql(_INSERT, (file_id, json.dumps(rows, ensure_ascii=False)))


def list_first(row: ContactFile, *, limit: int) -> list[ContactRejection]:
    """The first rows that were refused."""
    return _after(row.id, 0, limit)


def write(workspace_id: int, file_id: int) -> Iterator[str]:
    """A CSV file of them: line, reason, sentence, and the cells as they were. Raises NotFound at
    once.
    """
    with connection():
        row = contact_files.get(workspace_id, file_id)
        names, _ = contact_files.sample(row)
    layout = contact_layout.parse(row.layout)
    header = names or [f"column {number}" for number in range(1, len(layout.columns) + 1)]
    columns = ["line", "reason", "problem", *header]
    return suppression_exports.write_rows(columns, _cells(row.id, layout))


def _cells(file_id: int, layout: Layout) -> Iterable[Sequence[Any]]:
    line = 0
    while True:
        with connection():
            rows = _after(file_id, line, PORTION_ROWS)
        for row in rows:
            yield [row.line, row.reason, row.problem, *_split(row.content, layout)]
        if len(rows) < PORTION_ROWS:
            return
        line = rows[-1].line


def _after(file_id: int, line: int, limit: int) -> list[ContactRejection]:
    query = ContactRejection.select().where(
        ContactRejection.file == file_id, ContactRejection.line > line
    )
    return list(query.order_by(ContactRejection.line).limit(limit))


def _split(content: str, layout: Layout) -> list[str]:
    """The cells of a row; of one that cannot be read, all of it as one."""
    lines = contact_csv.split_lines(content)
    rows = list(contact_csv.read_rows(lines, layout.delimiter, width=len(layout.columns)))
    if len(rows) == 1 and rows[0].cells is not None:
        return rows[0].cells
    return [content]

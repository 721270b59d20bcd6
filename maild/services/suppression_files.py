"""Files of suppressions on their way in: a person sends one, looks at what an import of it would
do, mends what its columns are, and starts the import, which is a job.

In charge of the file; its job is in `suppression_jobs`, and what a line means in
`suppression_imports`. A file is kept for KEPT_DAYS, and of each workspace the newest FILES_MAX.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from peewee import SQL, ModelSelect, fn

from maild.db import connection, database
from maild.domain import suppression_layout
from maild.domain.actor import Actor
from maild.domain.suppression import SuppressionClass
from maild.domain.suppression_csv import BadLine
from maild.domain.suppression_layout import COLUMNS, Layout, UnreadableFile
from maild.errors import Conflict, FieldError, InvalidFields, NotFound
from maild.models import SuppressionFile
from maild.services import suppression_exports, suppression_imports, suppressions, workspaces
from maild.services.suppression_imports import Imported

KEPT_DAYS = 7
FILES_MAX = 20
"""Of a workspace, so many are kept; one more takes the place of the oldest."""
MAX_BYTES = 32 * 1024 * 1024
NAME_MAX_CHARS = 120
SAMPLE_ROWS = 5
NO_ADDRESS = "Say which column has the addresses."


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an import would do. `problem` is why it cannot be done at all; then nothing is counted.

    `counts` has the names of `Imported.counts`; `rejections` the first lines that are refused.
    """

    problem: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    rejections: list[BadLine] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)

    @property
    def wanted_count(self) -> int:
        """The different suppressions that it asks for, known ones included."""
        return self.counts.get("imported", 0) + self.counts.get("existing", 0)


def receive(workspace_id: int, data: bytes, *, name: str, by: Actor) -> SuppressionFile:
    """Keep a file, with what an import of it would do as far as its layout can be guessed.

    Raises InvalidFields (`file`: it is no table in a text file), NotFound (the workspace).
    """
    if len(data) > MAX_BYTES:
        raise _invalid("file", f"is larger than {MAX_BYTES // 1024 // 1024} MB; split it")
    try:
        text = suppression_layout.decode(data)
        layout = suppression_layout.guess(text)
    except UnreadableFile as error:
        raise _invalid("file", str(error)) from None
    name = suppressions.cut(name)[:NAME_MAX_CHARS] or "a file"
    reason, class_ = suppressions.cut(f"imported from {name}"), SuppressionClass.MANUAL
    workspaces.require(workspace_id)
    outlook = _look(workspace_id, text, layout, reason=reason, class_=class_)
    with database.atomic():
        row: SuppressionFile = SuppressionFile.create(
            workspace=workspace_id,
            name=name,
            content=text,
            layout=layout.as_json(),
            default_reason=reason,
            class_=class_,
            foreseen=_as_json(outlook),
            created_by=by.name,
        )
        _drop_oldest(workspace_id)
    return row


def get(workspace_id: int, file_id: int) -> SuppressionFile:
    """A file. Raises NotFound, also for another workspace's, and for one that is kept no more."""
    row: SuppressionFile | None = SuppressionFile.get_or_none(
        SuppressionFile.id == file_id, SuppressionFile.workspace == workspace_id
    )
    if row is None:
        raise _gone()
    return row


def get_without_content(workspace_id: int, file_id: int) -> SuppressionFile:
    """As `get`, for who asks often: all but the content, which may be long. Raises NotFound."""
    query = _without_content(workspace_id).where(SuppressionFile.id == file_id)
    row: SuppressionFile | None = query.first()
    if row is None:
        raise _gone()
    return row


def lock(workspace_id: int, file_id: int) -> SuppressionFile:
    """As `get`, and kept from others until the transaction ends."""
    query = SuppressionFile.select().where(
        SuppressionFile.id == file_id, SuppressionFile.workspace == workspace_id
    )
    row: SuppressionFile | None = query.for_update().first()
    return get(workspace_id, file_id) if row is None else row


def read_good(row: SuppressionFile) -> Iterator[dict[str, Any]]:
    """Its good lines, as `suppression_imports.put` takes them."""
    layout = suppression_layout.parse(row.layout)
    return (one for one in _read(row, layout) if not isinstance(one, BadLine))


def list_newest(workspace_id: int) -> list[SuppressionFile]:
    """The files of a workspace, newest first, without their content."""
    query = _without_content(workspace_id)
    return list(query.order_by(SuppressionFile.id.desc()).limit(FILES_MAX))


def configure(
    workspace_id: int,
    file_id: int,
    *,
    columns: Sequence[str],
    has_header: bool,
    default_reason: str,
    class_: str,
) -> SuppressionFile:
    """Say what its columns are (one of COLUMNS each, or empty), and look at it again.

    Raises InvalidFields (`columns`, `default_reason`, `class`), NotFound, and Conflict where its
    import was started already.
    """
    row = get(workspace_id, file_id)
    layout = Layout(
        suppression_layout.parse(row.layout).delimiter,
        has_header,
        tuple(column or None for column in columns),
    )
    chosen = _check(row, layout, reason=default_reason, class_=class_)
    outlook = _look(workspace_id, row.content, layout, reason=default_reason, class_=chosen)
    changed = list(
        SuppressionFile.update(
            layout=layout.as_json(),
            default_reason=default_reason,
            class_=chosen,
            foreseen=_as_json(outlook),
        )
        .where(SuppressionFile.id == row.id, SuppressionFile.job_id.is_null())
        .returning(SuppressionFile)
        .execute()
    )
    if not changed:
        raise Conflict("The import of this file was started meanwhile. Nothing was changed.")
    return changed[0]  # type: ignore[no-any-return]


def outlook_of(row: SuppressionFile) -> Outlook:
    """What an import of it would do, as of when it came or was configured."""
    stored = row.foreseen
    return Outlook(
        problem=stored["problem"],
        counts=stored["counts"],
        rejections=[BadLine(number, error) for number, error in stored["rejections"]],
        ignored_columns=stored["ignored_columns"],
    )


def sample(row: SuppressionFile) -> tuple[list[str], list[list[str]]]:
    """The names in its header, and its first SAMPLE_ROWS lines, cell by cell. The row may
    be one without content. Raises NotFound where the file has gone meanwhile.
    """
    layout = suppression_layout.parse(row.layout)
    content = get(row.workspace_id, row.id).content
    return suppression_layout.sample(content, layout, count=SAMPLE_ROWS)


def write_rejected(workspace_id: int, file_id: int) -> Iterator[str]:
    """A CSV file of the lines that are refused: their numbers, why, and their cells. Raises
    NotFound at once.
    """
    with connection():
        row = get(workspace_id, file_id)
    layout = suppression_layout.parse(row.layout)
    header, _ = suppression_layout.sample(row.content, layout, count=0)
    names = header or [f"column {number}" for number in range(1, len(layout.columns) + 1)]
    columns = ["line", "problem", *names]
    return suppression_exports.write_rows(columns, _rejected(row, layout))


def _rejected(row: SuppressionFile, layout: Layout) -> Iterator[list[Any]]:
    lines = iter(enumerate(io.StringIO(row.content, newline=""), start=1))
    for one in _read(row, layout):
        if not isinstance(one, BadLine):
            continue
        # No cell goes over more than one line: a file in which one does is refused as a whole.
        text = next(text for number, text in lines if number == one.number)
        yield [one.number, one.error, *suppression_layout.split(text, layout.delimiter)]


def prune() -> None:
    """Drop what was kept for long enough."""
    SuppressionFile.delete().where(
        SuppressionFile.created_at < fn.now() - SQL("%s * interval '1 day'", (KEPT_DAYS,))
    ).execute()


def _without_content(workspace_id: int) -> "ModelSelect[SuppressionFile]":
    columns = [column for name, column in SuppressionFile._meta.fields.items() if name != "content"]
    return SuppressionFile.select(*columns).where(SuppressionFile.workspace == workspace_id)


def _gone() -> NotFound:
    return NotFound(
        f"There is no such file any more: they are kept for {KEPT_DAYS} days. Send it again."
    )


def _read(row: SuppressionFile, layout: Layout) -> Iterator[dict[str, Any] | BadLine]:
    return suppression_imports.read_all(
        row.content,
        Imported(),
        reason=row.default_reason,
        class_=row.class_,
        layout=layout,
    )


def _look(
    workspace_id: int, text: str, layout: Layout, *, reason: str, class_: SuppressionClass
) -> Outlook:
    """Reads the whole file: some seconds where it is as long as can be."""
    if "email" not in layout.columns:
        return Outlook(problem=NO_ADDRESS)
    result = Imported()
    try:
        rows = list(
            suppression_imports.read(text, result, reason=reason, class_=class_, layout=layout)
        )
    except InvalidFields as error:
        [one] = error.errors
        return Outlook(problem=f"The file {one.message}.")
    distinct, result.imported_count, result.extended_count = suppression_imports.foresee(
        workspace_id, rows
    )
    result.existing_count = distinct - result.imported_count
    result.duplicate_count = len(rows) - distinct
    return Outlook(None, result.counts(), result.rejections, result.ignored_columns)


def _as_json(outlook: Outlook) -> dict[str, Any]:
    return {
        "problem": outlook.problem,
        "counts": outlook.counts,
        "rejections": [(bad.number, bad.error) for bad in outlook.rejections],
        "ignored_columns": outlook.ignored_columns,
    }


def _check(row: SuppressionFile, layout: Layout, *, reason: str, class_: str) -> SuppressionClass:
    errors: list[FieldError] = []
    known = [column for column in layout.columns if column is not None]
    if len(layout.columns) != len(row.layout["columns"]) or not set(known) <= set(COLUMNS):
        errors.append(FieldError("columns", "must say of each column what it is"))
    errors += [
        FieldError("columns", f"name {column} more than once")
        for column in COLUMNS
        if known.count(column) > 1
    ]
    try:
        suppression_imports.check_reason(reason)
    except InvalidFields as error:
        errors += error.errors
    try:
        chosen = SuppressionClass(class_)
    except ValueError:
        errors.append(FieldError("class", f"must be one of {', '.join(SuppressionClass)}"))
    if errors:
        detail = "; ".join(f"{one.field} {one.message}" for one in errors)
        raise InvalidFields(detail, errors=errors)
    return chosen


def _drop_oldest(workspace_id: int) -> None:
    kept = (
        SuppressionFile.select(SuppressionFile.id)
        .where(SuppressionFile.workspace == workspace_id)
        .order_by(SuppressionFile.id.desc())
        .limit(FILES_MAX)
    )
    SuppressionFile.delete().where(
        SuppressionFile.workspace == workspace_id, SuppressionFile.id.not_in(kept)
    ).execute()


def _invalid(name: str, message: str) -> InvalidFields:
    return InvalidFields(f"{name}: {message}", errors=[FieldError(name, message)])

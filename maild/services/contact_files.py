"""Files of contacts: taking one in part by part, so that none is ever in memory as a whole, and
keeping it for some days. What is done with them is in `contact_imports`.

Of each workspace the newest FILES_MAX are kept, as far as they are no more than TOTAL_MAX_BYTES
together; a file goes on being kept while a job reads it.
"""

import codecs
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from peewee import SQL, fn

from maild import log
from maild.db import connection, database
from maild.domain import contact_layout, text_encoding
from maild.domain.actor import Actor
from maild.domain.contact_csv import Cutter, Part
from maild.domain.contact_layout import Layout
from maild.domain.csv_table import UnreadableFile
from maild.domain.text_encoding import HEAD_BYTES, UTF8, Sniffer
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, PayloadTooLarge
from maild.models import ContactFile, ContactFileChunk
from maild.services import (
    contact_attributes,
    contact_import_rows,
    jobs,
    suppressions,
    workspaces,
)

KEPT_DAYS = 7
FILES_MAX = 20
MAX_BYTES = 256 * 1024 * 1024
TOTAL_MAX_BYTES = 1024 * 1024 * 1024
LINES_MAX = 5_000_000
"""Of any kind, blank ones included."""
UPLOADS_MAX = 4
"""Of a workspace, at once."""
UPLOAD_MINUTES = 15
"""An upload that takes longer does not keep others waiting."""
ABANDONED_HOURS = 6
"""What has not come by then never will."""
NAME_MAX_CHARS = 120
SAMPLE_ROWS = 5
PRUNED_CHUNKS = 400
PRUNED_ROWS = 50_000
"""As much is forgotten in one go."""
GONE = f"There is no such file any more: they are kept for {KEPT_DAYS} days. Send it again."

logger = log.get(__name__)


def receive(workspace_id: int, blocks: Iterable[bytes], *, name: str, by: Actor) -> ContactFile:
    """Keep a file that comes block by block, with the layout that it most likely has. No
    transaction is open, and no connection held, while the next block is waited for.

    Raises InvalidFields (`file`: it is no table in a text file), PayloadTooLarge, NotFound (the
    workspace), and Conflict where UPLOADS_MAX are under way already.
    """
    source = iter(blocks)
    head = _take_head(source)
    try:
        utf16 = text_encoding.find_utf16(head)
        if utf16 is None:
            text_encoding.refuse_binary(head)
        delimiter, width = contact_layout.guess_delimiter(_text_of_head(head, utf16))
    except UnreadableFile as error:
        raise _invalid(str(error)) from None
    with connection():
        row = _begin(workspace_id, suppressions.cut(name)[:NAME_MAX_CHARS] or "a file", by=by)
    intake = _Intake(row, Cutter(delimiter, width=width), utf16)
    try:
        intake.take(head)
        for block in source:
            intake.take(block)
        intake.finish()
        with connection():
            return _complete(row, intake, delimiter)
    except BaseException:
        with connection():
            _retire([row.id])
        raise


def get(workspace_id: int, file_id: int) -> ContactFile:
    """A file that is there. Raises NotFound, also for another workspace's, and for one that is kept
    no more.
    """
    row: ContactFile | None = ContactFile.get_or_none(
        ContactFile.id == file_id,
        ContactFile.workspace == workspace_id,
        ContactFile.received_at.is_null(False),
    )
    if row is None:
        raise NotFound(GONE)
    return row


def lock(workspace_id: int, file_id: int) -> ContactFile:
    """As `get`, and kept from others until the transaction ends."""
    query = ContactFile.select().where(
        ContactFile.id == file_id, ContactFile.workspace == workspace_id
    )
    query.for_update("FOR NO KEY UPDATE").first()  # type: ignore[arg-type]
    return get(workspace_id, file_id)


def list_newest(workspace_id: int) -> list[ContactFile]:
    """The files of a workspace, newest first: FILES_MAX at most. Raises NotFound (it is none)."""
    query = ContactFile.select().where(
        ContactFile.workspace == workspace_id, ContactFile.received_at.is_null(False)
    )
    rows = list(query.order_by(ContactFile.id.desc()).limit(FILES_MAX))
    if not rows:
        workspaces.require(workspace_id)
    return rows


def find_same(row: ContactFile) -> ContactFile | None:
    """The latest import of a file with the same content, before this one."""
    query = ContactFile.select().where(
        ContactFile.workspace == row.workspace_id,
        ContactFile.id < row.id,
        ContactFile.digest == row.digest,
        ContactFile.import_job_id.is_null(False),
        ContactFile.received_at.is_null(False),
    )
    same: ContactFile | None = query.order_by(ContactFile.id.desc()).first()
    return same


def sample(row: ContactFile) -> tuple[list[str], list[list[str]]]:
    """The names in its header, and its first SAMPLE_ROWS rows, cell by cell."""
    layout = contact_layout.parse(row.layout)
    return contact_layout.sample(_begin_of(row, layout.encoding), layout, count=SAMPLE_ROWS)


def guess(row: ContactFile, *, encoding: str, delimiter: str) -> Layout:
    """The layout that it most likely has, read in this way."""
    return contact_layout.guess(
        _begin_of(row, encoding),
        encoding=encoding,
        delimiter=delimiter,
        kinds=_known_kinds(row.workspace_id),
    )


def prune() -> None:
    """Forget some of what was kept for long enough, and of what never came as a whole: first the
    parts, then the file itself.
    """
    old = ContactFile.select(ContactFile.id).where(
        (ContactFile.created_at < _ago(KEPT_DAYS, "day"))
        | (
            ContactFile.received_at.is_null()
            & (ContactFile.created_at < _ago(ABANDONED_HOURS, "hour"))
        )
    )
    ids = [row.id for row in old.order_by(ContactFile.created_at).limit(FILES_MAX)]
    if not ids:
        return
    for table, key, limit in _PARTS:
        statement = _PRUNE.format(table=table, key=key)  # nosec B608
        database.execute_sql(statement, (ids, limit))
    database.execute_sql(_PRUNE_FILES, (ids,))


_PARTS = (
    ("contact_file_chunks", "position", PRUNED_CHUNKS),
    ("contact_rejections", "line", PRUNED_ROWS),
    ("contact_file_addresses", "email", PRUNED_ROWS),
)
_PRUNE = """
DELETE FROM {table} WHERE (file_id, {key}) IN (
    SELECT p.file_id, p.{key} FROM {table} p WHERE p.file_id = ANY(%s) LIMIT %s)
"""
_PRUNE_FILES = """
DELETE FROM contact_files f WHERE f.id = ANY(%s)
    AND NOT EXISTS (SELECT FROM contact_file_chunks c WHERE c.file_id = f.id)
    AND NOT EXISTS (SELECT FROM contact_rejections r WHERE r.file_id = f.id)
    AND NOT EXISTS (SELECT FROM contact_file_addresses a WHERE a.file_id = f.id)
"""


class _Intake:
    """A file on its way in: its octets as they come, its parts as they are kept."""

    def __init__(self, row: ContactFile, cutter: Cutter, utf16: str | None) -> None:
        self.row = row
        self.digest = hashlib.sha256()
        self.sniffer = Sniffer()
        self.size_bytes = 0
        self.line_count = 0
        self.chunk_count = 0
        self._cutter = cutter
        self._decoder = codecs.getincrementaldecoder(utf16)("replace") if utf16 else None

    def take(self, block: bytes) -> None:
        self.digest.update(block)
        self.size_bytes += len(block)
        if self.size_bytes > MAX_BYTES:
            raise PayloadTooLarge(
                f"The file is larger than {MAX_BYTES // 1024 // 1024} MB. Split it."
            )
        if self._decoder is not None:
            block = self._decoder.decode(block).encode()
        self._keep(self._cutter.feed(block))

    def finish(self) -> None:
        if self._decoder is not None:
            self._keep(self._cutter.feed(self._decoder.decode(b"", final=True).encode()))
        self._keep(self._cutter.finish())

    def _keep(self, parts: Iterator[Part]) -> None:
        for part in parts:
            self.sniffer.feed(part.content)
            with connection():
                ContactFileChunk.insert(
                    file=self.row.id,
                    position=self.chunk_count,
                    first_line=self.line_count + 1,
                    line_count=part.line_count,
                    content=part.content,
                ).execute()
            self.chunk_count += 1
            self.line_count += part.line_count
            if self.line_count > LINES_MAX:
                raise _invalid(f"has more than {LINES_MAX:,} lines; import it in parts")


def _take_head(source: Iterator[bytes]) -> bytes:
    head = bytearray()
    for block in source:
        head += block
        if len(head) >= HEAD_BYTES:
            break
    return bytes(head)


def _text_of_head(head: bytes, utf16: str | None) -> str:
    """What a file begins with, up to the end of a line."""
    if utf16 is not None:
        return head[:HEAD_BYTES].decode(utf16, "replace").removeprefix("\ufeff")
    head = head[:HEAD_BYTES]
    end = max(head.rfind(b"\n"), head.rfind(b"\r")) + 1
    whole = head[:end] if end and len(head) == HEAD_BYTES else head
    sniffer = Sniffer()
    sniffer.feed(whole)
    return text_encoding.decode(whole, sniffer.encoding)


def _begin(workspace_id: int, name: str, *, by: Actor) -> ContactFile:
    with database.atomic():
        workspaces.take_turns(workspace_id)
        under_way = ContactFile.select().where(
            ContactFile.workspace == workspace_id,
            ContactFile.received_at.is_null(),
            ContactFile.created_at > _ago(UPLOAD_MINUTES, "minute"),
        )
        if under_way.count() >= UPLOADS_MAX:
            raise Conflict(
                f"{UPLOADS_MAX} files are on their way into this workspace. Wait for one of them."
            )
        row: ContactFile = ContactFile.create(
            workspace=workspace_id,
            name=name,
            layout={},
            options=contact_import_rows.Options().as_json(),
            created_by=by.name,
        )
    return row


def _complete(row: ContactFile, intake: _Intake, delimiter: str) -> ContactFile:
    """Let a file be seen, all of which is there now."""
    encoding = UTF8 if intake.chunk_count == 0 else intake.sniffer.encoding
    layout = guess(row, encoding=encoding, delimiter=delimiter)
    with database.atomic():
        [complete] = (
            ContactFile.update(
                size_bytes=intake.size_bytes,
                digest=intake.digest.digest(),
                line_count=intake.line_count,
                chunk_count=intake.chunk_count,
                layout=layout.as_json(),
                received_at=fn.now(),
            )
            .where(ContactFile.id == row.id)
            .returning(ContactFile)
            .execute()
        )
        _drop_oldest(row.workspace_id)
    logger.info(
        "contact_file.received",
        workspace_id=row.workspace_id,
        file_id=row.id,
        size_bytes=intake.size_bytes,
        line_count=intake.line_count,
        by=row.created_by,
    )
    return complete  # type: ignore[no-any-return]


def _drop_oldest(workspace_id: int) -> None:
    """Make room: what goes is out of sight at once, and forgotten soon."""
    query = ContactFile.select().where(
        ContactFile.workspace == workspace_id, ContactFile.received_at.is_null(False)
    )
    open_ids = {job.id for job in jobs.list_open(workspace_id)}
    total, dropped = 0, []
    for place, row in enumerate(query.order_by(ContactFile.id.desc()).limit(FILES_MAX * 2)):
        total += row.size_bytes
        is_too_much = place >= FILES_MAX or (place and total > TOTAL_MAX_BYTES)
        if is_too_much and open_ids.isdisjoint({row.check_job_id, row.import_job_id}):
            dropped.append(row.id)
    if dropped:
        _retire(dropped)


def _retire(ids: list[int]) -> None:
    """Out of sight; `prune` does the rest."""
    ContactFile.update(received_at=None, created_at=fn.to_timestamp(0)).where(
        ContactFile.id << ids
    ).execute()


def _begin_of(row: ContactFile, encoding: str) -> str:
    """The text of its first part, as far as it tells what its columns are."""
    query = ContactFileChunk.select(
        fn.substring(ContactFileChunk.content, 1, HEAD_BYTES).alias("content")
    ).where(ContactFileChunk.file == row.id, ContactFileChunk.position == 0)
    content = bytes(query.get().content)
    end = max(content.rfind(b"\n"), content.rfind(b"\r")) + 1
    whole = content[:end] if end and len(content) == HEAD_BYTES else content
    return text_encoding.decode(whole, encoding)


def _known_kinds(workspace_id: int) -> dict[str, Any]:
    kinds = contact_attributes.find_kinds(workspace_id)
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _ago(count: int, unit: str) -> Any:
    return fn.now() - SQL(f"%s * interval '1 {unit}'", (count,))


def _invalid(message: str) -> InvalidFields:
    return InvalidFields(f"file: {message}", errors=[FieldError("file", message)])

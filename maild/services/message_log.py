"""The log: a workspace's messages, newest first, filtered, in keyset pages; and its live end.

No page counts anything, and every search is cut off after a moment, with words for the operator.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee

from maild.db import database
from maild.domain import log_terms
from maild.domain.cursor import Cursor
from maild.domain.log_terms import Kind
from maild.domain.states import Status, Stream
from maild.models import Message, RestoredMessage
from maild.services import log_search, workspaces
from maild.services.log_search import Search

PAGE_MAX = 500
SEARCH_TIMEOUT_MS = log_search.TIMEOUT_MS
TAIL_LAG_SECONDS = 1
"""The live end shows what is at least this old: rows do not become visible in the order of their
times, and one that commits late must not fall behind a cursor that has passed it.
"""
TAIL_SPAN = timedelta(minutes=1)
"""How far the cursor of a live end lies back at most while nothing comes."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for; None means anything. Each of the words of `subject` and of `q` must stand
    somewhere, without case: at the beginning of a word.

    `since` is inclusive, `until` exclusive.
    """

    status: Status | None = None
    stream: Stream | None = None
    to_email: str | None = None
    from_email: str | None = None
    subject: str | None = None
    q: str | None = None
    tag: str | None = None
    smtp_account: str | None = None
    error_class: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    api_key_id: int | None = None
    restore_id: int | None = None
    """Those that a restore has held back."""

    @property
    def is_lasting(self) -> bool:
        """Whether what matches once always will: nothing asked for changes after a message was
        accepted.
        """
        changing = (self.status, self.smtp_account, self.error_class, self.restore_id)
        return all(value is None for value in changing)


@dataclass(frozen=True, slots=True)
class Page:
    """Messages, newest first, with the cursors of the neighbouring pages where there are any."""

    messages: list[Message]
    older: Cursor | None
    newer: Cursor | None


def list_page(
    workspace_id: int,
    *,
    filter_: Filter | None = None,
    limit: int = 50,
    older_than: Cursor | None = None,
    newer_than: Cursor | None = None,
    settled_only: bool = False,
    timeout_ms: int | None = None,
) -> Page:
    """One page. At most one of the cursors is given; with neither it is the newest page.

    `settled_only` leaves out what is younger than TAIL_LAG_SECONDS. `timeout_ms` is for whoever can
    wait longer than a page. Raises NotFound, for the workspace, and SearchTooLong.
    """
    f = filter_ or Filter()
    wanted = list(conditions(workspace_id, f))
    if settled_only:
        wanted.append(_is_settled())
    search = Search(
        workspace_id,
        wanted,
        _terms(workspace_id, f),
        _changing(f),
        start=newer_than or older_than or _before(f.until),
        stop=_before(f.until if newer_than else f.since),
        is_newest_first=newer_than is None,
        timeout_ms=timeout_ms or log_search.TIMEOUT_MS,
    )
    with bounded(timeout_ms):
        rows = log_search.find(search, limit=limit + 1)
        if not rows:
            workspaces.require(workspace_id)
    has_more, rows = len(rows) > limit, rows[:limit]
    if newer_than:
        rows.reverse()
        has_older, has_newer = True, has_more
    else:
        has_older, has_newer = has_more, older_than is not None
    return Page(
        messages=rows,
        older=cursor_of(rows[-1]) if rows and has_older else None,
        newer=cursor_of(rows[0]) if rows and has_newer else None,
    )


def list_live(workspace_id: int, *, filter_: Filter, limit: int = 50) -> tuple[Page, Cursor]:
    """The newest page, and the cursor from which `list_tail` goes on.

    The page holds just what the tail would have given by now, so that between the two no message is
    missed and none comes twice. Raises SearchTooLong.
    """
    # Before the page: over an empty one, the tail gives what settles in between.
    start = tail_start()
    page = list_page(workspace_id, filter_=filter_, limit=limit, settled_only=True)
    if not page.messages or is_stale(cursor_of(page.messages[0]), start):
        return page, start
    return page, cursor_of(page.messages[0])


def list_tail(
    workspace_id: int, *, filter_: Filter, after: Cursor, limit: int = 100
) -> list[Message]:
    """What came since `after`, newest first; the oldest `limit` of it, so that nothing is passed
    over.
    """
    query = (
        Message.select()
        .where(*conditions(workspace_id, filter_))
        .where(*log_search.after(after), _is_settled())
        .order_by(Message.created_at, Message.id)
        .limit(limit)
    )
    with bounded():
        return list(query)[::-1]


def count_tail(workspace_id: int, *, filter_: Filter, after: Cursor, limit: int) -> int:
    """How many have come since `after`; no more than `limit` are counted."""
    query = (
        Message.select(peewee.SQL("1"))
        .where(*conditions(workspace_id, filter_))
        .where(*log_search.after(after), _is_settled())
        .limit(limit)
    )
    with bounded():
        return int(query.count())


def list_changed(workspace_id: int, *, seen: dict[uuid.UUID, Status]) -> list[Message]:
    """Which of the messages that a page shows have another status by now."""
    if not seen:
        return []
    rows = Message.select().where(Message.workspace == workspace_id, Message.id << list(seen))
    return [row for row in rows if row.status != seen[row.id]]


def is_stale(cursor: Cursor, start: Cursor) -> bool:
    """Whether a live end had better begin at `start` than at this cursor, behind which nothing has
    come: each look would go through more and more that is not meant.
    """
    return start.at - cursor.at > TAIL_SPAN


def tail_start() -> Cursor:
    """The cursor of a live end that begins now, with an empty log above it."""
    row = database.execute_sql(
        "SELECT now() - %s * interval '1 second'", (TAIL_LAG_SECONDS,)
    ).fetchone()
    return Cursor(row[0], uuid.UUID(int=0))


def cursor_of(message: Message) -> Cursor:
    return Cursor(message.created_at, message.id)


def _is_settled() -> peewee.Expression:
    lag = peewee.SQL("%s * interval '1 second'", (TAIL_LAG_SECONDS,))
    return Message.created_at < peewee.fn.now() - lag


def conditions(workspace_id: int, f: Filter) -> Sequence[peewee.Expression]:
    """What a query of messages must ask for to find what the filter describes."""
    found: list[Any] = [Message.workspace == workspace_id, *_changing(f)]
    exact = {
        Message.stream: f.stream,
        Message.to_email: f.to_email,
        Message.from_email: f.from_email,
        Message.api_key_id: f.api_key_id,
    }
    found += [field == value for field, value in exact.items() if value is not None]
    if f.restore_id is not None:
        restored = RestoredMessage.select(RestoredMessage.message)
        found.append(Message.id << restored.where(RestoredMessage.restore == f.restore_id))
    if f.tag is not None:
        found.append(Message.tags.contains(f.tag))
    for chunk in (f.subject or "").split():
        found.append(_has(Message.subject, chunk))
    for chunk in (f.q or "").split():
        texts = peewee.fn.concat_ws("\n", Message.subject, Message.to_email, Message.from_email)
        found.append(_has(texts, chunk))
    if f.since is not None:
        found.append(Message.created_at >= f.since)
    if f.until is not None:
        found.append(Message.created_at < f.until)
    return found


def _changing(f: Filter) -> list[Any]:
    """What is asked for that changes after a message was accepted: each has an index."""
    exact = {
        Message.status: f.status,
        Message.smtp_account_name: f.smtp_account,
        Message.error_class: f.error_class,
    }
    return [field == value for field, value in exact.items() if value is not None]


def _terms(workspace_id: int, f: Filter) -> str | None:
    """The query for the blocks that can hold what is asked for; None where no term is, or the
    recipient, whose index finds it at once.
    """
    if f.to_email is not None:
        return None
    exact = {
        Kind.STREAM: f.stream,
        Kind.SENDER: f.from_email,
        Kind.TAG: f.tag,
        Kind.API_KEY: f.api_key_id,
    }
    parts: list[str | None] = [
        log_terms.exact(workspace_id, kind, str(value))
        for kind, value in exact.items()
        if value is not None
    ]
    for chunk in (f.subject or "").split():
        parts.append(log_terms.words(workspace_id, Kind.SUBJECT, chunk))
    for chunk in (f.q or "").split():
        parts.append(log_terms.words_of_any(workspace_id, chunk))
    return log_terms.all_of(workspace_id, parts)


def _has(text: Any, chunk: str) -> peewee.Expression:
    """Whether the chunk stands in it, at the beginning of a word."""
    found = peewee.Expression(text.collate("pg_c_utf8"), "~*", log_terms.row_pattern(chunk))
    # What is not there at all is told sooner by looking for it as it is.
    return text.collate('"C"').contains(chunk) & found if chunk.isascii() else found


def _before(at: datetime | None) -> Cursor | None:
    """The place before all that has this time."""
    return None if at is None else Cursor(at, uuid.UUID(int=0))


@contextmanager
def bounded(timeout_ms: int | None = None) -> Iterator[None]:
    """A transaction whose statements end after SEARCH_TIMEOUT_MS, or after another time; raises
    SearchTooLong then. Inside of another transaction that one's limit holds again afterwards.
    """
    is_inside = database.in_transaction()
    try:
        with database.atomic():
            before, _ = database.execute_sql(
                "SELECT current_setting('statement_timeout'),"
                " set_config('statement_timeout', %s, true)",
                (str(timeout_ms or SEARCH_TIMEOUT_MS),),
            ).fetchone()
            yield
            if is_inside:
                database.execute_sql("SELECT set_config('statement_timeout', %s, true)", (before,))
    except peewee.OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        raise log_search.too_long() from error

"""The log: a workspace's messages, newest first, filtered, in keyset pages; and its live end.

No page counts anything, and every search is cut off after a moment, with words for the operator.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from maild.db import database
from maild.domain.cursor import Cursor
from maild.domain.states import Status, Stream
from maild.errors import Unavailable
from maild.models import Message
from maild.services import workspaces

PAGE_MAX = 500
SEARCH_TIMEOUT_MS = 2_000
TAIL_LAG_SECONDS = 1
"""The live end shows what is at least this old: rows do not become visible in the order of their
times, and one that commits late must not fall behind a cursor that has passed it.
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for; None means anything. Texts of `subject` and `q` are matched anywhere,
    without case.

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

    @property
    def is_lasting(self) -> bool:
        """Whether what matches once always will: nothing asked for changes after a message was
        accepted.
        """
        return self.status is None and self.smtp_account is None and self.error_class is None


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
) -> Page:
    """One page. At most one of the cursors is given; with neither it is the newest page.

    `settled_only` leaves out what is younger than TAIL_LAG_SECONDS. Raises NotFound, for the
    workspace, and Unavailable where the search takes too long.
    """
    query = Message.select().where(*conditions(workspace_id, filter_ or Filter()))
    if settled_only:
        query = query.where(_is_settled())
    if newer_than:
        query = query.where(_position() > _mark(newer_than))
        query = query.order_by(Message.created_at, Message.id)
    else:
        if older_than:
            query = query.where(_position() < _mark(older_than))
        query = query.order_by(Message.created_at.desc(), Message.id.desc())
    with bounded():
        rows = list(query.limit(limit + 1))
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
    missed and none comes twice. Raises Unavailable where the search takes too long.
    """
    # Before the page: over an empty one, the tail gives what settles in between.
    start = tail_start()
    page = list_page(workspace_id, filter_=filter_, limit=limit, settled_only=True)
    return page, cursor_of(page.messages[0]) if page.messages else start


def list_tail(
    workspace_id: int, *, filter_: Filter, after: Cursor, limit: int = 100
) -> list[Message]:
    """What came since `after`, newest first; the oldest `limit` of it, so that nothing is passed
    over.
    """
    query = (
        Message.select()
        .where(*conditions(workspace_id, filter_))
        .where(_position() > _mark(after), _is_settled())
        .order_by(Message.created_at, Message.id)
        .limit(limit)
    )
    with bounded():
        return list(query)[::-1]


def list_changed(workspace_id: int, *, seen: dict[uuid.UUID, Status]) -> list[Message]:
    """Which of the messages that a page shows have another status by now."""
    if not seen:
        return []
    rows = Message.select().where(Message.workspace == workspace_id, Message.id << list(seen))
    return [row for row in rows if row.status != seen[row.id]]


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


def _position() -> peewee.Tuple:
    return peewee.Tuple(Message.created_at, Message.id)


def _mark(cursor: Cursor) -> peewee.Tuple:
    return peewee.Tuple(cursor.at, cursor.id)


def conditions(workspace_id: int, f: Filter) -> Sequence[peewee.Expression]:
    """What a query of messages must ask for to find what the filter describes."""
    found: list[Any] = [Message.workspace == workspace_id]
    exact = {
        Message.status: f.status,
        Message.stream: f.stream,
        Message.to_email: f.to_email,
        Message.from_email: f.from_email,
        Message.smtp_account_name: f.smtp_account,
        Message.error_class: f.error_class,
        Message.api_key_id: f.api_key_id,
    }
    found += [field == value for field, value in exact.items() if value is not None]
    if f.tag is not None:
        found.append(Message.tags.contains(f.tag))
    if f.subject is not None:
        found.append(Message.subject.contains(f.subject))
    if f.q is not None:
        found.append(
            Message.subject.contains(f.q)
            | Message.to_email.contains(f.q)
            | Message.from_email.contains(f.q)
        )
    if f.since is not None:
        found.append(Message.created_at >= f.since)
    if f.until is not None:
        found.append(Message.created_at < f.until)
    return found


@contextmanager
def bounded() -> Iterator[None]:
    """A transaction whose statements end after SEARCH_TIMEOUT_MS; raises Unavailable then."""
    try:
        with database.atomic():
            database.execute_sql(
                "SELECT set_config('statement_timeout', %s, true)", (str(SEARCH_TIMEOUT_MS),)
            )
            yield
    except peewee.OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        raise Unavailable(
            "This search took too long. Narrow it: a shorter time range, a status, an address.",
            retry_after_seconds=5,
        ) from error

"""Lists of suppressions, of what each of them has stopped, and of all of them for a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from maild import clock
from maild.db import connection
from maild.domain.cursor import Cursor
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass, SuppressionState
from maild.models import Message, Suppression
from maild.services import email_search, message_log, row_streams, suppressions, workspaces

EXPORT_BATCH = 1_000
HISTORY_MAX = 50


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list shows. `email` is a whole address in any form.

    `stream` is that of the row itself; `is_for_all_streams` finds the rows that name none.
    """

    email: str | None = None
    email_start: str | None = None
    """The beginning of one."""
    domain: str | None = None
    source: str | None = None
    class_: SuppressionClass | None = None
    stream: Stream | None = None
    is_for_all_streams: bool = False
    state: SuppressionState | None = SuppressionState.IN_FORCE
    """None: all of them."""
    since: datetime | None = None
    until: datetime | None = None
    """When it was added; the latter is exclusive."""


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `older` is the id after which the next page begins."""

    suppressions: list[Suppression]
    older: int | None


@dataclass(frozen=True, slots=True)
class BlockedPage:
    """What a suppression has stopped, newest first."""

    suppression: Suppression
    messages: list[Message]
    older: Cursor | None


def list_page(
    workspace_id: int, *, filter_: Filter, limit: int = 50, older_than: int | None = None
) -> Page:
    """The newest suppressions, or those before an id. Raises InvalidFields, NotFound (the
    workspace), Unavailable (the search takes too long).
    """
    query = Suppression.select().where(*_conditions(workspace_id, filter_))
    if older_than is not None:
        query = query.where(Suppression.id < older_than)
    with message_log.bounded():
        rows = list(query.order_by(Suppression.id.desc()).limit(limit + 1))
        if not rows:
            workspaces.require(workspace_id)
    shown = rows[:limit]
    return Page(shown, older=shown[-1].id if len(rows) > limit else None)


def list_history(workspace_id: int, email: str) -> list[Suppression]:
    """The newest HISTORY_MAX of all that there ever was of an address in normal form."""
    query = Suppression.select().where(
        Suppression.workspace == workspace_id, email_search.is_exactly(Suppression.email, email)
    )
    return list(query.order_by(Suppression.id.desc()).limit(HISTORY_MAX))


def find_in_force(workspace_id: int, email: str, *, stream: Stream) -> Suppression | None:
    """What keeps mail of a stream from an address in normal form; that of all streams first."""
    row: Suppression | None = (
        Suppression.select()
        .where(
            Suppression.workspace == workspace_id,
            Suppression.email == suppressions.lower_case(email),
            Suppression.stream.is_null() | (Suppression.stream == stream),
            suppressions.in_state(SuppressionState.IN_FORCE),
        )
        .order_by(Suppression.stream.is_null().desc(), Suppression.id)
        .first()
    )
    return row


def list_blocked(
    workspace_id: int, suppression_id: int, *, limit: int = 50, older_than: Cursor | None = None
) -> BlockedPage:
    """The messages that a suppression has stopped, newest first. Raises NotFound."""
    suppression = suppressions.get(workspace_id, suppression_id)
    query = Message.select().where(suppressions.is_blocked_by(suppression))
    place = Message.created_at, Message.id
    if older_than is not None:
        mark = fn.ROW(older_than.at, older_than.id)
        query = query.where(fn.ROW(*place) < mark)
    rows = list(query.order_by(*(field.desc() for field in place)).limit(limit + 1))
    shown = rows[:limit]
    older = Cursor(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
    return BlockedPage(suppression, shown, older)


def export(workspace_id: int, *, filter_: Filter) -> Iterator[Suppression]:
    """All suppressions that a filter finds, oldest first, read little by little.

    Each portion opens the database for itself, so that nobody who reads slowly keeps a connection.
    Raises InvalidFields and NotFound (the workspace) at once, not in the middle.
    """
    conditions = _conditions(workspace_id, filter_)
    with connection():
        workspaces.require(workspace_id)
    return row_streams.by_id(Suppression, conditions, batch=EXPORT_BATCH)


def state_of(row: Suppression) -> SuppressionState:
    """The state of a row, as lists filter by it."""
    if row.removed_at is not None and (row.expires_at is None or row.removed_at < row.expires_at):
        return SuppressionState.REMOVED
    if row.expires_at is not None and row.expires_at <= clock.now():
        return SuppressionState.EXPIRED
    return SuppressionState.IN_FORCE


def _conditions(workspace_id: int, f: Filter) -> list[Any]:
    found: list[Any] = [Suppression.workspace == workspace_id]
    if f.email is not None:
        found.append(
            Suppression.email == suppressions.lower_case(suppressions.normal_form(f.email))
        )
    if f.email_start is not None:
        found.append(email_search.starts_with(Suppression.email, f.email_start))
    if f.domain is not None:
        found.append(email_search.is_of_domain(Suppression.email, f.domain))
    exact = {
        Suppression.source: f.source,
        Suppression.class_: f.class_,
        Suppression.stream: f.stream,
    }
    found += [field == value for field, value in exact.items() if value is not None]
    if f.is_for_all_streams:
        found.append(Suppression.stream.is_null())
    if f.state is not None:
        found.append(suppressions.in_state(f.state))
    if f.since is not None:
        found.append(Suppression.created_at >= f.since)
    if f.until is not None:
        found.append(Suppression.created_at < f.until)
    return found

"""What a suppression or an unsubscribe is about: the message that led to it, the messages that it
has stopped, and sending copies of those. A copy passes all checks like any new message.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.cursor import Cursor
from maild.models import Message, Suppression, Unsubscribe
from maild.services import message_log, resending
from maild.services.resending import Outcome

COUNT_MAX = 10_000
"""Beyond that many nobody counts."""

Stopper = Suppression | Unsubscribe


@dataclass(frozen=True, slots=True)
class Page:
    """What was stopped, newest first; `copies` has the ids of copies that were sent since, by the
    ids of the messages.
    """

    messages: list[Message]
    older: Cursor | None
    copies: dict[uuid.UUID, str]


@dataclass(frozen=True, slots=True)
class Count:
    """How many were stopped; `has_more` says that counting stopped at COUNT_MAX."""

    number: int
    has_more: bool


def find_causes(workspace_id: int, rows: Iterable[Stopper]) -> dict[uuid.UUID, Message]:
    """The messages that led to these rows, by their ids: those that are still there, and of them
    only what names them.
    """
    wanted = {row.message_id for row in rows if row.message_id is not None}
    if not wanted:
        return {}
    found = Message.select(Message.id, Message.subject, Message.created_at).where(
        Message.workspace == workspace_id, Message.id << list(wanted)
    )
    return {message.id: message for message in found}


def count(row: Stopper) -> Count:
    """How many messages it has stopped. Raises Unavailable where counting takes too long."""
    query: Any = Message.select(peewee.SQL("1")).where(*_is_stopped_by(row))
    with message_log.bounded():
        number = query.limit(COUNT_MAX + 1).count(database)
    return Count(min(number, COUNT_MAX), has_more=number > COUNT_MAX)


def list_page(row: Stopper, *, limit: int = 50, older_than: Cursor | None = None) -> Page:
    """One page of what it has stopped. Raises Unavailable where that takes too long."""
    place = Message.created_at, Message.id
    query = Message.select().where(*_is_stopped_by(row))
    if older_than is not None:
        query = query.where(peewee.Tuple(*place) < peewee.Tuple(older_than.at, older_than.id))
    with message_log.bounded():
        rows = list(query.order_by(*(field.desc() for field in place)).limit(limit + 1))
        shown = rows[:limit]
        copies = resending.find_copies(shown)
    older = message_log.cursor_of(shown[-1]) if len(rows) > limit else None
    return Page(shown, older, copies)


def resend(
    row: Stopper, message_ids: Sequence[uuid.UUID], *, reason: str, by: Actor
) -> list[Outcome]:
    """Send copies of some of what it has stopped, at most `resending.IDS_MAX`; of each message one
    only, however often it is asked for. What it has not stopped is not sent.

    Raises InvalidFields.
    """
    found = Message.select(Message.id).where(
        *_is_stopped_by(row), Message.id << list(message_ids[: resending.IDS_MAX + 1])
    )
    known = {message.id for message in found}
    chosen = [str(message_id) for message_id in message_ids if message_id in known]
    return resending.resend(row.workspace_id, chosen, by=by, reason=reason)


def _is_stopped_by(row: Stopper) -> tuple[Any, ...]:
    column = Message.suppression if isinstance(row, Suppression) else Message.unsubscribe
    return column == row.id, Message.workspace == row.workspace_id

"""What the holder of an unsubscribe link hears of, and what keeps the rest from them."""

from dataclasses import dataclass

import peewee

from maild.domain.states import Stream
from maild.models import Message, Unsubscribe
from maild.services.unsubscribe_links import Link

ONE_CLICK, PAGE, PREFERENCES = "one_click", "page", "preferences"
"""Sources: the recipient's mail program, the page behind the link, and the preference centre."""
BY_LINK = (ONE_CLICK, PAGE, PREFERENCES)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the holder of a link hears of, as far as marketing goes.

    `is_undoable`: all that keeps it from them was done by a link, and a link can take it back.
    `has_important`: nothing of it stops transactional mail.
    """

    is_out_of_topic: bool
    is_out_of_all: bool
    is_undoable: bool
    has_important: bool


def get_standing(link: Link) -> Standing:
    """What the holder of a link has opted out of, however it was done."""
    rows = list(
        Unsubscribe.select(Unsubscribe.stream, Unsubscribe.topic, Unsubscribe.source).where(
            *about(link),
            Unsubscribe.stream.is_null() | (Unsubscribe.stream == Stream.MARKETING),
        )
    )
    return Standing(
        is_out_of_topic=bool(rows),
        is_out_of_all=any(row.topic is None for row in rows),
        is_undoable=all(row.source in BY_LINK and row.stream is not None for row in rows),
        has_important=all(row.stream is not None for row in rows),
    )


def find_sender(link: Link) -> str | None:
    """Who sent the message of a link; None where it is not kept any more."""
    row = (
        Message.select(Message.from_email)
        .where(Message.id == link.message_id, Message.workspace == link.workspace_id)
        .first()
    )
    return row.from_email if row else None


def about(link: Link) -> tuple[peewee.Expression, ...]:
    """What is in force and keeps the link's topic from its holder."""
    return (
        Unsubscribe.workspace == link.workspace_id,
        Unsubscribe.email == lower_case(link.email),
        Unsubscribe.removed_at.is_null(),
        Unsubscribe.topic.is_null() | same(Unsubscribe.topic, link.topic),
    )


def lower_case(email: str) -> peewee.SQL:
    """Lower case beyond ASCII too, whatever the locale of the database."""
    return peewee.SQL('lower(%s COLLATE "pg_c_utf8")', (email,))


def same(field: peewee.Field, value: object) -> peewee.Expression:
    """Whether it has this value, of which None is one."""
    return field.is_null() if value is None else field == value

"""Unsubscribes: what people do not want to hear of any more. Claims and the last check before DATA
look at them, as at suppressions.

In charge of adding, taking back and listing them, and of what a person does by a link. What a link
is, `unsubscribe_links` knows.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import peewee

from maild.db import database
from maild.domain import submission
from maild.domain.actor import SYSTEM, Actor
from maild.domain.states import EventType, Stream
from maild.domain.suppression import normalise_topic
from maild.errors import FieldError, InvalidFields, NotFound, summarise
from maild.models import Message, Unsubscribe
from maild.services import addresses, audit, workspaces
from maild.services.unsubscribe_links import Link

REASON_MAX_CHARS = 500
BLOCKED_COUNT_MAX = 10_000
"""What a removal counts of the messages that were held back; there may be more."""
BLOCKED_SHOWN = 100
"""The newest of them, told by their ids: as many as one call sends again."""
REMAINING_SHOWN = 100
AUDITED_MAX = 100
"""As many addresses stand in one entry of the audit log."""

ONE_CLICK, PAGE, API = "one_click", "page", "api"
"""Sources: the recipient's mail program, the page behind the link, and /v1."""
BY_LINK = (ONE_CLICK, PAGE)


class State(StrEnum):
    """Whether an unsubscribe holds."""

    IN_FORCE = "in_force"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Removal:
    """What was taken back, what it had held back, and what else the address is unsubscribed from.

    `blocked_count` stops at BLOCKED_COUNT_MAX, and `has_more_blocked` says that it did;
    `blocked_ids` are the newest BLOCKED_SHOWN.
    """

    unsubscribe: Unsubscribe
    blocked_count: int
    has_more_blocked: bool
    blocked_ids: list[uuid.UUID]
    remaining: list[Unsubscribe]


@dataclass(frozen=True, slots=True)
class Page:
    """Unsubscribes, newest first; `older` is the id to go on from, where there are more."""

    unsubscribes: list[Unsubscribe]
    older: int | None


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


def add(
    workspace_id: int,
    email: str,
    *,
    topic: str | None = None,
    stream: Stream | None = None,
    reason: str | None = None,
    source: str,
    message_id: uuid.UUID | None = None,
    by: Actor,
) -> Unsubscribe:
    """Let an address hear no more of a topic, or of all; in one stream, or in both. In force as
    soon as it is committed.

    One that is in force already stays as it is; but where it was done by a link, it takes over the
    source, the name and the reason of whoever records it in another way, so that no link undoes it.
    `message_id` is of the message that led to it. Raises InvalidFields, NotFound (the workspace).
    """
    address, topic = _check(email, topic, reason)
    row, _ = _record(
        workspace_id,
        address,
        topic=topic,
        stream=stream,
        reason=reason,
        source=source,
        message_id=message_id,
        by=by,
    )
    return row


class Left(NamedTuple):
    """An opt-out that a provider reports. `email` is in normal form."""

    workspace_id: int
    email: str
    stream: Stream | None
    reason: str
    message_id: uuid.UUID | None


def add_reported(left: Sequence[Left], *, source: str) -> list[bool]:
    """Record opt-outs by maild, in the caller's transaction; for each whether it is a new one.

    All rows first, in one order, and the audit log last, once for each workspace: nobody who
    unsubscribes meanwhile waits for us while we wait for them.
    """
    added = [False] * len(left)
    new: defaultdict[int, list[Unsubscribe]] = defaultdict(list)
    for place in sorted(range(len(left)), key=lambda each: left[each][:2]):
        one = left[place]
        row, added[place] = _insert(
            one.workspace_id,
            email=one.email,
            stream=one.stream,
            topic=None,
            reason=one.reason,
            source=source,
            message_id=one.message_id,
            by=SYSTEM,
        )
        if added[place]:
            what = {**_facts(row), "by": SYSTEM.name}
            _tell(one.workspace_id, row.message_id, EventType.UNSUBSCRIBED, what)
        elif row.source in BY_LINK:
            row = _take_over(row, source=source, reason=one.reason, by=SYSTEM)
        else:
            continue
        new[one.workspace_id].append(row)
    for workspace_id, rows in sorted(new.items()):
        audit.record(
            workspace_id,
            SYSTEM,
            action="unsubscribe.added",
            target=_target(rows[0]) if len(rows) == 1 else "unsubscribes",
            after={
                **_facts(rows[0]),
                "count": len(rows),
                "emails": [row.email for row in rows[:AUDITED_MAX]],
            },
            reason=rows[0].reason if len(rows) == 1 else None,
        )
    return added


def remove(
    workspace_id: int,
    email: str,
    *,
    topic: str | None = None,
    stream: Stream | None = None,
    reason: str,
    by: Actor,
) -> Removal:
    """Take back exactly this unsubscribe, because the person has asked for it: `reason` says how.
    Others of the address stay, and what it has stopped stays stopped.

    Raises InvalidFields, NotFound.
    """
    address, topic = _check(email, topic, reason)
    with database.atomic():
        rows = _end(
            Unsubscribe.workspace == workspace_id,
            Unsubscribe.email == _lower(address),
            _same(Unsubscribe.stream, stream),
            _same(Unsubscribe.topic, topic),
            by=by,
            reason=reason,
        )
        if not rows:
            workspaces.require(workspace_id)
            raise NotFound(
                f"{address} is not unsubscribed in just this way. Look with GET"
                " /v1/unsubscribes what is in force, and name its topic and stream."
            )
        [row] = rows
        removal = _describe(row)
        _audit_removal(row, by=by, reason=reason)
    return removal


def list_page(
    workspace_id: int,
    *,
    email: str | None = None,
    topic: str | None = None,
    source: str | None = None,
    state: State | None = None,
    limit: int = 50,
    older_than: int | None = None,
) -> Page:
    """One page. `email` is in normal form. Raises NotFound, for the workspace."""
    query = Unsubscribe.select().where(Unsubscribe.workspace == workspace_id)
    if email is not None:
        query = query.where(Unsubscribe.email == _lower(email))
    if topic is not None:
        query = query.where(Unsubscribe.topic == normalise_topic(topic))
    if source is not None:
        query = query.where(Unsubscribe.source == source)
    if state is not None:
        query = query.where(Unsubscribe.removed_at.is_null(state is State.IN_FORCE))
    if older_than is not None:
        query = query.where(Unsubscribe.id < older_than)
    rows = list(query.order_by(Unsubscribe.id.desc()).limit(limit + 1))
    if not rows:
        workspaces.require(workspace_id)
    has_more, rows = len(rows) > limit, rows[:limit]
    return Page(rows, older=rows[-1].id if has_more else None)


def leave(link: Link, *, everything: bool, source: str, by: Actor) -> None:
    """What the holder of a link asks for: no more of the message's topic; no marketing at all with
    `everything`, or where it had no topic. Important mail goes on. Raises NotFound.
    """
    # Checked when the message was accepted: rules that have changed since stop nobody.
    _record(
        link.workspace_id,
        link.email,
        topic=None if everything else link.topic,
        stream=Stream.MARKETING,
        reason=None,
        source=source,
        message_id=link.message_id,
        by=by,
    )


def come_back(link: Link, *, by: Actor) -> None:
    """Take back what the holder of a link did by one, as far as this link can: of its topic, and of
    all. What was done in another way stays.
    """
    reason = "subscribed again by the link"
    with database.atomic():
        rows = _end(
            *_about(link),
            Unsubscribe.stream == Stream.MARKETING,
            Unsubscribe.source.in_(BY_LINK),
            by=by,
            reason=reason,
        )
        if rows:
            data = {"stream": Stream.MARKETING, "topic": link.topic, "by": by.name}
            _tell(link.workspace_id, link.message_id, EventType.RESUBSCRIBED, data)
        for row in rows:
            _audit_removal(row, by=by, reason=reason)


def get_standing(link: Link) -> Standing:
    """What the holder of a link has opted out of, however it was done."""
    rows = list(
        Unsubscribe.select(Unsubscribe.stream, Unsubscribe.topic, Unsubscribe.source).where(
            *_about(link),
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


def _record(
    workspace_id: int,
    email: str,
    *,
    topic: str | None,
    stream: Stream | None,
    reason: str | None,
    source: str,
    message_id: uuid.UUID | None,
    by: Actor,
) -> tuple[Unsubscribe, bool]:
    """The row in force, and whether it is new."""
    try:
        with database.atomic():
            row, is_new = _insert(
                workspace_id,
                email=email,
                stream=stream,
                topic=topic,
                reason=reason,
                source=source,
                message_id=message_id,
                by=by,
            )
            before = None if is_new else _facts(row)
            if is_new:
                what = {**_facts(row), "by": by.name}
                _tell(workspace_id, row.message_id, EventType.UNSUBSCRIBED, what)
            elif row.source in BY_LINK and source not in BY_LINK:
                row = _take_over(row, source=source, reason=reason, by=by)
            else:
                return row, False
            audit.record(
                workspace_id,
                by,
                action="unsubscribe.added",
                target=_target(row),
                before=before,
                after=_facts(row),
                reason=reason,
            )
    except peewee.IntegrityError as error:
        raise NotFound(f"There is no workspace {workspace_id}.") from error
    return row, is_new


# Lower case beyond ASCII too, whatever the locale of the database, as for suppressions. The update
# changes nothing: it gives us the row that is there already, and waits for one that may come. It
# keeps the row from others, so that what is read of it then holds until the transaction ends.
_INSERT = """
INSERT INTO unsubscribes AS u (workspace_id, email, stream, topic, reason, source, message_id,
    created_by)
VALUES (%(workspace)s, lower(%(email)s COLLATE "pg_c_utf8"), %(stream)s, %(topic)s, %(reason)s,
    %(source)s, %(message_id)s, %(by)s)
ON CONFLICT (workspace_id, email, stream, topic) WHERE removed_at IS NULL
    DO UPDATE SET created_at = u.created_at
RETURNING id, xmax = 0
"""


def _insert(
    workspace_id: int,
    *,
    email: str,
    stream: Stream | None,
    topic: str | None,
    reason: str | None,
    source: str,
    message_id: uuid.UUID | None,
    by: Actor,
) -> tuple[Unsubscribe, bool]:
    """The row that is in force now, and whether it is new."""
    unsubscribe_id, is_new = database.execute_sql(
        _INSERT,
        {
            "workspace": workspace_id,
            "email": email,
            "stream": stream.value if stream else None,
            "topic": topic,
            "reason": reason,
            "source": source,
            "message_id": message_id,
            "by": by.name,
        },
    ).fetchone()
    return Unsubscribe.get_by_id(unsubscribe_id), is_new


def _take_over(row: Unsubscribe, *, source: str, reason: str | None, by: Actor) -> Unsubscribe:
    """Let the words of a link give way to a person's; in the transaction of `_insert`."""
    [changed] = (
        Unsubscribe.update(source=source, created_by=by.name, reason=reason)
        .where(Unsubscribe.id == row.id)
        .returning(Unsubscribe)
        .execute()
    )
    return changed  # type: ignore[no-any-return]


def _end(*conditions: peewee.Expression, by: Actor, reason: str) -> list[Unsubscribe]:
    """Remove what is in force and meets all of these; of two at once, one does."""
    return list(
        Unsubscribe.update(removed_at=peewee.fn.now(), removed_by=by.name, removal_reason=reason)
        .where(Unsubscribe.removed_at.is_null(), *conditions)
        .returning(Unsubscribe)
        .execute()
    )


def _about(link: Link) -> tuple[peewee.Expression, ...]:
    """What is in force and keeps the link's topic from its holder."""
    return (
        Unsubscribe.workspace == link.workspace_id,
        Unsubscribe.email == _lower(link.email),
        Unsubscribe.removed_at.is_null(),
        Unsubscribe.topic.is_null() | _same(Unsubscribe.topic, link.topic),
    )


def _describe(row: Unsubscribe) -> Removal:
    blocked: Any = Message.select(Message.id).where(
        Message.unsubscribe == row.id, Message.workspace == row.workspace_id
    )
    counted = blocked.select(peewee.SQL("1")).limit(BLOCKED_COUNT_MAX + 1).count(database)
    newest = blocked.order_by(Message.created_at.desc(), Message.id.desc()).limit(BLOCKED_SHOWN)
    remaining: Any = Unsubscribe.select().where(
        Unsubscribe.workspace == row.workspace_id,
        Unsubscribe.email == row.email,
        Unsubscribe.removed_at.is_null(),
    )
    return Removal(
        unsubscribe=row,
        blocked_count=min(counted, BLOCKED_COUNT_MAX),
        has_more_blocked=counted > BLOCKED_COUNT_MAX,
        blocked_ids=[message_id for (message_id,) in newest.tuples()],
        remaining=list(remaining.order_by(Unsubscribe.id).limit(REMAINING_SHOWN)),
    )


def _audit_removal(row: Unsubscribe, *, by: Actor, reason: str) -> None:
    audit.record(
        row.workspace_id,
        by,
        action="unsubscribe.removed",
        target=_target(row),
        before=_facts(row),
        reason=reason,
    )


_TELL = """
INSERT INTO events (workspace_id, message_id, type, data)
SELECT workspace_id, id, %s, %s FROM messages WHERE id = %s AND workspace_id = %s
"""


def _tell(
    workspace_id: int, message_id: uuid.UUID | None, event: EventType, data: Mapping[str, Any]
) -> None:
    """Put it on the timeline of the message that led to it, where that is still there."""
    if message_id is not None:
        known = {name: value for name, value in data.items() if value is not None}
        values = (event.value, json.dumps(known), message_id, workspace_id)
        database.execute_sql(_TELL, values)


def _facts(row: Unsubscribe) -> dict[str, Any]:
    return {"stream": row.stream, "topic": row.topic, "source": row.source}


def _target(row: Unsubscribe) -> str:
    return f"unsubscribe:{row.email}"


def _lower(email: str) -> peewee.SQL:
    return peewee.SQL('lower(%s COLLATE "pg_c_utf8")', (email,))


def _same(field: peewee.Field, value: object) -> peewee.Expression:
    return field.is_null() if value is None else field == value


def _check(email: str, topic: str | None, reason: str | None) -> tuple[str, str | None]:
    """The address and the topic in normal form."""
    complaints = []
    try:
        email = addresses.parse(email).text
    except ValueError as error:
        complaints.append(("email", str(error)))
    if topic is not None:
        complaints += submission.check_topic("topic", topic)
        topic = normalise_topic(topic)
    if reason is not None:
        complaints += submission.check_line("reason", reason, max_chars=REASON_MAX_CHARS)
    if reason is not None and not reason.strip():
        complaints.append(("reason", "must not be empty"))
    if complaints:
        errors = [FieldError(name, message) for name, message in complaints]
        raise InvalidFields(summarise(errors), errors=errors)
    return email, topic

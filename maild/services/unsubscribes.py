"""Unsubscribes: what people do not want to hear of any more. Claims and the last check before DATA
look at them, as at suppressions.

In charge of adding and taking back, and of what a person does by a link. What a link is,
`unsubscribe_links` knows; how somebody stands, `unsubscribe_standings`; lists are in
`unsubscribe_lists`.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import peewee

from maild.db import database
from maild.domain import submission
from maild.domain.actor import SYSTEM, Actor
from maild.domain.states import EventType, Stream
from maild.domain.suppression import normalise_topic
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import Message, Unsubscribe
from maild.services import addresses, audit, campaign_engagement, workspaces
from maild.services.unsubscribe_links import Link
from maild.services.unsubscribe_standings import BY_LINK, about, lower_case, same

REASON_MAX_CHARS = 500
BLOCKED_COUNT_MAX = 10_000
"""What a removal counts of the messages that were held back; there may be more."""
BLOCKED_SHOWN = 100
"""The newest of them, told by their ids: as many as one call sends again."""
REMAINING_SHOWN = 100
RESTORE_MINUTES = 10
"""How long a removal can be taken back; later on, it is recorded anew."""
AUDITED_MAX = 100
"""As many addresses stand in one entry of the audit log."""

API, CONSOLE = "api", "console"
"""Sources beside those of a link: /v1, and a person's hand."""


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


class Added(NamedTuple):
    """The row in force, and whether it is a new one."""

    unsubscribe: Unsubscribe
    is_new: bool


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
    """As `opt_out`, for whoever needs no more than the row in force."""
    return opt_out(
        workspace_id,
        email,
        topic=topic,
        stream=stream,
        reason=reason,
        source=source,
        message_id=message_id,
        by=by,
    ).unsubscribe


def opt_out(
    workspace_id: int,
    email: str,
    *,
    topic: str | None = None,
    stream: Stream | None = None,
    reason: str | None = None,
    source: str,
    message_id: uuid.UUID | None = None,
    by: Actor,
) -> Added:
    """Let an address hear no more of a topic, or of all; in one stream, or in both. In force as
    soon as it is committed.

    One that is in force already stays as it is; but where it was done by a link, it takes over the
    source, the name and the reason of whoever records it in another way, so that no link undoes it.
    `message_id` is of the message that led to it. Raises InvalidFields, NotFound (the workspace).
    """
    address, topic = _check(email, topic, reason)
    return _record(
        workspace_id,
        address,
        topic=topic,
        stream=stream,
        reason=reason,
        source=source,
        message_id=message_id,
        by=by,
    )


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
    unsubscribe_id: int | None = None,
    by: Actor,
) -> Removal:
    """Take back exactly this unsubscribe, because the person has asked for it: `reason` says how.
    Others of the address stay, and what it has stopped stays stopped.

    With `unsubscribe_id` only where it is that one which is in force, and not one that came after
    it. Raises InvalidFields, NotFound.
    """
    address, topic = _check(email, topic, reason)
    these = [] if unsubscribe_id is None else [Unsubscribe.id == unsubscribe_id]
    with database.atomic():
        rows = _end(
            *these,
            Unsubscribe.workspace == workspace_id,
            Unsubscribe.email == lower_case(address),
            same(Unsubscribe.stream, stream),
            same(Unsubscribe.topic, topic),
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


def restore(workspace_id: int, unsubscribe_id: int, *, by: Actor) -> Unsubscribe:
    """Take a removal back, as if it had not been: for RESTORE_MINUTES after it.

    Raises NotFound, and Conflict where it is too late, or the person has left anew already.
    """
    with database.atomic():
        get(workspace_id, unsubscribe_id)
        recent = peewee.fn.now() - peewee.SQL("%s * interval '1 minute'", (RESTORE_MINUTES,))
        try:
            with database.atomic():
                rows = list(
                    Unsubscribe.update(removed_at=None, removed_by=None, removal_reason=None)
                    .where(
                        Unsubscribe.id == unsubscribe_id,
                        Unsubscribe.workspace == workspace_id,
                        Unsubscribe.removed_at > recent,
                    )
                    .returning(Unsubscribe)
                    .execute()
                )
        except peewee.IntegrityError:
            raise Conflict("They have unsubscribed anew since. Nothing was changed.") from None
        if not rows:
            raise Conflict(
                f"That cannot be taken back any more: a removal can be for {RESTORE_MINUTES}"
                " minutes. Record the unsubscribe again instead."
            )
        row: Unsubscribe = rows[0]
        audit.record(
            workspace_id,
            by,
            action="unsubscribe.restored",
            target=_target(row),
            after=_facts(row),
        )
    return row


def get(workspace_id: int, unsubscribe_id: int) -> Unsubscribe:
    """One unsubscribe, in whatever state. Raises NotFound, also for another workspace's."""
    row: Unsubscribe | None = Unsubscribe.get_or_none(
        Unsubscribe.id == unsubscribe_id, Unsubscribe.workspace == workspace_id
    )
    if row is None:
        raise NotFound("There is no such unsubscribe.")
    return row


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
            *about(link),
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
) -> Added:
    try:
        with database.atomic():
            campaign_engagement.note_left(workspace_id, message_id)
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
                return Added(row, is_new=False)
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
    return Added(row, is_new)


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

"""Suppressions: addresses that a workspace must not mail. Claims and the last check before DATA
look at them (`services/claims.py`). Lists are in `suppression_lists`, files in
`suppression_imports`.

What is in force only ever grows: adding again makes none end sooner. Only `remove` ends one, for a
person who says why, and the row stays as history. One that has expired stays as well: whoever adds
the address again starts a new row.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from peewee import SQL, IntegrityError, fn

from maild import clock, metrics
from maild.db import database
from maild.domain import submission
from maild.domain.actor import SYSTEM, Actor
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass, SuppressionState, later_end
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import Message, SoftBounce, Suppression
from maild.services import addresses, audit, workspaces

REASON_MAX_CHARS = 500
BLOCKED_COUNT_MAX = 10_000
"""What a removal counts of the messages that were held back; there may be more."""
BLOCKED_SHOWN = 100
"""The newest of them, told by their ids: as many as one call sends again."""
API = "api"
CONSOLE = "console"
IMPORT = "import"
SMTP_REPLY = "smtp_reply"
"""Sources: a program's call, a person's hand, their file, a server's words about an address."""
RESTORE_MINUTES = 10
"""How long a removal can be taken back; later on, the address is added anew."""
_WORDS = ("reason", "source", "class_", "created_by", "message_id")
# NUL, and what turns the direction of all that follows (Unicode TR 9, 2).
_NO_TEXT = dict.fromkeys([0, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], " ")
FOLLOWED = "expired, and followed by a new one"

# What has expired makes room in the unique index, and keeps saying what was.
_RETIRE = """
UPDATE suppressions SET removed_at = expires_at, removed_by = %(by)s, removal_reason = %(why)s
WHERE id IN (
    SELECT s.id FROM suppressions s
    JOIN json_to_recordset(%(rows)s) AS v (workspace int, email text)
        ON s.workspace_id = v.workspace AND s.email = lower(v.email COLLATE "pg_c_utf8")
    WHERE s.stream IS NULL AND s.removed_at IS NULL AND s.expires_at <= now()
    ORDER BY s.workspace_id, s.email
    FOR NO KEY UPDATE OF s)
"""
# In one order, so that two who add the same addresses wait for each other, but not in a circle.
# What maild has said before gives way to what is graver: it does not matter what came first.
_ADD_MANY = """
WITH v AS MATERIALIZED (
    SELECT workspace, email AS given, lower(email COLLATE "pg_c_utf8") AS email, reason, message_id,
        class, array_position(%(classes)s, class) AS gravity
    FROM json_to_recordset(%(rows)s) AS v (
        workspace int, email text, reason text, message_id uuid, class text)
), added AS (
    INSERT INTO suppressions AS s (
        workspace_id, email, reason, source, class, message_id, created_by)
    SELECT DISTINCT ON (workspace, email)
        workspace, email, reason, %(source)s, class, message_id, %(by)s
    FROM v ORDER BY workspace, email, gravity DESC
    ON CONFLICT (workspace_id, email, stream) WHERE removed_at IS NULL DO UPDATE SET
        expires_at = NULL,
        reason = CASE WHEN s.created_by = %(by)s THEN excluded.reason ELSE s.reason END,
        source = CASE WHEN s.created_by = %(by)s THEN excluded.source ELSE s.source END,
        class = CASE WHEN s.created_by = %(by)s THEN excluded.class ELSE s.class END,
        message_id = CASE WHEN s.created_by = %(by)s THEN excluded.message_id ELSE s.message_id END
        WHERE s.expires_at IS NOT NULL
            OR s.created_by = %(by)s AND array_position(%(classes)s, s.class)
                < array_position(%(classes)s, excluded.class)
    RETURNING workspace_id, s.email, xmax = 0 AS is_new
)
SELECT v.workspace, v.given FROM v
JOIN added ON added.workspace_id = v.workspace AND added.email = v.email AND added.is_new
"""
_BY_GRAVITY = [
    SuppressionClass.MANUAL.value,
    SuppressionClass.SOFT_BOUNCE.value,
    SuppressionClass.HARD_BOUNCE.value,
    SuppressionClass.COMPLAINT.value,
]


class Bounced(NamedTuple):
    """An address, in the normal form that messages have, that refused a message for good."""

    workspace_id: int
    email: str
    message_id: uuid.UUID | None
    reason: str
    """What its server or provider said; cut where it is too long."""
    class_: SuppressionClass = SuppressionClass.HARD_BOUNCE


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed, what it had held back, and what still keeps the address from being mailed.

    `blocked_count` stops at BLOCKED_COUNT_MAX, and `has_more_blocked` says that it did;
    `blocked_ids` are the newest BLOCKED_SHOWN.
    """

    suppression: Suppression
    blocked_count: int
    has_more_blocked: bool
    blocked_ids: list[uuid.UUID]
    remaining: list[Suppression]


@dataclass(frozen=True, slots=True)
class Added:
    """The row in force, and whether it is a new one."""

    suppression: Suppression
    is_new: bool


def add(
    workspace_id: int,
    email: str,
    *,
    reason: str,
    source: str,
    stream: Stream | None = None,
    class_: SuppressionClass = SuppressionClass.MANUAL,
    expires_at: datetime | None = None,
    message_id: uuid.UUID | None = None,
    by: Actor = SYSTEM,
) -> Suppression:
    """As `suppress`, for whoever needs no more than the row in force."""
    return suppress(
        workspace_id,
        email,
        reason=reason,
        source=source,
        stream=stream,
        class_=class_,
        expires_at=expires_at,
        message_id=message_id,
        by=by,
    ).suppression


def suppress(
    workspace_id: int,
    email: str,
    *,
    reason: str,
    source: str,
    stream: Stream | None = None,
    class_: SuppressionClass = SuppressionClass.MANUAL,
    expires_at: datetime | None = None,
    message_id: uuid.UUID | None = None,
    by: Actor = SYSTEM,
) -> Added:
    """Stop all mail to an address, or that of one stream; in force as soon as it is committed.

    An address that is suppressed already keeps its row, and the later of
    the two ends. Its words stay too, but for those of maild itself: they give way to a person's,
    and to those of a longer suppression. Raises InvalidFields, NotFound (the workspace).
    """
    normal = _check(email, reason=reason, expires_at=expires_at)
    with database.atomic():
        workspaces.require(workspace_id)
        values = {
            "workspace": workspace_id,
            "email": lower_case(normal),
            "stream": stream,
            "expires_at": expires_at,
            "reason": reason,
            "source": source,
            "class_": class_,
            "created_by": by.name,
        }
        if message_id is not None:
            values["message_id"] = message_id
        before, row = _put_in_force(values, by=by)
        if by != SYSTEM:
            audit.record(
                workspace_id,
                by,
                action="suppression.added",
                target=_target(row),
                before=before,
                after=_facts(row),
                reason=reason,
            )
    return Added(row, is_new=before is None)


def add_many(rows: Sequence[Bounced], *, source: str = SMTP_REPLY) -> set[tuple[int, str]]:
    """Stop all mail to these addresses for good, in the caller's transaction, as `add` by maild.

    Returns the workspace and address, as given, of those that were not suppressed before. Nothing
    is checked: what cannot be stored of a reason is left out. Not audited.
    """
    if not rows:
        return set()
    values = {
        "rows": json.dumps(
            [
                {
                    "workspace": row.workspace_id,
                    "email": row.email,
                    "message_id": str(row.message_id) if row.message_id else None,
                    "reason": cut(row.reason),
                    "class": row.class_.value,
                }
                for row in rows
            ]
        ),
        "source": source,
        "by": SYSTEM.name,
        "why": FOLLOWED,
        "classes": _BY_GRAVITY,
    }
    database.execute_sql(_RETIRE, values)
    added: set[tuple[int, str]] = set(database.execute_sql(_ADD_MANY, values).fetchall())
    classes = {(row.workspace_id, row.email): row.class_ for row in rows}
    for one in added & classes.keys():
        metrics.SUPPRESSIONS.labels(classes[one].value).inc()
    return added


def remove(
    workspace_id: int,
    email: str,
    *,
    reason: str,
    stream: Stream | None = None,
    suppression_id: int | None = None,
    by: Actor,
) -> Removal:
    """End the suppression of an address: that of one stream, or that of all of them, which are two
    different ones. Mail to it goes out again, unless something else `remaining` stops it.

    With `suppression_id` only where it is that one which is in force, and not one that came after
    it. Raises InvalidFields, and NotFound where none is in force.
    """
    normal = _check(email, reason=reason)
    with database.atomic():
        # First, as everybody has it. The address begins anew, or the next one would bring it back.
        SoftBounce.delete().where(
            SoftBounce.workspace == workspace_id, SoftBounce.email == lower_case(normal)
        ).execute()
        found = _find_current(workspace_id, lower_case(normal), stream)
        if found is None or found[1] or found[0].id != (suppression_id or found[0].id):
            of = f"for the stream {stream.value}" if stream else "for all streams"
            raise NotFound(f"No suppression of that address {of} is in force.")
        before = _facts(found[0])
        row = _change(found[0], removed_at=fn.now(), removed_by=by.name, removal_reason=reason)
        blocked = Message.select(Message.id).where(is_blocked_by(row))
        counted = blocked.limit(BLOCKED_COUNT_MAX + 1).count(database)
        newest = blocked.order_by(Message.created_at.desc(), Message.id.desc()).limit(BLOCKED_SHOWN)
        remaining = Suppression.select().where(
            Suppression.workspace == workspace_id,
            Suppression.email == row.email,
            in_state(SuppressionState.IN_FORCE),
        )
        removal = Removal(
            suppression=row,
            blocked_count=min(counted, BLOCKED_COUNT_MAX),
            has_more_blocked=counted > BLOCKED_COUNT_MAX,
            blocked_ids=[message.id for message in newest],
            remaining=list(remaining.order_by(Suppression.id)),
        )
        audit.record(
            workspace_id,
            by,
            action="suppression.removed",
            target=_target(row),
            before=before,
            after={"blocked_count": removal.blocked_count},
            reason=reason,
        )
    return removal


def restore(workspace_id: int, suppression_id: int, *, by: Actor) -> Suppression:
    """Take a removal back, as if it had not been: for RESTORE_MINUTES after it.

    Raises NotFound, and Conflict where it is too late, or the address is suppressed anew already.
    """
    with database.atomic():
        get(workspace_id, suppression_id)
        try:
            with database.atomic():
                rows = list(
                    Suppression.update(removed_at=None, removed_by=None, removal_reason=None)
                    .where(
                        Suppression.id == suppression_id,
                        Suppression.workspace == workspace_id,
                        in_state(SuppressionState.REMOVED),
                        Suppression.removed_at
                        > fn.now() - SQL("%s * interval '1 minute'", (RESTORE_MINUTES,)),
                        Suppression.expires_at.is_null() | (Suppression.expires_at > fn.now()),
                    )
                    .returning(Suppression)
                    .execute()
                )
        except IntegrityError:
            raise Conflict(
                "The address has been suppressed anew since. Nothing was changed."
            ) from None
        if not rows:
            raise Conflict(
                f"That cannot be taken back any more: a removal can be for {RESTORE_MINUTES}"
                " minutes. Suppress the address again instead."
            )
        row: Suppression = rows[0]
        audit.record(
            workspace_id,
            by,
            action="suppression.restored",
            target=_target(row),
            after=_facts(row),
        )
    return row


def get(workspace_id: int, suppression_id: int) -> Suppression:
    """One suppression, in whatever state. Raises NotFound, also for another workspace's."""
    row: Suppression | None = Suppression.get_or_none(
        Suppression.id == suppression_id, Suppression.workspace == workspace_id
    )
    if row is None:
        raise NotFound("There is no such suppression.")
    return row


def cut(reason: str) -> str:
    """Somebody else's words as the one line that a reason may be."""
    storable = reason.encode(errors="replace").decode().translate(_NO_TEXT)
    line = " ".join(storable.split())
    return line if len(line) <= REASON_MAX_CHARS else line[: REASON_MAX_CHARS - 1] + "…"


def _put_in_force(
    values: dict[str, Any], *, by: Actor
) -> tuple[dict[str, Any] | None, Suppression]:
    """The facts of what was in force before, if anything was, and the row in force now."""
    while True:
        new = Suppression.insert(values).on_conflict_ignore().returning(Suppression)
        for inserted in new.execute():
            return None, inserted
        found = _find_current(values["workspace"], values["email"], values["stream"])
        if found is None:  # it was removed just now
            continue
        row, is_over = found
        if is_over:
            _change(row, removed_at=row.expires_at, removed_by=by.name, removal_reason=FOLLOWED)
            continue
        before = _facts(row)
        end = later_end(row.expires_at, values["expires_at"])
        changes: dict[str, Any] = {} if end == row.expires_at else {"expires_at": end}
        if row.created_by == SYSTEM.name and (by != SYSTEM or changes):
            changes |= {name: values[name] for name in _WORDS if name in values}
        return before, _change(row, **changes) if changes else row


def _change(row: Suppression, **values: Any) -> Suppression:
    [changed] = (
        Suppression.update(**values)
        .where(Suppression.id == row.id)
        .returning(Suppression)
        .execute()
    )
    return changed  # type: ignore[no-any-return]


def _find_current(
    workspace_id: int, email: Any, stream: Stream | None
) -> tuple[Suppression, bool] | None:
    """The row that nobody has removed, kept from others, and whether it has expired.

    The lock lets claims go on, which only refer to the row.
    """
    of_stream = Suppression.stream.is_null() if stream is None else Suppression.stream == stream
    row = (
        Suppression.select(Suppression, fn.now().alias("now"))
        .where(
            Suppression.workspace == workspace_id,
            Suppression.email == email,
            of_stream,
            Suppression.removed_at.is_null(),
        )
        .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
        .first()
    )
    if row is None:
        return None
    return row, row.expires_at is not None and row.expires_at <= row.now


def lower_case(email: str) -> Any:
    """Lower case beyond ASCII too, whatever the locale of the database."""
    return SQL('lower(%s COLLATE "pg_c_utf8")', (email,))


def in_state(state: SuppressionState) -> Any:
    """Every row is in exactly one state."""
    s = Suppression
    if state is SuppressionState.IN_FORCE:
        return s.removed_at.is_null() & (s.expires_at.is_null() | (s.expires_at > fn.now()))
    if state is SuppressionState.EXPIRED:
        return s.expires_at <= fn.COALESCE(s.removed_at, fn.now())
    return s.removed_at < fn.COALESCE(s.expires_at, SQL("'infinity'"))


def is_blocked_by(row: Suppression) -> Any:
    """What finds the messages that a suppression has stopped."""
    return (Message.suppression == row.id) & (Message.workspace == row.workspace_id)


def _check(email: str, *, reason: str, expires_at: datetime | None = None) -> str:
    """The address in normal form. Raises InvalidFields."""
    normal = normal_form(email)
    check_words(reason=reason, expires_at=expires_at)
    return normal


def check_words(*, reason: str, expires_at: datetime | None = None) -> None:
    """Raises InvalidFields where these cannot be those of a suppression."""
    problems = list(submission.check_line("reason", reason, max_chars=REASON_MAX_CHARS))
    if not reason.strip():
        problems.append(("reason", "must not be empty"))
    if expires_at is not None and expires_at <= clock.now():
        problems.append(("expires_at", "must be in the future"))
    if problems:
        raise _invalid(*problems)


def normal_form(email: str) -> str:
    """The address as rows have it, but for its case. Raises InvalidFields."""
    try:
        return addresses.parse(email).text
    except ValueError as error:
        raise _invalid(("email", str(error))) from None


def _invalid(*problems: submission.Complaint) -> InvalidFields:
    errors = [FieldError(field, message) for field, message in problems]
    return InvalidFields(summarise(errors), errors=errors)


def _target(row: Suppression) -> str:
    return f"suppression:{row.email}"


def _facts(row: Suppression) -> dict[str, Any]:
    """A row as the audit log keeps it."""
    return {
        "id": row.id,
        "email": row.email,
        "stream": row.stream,
        "reason": row.reason,
        "class": row.class_,
        "source": row.source,
        "expires_at": row.expires_at and row.expires_at.isoformat(),
        "message_id": row.message_id and str(row.message_id),
        "created_by": row.created_by,
    }

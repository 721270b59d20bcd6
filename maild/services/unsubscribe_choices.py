"""Several topics at once that somebody leaves or comes back to, by a link of theirs: what the
preference centre and the confirmation of an address do. One at a time is `unsubscribes`.

Only marketing is left, and only what was done by a link is taken back.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.states import EventType, Stream
from maild.services import audit, campaign_engagement
from maild.services.unsubscribe_standings import BY_LINK

Topic = str | None
"""In normal form; None: all of marketing."""

# In the order in which they are given: everybody locks them in the same one.
_LEAVE = """
INSERT INTO unsubscribes (workspace_id, email, stream, topic, source, message_id, created_by)
SELECT %(workspace)s, lower(%(email)s COLLATE "pg_c_utf8"), %(stream)s, topic, %(source)s,
    %(message)s, %(by)s
FROM unnest(%(topics)s::text[]) AS topic
ON CONFLICT (workspace_id, email, stream, topic) WHERE removed_at IS NULL DO NOTHING
RETURNING email, topic, source
"""
_COME_BACK = """
UPDATE unsubscribes SET removed_at = now(), removed_by = %(by)s, removal_reason = %(reason)s
WHERE workspace_id = %(workspace)s AND email = lower(%(email)s COLLATE "pg_c_utf8")
    AND removed_at IS NULL AND stream = %(stream)s AND source = ANY(%(sources)s)
    AND (topic = ANY(%(topics)s::text[]) OR %(all)s AND topic IS NULL)
    AND (%(before)s::timestamptz IS NULL OR created_at < %(before)s)
RETURNING email, topic, source
"""
_TELL = """
INSERT INTO events (workspace_id, message_id, type, data)
SELECT m.workspace_id, m.id, v.type, v.data FROM json_to_recordset(%(told)s)
    AS v (type text, data jsonb)
JOIN messages m ON m.id = %(message)s AND m.workspace_id = %(workspace)s
"""


class Row(NamedTuple):
    """What was left or taken back. `topic` None: all of marketing."""

    email: str
    topic: Topic
    source: str


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose choice it is, and the message whose link they have used."""

    workspace_id: int
    email: str
    message_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a choice has changed."""

    left: tuple[Row, ...] = ()
    ended: tuple[Row, ...] = ()


def apply(
    whose: Whose,
    *,
    leave: Sequence[Topic] = (),
    back: Sequence[Topic] = (),
    before: datetime | None = None,
    source: str | None = None,
    reason: str | None = None,
    by: Actor,
) -> Applied:
    """Leave some, come back to others, in the caller's transaction, which goes on to `record` it.

    What is so already stays as it is, and what was done in another way than by a link is not taken
    back. With `before` only what was left before that time is. `source` says how somebody has
    left, and `reason` why they come back.
    """
    values: dict[str, Any] = {
        "workspace": whose.workspace_id,
        "email": whose.email,
        "message": whose.message_id,
        "stream": Stream.MARKETING.value,
        "sources": list(BY_LINK),
        "source": source,
        "reason": reason,
        "before": before,
        "by": by.name,
    }
    if back:
        values |= {"topics": [one for one in back if one is not None], "all": None in back}
    if leave:
        campaign_engagement.note_left(whose.workspace_id, whose.message_id)
    ended = _read(_COME_BACK, values) if back else ()
    if leave:
        values |= {"topics": sorted(set(leave), key=lambda topic: topic or "")}
    left = _read(_LEAVE, values) if leave else ()
    told = [
        *({"type": EventType.RESUBSCRIBED, "data": _data(row, by)} for row in ended),
        *({"type": EventType.UNSUBSCRIBED, "data": _data(row, by)} for row in left),
    ]
    if told and whose.message_id is not None:
        database.execute_sql(_TELL, {**values, "told": json.dumps(told)})
    return Applied(left, ended)


def record(whose: Whose, applied: Applied, *, reason: str, by: Actor) -> None:
    """Tell the audit log what was applied: last in the same transaction."""
    if applied.ended:
        audit.record(
            whose.workspace_id,
            by,
            action="unsubscribe.removed",
            target=f"unsubscribe:{applied.ended[0].email}",
            before=_facts(applied.ended),
            reason=reason,
        )
    if applied.left:
        audit.record(
            whose.workspace_id,
            by,
            action="unsubscribe.added",
            target=f"unsubscribe:{applied.left[0].email}",
            after=_facts(applied.left),
        )


def _read(statement: str, values: Mapping[str, Any]) -> tuple[Row, ...]:
    return tuple(Row(*row) for row in database.execute_sql(statement, values).fetchall())


def _data(row: Row, by: Actor) -> dict[str, Any]:
    topic = {} if row.topic is None else {"topic": row.topic}
    return {"stream": Stream.MARKETING, **topic, "source": row.source, "by": by.name}


def _facts(rows: Sequence[Row]) -> dict[str, Any]:
    """As `unsubscribes` tells of one; of several, all topics together."""
    facts: dict[str, Any] = {"stream": Stream.MARKETING}
    if len(rows) == 1:
        return {**facts, "topic": rows[0].topic, "source": rows[0].source}
    topics = sorted(row.topic for row in rows if row.topic is not None)
    everything = {"everything": True} if len(topics) < len(rows) else {}
    return {**facts, "topics": topics, **everything}

"""Which messages belong to an incident: those that one of its signals was seen of, since the signal
belongs to it.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maild.db import database
from maild.domain.states import Status
from maild.models import Incident, IncidentMessage, IncidentSignal, Message

COUNTED_MAX = 200_000
"""Messages of an incident are counted so far, in half a second; as they come in, all are."""

OF_INCIDENT = """
SELECT im.message_id FROM incident_signals g
JOIN incident_messages im ON im.signal_id = g.id AND im.seen_at >= g.since_at
WHERE g.incident_id = %(incident)s"""
"""The same as `ids_of`, as text for larger statements."""
_LIST_IDS = """
SELECT DISTINCT im.message_id FROM incident_signals g
JOIN incident_messages im ON im.signal_id = g.id AND im.seen_at >= g.since_at
WHERE g.incident_id = %(incident)s AND g.workspace_id = %(workspace)s
    AND (%(after)s::uuid IS NULL OR im.message_id > %(after)s::uuid)
    AND (%(until)s::timestamptz IS NULL OR im.seen_at <= %(until)s::timestamptz)
ORDER BY 1 LIMIT %(limit)s
"""


def ids_of(incident_id: int, *, until: datetime | None = None) -> Any:
    """The query of their ids, without what was seen later than `until`; whoever uses it names the
    workspace of the messages besides.
    """
    query = (
        IncidentMessage.select(IncidentMessage.message)
        .join(IncidentSignal)
        .where(
            IncidentSignal.incident == incident_id,
            IncidentMessage.seen_at >= IncidentSignal.since_at,
        )
    )
    return query if until is None else query.where(IncidentMessage.seen_at <= until)


def dump(incident_id: int, until: datetime | None) -> dict[str, Any]:
    """Which messages, as a job's params keep it."""
    return {"incident": incident_id, **({"until": until.isoformat()} if until else {})}


def load_until(params: Mapping[str, Any]) -> datetime | None:
    """The `until` of what `dump` wrote."""
    return datetime.fromisoformat(params["until"]) if "until" in params else None


def list_ids(
    workspace_id: int,
    incident_id: int,
    *,
    limit: int,
    after: str | None = None,
    until: datetime | None = None,
) -> list[uuid.UUID]:
    """So many of them in the order of their ids, from after one on; without what was seen later
    than `until`.
    """
    values = {
        "workspace": workspace_id,
        "incident": incident_id,
        "after": after,
        "until": until,
        "limit": limit,
    }
    return [row[0] for row in database.execute_sql(_LIST_IDS, values).fetchall()]


@dataclass(frozen=True, slots=True)
class Page:
    """The newest first; `older` is the id after which the next page begins."""

    messages: Sequence[Message]
    older: uuid.UUID | None


def list_page(incident: Incident, *, limit: int = 50, before: uuid.UUID | None = None) -> Page:
    """Its messages, the newest first; ids are in the order of time."""
    query = Message.select().where(
        Message.workspace == incident.workspace_id, Message.id << ids_of(incident.id)
    )
    if before is not None:
        query = query.where(Message.id < before)
    rows = list(query.order_by(Message.id.desc()).limit(limit + 1))
    return Page(rows[:limit], older=rows[limit - 1].id if len(rows) > limit else None)


_COUNTS = """
SELECT status, count(*) FROM (
    SELECT m.status FROM messages m
    WHERE m.workspace_id = %(workspace)s AND m.id IN ({of_incident})
    LIMIT %(max)s) AS found
GROUP BY 1
""".replace("{of_incident}", OF_INCIDENT)  # nosec B608


def count_by_status(incident: Incident) -> dict[Status, int]:
    """How many of its messages stand where, of the first COUNTED_MAX; in the order of the
    statuses.
    """
    values = {"workspace": incident.workspace_id, "incident": incident.id, "max": COUNTED_MAX}
    found = dict(database.execute_sql(_COUNTS, values).fetchall())
    return {status: found[status.value] for status in Status if status.value in found}


_COUNT_ALL = """
SELECT count(*), count(DISTINCT id), count(DISTINCT to_email) FROM (
    SELECT m.id, m.to_email
    FROM incident_signals s
    JOIN incident_messages im ON im.signal_id = s.id AND im.seen_at >= s.since_at
    JOIN messages m ON m.id = im.message_id
    WHERE s.incident_id = %s LIMIT %s) AS counted
"""


def count_all(incident: Incident) -> tuple[int, int]:
    """How many messages and recipients belong to it, counted from the start; no fewer than are
    known where they are too many for that.
    """
    seen, *counts = database.execute_sql(_COUNT_ALL, (incident.id, COUNTED_MAX)).fetchone()
    if seen < COUNTED_MAX:
        return int(counts[0]), int(counts[1])
    return max(counts[0], incident.message_count), max(counts[1], incident.recipient_count)

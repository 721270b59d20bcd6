"""Which messages belong to an incident: those that one of its signals was seen of, since the signal
belongs to it.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maild.db import database
from maild.domain.states import Status
from maild.models import Incident, IncidentMessage, IncidentSignal, Message

COUNTED_MAX = 50_000
"""Messages of an incident are counted so far."""

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
ORDER BY 1 LIMIT %(limit)s
"""


def ids_of(incident_id: int) -> Any:
    """The query of their ids; whoever uses it names the workspace of the messages besides."""
    return (
        IncidentMessage.select(IncidentMessage.message)
        .join(IncidentSignal)
        .where(
            IncidentSignal.incident == incident_id,
            IncidentMessage.seen_at >= IncidentSignal.since_at,
        )
    )


def list_ids(
    workspace_id: int, incident_id: int, *, limit: int, after: str | None = None
) -> list[uuid.UUID]:
    """So many of them in the order of their ids, from after one on."""
    values = {
        "workspace": workspace_id,
        "incident": incident_id,
        "after": after,
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

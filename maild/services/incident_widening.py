"""Widening: what many families of recipient domains are told alike is one signal, not one of each.

Its parts belong to it from then on, and so does what comes (`incident_intake` asks for it first).
Those of resolved incidents stay with these as well: that is what these were about.
"""

from collections.abc import Sequence
from datetime import datetime

from maild.db import database
from maild.domain.incident import UNRESOLVED, IncidentKind
from maild.domain.incident_fingerprint import Signature
from maild.domain.incident_rules import WIDE_FAMILIES
from maild.models import Incident, IncidentSignal
from maild.services import incident_signals, workspaces

GROUPS_MAX = 100
"""So many are made in one go; the others by the next."""

_ALIKE = """
SELECT workspace_id, smtp_account, error_class, pattern, array_agg(id ORDER BY id)
FROM incident_signals
WHERE kind = %s AND NOT is_state AND recipient_domain IS NOT NULL AND last_seen_at > %s
GROUP BY workspace_id, smtp_account, error_class, pattern
HAVING count(*) >= %s
LIMIT %s
"""
_MAKE = """
INSERT INTO incident_signals AS s (workspace_id, fingerprint, kind, error_class, smtp_account,
    pattern, sample, detail, incident_id, first_seen_at, since_at, last_seen_at, news_count)
SELECT min(workspace_id), %(fingerprint)s, min(kind), min(error_class), min(smtp_account),
    min(pattern), (array_agg(sample ORDER BY last_seen_at DESC))[1], '{}', %(incident)s,
    min(first_seen_at), min(since_at), max(last_seen_at), sum(news_count)
FROM incident_signals WHERE id = ANY(%(ids)s)
ON CONFLICT (workspace_id, fingerprint) DO UPDATE SET
    last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
    incident_id = coalesce(s.incident_id, excluded.incident_id)
RETURNING id
"""
_MOVE = """
INSERT INTO incident_tallies AS t (signal_id, slot_at, seen_count)
SELECT %(wide)s, slot_at, sum(seen_count) FROM incident_tallies WHERE signal_id = ANY(%(ids)s)
GROUP BY slot_at
ON CONFLICT (signal_id, slot_at) DO UPDATE SET seen_count = t.seen_count + excluded.seen_count;
INSERT INTO incident_messages (signal_id, message_id, seen_at)
SELECT %(wide)s, message_id, max(seen_at) FROM incident_messages WHERE signal_id = ANY(%(ids)s)
GROUP BY message_id
ON CONFLICT (signal_id, message_id) DO UPDATE SET seen_at = excluded.seen_at;
UPDATE incident_signals SET message_count = (
    SELECT count(*) FROM incident_messages WHERE signal_id = %(wide)s)
WHERE id = %(wide)s;
DELETE FROM incident_tallies WHERE signal_id = ANY(%(ids)s);
UPDATE incident_signals s SET fingerprint = 'past-' || s.id, last_seen_at = i.last_seen_at
FROM incidents i
WHERE s.id = ANY(%(ids)s) AND i.id = s.incident_id AND i.status = 'resolved';
DELETE FROM incident_signals s WHERE s.id = ANY(%(ids)s) AND NOT EXISTS (
    SELECT FROM incidents i WHERE i.id = s.incident_id AND i.status = 'resolved')
"""


def widen(since: datetime) -> None:
    """Make one signal of each group that was seen since then. Where parts of it belong to several
    incidents, these become one.
    """
    kind = IncidentKind.DELIVERY
    values = (kind.value, since, WIDE_FAMILIES, GROUPS_MAX)
    found = database.execute_sql(_ALIKE, values).fetchall()
    for workspace_id, account, error_class, pattern, ids in found:
        wide = Signature(kind, error_class, account, None, pattern)
        with database.atomic():
            workspaces.take_turns(workspace_id)
            _make(wide, ids)


def _make(wide: Signature, ids: Sequence[int]) -> None:
    concerned = list(
        Incident.select()
        .join(IncidentSignal, on=(IncidentSignal.incident == Incident.id))
        .where(IncidentSignal.id.in_(ids), Incident.status.in_(UNRESOLVED))
        .order_by(Incident.id)
        .distinct()
    )
    first = concerned[0] if concerned else None
    values = {
        "fingerprint": wide.fingerprint,
        "ids": list(ids),
        "incident": first.id if first else None,
    }
    [(wide_id,)] = database.execute_sql(_MAKE, values).fetchall()
    database.execute_sql(_MOVE, {"wide": wide_id, "ids": list(ids)})
    if first is None:
        return
    for other in concerned[1:]:
        incident_signals.absorb(other, first)
    incident_signals.recount(first)

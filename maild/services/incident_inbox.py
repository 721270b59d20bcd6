"""The inbox of incidents: what is not resolved first and the worst of it first, with what was seen
of each; and the worst of all, for pages that lead there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from maild.db import database
from maild.domain.incident import UNRESOLVED, IncidentStatus, Severity
from maild.models import Incident, IncidentSignal
from maild.services.incidents import Filter

SIGNALS_MAX = 20
"""Of each incident, those seen of most messages."""
_RESOLVED_RANK = 0
_PLACE_BITS = 32
"""A place in the list is a rank and an id, as one number: ids have 31 bits."""


@dataclass(frozen=True, slots=True)
class Page:
    """`older` is the place after which the next page begins."""

    incidents: list[Incident]
    older: int | None


def _rank() -> Any:
    """What is resolved comes last, and is as bad as anything else that is."""
    unresolved = [(Incident.severity == one, one.rank + 1) for one in Severity]
    return peewee.Case(
        None,
        [(Incident.status == IncidentStatus.RESOLVED, _RESOLVED_RANK), *unresolved],
        _RESOLVED_RANK,
    )


def list_page(
    workspace_id: int, *, filter_: Filter, limit: int = 50, after: int | None = None
) -> Page:
    """What is worst first, and of what is as bad the newest."""
    query = Incident.select().where(Incident.workspace == workspace_id)
    if filter_.status == "unresolved":
        query = query.where(Incident.status << UNRESOLVED)
    elif filter_.status is not None:
        query = query.where(Incident.status == IncidentStatus(filter_.status))
    for column, value in (
        (Incident.kind, filter_.kind),
        (Incident.severity, filter_.severity),
        (Incident.smtp_account, filter_.smtp_account),
        (Incident.assigned_to, filter_.assigned_to),
    ):
        if value is not None:
            query = query.where(column == value)
    rank = _rank()
    if after is not None:
        after_rank, after_id = after >> _PLACE_BITS, after & ((1 << _PLACE_BITS) - 1)
        query = query.where((rank < after_rank) | ((rank == after_rank) & (Incident.id < after_id)))
    rows = list(query.order_by(rank.desc(), Incident.id.desc()).limit(limit + 1))
    shown = rows[:limit]
    return Page(shown, older=_place(shown[-1]) if len(rows) > limit else None)


def list_worst(workspace_id: int, *, limit: int) -> list[Incident]:
    """The worst of what is not resolved."""
    return list_page(workspace_id, filter_=Filter(status="unresolved"), limit=limit).incidents


def _place(incident: Incident) -> int:
    is_resolved = incident.status is IncidentStatus.RESOLVED
    rank = _RESOLVED_RANK if is_resolved else incident.severity.rank + 1
    return int(rank << _PLACE_BITS | incident.id)


_SIGNALS = """
SELECT g.* FROM unnest(%s::int[]) AS i (id)
CROSS JOIN LATERAL (
    SELECT * FROM incident_signals WHERE incident_id = i.id
    ORDER BY is_state DESC, message_count DESC, id LIMIT %s) AS g
ORDER BY g.is_state DESC, g.message_count DESC, g.id
"""


_CLASSES = """
SELECT DISTINCT incident_id, error_class FROM incident_signals WHERE incident_id = ANY(%s)
"""


def list_classes(found: Sequence[Incident]) -> dict[int, set[str | None]]:
    """Of which classes the errors of each are, by the ids of the incidents."""
    classes: dict[int, set[str | None]] = {incident.id: set() for incident in found}
    if found:
        for incident_id, error_class in database.execute_sql(_CLASSES, (list(classes),)).fetchall():
            classes[incident_id].add(error_class)
    return classes


def list_signals(found: Sequence[Incident]) -> dict[int, list[IncidentSignal]]:
    """What was seen of each, by the ids of the incidents: the states that hold, then what was seen
    most often.
    """
    signals: dict[int, list[IncidentSignal]] = {incident.id: [] for incident in found}
    if found:
        for row in IncidentSignal.raw(_SIGNALS, list(signals), SIGNALS_MAX):
            signals[row.incident_id].append(row)
    return signals

"""What the pages of incidents share: finding one, and what is told of it in a few lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maild.domain.incident import IncidentStatus
from maild.domain.incident_advice import Advice
from maild.errors import NotFound
from maild.models import Incident, IncidentSignal
from maild.services import incidents
from maild.web import access, incident_words
from maild.web.badges import Badge

_ID_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Card:
    """An incident in the inbox."""

    incident: Incident
    status: Badge
    severity: Badge
    kind: str
    touched: str
    accounts: list[str]
    domains: list[str]
    sample: str | None
    advice: Advice

    @property
    def is_open(self) -> bool:
        return bool(self.incident.status is not IncidentStatus.RESOLVED)


def find(incident_id: int) -> Incident:
    """The incident of the workspace that is shown. Raises NotFound."""
    if incident_id > _ID_MAX:
        raise NotFound(incidents.NO_SUCH)
    return incidents.get(access.current_workspace_id(), incident_id)


def card_of(incident: Incident, signals: Sequence[IncidentSignal]) -> Card:
    """What is told of an incident in a few lines."""
    return Card(
        incident,
        incident_words.STATUS[incident.status],
        incident_words.SEVERITY[incident.severity],
        incident_words.KIND[incident.kind],
        incident_words.touched(incident),
        incident_words.accounts(incident, signals),
        incident_words.domains(incident, signals),
        incident_words.sample(signals),
        incident_words.advise(incident, signals),
    )


def facts(one: Incident) -> tuple[Any, ...]:
    """What is shown of it that may change."""
    return one.id, one.version, one.updated_at, one.message_count, one.last_seen_at

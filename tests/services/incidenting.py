"""Incidents for tests, as the watch leaves them: a row, a signal, and messages it was seen of."""

from collections.abc import Iterable
from typing import Any

from maild.domain.incident import EntryKind, IncidentKind, IncidentStatus, Severity
from maild.models import Incident, IncidentEntry, IncidentMessage, IncidentSignal
from tests.conftest import WORKSPACE_A
from tests.services.helpers import ago

SAMPLE = "451 4.7.1 Try again later, <b>please</b>"


def make_incident(
    message_ids: Iterable[Any] = (),
    *,
    workspace_id: int = WORKSPACE_A,
    kind: IncidentKind = IncidentKind.DELIVERY,
    error_class: str | None = "rate_limited",
    **fields: Any,
) -> Incident:
    """An incident that is open and major, unless told otherwise, of these messages."""
    chosen = list(message_ids)
    values = {
        "title": "Gmail says that we send too much, too fast",
        "status": IncidentStatus.OPEN,
        "severity": Severity.MAJOR,
        "smtp_account": None,
        "recipient_domain": None,
        "message_count": len(chosen),
        "recipient_count": len(chosen),
        "opened_by": "maild",
        "since_at": ago(minutes=20),
        **fields,
    }
    [incident] = (
        Incident.insert(workspace=workspace_id, kind=kind, **values).returning(Incident).execute()
    )
    IncidentEntry.insert(
        workspace=workspace_id,
        incident=incident.id,
        kind=EntryKind.OPENED,
        actor="maild",
        data={},
    ).execute()
    [signal] = (
        IncidentSignal.insert(
            workspace=workspace_id,
            fingerprint=f"test-{incident.id}",
            kind=kind,
            error_class=error_class,
            smtp_account=values["smtp_account"],
            recipient_domain=values["recipient_domain"],
            sample=SAMPLE,
            detail={},
            incident=incident.id,
            since_at=ago(minutes=20),
            message_count=len(chosen),
        )
        .returning(IncidentSignal)
        .execute()
    )
    add_messages(signal, chosen)
    return incident  # type: ignore[no-any-return]


def add_messages(signal: IncidentSignal, message_ids: Iterable[Any]) -> None:
    """The signal was seen of these as well."""
    for message_id in message_ids:
        IncidentMessage.insert(signal=signal.id, message=message_id).execute()


def entries_of(incident: Incident) -> list[IncidentEntry]:
    return list(
        IncidentEntry.select()
        .where(IncidentEntry.incident == incident.id)
        .order_by(IncidentEntry.id)
    )

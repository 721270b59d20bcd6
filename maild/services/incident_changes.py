"""What changes an incident, whoever does it: it opens, is found to be worse, is resolved and comes
back. Each change is an entry of its timeline, and is told to the workspace's channels.

All of it happens in the caller's transaction. Who may ask for what is for `incidents` (people) and
`incident_signals` (maild itself).
"""

from datetime import datetime
from typing import Any

from peewee import fn

from maild import log
from maild.domain.actor import SYSTEM, Actor
from maild.domain.incident import EntryKind, IncidentKind, IncidentStatus, Severity
from maild.domain.notification import Occasion
from maild.domain.storable import clean_json
from maild.models import Incident, IncidentEntry, IncidentSignal
from maild.services import notifications

logger = log.get(__name__)


def add_entry(
    incident: Incident,
    kind: EntryKind,
    *,
    by: Actor = SYSTEM,
    text: str | None = None,
    **data: Any,
) -> None:
    """An entry of its timeline. What of `data` is None is left out."""
    known = {name: value for name, value in data.items() if value is not None}
    IncidentEntry.insert(
        workspace=incident.workspace_id,
        incident=incident.id,
        kind=kind,
        actor=by.name,
        text=clean_json(text),
        data=clean_json(known),
    ).execute()


def start(
    workspace_id: int,
    *,
    kind: IncidentKind,
    title: str,
    severity: Severity,
    smtp_account: str | None = None,
    recipient_domain: str | None = None,
    since_at: datetime | None = None,
    by: Actor = SYSTEM,
    text: str | None = None,
) -> Incident:
    """A new incident, open. What belongs to it is attached by the caller, and then it is told."""
    [incident] = (
        Incident.insert(
            workspace=workspace_id,
            kind=kind,
            title=clean_json(title),
            status=IncidentStatus.OPEN,
            severity=severity,
            smtp_account=smtp_account,
            recipient_domain=recipient_domain,
            opened_by=by.name,
            since_at=since_at or fn.now(),
        )
        .returning(Incident)
        .execute()
    )
    add_entry(incident, EntryKind.OPENED, by=by, text=text, severity=severity.value)
    logger.warning(
        "incident.opened", workspace_id=workspace_id, incident_id=incident.id, title=title
    )
    return incident  # type: ignore[no-any-return]


def update(incident: Incident, **fields: Any) -> Incident:
    """The incident with other values, as it is then. Counts no version."""
    [changed] = (
        Incident.update(updated_at=fn.now(), **fields)
        .where(Incident.id == incident.id)
        .returning(Incident)
        .execute()
    )
    return changed  # type: ignore[no-any-return]


def resolve(incident: Incident, cause: str, *, by: Actor, **fields: Any) -> Incident:
    """It is over. Its signals count anew from here: only what comes now brings it back."""
    resolved = update(
        incident,
        status=IncidentStatus.RESOLVED,
        resolved_at=fn.now(),
        resolved_by=by.name,
        cause=cause,
        **fields,
    )
    IncidentSignal.update(news_count=0).where(IncidentSignal.incident == incident.id).execute()
    add_entry(resolved, EntryKind.RESOLVED, by=by, text=cause)
    notifications.tell(resolved, Occasion.RESOLVED)
    logger.warning(
        "incident.resolved", workspace_id=resolved.workspace_id, incident_id=resolved.id, by=by.name
    )
    return resolved


def reopen(incident: Incident, reason: str, *, by: Actor = SYSTEM, **fields: Any) -> Incident:
    """It is back. Who looked after it is asked anew."""
    reopened = update(
        incident,
        status=IncidentStatus.OPEN,
        resolved_at=None,
        resolved_by=None,
        cause=None,
        acknowledged_at=None,
        acknowledged_by=None,
        merged_into=None,
        last_seen_at=fn.now(),
        reopen_count=Incident.reopen_count + 1,
        **fields,
    )
    add_entry(reopened, EntryKind.REOPENED, by=by, text=reason)
    notifications.tell(reopened, Occasion.REOPENED)
    logger.warning(
        "incident.reopened", workspace_id=reopened.workspace_id, incident_id=reopened.id, by=by.name
    )
    return reopened


def escalate(incident: Incident, severity: Severity, reason: str) -> Incident:
    """It is worse than it was, unless a person has said how bad it is."""
    if incident.is_severity_set or severity.rank <= incident.severity.rank:
        return incident
    escalated = update(incident, severity=severity)
    add_entry(
        escalated,
        EntryKind.ESCALATED,
        text=reason,
        before=incident.severity.value,
        after=severity.value,
    )
    notifications.tell(escalated, Occasion.ESCALATED)
    return escalated

"""What an incident's page and answer tell beside its row: its timeline, with what else happened
meanwhile and shortly before, and what servers said.

Its messages are read by `incident_messages`, its signals by `incident_inbox`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee

from maild.domain.states import EventType
from maild.models import Event, Incident, IncidentEntry, IncidentSignal
from maild.models.smtp_account import DEFAULT_ACCOUNT

ENTRIES_MAX = 500
EVENTS_MAX = 100
"""Of each kind of what happened meanwhile, the latest."""
BEFORE = timedelta(hours=1)
"""What was changed so long before it began may be why."""
AFTER = timedelta(minutes=1)
"""What happens so soon after it is resolved belongs to its end."""
SIGNALS_MAX = 200

_CHANGES = (
    EventType.POLICY_CHANGED,
    EventType.FREEZE_STARTED,
    EventType.FREEZE_ENDED,
    EventType.DEPLOYMENT_RECORDED,
    EventType.CONSERVATION_BROKEN,
    EventType.CONSERVATION_RESTORED,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said, word by word, the latest time that a signal was seen."""

    text: str
    smtp_account: str | None
    recipient_domain: str | None
    error_class: str | None
    seen_at: datetime


def list_entries(incident: Incident) -> list[IncidentEntry | Event]:
    """What people and maild did about it, and what happened to its accounts and to the workspace
    from an hour before it began until it was over; oldest first. Of each kind the latest, where
    there is very much.
    """
    entries = list(
        IncidentEntry.select()
        .where(IncidentEntry.incident == incident.id)
        .order_by(IncidentEntry.id.desc())
        .limit(ENTRIES_MAX)
    )
    events = [*_list_of_workspace(incident), *_list_of_instance(incident)]
    return sorted([*entries, *events], key=lambda one: (one.created_at, isinstance(one, Event)))


def list_replies(incident: Incident, *, limit: int = 5) -> list[Reply]:
    """What servers said, the latest first, the same words once."""
    rows = (
        IncidentSignal.select()
        .where(IncidentSignal.incident == incident.id, IncidentSignal.sample.is_null(False))
        .order_by(IncidentSignal.last_seen_at.desc())
        .limit(SIGNALS_MAX)
    )
    found: dict[str, Reply] = {}
    for row in rows:
        text = str(row.sample)
        found.setdefault(
            text,
            Reply(text, row.smtp_account, row.recipient_domain, row.error_class, row.last_seen_at),
        )
    return list(found.values())[:limit]


def _list_of_workspace(incident: Incident) -> list[Event]:
    changes = _list_events(
        incident,
        Event.workspace == incident.workspace_id,
        Event.type.in_([kind.value for kind in _CHANGES]),
    )
    return changes + _list_events(
        incident,
        Event.workspace == incident.workspace_id,
        Event.type.startswith("provider.") & _is_of(_list_accounts(incident)),
    )


def _list_of_instance(incident: Incident) -> list[Event]:
    """Those of maild itself, and of the environment's account where it is about that."""
    told = Event.type == EventType.MAILD_DEPLOYED.value
    if DEFAULT_ACCOUNT in _list_accounts(incident):
        told |= Event.type.startswith("provider.")
    return _list_events(incident, Event.workspace.is_null(), told)


def _list_events(incident: Incident, owner: Any, which: Any) -> list[Event]:
    until: Any = peewee.fn.now()
    if incident.resolved_at is not None:
        until = incident.resolved_at + AFTER
    query = Event.select().where(
        owner,
        Event.message.is_null(),
        which,
        Event.created_at.between(incident.since_at - BEFORE, until),
    )
    return list(query.order_by(Event.id.desc()).limit(EVENTS_MAX))


def _list_accounts(incident: Incident) -> list[str]:
    """The accounts that it is about."""
    rows = (
        IncidentSignal.select(IncidentSignal.smtp_account)
        .where(IncidentSignal.incident == incident.id, IncidentSignal.smtp_account.is_null(False))
        .distinct()
        .limit(SIGNALS_MAX)
    )
    names = {row.smtp_account for row in rows} | {incident.smtp_account}
    return sorted(name for name in names if name)


def _is_of(accounts: list[str]) -> Any:
    """Whether an event tells of one of these accounts."""
    if not accounts:
        return peewee.SQL("true")
    return peewee.fn.coalesce(Event.data["smtp_account"], "").in_(accounts)

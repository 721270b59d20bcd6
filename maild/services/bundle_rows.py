"""The rows that bundles are made of, of one message or of several at once. No statement is made for
each message, and each has its bound.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import peewee

from maild.models import (
    Attempt,
    AuditEntry,
    Event,
    Incident,
    IncidentSignal,
    Message,
    PolicyVersion,
    ProviderEvent,
)
from maild.services import account_health, message_log, policies, suppressions
from maild.services.account_health import AccountHealth

REPORTS_MAX = 200
AUDIT_MAX = 100
ATTEMPTS_MAX = 200
POLICIES_MAX = 10
SAMPLE_ATTEMPTS_MAX = 20
SAMPLE_EVENTS_MAX = 50
SAMPLE_REPORTS_MAX = 20
SIGNALS_MAX = 100


def list_reports(message: Message, *, until: datetime) -> list[ProviderEvent]:
    """What providers have reported of the message, and what they reported of its recipient until
    then and maild could link to no message: the newest REPORTS_MAX of each, oldest first.
    """
    own = ProviderEvent.select().where(
        ProviderEvent.workspace == message.workspace_id, ProviderEvent.message_id == message.id
    )
    of_recipient = ProviderEvent.select().where(
        ProviderEvent.workspace == message.workspace_id,
        ProviderEvent.email == suppressions.lower_case(message.to_email),
        ProviderEvent.message_id.is_null(),
        ProviderEvent.created_at.between(message.created_at, until),
    )
    found = [
        row
        for query in (own, of_recipient)
        for row in query.order_by(ProviderEvent.id.desc()).limit(REPORTS_MAX)
    ]
    return sorted(found, key=lambda row: row.id)


# The newest of each message, so that one with many leaves room for the others.
_OF_EACH = """
SELECT one.* FROM unnest(%s::uuid[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT * FROM {table} WHERE message_id = wanted.id ORDER BY {order} DESC LIMIT %s) AS one
ORDER BY one.{order}
"""
_ATTEMPTS = _OF_EACH.format(table="attempts", order="attempt_no")
_EVENTS = _OF_EACH.format(table="events", order="id")
_REPORTS = _OF_EACH.format(table="provider_events", order="id")


def sample_attempts(message_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Attempt]]:
    """The latest attempts of each, SAMPLE_ATTEMPTS_MAX at most, first to last."""
    return _of_each(Attempt, _ATTEMPTS, message_ids, SAMPLE_ATTEMPTS_MAX)


def sample_events(message_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Event]]:
    """The latest facts about each, SAMPLE_EVENTS_MAX at most, oldest first."""
    return _of_each(Event, _EVENTS, message_ids, SAMPLE_EVENTS_MAX)


def sample_reports(message_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[ProviderEvent]]:
    """The latest reports about each, SAMPLE_REPORTS_MAX at most, oldest first."""
    return _of_each(ProviderEvent, _REPORTS, message_ids, SAMPLE_REPORTS_MAX)


def _of_each(
    model: Any, query: str, message_ids: Sequence[uuid.UUID], limit: int
) -> dict[uuid.UUID, list[Any]]:
    found: dict[uuid.UUID, list[Any]] = {}
    if message_ids:
        for row in model.raw(query, [str(one) for one in message_ids], limit):
            found.setdefault(row.message_id, []).append(row)
    return found


def list_signals(incident: Incident) -> list[IncidentSignal]:
    """What was seen of it, the most frequent first."""
    return list(
        IncidentSignal.select()
        .where(
            IncidentSignal.incident == incident.id,
            IncidentSignal.workspace == incident.workspace_id,
        )
        .order_by(IncidentSignal.message_count.desc(), IncidentSignal.id)
        .limit(SIGNALS_MAX)
    )


def list_accounts(workspace_id: int, names: Iterable[str | None]) -> list[AccountHealth]:
    """The accounts of these names; all of the workspace's, where there is none of them."""
    found, wanted = account_health.list_all(workspace_id), set(names)
    return [one for one in found if one.account.name in wanted] or found


def list_policies(
    workspace_id: int, versions: Iterable[int | None]
) -> list[tuple[PolicyVersion | None, int]]:
    """The newest POLICIES_MAX of these versions; of 0, the instance's defaults, there is no row."""
    wanted = sorted({one for one in versions if one is not None})[-POLICIES_MAX:]
    rows = {
        row.version: row
        for row in PolicyVersion.select().where(
            PolicyVersion.workspace == workspace_id, PolicyVersion.version << wanted
        )
    }
    return [(rows.get(one), one) for one in wanted if one == 0 or one in rows]


def rules_of(workspace_id: int, row: PolicyVersion | None) -> Any:
    """The rules of a version that `list_policies` has found."""
    return policies.known(workspace_id, 0) if row is None else policies.from_row(row)


def list_audit_of_message(message: Message) -> list[AuditEntry]:
    """Entries of what people did to it by hand. A job has one for all its messages: the events
    tell of that.
    """
    named = peewee.SQL(
        "(after->'message_ids' ? %s OR after->'messages' ? %s)", (str(message.id),) * 2
    )
    return _list_audit(
        message.workspace_id,
        message.created_at,
        AuditEntry.action.startswith("messages."),
        named,
    )


def list_audit_of_incident(
    workspace_id: int, incident_id: int, *, since: datetime
) -> list[AuditEntry]:
    """Entries of what people did to it."""
    return _list_audit(
        workspace_id,
        since,
        AuditEntry.action.startswith("incident."),
        AuditEntry.target == f"incident {incident_id}",
    )


def _list_audit(workspace_id: int, since: datetime, *conditions: Any) -> list[AuditEntry]:
    """The newest AUDIT_MAX, oldest first. Raises InvalidRequest where that takes too long."""
    query = (
        AuditEntry.select()
        .where(AuditEntry.workspace == workspace_id, AuditEntry.at >= since, *conditions)
        .order_by(AuditEntry.seq.desc())
        .limit(AUDIT_MAX)
    )
    with message_log.bounded():
        return list(query)[::-1]

"""Signals: where what goes wrong finds its incident. It joins one that is there, brings one back,
or makes one.

`raise_state` and `clear_state` are for what holds or does not (a breaker that is open, a record
that is gone), whoever looks after it; `attach` is for what is counted (`incident_watch`). All that
ails one SMTP account is one incident, while that is not resolved.
"""

import json
from datetime import datetime
from typing import Any

from peewee import fn

from maild.db import database
from maild.domain import incident_fingerprint, incident_rules
from maild.domain.actor import SYSTEM
from maild.domain.incident import UNRESOLVED, EntryKind, IncidentKind, IncidentStatus, Severity
from maild.domain.notification import Occasion
from maild.domain.storable import clean_json
from maild.models import Incident, IncidentSignal
from maild.services import incident_changes as changes
from maild.services import incidents, notifications, providers, workspaces

BACK_DAYS = 7
"""What comes again within so long is the old incident; later it is a new one."""
BACK_MINUTES_OF_PATH = 30
"""An account that has trouble of any kind so soon after an incident is not well yet."""

_OF_PATH = (IncidentKind.PROVIDER, IncidentKind.UNKNOWN_OUTCOMES)

_RAISE = """
INSERT INTO incident_signals AS s (workspace_id, fingerprint, kind, error_class, smtp_account,
    recipient_domain, sample, detail, is_state, is_active)
VALUES (%(workspace)s, %(fingerprint)s, %(kind)s, %(error_class)s, %(smtp_account)s,
    %(recipient_domain)s, %(sample)s, %(detail)s, true, false)
ON CONFLICT (workspace_id, fingerprint) DO UPDATE SET
    detail = excluded.detail, error_class = excluded.error_class, sample = excluded.sample,
    last_seen_at = now()
RETURNING id
"""


def raise_state(
    workspace_id: int,
    *,
    kind: IncidentKind,
    key: str,
    title: str,
    severity: Severity,
    detail: dict[str, Any],
    smtp_account: str | None = None,
    recipient_domain: str | None = None,
) -> Incident | None:
    """This is so: open or update the incident of it; returns that. None where a person has resolved
    it though it is so still: it comes back when it has been otherwise in between.

    `key` tells it from others of its kind. Of `detail`, which is JSON and holds no secret,
    `error_class` and `reason` are shown as such. Raises NotFound (the workspace).
    """
    values = {
        "workspace": workspace_id,
        "fingerprint": incident_fingerprint.of_state(kind, key),
        "kind": kind.value,
        "error_class": detail.get("error_class"),
        "smtp_account": smtp_account,
        "recipient_domain": recipient_domain,
        "sample": clean_json(detail.get("reason")),
        "detail": json.dumps(clean_json({**detail, "key": key, "title": title})),
    }
    with database.atomic():
        workspaces.take_turns(workspace_id)
        [(signal_id,)] = database.execute_sql(_RAISE, values).fetchall()
        signal = IncidentSignal.get_by_id(signal_id)
        if signal.is_active:
            return _keep_up(signal, severity)
        IncidentSignal.update(is_active=True).where(IncidentSignal.id == signal.id).execute()
        return attach(signal, title=title, severity=severity, is_of_path=kind in _OF_PATH)


def clear_state(workspace_id: int, *, kind: IncidentKind, key: str) -> None:
    """This is not so any more; the incident closes itself when all is quiet. Nothing where it was
    not so.
    """
    with database.atomic():
        workspaces.take_turns_of([workspace_id])
        [*cleared] = (
            IncidentSignal.update(is_active=False, last_seen_at=fn.now())
            .where(
                IncidentSignal.workspace == workspace_id,
                IncidentSignal.fingerprint == incident_fingerprint.of_state(kind, key),
                IncidentSignal.is_active,
            )
            .returning(IncidentSignal)
            .execute()
        )
        for signal in cleared:
            Incident.update(last_seen_at=fn.now()).where(
                Incident.id == signal.incident_id, Incident.status.in_(UNRESOLVED)
            ).execute()


def attach(
    signal: IncidentSignal,
    *,
    title: str,
    severity: Severity,
    is_of_path: bool,
    since_at: datetime | None = None,
) -> Incident:
    """The incident that a signal belongs to from now on. Of what was seen of it, it brings along
    what was since then, or as yet nothing. In the caller's transaction, in which the workspace's
    turn has been taken.
    """
    if is_of_path and signal.kind is IncidentKind.DELIVERY:
        _turn_into_path(signal)
    own = _lock(signal.incident_id)
    if own is not None and own.status is not IncidentStatus.RESOLVED:
        # Its own again: a state that had been cleared, and no person has been told of that.
        changes.update(own, last_seen_at=fn.now())
        return _worsen(own, severity, title)
    account = signal.smtp_account if is_of_path else None
    standing = _find_of_path(signal.workspace_id, account) if account else None
    if standing is not None and standing.status is not IncidentStatus.RESOLVED:
        return _join(signal, standing, title, severity, since_at)
    back = own if own is not None and _is_recent(own) else standing
    if back is not None:
        return _bring_back(signal, back, title, severity, since_at)
    alike = None if is_of_path else _find_alike(signal)
    if alike is not None:
        return _join(signal, alike, title, severity, since_at)
    incident = changes.start(
        signal.workspace_id,
        kind=signal.kind,
        title=title,
        severity=severity,
        smtp_account=signal.smtp_account,
        recipient_domain=None if is_of_path else signal.recipient_domain,
        since_at=since_at,
    )
    _belong(signal, incident, since_at)
    incident = recount(incident)
    notifications.tell(incident, Occasion.OPENED)
    return incident


def has_path(workspace_id: int) -> bool:
    """Whether some account can carry the workspace's mail at the moment."""
    return providers.choose(providers.list_routes([workspace_id])[workspace_id]) is not None


def promote(signal: IncidentSignal, *, title: str, severity: Severity) -> Incident | None:
    """What seemed to be some recipients' trouble is an account's: its incident becomes that, or
    part of the one that is there for the account. In the caller's transaction; None where the
    incident is resolved by now.
    """
    incident = _lock(signal.incident_id)
    if incident is None or incident.status is IncidentStatus.RESOLVED:
        return None
    standing = _find_of_path(signal.workspace_id, signal.smtp_account or "")
    _turn_into_path(signal)
    is_another = standing is not None and standing.id != incident.id
    if standing is not None and is_another and standing.status is not IncidentStatus.RESOLVED:
        absorb(incident, standing)
        return _worsen(recount(standing), severity, title)
    changed = changes.update(
        incident, kind=IncidentKind.PROVIDER, title=title, recipient_domain=None
    )
    changes.add_entry(
        changed,
        EntryKind.SIGNAL_JOINED,
        text=f"It is not about some recipients only: {title}",
        signal_id=signal.id,
        error_class=signal.error_class,
        smtp_account=signal.smtp_account,
        sample=signal.sample,
    )
    return _worsen(changed, severity, title)


def absorb(incident: Incident, into: Incident) -> None:
    """Make an incident part of another one, as maild itself finds that they are one."""
    IncidentSignal.update(incident=into.id).where(IncidentSignal.incident == incident.id).execute()
    changes.update(
        incident,
        status=IncidentStatus.RESOLVED,
        resolved_at=fn.now(),
        resolved_by=SYSTEM.name,
        cause=f"It is part of incident {into.id}: {into.title}"[: incidents.LINE_MAX_CHARS],
        merged_into=into.id,
    )
    changes.add_entry(incident, EntryKind.MERGED, into_id=into.id)
    changes.add_entry(into, EntryKind.MERGED, from_id=incident.id, title=incident.title)


def recount(incident: Incident) -> Incident:
    """Count its messages and recipients from the start, after other signals have come to it."""
    message_count, recipient_count = incidents.count_all(incident)
    return changes.update(
        incident,
        message_count=message_count,
        recipient_count=recipient_count,
        last_seen_at=fn.now(),
    )


def _turn_into_path(signal: IncidentSignal) -> None:
    """By its kind it is found as one of its account from then on."""
    signal.kind = IncidentKind.PROVIDER
    IncidentSignal.update(kind=signal.kind).where(IncidentSignal.id == signal.id).execute()


def _keep_up(signal: IncidentSignal, severity: Severity) -> Incident | None:
    """The incident of a state that goes on."""
    incident = _lock(signal.incident_id)
    if incident is None or incident.status is IncidentStatus.RESOLVED:
        return None
    return changes.escalate(incident, severity, "It has become worse.")


def _join(
    signal: IncidentSignal,
    incident: Incident,
    title: str,
    severity: Severity,
    since_at: datetime | None,
) -> Incident:
    _belong(signal, incident, since_at)
    changes.add_entry(
        incident,
        EntryKind.SIGNAL_JOINED,
        text=title,
        signal_id=signal.id,
        error_class=signal.error_class,
        smtp_account=signal.smtp_account,
        recipient_domain=signal.recipient_domain,
        sample=signal.sample,
    )
    return _worsen(recount(incident), severity, title)


def _bring_back(
    signal: IncidentSignal,
    incident: Incident,
    title: str,
    severity: Severity,
    since_at: datetime | None,
) -> Incident:
    if signal.incident_id != incident.id:
        _belong(signal, incident, since_at)
    reopened = changes.reopen(incident, f"It is back: {title}")
    return _worsen(recount(reopened), severity, title)


def _worsen(incident: Incident, severity: Severity, title: str) -> Incident:
    return changes.escalate(incident, severity, f"It has become worse: {title}")


def _belong(signal: IncidentSignal, incident: Incident, since_at: datetime | None) -> None:
    """From now on it is a signal of this incident; what was seen of it before is not."""
    IncidentSignal.update(incident=incident.id, since_at=since_at or fn.now()).where(
        IncidentSignal.id == signal.id
    ).execute()
    signal.incident_id = incident.id


def _lock(incident_id: int | None) -> Incident | None:
    if incident_id is None:
        return None
    query = Incident.select().where(Incident.id == incident_id)
    found: Incident | None = query.for_update("FOR NO KEY UPDATE").first()  # type: ignore[arg-type]
    return found


def _is_recent(incident: Incident) -> bool:
    """Whether what comes of it now is the same still."""
    found = (
        Incident.select(Incident.id)
        .where(
            Incident.id == incident.id,
            Incident.resolved_at > fn.now() - fn.make_interval(0, 0, 0, BACK_DAYS),
        )
        .exists()
    )
    return bool(found)


# By its signals: also one that has been merged, or opened by hand for it.
_PATH = """
SELECT i.id FROM incident_signals s JOIN incidents i ON i.id = s.incident_id
WHERE s.workspace_id = %(workspace)s AND s.smtp_account = %(account)s AND s.kind = ANY(%(kinds)s)
    AND (i.status <> 'resolved' OR i.resolved_at > now() - %(minutes)s * interval '1 minute')
ORDER BY i.status = 'resolved', i.id DESC LIMIT 1
"""


def _find_of_path(workspace_id: int, account: str) -> Incident | None:
    """The incident of what ails an account, where it is not resolved or was just now."""
    row = database.execute_sql(
        _PATH,
        {
            "workspace": workspace_id,
            "account": account,
            "kinds": [kind.value for kind in _OF_PATH],
            "minutes": BACK_MINUTES_OF_PATH,
        },
    ).fetchone()
    return _lock(row[0]) if row else None


_ALIKE = """
SELECT min(id), count(*) FROM (
    SELECT DISTINCT i.id FROM incident_signals s JOIN incidents i ON i.id = s.incident_id
    WHERE s.workspace_id = %s AND s.kind = 'delivery' AND i.status <> 'resolved'
        AND s.smtp_account IS NOT DISTINCT FROM %s AND s.error_class IS NOT DISTINCT FROM %s
    LIMIT %s) AS counted
"""


def _find_alike(signal: IncidentSignal) -> Incident | None:
    """The oldest of the open incidents with the same class and account, where there are enough."""
    if signal.kind is not IncidentKind.DELIVERY:
        return None
    most = incident_rules.JOINED_ALIKE
    first, count = database.execute_sql(
        _ALIKE, (signal.workspace_id, signal.smtp_account, signal.error_class, most)
    ).fetchone()
    return _lock(first) if count >= most else None

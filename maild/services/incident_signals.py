"""Signals: where what goes wrong finds its incident. It joins one that is there, brings one back,
or makes one.

`raise_state` and `clear_state` are for what holds or does not (a breaker that is open, a record
that is gone), whoever looks after it; `attach` is for what is counted (`incident_watch`). All that
ails one SMTP account is one incident, while that is not resolved.
"""

import json
from collections.abc import Collection
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
from maild.services import incident_messages, incidents, notifications, providers, workspaces

BACK_DAYS = 7
"""What comes again within so long is the old incident; later it is a new one."""
BACK_MINUTES_OF_PATH = 30
"""An account that has trouble of any kind so soon after an incident is not well yet."""

_OF_PATH = (IncidentKind.PROVIDER, IncidentKind.UNKNOWN_OUTCOMES)

_RAISE = """
WITH before AS (
    SELECT detail->>'title' AS title FROM incident_signals
    WHERE workspace_id = %(workspace)s AND fingerprint = %(fingerprint)s
)
INSERT INTO incident_signals AS s (workspace_id, fingerprint, kind, error_class, smtp_account,
    recipient_domain, sample, detail, is_state, is_active)
VALUES (%(workspace)s, %(fingerprint)s, %(kind)s, %(error_class)s, %(smtp_account)s,
    %(recipient_domain)s, %(sample)s, %(detail)s, true, false)
ON CONFLICT (workspace_id, fingerprint) DO UPDATE SET
    detail = excluded.detail, error_class = excluded.error_class, sample = excluded.sample,
    last_seen_at = now()
RETURNING id, (SELECT title FROM before)
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
        [(signal_id, told)] = database.execute_sql(_RAISE, values).fetchall()
        signal = IncidentSignal.get_by_id(signal_id)
        if told is not None and told != title:
            _retitle(signal, told, title)
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
    joined: set[tuple[int, int]] | None = None,
) -> Incident:
    """The incident that a signal belongs to from now on. Of what was seen of it, it brings along
    what was since then, or as yet nothing. In the caller's transaction, in which the workspace's
    turn has been taken. Where it joins an incident, what was seen of it is not counted: many may,
    and to count once behind them all is enough. `joined` learns of which.
    """
    if is_of_path and signal.kind is IncidentKind.DELIVERY:
        _turn_into_path(signal)
    own = lock(signal.incident_id)
    if own is not None and own.status is not IncidentStatus.RESOLVED:
        # Its own again: a state that had been cleared, and no person has been told of that.
        changes.update(own, last_seen_at=fn.now())
        return _worsen(own, severity, title)
    account = signal.smtp_account if is_of_path else None
    standing = _find_of_path(signal.workspace_id, account) if account else None
    if standing is not None and standing.status is not IncidentStatus.RESOLVED:
        _note(standing, joined)
        return _join(signal, standing, title, severity, since_at)
    back = own if own is not None and _is_recent(own) else standing
    if back is not None:
        if is_of_path and back.kind is IncidentKind.DELIVERY:
            back = _be_of_path(back, title)
        return _bring_back(signal, back, title, severity, since_at)
    alike = None if is_of_path else _find_alike(signal)
    if alike is not None:
        _note(alike, joined)
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
    return list_paths([workspace_id])[workspace_id]


def list_paths(workspace_ids: Collection[int]) -> dict[int, bool]:
    """As `has_path`, of each workspace."""
    routes = providers.list_routes(sorted(workspace_ids)) if workspace_ids else {}
    return {id_: providers.choose(route) is not None for id_, route in routes.items()}


def promote(signal: IncidentSignal, *, title: str, severity: Severity) -> Incident | None:
    """What seemed to be some recipients' trouble is an account's: its incident becomes that, or
    part of the one that is there for the account. In the caller's transaction; None where the
    incident is resolved by now.
    """
    incident = lock(signal.incident_id)
    if incident is None or incident.status is IncidentStatus.RESOLVED:
        return None
    standing = _find_of_path(signal.workspace_id, signal.smtp_account or "")
    _turn_into_path(signal)
    is_another = standing is not None and standing.id != incident.id
    if standing is not None and is_another and standing.status is not IncidentStatus.RESOLVED:
        absorb(incident, standing)
        return _worsen(recount(standing), severity, title)
    changed = _be_of_path(incident, title)
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
    resolved = changes.update(
        incident,
        status=IncidentStatus.RESOLVED,
        resolved_at=fn.now(),
        resolved_by=SYSTEM.name,
        cause=f"It is part of incident {into.id}: {into.title}"[: incidents.LINE_MAX_CHARS],
        merged_into=into.id,
    )
    notifications.tell(resolved, Occasion.RESOLVED)  # who was told of it waits for its end
    changes.add_entry(incident, EntryKind.MERGED, into_id=into.id)
    changes.add_entry(into, EntryKind.MERGED, from_id=incident.id, title=incident.title)


def count_anew(workspace_id: int, incident_id: int) -> None:
    """Count its messages and recipients after other signals have come to it; nothing where it is
    resolved by now.
    """
    with database.atomic():
        workspaces.take_turns_of([workspace_id])
        incident = lock(incident_id)
        if incident is not None and incident.status is not IncidentStatus.RESOLVED:
            recount(incident)


def recount(incident: Incident) -> Incident:
    """Count its messages and recipients from the start, after other signals have come to it."""
    message_count, recipient_count = incident_messages.count_all(incident)
    return changes.update(
        incident,
        message_count=message_count,
        recipient_count=recipient_count,
        last_seen_at=fn.now(),
    )


def lock(incident_id: int | None) -> Incident | None:
    """The incident, which nobody else changes until the transaction ends."""
    if incident_id is None:
        return None
    query = Incident.select().where(Incident.id == incident_id)
    found: Incident | None = query.for_update("FOR NO KEY UPDATE").first()  # type: ignore[arg-type]
    return found


def _turn_into_path(signal: IncidentSignal) -> None:
    """By its kind it is found as one of its account from then on."""
    signal.kind = IncidentKind.PROVIDER
    IncidentSignal.update(kind=signal.kind).where(IncidentSignal.id == signal.id).execute()


def _be_of_path(incident: Incident, title: str) -> Incident:
    """What was about some recipients is about the account."""
    return changes.update(incident, kind=IncidentKind.PROVIDER, title=title, recipient_domain=None)


def _retitle(signal: IncidentSignal, told: str, title: str) -> None:
    """What a state says now is what its incident says, if that has said what it said before."""
    incident = lock(signal.incident_id)
    if incident is not None and incident.title == told and incident.status in UNRESOLVED:
        changes.update(incident, title=clean_json(title))
        changes.add_entry(incident, EntryKind.SIGNAL_JOINED, text=title, signal_id=signal.id)


def _keep_up(signal: IncidentSignal, severity: Severity) -> Incident | None:
    """The incident of a state that goes on."""
    incident = lock(signal.incident_id)
    if incident is None or incident.status is IncidentStatus.RESOLVED:
        return None
    return changes.escalate(incident, severity, "It has become worse.")


def _note(incident: Incident, joined: set[tuple[int, int]] | None) -> None:
    if joined is not None:
        joined.add((incident.workspace_id, incident.id))


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
    return _worsen(changes.update(incident, last_seen_at=fn.now()), severity, title)


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


# What was seen of it until then stays with the incident that it belonged to: that is what it was
# about. The one that goes on is another row, known by the fingerprint.
_LEAVE = """
UPDATE incident_signals SET fingerprint = 'past-' || id, is_active = false,
    last_seen_at = (SELECT last_seen_at FROM incidents WHERE id = %(left)s)
WHERE id = %(signal)s
"""
_GO_ON = """
INSERT INTO incident_signals (workspace_id, fingerprint, kind, error_class, smtp_account,
    recipient_domain, pattern, sample, detail, is_state, is_active, first_seen_at, since_at,
    news_count)
SELECT workspace_id, %(fingerprint)s, kind, error_class, smtp_account, recipient_domain, pattern,
    sample, detail, is_state, %(is_active)s, first_seen_at, since_at, news_count
FROM incident_signals WHERE id = %(signal)s
RETURNING id
"""
_TAKE_ALONG = """
UPDATE incident_tallies SET signal_id = %(new)s WHERE signal_id = %(signal)s;
WITH moved AS (
    UPDATE incident_messages SET signal_id = %(new)s
    WHERE signal_id = %(signal)s AND seen_at >= coalesce(%(since)s, now())
    RETURNING 1)
UPDATE incident_signals SET message_count = (SELECT count(*) FROM moved) WHERE id = %(new)s
"""


def _leave(signal: IncidentSignal, since_at: datetime | None) -> None:
    """Let what was seen of it before stay with its incident."""
    state = IncidentSignal.select(IncidentSignal.is_active).where(IncidentSignal.id == signal.id)
    values = {
        "signal": signal.id,
        "left": signal.incident_id,
        "fingerprint": signal.fingerprint,
        "is_active": state.scalar(),
    }
    database.execute_sql(_LEAVE, values)
    [(new_id,)] = database.execute_sql(_GO_ON, values).fetchall()
    values = {"new": new_id, "signal": signal.id, "since": since_at}
    database.execute_sql(_TAKE_ALONG, values)
    signal.id = new_id


def _belong(signal: IncidentSignal, incident: Incident, since_at: datetime | None) -> None:
    """From now on it is a signal of this incident; what was seen of it before is not."""
    if signal.incident_id is not None:
        _leave(signal, since_at)
    IncidentSignal.update(incident=incident.id, since_at=since_at or fn.now()).where(
        IncidentSignal.id == signal.id
    ).execute()
    signal.incident_id = incident.id


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
    return lock(row[0]) if row else None


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
    return lock(first) if count >= most else None

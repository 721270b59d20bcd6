"""Incidents: reading them, and what people do to them. Each change is audited, and an entry of the
incident's timeline.

How they come to be is in `incident_watch`; what belongs to one is told by `incident_stories`.
Changes take a `version`, where the caller has seen one: of two people at once, the second learns of
the first.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from peewee import fn

from maild.db import database
from maild.domain import incident_advice, incident_fingerprint, submission
from maild.domain.actor import Actor
from maild.domain.incident import UNRESOLVED, EntryKind, IncidentKind, IncidentStatus, Severity
from maild.domain.notification import Occasion
from maild.domain.role import OPERATORS
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import Incident, IncidentMessage, IncidentSignal, Member, Message, Person
from maild.services import audit, incident_messages, notifications, workspaces
from maild.services import incident_changes as changes

LINE_MAX_CHARS = 500
"""A title, a cause, a reason."""
NOTE_MAX_CHARS = 4_000

NO_SUCH = "There is no such incident in this workspace."
STALE = (
    "Somebody has changed this incident meanwhile. Look at what it says now, and try again if you"
    " still want to."
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which incidents: all that are told must be so. `status` None means any."""

    status: Literal["unresolved", "open", "acknowledged", "resolved"] | None = "unresolved"
    kind: IncidentKind | None = None
    severity: Severity | None = None
    smtp_account: str | None = None
    assigned_to: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `older` is the id after which the next page begins."""

    incidents: list[Incident]
    older: int | None


def get(workspace_id: int, incident_id: int) -> Incident:
    """Raises NotFound, for a foreign one as well."""
    found: Incident | None = Incident.get_or_none(
        Incident.id == incident_id, Incident.workspace == workspace_id
    )
    if found is None:
        raise NotFound(NO_SUCH)
    return found


def list_page(
    workspace_id: int,
    *,
    filter_: Filter | None = None,
    limit: int = 50,
    before: int | None = None,
) -> Page:
    """The newest incidents, or those before an id. Raises NotFound (the workspace)."""
    f = filter_ or Filter()
    query = Incident.select().where(Incident.workspace == workspace_id)
    if f.status == "unresolved":
        query = query.where(Incident.status.in_(UNRESOLVED))
    elif f.status is not None:
        query = query.where(Incident.status == IncidentStatus(f.status))
    for column, value in (
        (Incident.kind, f.kind),
        (Incident.severity, f.severity),
        (Incident.smtp_account, f.smtp_account),
        (Incident.assigned_to, f.assigned_to),
    ):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(Incident.id < before)
    rows = list(query.order_by(Incident.id.desc()).limit(limit + 1))
    if not rows:
        workspaces.require(workspace_id)
    shown = rows[:limit]
    return Page(shown, older=shown[-1].id if len(rows) > limit else None)


def find_of_message(workspace_id: int, message_id: str | uuid.UUID) -> Incident | None:
    """The incident that a message belongs to: the newest that is not resolved, else the newest."""
    found: Incident | None = (
        Incident.select()
        .join(IncidentSignal, on=(IncidentSignal.incident == Incident.id))
        .join(IncidentMessage, on=(IncidentMessage.signal == IncidentSignal.id))
        .where(
            Incident.workspace == workspace_id,
            IncidentMessage.message == message_id,
            IncidentMessage.seen_at >= IncidentSignal.since_at,
        )
        .order_by((Incident.status == IncidentStatus.RESOLVED), Incident.id.desc())
        .first()
    )
    return found


def acknowledge(
    workspace_id: int, incident_id: int, *, version: int | None = None, by: Actor
) -> Incident:
    """Somebody looks after it; again is nothing new. Raises NotFound, and Conflict where it is
    resolved or has changed.
    """
    with database.atomic():
        incident = _take(workspace_id, incident_id, version)
        _require_unresolved(incident)
        if incident.status is IncidentStatus.ACKNOWLEDGED:
            return incident
        fields = {
            "status": IncidentStatus.ACKNOWLEDGED,
            "acknowledged_at": fn.now(),
            "acknowledged_by": by.name,
        }
        return _change(incident, EntryKind.ACKNOWLEDGED, "incident.acknowledged", fields, by=by)


def assign(
    workspace_id: int,
    incident_id: int,
    *,
    to: str | None,
    version: int | None = None,
    by: Actor,
) -> Incident:
    """Give it to a member of the workspace, by their address, or to nobody. Raises NotFound,
    InvalidFields, Conflict.
    """
    with database.atomic():
        incident = _take(workspace_id, incident_id, version)
        _require_unresolved(incident)
        member = _find_member(workspace_id, to) if to else None
        if member == incident.assigned_to:
            return incident
        return _change(
            incident,
            EntryKind.ASSIGNED,
            "incident.assigned",
            {"assigned_to": member},
            by=by,
            before={"assigned_to": incident.assigned_to},
            after={"assigned_to": member},
        )


def note(
    workspace_id: int, incident_id: int, *, text: str, version: int | None = None, by: Actor
) -> Incident:
    """Write something down, resolved or not. Raises NotFound, InvalidFields, Conflict."""
    _check("text", text, max_chars=NOTE_MAX_CHARS, is_line=False)
    with database.atomic():
        incident = _take(workspace_id, incident_id, version)
        return _change(incident, EntryKind.NOTE, "incident.noted", {}, by=by, text=text.strip())


def set_severity(
    workspace_id: int,
    incident_id: int,
    *,
    severity: Severity,
    version: int | None = None,
    by: Actor,
) -> Incident:
    """Say how bad it is: from then on it does not change by itself. Raises NotFound, Conflict."""
    with database.atomic():
        incident = _take(workspace_id, incident_id, version)
        _require_unresolved(incident)
        if incident.severity is severity and incident.is_severity_set:
            return incident
        changed = _change(
            incident,
            EntryKind.SEVERITY_SET,
            "incident.severity_set",
            {"severity": severity, "is_severity_set": True},
            by=by,
            before={"severity": incident.severity.value},
            after={"severity": severity.value},
        )
        if severity.rank > incident.severity.rank:
            notifications.tell(changed, Occasion.ESCALATED)
        return changed


def resolve(
    workspace_id: int, incident_id: int, *, cause: str, version: int | None = None, by: Actor
) -> Incident:
    """It is over, and this is what it was. Raises NotFound, InvalidFields, Conflict."""
    _check("cause", cause)
    with database.atomic():
        # Its signals change as well, and so they do when something is seen of them.
        workspaces.take_turns(workspace_id)
        incident = _take(workspace_id, incident_id, version)
        _require_unresolved(incident)
        resolved = changes.resolve(incident, cause.strip(), by=by, version=Incident.version + 1)
        _audit(resolved, "incident.resolved", by=by, reason=cause.strip())
        return resolved


def reopen(
    workspace_id: int, incident_id: int, *, reason: str, version: int | None = None, by: Actor
) -> Incident:
    """It is not over after all. Raises NotFound, InvalidFields, and Conflict where it is not
    resolved, or has become part of another one.
    """
    _check("reason", reason)
    with database.atomic():
        incident = _take(workspace_id, incident_id, version)
        if incident.status is not IncidentStatus.RESOLVED:
            raise Conflict("This incident is not resolved: there is nothing to reopen.")
        if incident.merged_into_id is not None:
            raise Conflict(
                f"This incident is part of incident {incident.merged_into_id}. Reopen that one."
            )
        reopened = changes.reopen(incident, reason.strip(), by=by, version=Incident.version + 1)
        _audit(reopened, "incident.reopened", by=by, reason=reason.strip())
        return reopened


def merge(
    workspace_id: int, incident_id: int, *, into_id: int, version: int | None = None, by: Actor
) -> Incident:
    """Make it part of another one, which has its signals and messages from then on; returns that
    one. What comes of those signals later belongs there as well.

    Raises NotFound for either, Conflict where it is the same, resolved, or part of one already.
    """
    if incident_id == into_id:
        raise Conflict("An incident cannot be merged into itself. Choose another one.")
    with database.atomic():
        # One at a time, and not while something is seen of their signals.
        workspaces.take_turns(workspace_id)
        first, second = sorted((incident_id, into_id))
        locked = {id_: _take(workspace_id, id_) for id_ in (first, second)}
        incident, into = locked[incident_id], locked[into_id]
        _check_version(incident, version)
        _require_unresolved(incident)
        _require_unresolved(into)
        IncidentSignal.update(incident=into.id).where(
            IncidentSignal.incident == incident.id
        ).execute()
        cause = f"It is part of incident {into.id}: {into.title}"[:LINE_MAX_CHARS]
        fields = {
            "status": IncidentStatus.RESOLVED,
            "resolved_at": fn.now(),
            "resolved_by": by.name,
            "cause": cause,
            "merged_into": into.id,
        }
        resolved = _change(
            incident,
            EntryKind.MERGED,
            "incident.merged",
            fields,
            by=by,
            data={"into_id": into.id},
            after={"merged_into": into.id},
        )
        notifications.tell(resolved, Occasion.RESOLVED)  # who was told of it waits for its end
        counted = incident_messages.count_all(into)
        merged = changes.update(
            into,
            version=Incident.version + 1,
            message_count=counted[0],
            recipient_count=counted[1],
            since_at=min(into.since_at, incident.since_at),
            last_seen_at=max(into.last_seen_at, incident.last_seen_at),
        )
        changes.add_entry(
            merged, EntryKind.MERGED, by=by, from_id=incident.id, title=incident.title
        )
        return changes.escalate(merged, incident.severity, "It is as bad as what has joined it.")


def open_by_hand(
    workspace_id: int,
    message_id: str | uuid.UUID,
    *,
    title: str | None = None,
    note: str | None = None,
    by: Actor,
) -> Incident:
    """An incident of one message, which somebody wants looked into; where the message belongs to
    one that is not resolved, that one. Raises NotFound, InvalidFields.
    """
    if title is not None:
        _check("title", title)
    if note is not None:
        _check("note", note, max_chars=NOTE_MAX_CHARS, is_line=False)
    with database.atomic():
        message: Message | None = (
            Message.select()
            .where(Message.id == message_id, Message.workspace == workspace_id)
            # Two people at once open one.
            .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
            .first()
        )
        if message is None:
            raise NotFound("There is no such message in this workspace.")
        standing = find_of_message(workspace_id, message.id)
        if standing is not None and standing.status is not IncidentStatus.RESOLVED:
            return standing
        incident = changes.start(
            workspace_id,
            kind=IncidentKind.MANUAL,
            title=title.strip() if title else incident_advice.MANUAL_TITLE,
            severity=Severity.MINOR,
            smtp_account=message.smtp_account_name,
            recipient_domain=incident_fingerprint.family(message.to_email),
            by=by,
            text=note.strip() if note else None,
        )
        _attach_message(incident, message)
        incident = changes.update(incident, message_count=1, recipient_count=1)
        notifications.tell(incident, Occasion.OPENED)
        _audit(incident, "incident.opened", by=by, after={"message_id": str(message.id)})
        return incident


def record_remedy(
    workspace_id: int, incident_id: int, *, text: str, data: dict[str, Any], by: Actor
) -> None:
    """An entry of what somebody did about it; that itself is audited where it is done. In the
    caller's transaction, or one of its own. Raises NotFound.
    """
    with database.atomic():
        changes.add_entry(
            get(workspace_id, incident_id), EntryKind.REMEDY, by=by, text=text, **data
        )


def _attach_message(incident: Incident, message: Message) -> None:
    [signal] = (
        IncidentSignal.insert(
            workspace=incident.workspace_id,
            fingerprint=f"by-hand-{incident.id}",
            kind=IncidentKind.MANUAL,
            error_class=message.error_class,
            smtp_account=message.smtp_account_name,
            recipient_domain=incident.recipient_domain,
            sample=message.last_error,
            detail={},
            incident=incident.id,
            message_count=1,
        )
        .returning(IncidentSignal)
        .execute()
    )
    IncidentMessage.insert(signal=signal.id, message=message.id).execute()


def _take(workspace_id: int, incident_id: int, version: int | None = None) -> Incident:
    """The incident, which nobody else changes until the transaction ends."""
    found: Incident | None = (
        Incident.select()
        .where(Incident.id == incident_id, Incident.workspace == workspace_id)
        .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
        .first()
    )
    if found is None:
        raise NotFound(NO_SUCH)
    _check_version(found, version)
    return found


def _check_version(incident: Incident, version: int | None) -> None:
    if version is not None and version != incident.version:
        raise Conflict(STALE)


def _require_unresolved(incident: Incident) -> None:
    if incident.status is IncidentStatus.RESOLVED:
        raise Conflict(f"Incident {incident.id} is resolved. Reopen it first, if it goes on.")


def _change(
    incident: Incident,
    kind: EntryKind,
    action: str,
    fields: dict[str, Any],
    *,
    by: Actor,
    text: str | None = None,
    data: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Incident:
    """Write a person's change: the row with its next version, the entry, the audit entry. What was
    and what is are told by the entry as well.
    """
    changed = changes.update(incident, version=Incident.version + 1, **fields)
    told = data or {}
    if before and after:
        [(_, old)], [(_, new)] = before.items(), after.items()
        told = {**told, "before": old, "after": new}
    changes.add_entry(changed, kind, by=by, text=text, **told)
    _audit(changed, action, by=by, before=before, after=after, reason=text)
    return changed


def _audit(
    incident: Incident,
    action: str,
    *,
    by: Actor,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    audit.record(
        incident.workspace_id,
        by,
        action=action,
        target=f"incident {incident.id}",
        before=before,
        after=after,
        reason=reason,
    )


def _find_member(workspace_id: int, address: str) -> str:
    """The address of a member who is no viewer, as it is kept. Raises InvalidFields."""
    _check("to", address)
    row = (
        Member.select(Person.email)
        .join(Person)
        .where(
            Member.workspace == workspace_id,
            Member.role.in_(sorted(OPERATORS)),
            fn.lower(Person.email) == address.strip().lower(),
        )
        .tuples()
        .first()
    )
    if row is None:
        _refuse(
            [
                FieldError(
                    "to",
                    "is not the address of a member who may change something here",
                )
            ]
        )
    return str(row[0])


def _check(field: str, text: str, *, max_chars: int = LINE_MAX_CHARS, is_line: bool = True) -> None:
    """Raises InvalidFields for a text that is empty, too long, or of the wrong characters."""
    if not text.strip():
        _refuse([FieldError(field, "must not be empty")])
    if is_line:
        complaints = list(submission.check_line(field, text, max_chars=max_chars))
    else:
        complaints = list(submission.check_storable(field, text))
        if len(text) > max_chars:
            complaints.append((field, f"is longer than {max_chars} characters"))
    if complaints:
        _refuse(FieldError(name, message) for name, message in complaints)


def _refuse(errors: Iterable[FieldError]) -> None:
    found = list(errors)
    raise InvalidFields(summarise(found), errors=found)

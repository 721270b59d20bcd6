"""Remedies: what can be done about an incident, each foreseen before it is done. What is done to
its messages is a job (`bulk_message_jobs`, `incident_jobs`); all that is done is on its timeline.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from maild import clock
from maild.db import database
from maild.domain.actor import Actor
from maild.domain.states import Status
from maild.models import Incident, Job, Message, SmtpAccount, Suppression
from maild.services import (
    bulk_messages,
    incident_jobs,
    incident_messages,
    incidents,
    jobs,
    message_log,
    smtp_accounts,
)
from maild.services.bulk_messages import Action, Preview, Sample, Selection

COUNTED_MAX = 10_000
"""Messages of an incident, or their suppressions, that a preview looks at."""
SHOWN_MAX = 1_000
"""What a page offers is counted so far."""
SAMPLES = bulk_messages.SAMPLES


@dataclass(frozen=True, slots=True)
class Ended:
    """A suppression that would be ended, or would stay, and why."""

    suppression: Suppression
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a remedy would do now. `count` is of all that are looked at; `has_more`: the incident
    has more messages than that. Either messages are shown, or suppressions.
    """

    count: int
    has_more: bool
    going_count: int
    skipped: dict[str, int]
    samples: list[Sample]
    suppressions: list[Ended]
    unknown_count: int = 0
    """Of those that would be retried, so many whose outcome is unknown."""


@dataclass(frozen=True, slots=True)
class Offers:
    """How many of the incident's messages each remedy is for; SHOWN_MAX and more are not counted
    any further.
    """

    retriable_count: int
    waiting_count: int
    suppressed_count: int


def foresee_retry(incident: Incident) -> Outlook:
    """Retrying all of its messages that have failed, or whose outcome is unknown. Raises
    Unavailable (counting takes too long).
    """
    look: Preview = bulk_messages.preview(
        incident.workspace_id, Action.RETRY, Selection(incident_id=incident.id)
    )
    return Outlook(
        count=look.count,
        has_more=look.has_more,
        going_count=look.going_count,
        skipped=look.skipped,
        samples=look.samples,
        suppressions=[],
        unknown_count=look.going_by_status.get(Status.UNKNOWN, 0),
    )


def retry(
    workspace_id: int, incident_id: int, *, until: datetime | None = None, reason: str, by: Actor
) -> Job:
    """Retry them, by a job: those that were seen by then, or by now. Raises NotFound, InvalidFields
    (the reason), Conflict (too many jobs are open).
    """
    incident = incidents.get(workspace_id, incident_id)
    with database.atomic():
        job = bulk_messages.start(
            workspace_id,
            Action.RETRY,
            Selection(incident_id=incident.id, seen_until=until or clock.now()),
            reason=reason,
            words=which(incident),
            by=by,
        )
        _record(incident, "Retry what has failed", job, by=by)
    return job


# One group for all that are treated alike.
_WAITING = """
SELECT status, is_due, is_later, count(*) FROM (
    SELECT m.status, m.next_attempt_at <= now() AS is_due,
        coalesce(greatest(m.scheduled_at, m.not_before) > now(), false) AS is_later
    FROM messages m
    WHERE m.workspace_id = %(workspace)s AND m.id IN ({of_incident})
    LIMIT %(max)s) AS found
GROUP BY 1, 2, 3
""".replace("{of_incident}", incident_messages.OF_INCIDENT)  # nosec B608


def foresee_send(incident: Incident) -> Outlook:
    """Sending at once those of its messages that wait for a later attempt. Raises Unavailable."""
    values = {**_of(incident), "max": COUNTED_MAX + 1}
    with message_log.bounded():
        rows = database.execute_sql(_WAITING, values).fetchall()
    skipped: Counter[str] = Counter()
    going_count = total = 0
    for status, is_due, is_later, count in rows:
        total += count
        if why := incident_jobs.why_not_sent(Status(status), bool(is_due), is_later):
            skipped[why] += count
        else:
            going_count += count
    return Outlook(
        count=min(total, COUNTED_MAX),
        has_more=total > COUNTED_MAX,
        going_count=min(going_count, COUNTED_MAX),
        skipped=dict(skipped.most_common()),
        samples=_list_waiting(incident),
        suppressions=[],
    )


def _list_waiting(incident: Incident) -> list[Sample]:
    now = fn.now()
    rows = (
        Message.select()
        .where(
            Message.workspace == incident.workspace_id,
            Message.id << incident_messages.ids_of(incident.id),
            Message.status == Status.QUEUED,
            Message.next_attempt_at > now,
            fn.coalesce(fn.greatest(Message.scheduled_at, Message.not_before) <= now, True),
        )
        .order_by(Message.id.desc())
        .limit(SAMPLES)
    )
    return [Sample(message, None) for message in rows]


def send(
    workspace_id: int, incident_id: int, *, until: datetime | None = None, reason: str, by: Actor
) -> Job:
    """Send what waits at once, by a job. Raises as `retry`."""
    return _start(workspace_id, incident_id, incident_jobs.SEND, until, reason=reason, by=by)


_SUPPRESSED = (
    incident_jobs.FOUND.replace(
        "m.id = ANY(%(ids)s::uuid[])", f"m.id IN ({incident_messages.OF_INCIDENT})"
    )
    + "LIMIT %(max)s"
)  # nosec B608


def foresee_unsuppress(incident: Incident) -> Outlook:
    """Ending the suppressions that the bounces of its messages have made. Raises Unavailable."""
    with message_log.bounded():
        values = {**_of(incident), "max": COUNTED_MAX + 1}
        rows = database.execute_sql(_SUPPRESSED, values).fetchall()
    whys = {row[0]: incident_jobs.why_kept(*row[2:]) for row in rows[:COUNTED_MAX]}
    going = [suppression_id for suppression_id, why in whys.items() if why is None]
    shown = sorted(going or list(whys), reverse=True)[:SAMPLES]
    found = (
        Suppression.select()
        .where(Suppression.workspace == incident.workspace_id, Suppression.id << shown)
        .order_by(Suppression.id.desc())
    )
    return Outlook(
        count=len(whys),
        has_more=len(rows) > COUNTED_MAX,
        going_count=len(going),
        skipped=dict(Counter(why for why in whys.values() if why).most_common()),
        samples=[],
        suppressions=[Ended(row, whys[row.id]) for row in found] if shown else [],
    )


def unsuppress(
    workspace_id: int, incident_id: int, *, until: datetime | None = None, reason: str, by: Actor
) -> Job:
    """End them, by a job. Raises as `retry`."""
    return _start(workspace_id, incident_id, incident_jobs.UNSUPPRESS, until, reason=reason, by=by)


def pause(workspace_id: int, incident_id: int, *, name: str, reason: str, by: Actor) -> SmtpAccount:
    """Let no mail through an account. Raises NotFound, InvalidFields (the reason)."""
    incident = incidents.get(workspace_id, incident_id)
    with database.atomic():
        row = smtp_accounts.pause(workspace_id, name=name, reason=reason, by=by)
        _record_account(incident, f"Pause “{name}”", name, reason, by=by)
    return row


def resume(
    workspace_id: int, incident_id: int, *, name: str, reason: str, by: Actor
) -> SmtpAccount:
    """Let mail through an account again. Raises as `pause`."""
    incident = incidents.get(workspace_id, incident_id)
    with database.atomic():
        row = smtp_accounts.resume(workspace_id, name=name, reason=reason, by=by)
        _record_account(incident, f"Resume “{name}”", name, reason, by=by)
    return row


def switch(workspace_id: int, incident_id: int, *, name: str, reason: str, by: Actor) -> str:
    """Let mail take an account first; returns the one that it took first before. Raises as
    `pause`.
    """
    incident = incidents.get(workspace_id, incident_id)
    given = jobs.check_reason(reason)
    with database.atomic():
        before = smtp_accounts.activate(workspace_id, name=name, by=by)
        text = f"Switch from “{before}” to “{name}”"
        _record_account(incident, text, name, given or "", by=by)
    return before


_OWN = "m.workspace_id = %(workspace)s AND m.id IN ({of_incident})".replace(
    "{of_incident}", incident_messages.OF_INCIDENT
)
# Each is counted for itself: where nearly all of very many are well, the few that are left matter.
_OFFERS = """
SELECT
    (SELECT count(*) FROM (
        SELECT FROM messages m WHERE {own} AND m.status IN ('failed', 'unknown')
        LIMIT %(max)s) AS first),
    (SELECT count(*) FROM (
        SELECT FROM messages m
        WHERE {own} AND m.status = 'queued' AND m.next_attempt_at > now()
            AND coalesce(greatest(m.scheduled_at, m.not_before) <= now(), true)
        LIMIT %(max)s) AS first),
    (SELECT count(*) FROM (
        SELECT FROM messages m JOIN suppressions s ON s.workspace_id = m.workspace_id
            AND s.email = lower(m.to_email COLLATE "pg_c_utf8") AND s.message_id = m.id
        WHERE {own} AND s.removed_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
            AND s.class IN ('hard_bounce', 'soft_bounce') AND s.created_by = 'maild'
        LIMIT %(max)s) AS first)
""".replace("{own}", _OWN)  # nosec B608


def count_offers(incident: Incident) -> Offers:
    """What there is to do, each up to SHOWN_MAX."""
    values = {**_of(incident), "max": SHOWN_MAX}
    return Offers(*database.execute_sql(_OFFERS, values).fetchone())


def which(incident: Incident) -> str:
    """Which messages a job of an incident is about, for people."""
    return f"messages of incident {incident.id}: {incident.title}"


def _start(
    workspace_id: int,
    incident_id: int,
    kind: str,
    until: datetime | None,
    *,
    reason: str,
    by: Actor,
) -> Job:
    incident = incidents.get(workspace_id, incident_id)
    given = jobs.check_reason(reason)
    words = {
        incident_jobs.SEND: "Send at once what waits",
        incident_jobs.UNSUPPRESS: "Undo the suppressions that its bounces made",
    }
    with database.atomic():
        job = jobs.start(
            workspace_id,
            kind=kind,
            params={
                **incident_messages.dump(incident.id, until or clock.now()),
                "words": which(incident),
            },
            reason=given,
            told={"which": which(incident)},
            by=by,
        )
        _record(incident, words[kind], job, by=by)
    return job


def _record(incident: Incident, text: str, job: Job, *, by: Actor) -> None:
    data = {"job_id": job.id, "reason": job.reason}
    incidents.record_remedy(incident.workspace_id, incident.id, text=text, data=data, by=by)


def _record_account(incident: Incident, text: str, name: str, reason: str, *, by: Actor) -> None:
    data = {"smtp_account": name, "reason": reason}
    incidents.record_remedy(incident.workspace_id, incident.id, text=text, data=data, by=by)


def _of(incident: Incident) -> dict[str, Any]:
    return {"workspace": incident.workspace_id, "incident": incident.id}

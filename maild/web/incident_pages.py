"""The page of one incident: what it is, what to do, what was seen, which messages it touches, how
the providers do, and what has happened. All of it looks again by itself while the incident goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask import Response, request, url_for

from maild.domain.incident import IncidentStatus, Severity
from maild.domain.role import OPERATORS
from maild.models import Incident
from maild.services import (
    account_health,
    incident_inbox,
    incident_messages,
    incident_remedies,
    incidents,
    members,
)
from maild.services.account_health import AccountHealth
from maild.services.members import Listed
from maild.services.verbs import RETRIABLE
from maild.web import (
    access,
    incident_parts,
    incident_story,
    incident_words,
    provider_words,
    remedy_words,
    render,
)

MESSAGES_SHOWN = 10
REPLIES_SHOWN = 5
OTHERS_MAX = 50
"""Incidents that this one may be merged into."""


class Act(StrEnum):
    """What has a form of its own."""

    ASSIGN = "assign"
    NOTE = "note"
    SEVERITY = "severity"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why what somebody wanted to do was not done. With an act its form is open again, with what
    was typed. `is_conflict`: somebody else was quicker, and what has happened since is shown.
    """

    text: str
    act: Act | None = None
    is_conflict: bool = False


def page(incident: Incident, *, trouble: Trouble | None = None, status: int = 200) -> Response:
    """All of it, or for a poll what has changed."""
    signals = incident_inbox.list_signals([incident])[incident.id]
    counts = incident_messages.count_by_status(incident)
    offers = incident_remedies.count_offers(incident)
    health = account_health.list_all(incident.workspace_id)
    entries = incident_story.tell(incident)
    names = incident_words.accounts(incident, signals)
    concerned = [one for one in health if one.account.name in names]
    mark = render.digest(
        incident_parts.facts(incident),
        sorted(counts.items()),
        offers,
        [_told(one) for one in concerned],
        [(entry.at, entry.words) for entry in entries[-1:]],
    )
    if trouble is None and render.has_seen(mark):
        return render.nothing_new()
    here = url_for("incidents.show", incident_id=incident.id)
    shown = incident_messages.list_page(incident, limit=MESSAGES_SHOWN)
    is_open = incident.status is not IncidentStatus.RESOLVED
    me = access.visitor().email
    return render.page_or_partial(
        "pages/incident.html",
        "partials/incident_live.html",
        status=status,
        incident=incident,
        card=incident_parts.card_of(incident, signals),
        mark=mark,
        me=me,
        is_open=is_open,
        signals=[one for one in signals if one.sample][:REPLIES_SHOWN],
        counts=[(one, incident_words.status_badge(one), n) for one, n in counts.items() if n],
        retriable=[one.value for one in RETRIABLE],
        remedies=remedy_words.offers(
            incident, offers, health, names, role=access.current_workspace().role, back=here
        ),
        messages=shown.messages,
        has_more=shown.older is not None,
        log_query=_log_query(incident),
        providers=[(one, provider_words.HEALTH[one.word]) for one in concerned],
        entries=entries,
        members=_list_helpers(incident) if is_open else [],
        others=_list_others(incident) if is_open else [],
        severities=[(one.value, incident_words.SEVERITY_MEANS[one]) for one in reversed(Severity)],
        causes=incident_words.causes(incident),
        trouble=trouble,
        typed=request.form if trouble is not None else {},
        meanwhile=_meanwhile(entries) if trouble and trouble.is_conflict else [],
        line_max_chars=incidents.LINE_MAX_CHARS,
        note_max_chars=incidents.NOTE_MAX_CHARS,
    )


def _told(one: AccountHealth) -> tuple[object, ...]:
    return (one.account.id, one.account.is_active, one.account.paused_at, one.word,
            one.breaker.state, one.last_fault_at)  # fmt: skip


def _list_helpers(incident: Incident) -> list[Listed]:
    """Who may be given it: a viewer could do nothing about it."""
    return [one for one in members.list_all(incident.workspace_id) if one.role in OPERATORS]


def _list_others(incident: Incident) -> list[Incident]:
    found = incident_inbox.list_worst(incident.workspace_id, limit=OTHERS_MAX + 1)
    return [one for one in found if one.id != incident.id][:OTHERS_MAX]


def _log_query(incident: Incident) -> dict[str, Any]:
    """The filter of the log that finds mail like that of the incident."""
    asked = {"since": f"{incident.since_at:%Y-%m-%dT%H:%M}"}
    if incident.smtp_account:
        asked["smtp_account"] = incident.smtp_account
    return asked


def _meanwhile(entries: Sequence[incident_story.Entry]) -> list[incident_story.Entry]:
    """What has happened since the form was made."""
    try:
        seen_at = datetime.fromisoformat(request.form.get("seen_at", ""))
    except ValueError:
        return []
    if seen_at.tzinfo is None:
        return []
    return [entry for entry in entries if entry.at > seen_at]

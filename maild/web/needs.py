"""What of a workspace needs somebody: each with what it is, what one can do, and the way there."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from flask import url_for

from maild.domain.incident import IncidentKind, IncidentStatus, Severity
from maild.domain.states import Status
from maild.domain.traffic import Span
from maild.models import Incident
from maild.services.failures import Cause
from maild.services.glances import Glance
from maild.web import filters, incident_words
from maild.web.handover import count
from maild.web.provider_words import Course

INCIDENTS_SHOWN = 5
"""The others are told by their number."""
_OF_MAIL = frozenset({IncidentKind.DELIVERY, IncidentKind.PROVIDER})


@dataclass(frozen=True, slots=True)
class Need:
    """`advice` says what it means and what to do; `url` leads there, by its `words`."""

    title: str
    advice: str
    url: str | None = None
    words: str = ""
    tone: str = "warn"
    icon: str = "alert"


def list_all(
    glance: Glance,
    course: Course,
    causes: Sequence[Cause],
    incidents: Sequence[Incident],
    classes: Mapping[int, Set[str | None]],
    *,
    is_worker_alive: bool,
    has_restore: bool,
) -> list[Need]:
    """The worst first. `incidents` are the worst of those that are not resolved: what they tell is
    not told twice. `classes`: of their errors, by their ids. Freezes stand above every page, and
    whether a worker is alive among the checks. `has_restore`: nobody is done with one.
    """
    kinds = {incident.kind for incident in incidents}
    is_stopped = course.account_id is None
    is_of_provider, is_of_mail = IncidentKind.PROVIDER in kinds, bool(kinds & _OF_MAIL)
    left = [cause for cause in causes if not _is_told(cause, incidents, classes)]
    has_lost = glance.missing_count and IncidentKind.CONSERVATION not in kinds
    is_stuck = glance.is_stuck and is_worker_alive and not is_of_provider
    has_unknown = glance.unknown_count and IncidentKind.UNKNOWN_OUTCOMES not in kinds
    has_letters = glance.dead_letter_count and IncidentKind.DEAD_LETTERS not in kinds
    found = [
        _restore() if has_restore else None,
        *_incidents(incidents, glance.incident_count),
        _conservation(glance.missing_count) if has_lost else None,
        _course(course) if course.tone != "ok" and (is_stopped or not is_of_provider) else None,
        _stuck(glance, course) if is_stuck else None,
        *(_cause(cause) for cause in left),
        _failing(glance) if glance.is_failing and not causes and not is_of_mail else None,
        _unknown(glance.unknown_count) if has_unknown else None,
        _dead_letters(glance.dead_letter_count) if has_letters else None,
    ]
    return [need for need in found if need is not None]


def _is_told(
    cause: Cause, incidents: Sequence[Incident], classes: Mapping[int, Set[str | None]]
) -> bool:
    """Whether an incident is about such failures, of that account or of many."""
    return any(
        incident.kind in _OF_MAIL
        and incident.smtp_account in {None, cause.account}
        and cause.error_class in classes.get(incident.id, ())
        for incident in incidents
    )


def _restore() -> Need:
    return Need(
        "The database was restored from a backup",
        "What waited in it is held, and what happened since the backup is missing. Its page says"
        " what to bring back, and lets you decide about each kind of message.",
        url_for("restores.index"),
        "What to do",
        tone="bad",
        icon="alert",
    )


def _incidents(incidents: Sequence[Incident], count_of_all: int) -> list[Need]:
    shown = [_incident(incident) for incident in incidents[:INCIDENTS_SHOWN]]
    if (others := count_of_all - len(shown)) > 0:
        shown.append(
            Need(
                count(others, "more incident", "more incidents"),
                "These are not as bad as those above.",
                url_for("incidents.index"),
                "Incidents",
            )
        )
    return shown


def _incident(incident: Incident) -> Need:
    badge = incident_words.SEVERITY[incident.severity]
    touched = incident_words.touched(incident)
    if incident.assigned_to:
        who = f"{incident.assigned_to} looks after it."
    elif incident.status is IncidentStatus.ACKNOWLEDGED:
        who = f"{incident.acknowledged_by} has seen it."
    else:
        who = "Nobody looks after it yet: its page says what to do."
    return Need(
        incident.title,
        f"A {badge.word} incident{f', of {touched}' if touched else ''}. {who}",
        url_for("incidents.show", incident_id=incident.id),
        f"Incident {incident.id}",
        tone="warn" if incident.severity is Severity.MINOR else "bad",
        icon=badge.icon,
    )


def _conservation(missing_count: int) -> Need:
    lost = "missing" if missing_count > 0 else "too many"
    return Need(
        count(abs(missing_count), f"accepted message is {lost}", f"accepted messages are {lost}"),
        "There are not as many messages as were accepted. Nothing in maild deletes one: look"
        " whether somebody has changed the database by hand, or restored an old copy of it, and"
        " keep a copy as it is now. Mail goes on meanwhile.",
        tone="bad",
        icon="cross",
    )


def _course(course: Course) -> Need:
    is_stopped = course.account_id is None
    return Need(
        course.text,
        "Nothing is lost: it goes out once an account is in order. The page of the accounts shows"
        " what is wrong with each, and lets you check, resume or activate one."
        if is_stopped
        else "It goes back by itself, a few messages first, once the account works again. The page"
        " of the accounts shows what is wrong with it.",
        url_for("providers.index"),
        "Providers",
        tone=course.tone,
        icon="cross" if is_stopped else "alert",
    )


def _stuck(glance: Glance, course: Course) -> Need:
    seconds = filters.span(glance.oldest_due_seconds or 0)
    return Need(
        f"{count(glance.due_count, 'message is', 'messages are')} due, the oldest for {seconds}",
        "That is longer than it should take."
        + (
            " Mail that may go through one account alone waits for that one; otherwise there is"
            " more mail than the providers, or the workers, take."
            if course.account_id is not None
            else ""
        ),
        url_for("logs.index", status=Status.QUEUED),
        "What is queued",
        icon="clock",
    )


def _failing(glance: Glance) -> Need:
    return Need(
        f"{count(glance.failed_count, 'message')} failed in the last hour",
        "Of the latest mail more fails than a few wrong addresses explain. What the servers said"
        " stands with each message; what can be mended is retried from there.",
        url_for("logs.index", status=Status.FAILED, range=Span.HOUR.value),
        "What failed",
        tone="bad",
        icon="cross",
    )


def _cause(cause: Cause) -> Need:
    said = f"The latest was told: “{cause.reply}”. " if cause.reply else ""
    return Need(
        f"{count(cause.message_count, 'message')} failed through “{cause.account}” in the last 24"
        f" hours: {cause.error_class.replace('_', ' ')}",
        f"{said}Once the cause is mended, retry them all at once: above the list stands how.",
        url_for(
            "logs.index",
            status=Status.FAILED,
            range=Span.DAY.value,
            smtp_account=cause.account,
            error_class=cause.error_class,
        ),
        "Which they are",
        tone="bad",
        icon="cross",
    )


def _unknown(number: int) -> Need:
    return Need(
        f"{count(number, 'message')} whose outcome is unknown",
        "Contact was lost after the last byte: each may have arrived, or not. maild sends none of"
        " them again by itself. Ask the provider, then say so with the message.",
        url_for("logs.index", status=Status.UNKNOWN),
        "Which they are",
        tone="unsure",
        icon="question",
    )


def _dead_letters(number: int) -> Need:
    return Need(
        count(number, "dead letter"),
        "Reports of providers that could not be read or applied, kept whole. Once the cause is"
        " mended, replay them.",
        url_for("dead_letters.index"),
        "Dead letters",
    )

"""Incidents in words: their badges, how much they touch, and the causes that are common."""

from collections.abc import Sequence

from maild.domain import incident_advice
from maild.domain.incident import IncidentKind, IncidentStatus, Severity
from maild.domain.states import Status
from maild.models import Incident, IncidentSignal
from maild.services.incident_remedies import SHOWN_MAX
from maild.web import badges
from maild.web.badges import Badge

STATUS: dict[IncidentStatus, Badge] = {
    IncidentStatus.OPEN: Badge("open", "alert", "bad"),
    IncidentStatus.ACKNOWLEDGED: Badge("acknowledged", "person", "info"),
    IncidentStatus.RESOLVED: Badge("resolved", "check", "ok"),
}
SEVERITY: dict[Severity, Badge] = {
    Severity.CRITICAL: Badge("critical", "cross", "bad"),
    Severity.MAJOR: Badge("major", "alert", "warn"),
    Severity.MINOR: Badge("minor", "info", "neutral"),
}
SEVERITY_MEANS: dict[Severity, str] = {
    Severity.CRITICAL: "critical: mail stands still, or much of it fails",
    Severity.MAJOR: "major: some mail does not get through",
    Severity.MINOR: "minor: it can wait until the morning",
}
KIND: dict[IncidentKind, str] = {
    IncidentKind.DELIVERY: "delivery",
    IncidentKind.PROVIDER: "provider",
    IncidentKind.UNKNOWN_OUTCOMES: "unknown outcomes",
    IncidentKind.SILENT_PROVIDER: "silent provider",
    IncidentKind.DEAD_LETTERS: "dead letters",
    IncidentKind.CONSERVATION: "conservation",
    IncidentKind.DOMAIN: "domain",
    IncidentKind.MANUAL: "opened by hand",
}

_ANY_CAUSES = ("A false alarm: all was as it should be",)
CAUSES: dict[IncidentKind, tuple[str, ...]] = {
    IncidentKind.DELIVERY: (
        "The recipients' servers had trouble, and are well again",
        "They blocked us, and have lifted the block",
        "We sent too much, too fast; the limits are lower now",
        "The list had old addresses; they are suppressed",
        "DNS records of the sending domain were wrong, and are mended",
    ),
    IncidentKind.PROVIDER: (
        "The provider had an outage, and is well again",
        "The password had changed; the right one is saved",
        "The provider had suspended the account, and let it go",
        "We went over the provider's limit",
    ),
    IncidentKind.UNKNOWN_OUTCOMES: (
        "The network cut connections; that is mended",
        "The provider was overloaded, and is well again",
    ),
    IncidentKind.SILENT_PROVIDER: (
        "The webhook was switched off at the provider, and is on again",
        "The secret had changed; the right one is saved",
    ),
    IncidentKind.DEAD_LETTERS: (
        "The reports were replayed",
        "The reports were of another system; the webhook is mended",
    ),
    IncidentKind.CONSERVATION: ("Rows were changed by hand", "An old backup was restored"),
    IncidentKind.DOMAIN: ("The DNS records are back as they should be",),
    IncidentKind.MANUAL: ("The message was as it should be", "The sender was told"),
}
"""What is suggested as the cause, by kind."""


def causes(incident: Incident) -> tuple[str, ...]:
    """The causes that are suggested where an incident is resolved."""
    return (*CAUSES[incident.kind], *_ANY_CAUSES)


def advise(incident: Incident, signals: Sequence[IncidentSignal]) -> incident_advice.Advice:
    """The likely cause, and what to do."""
    return incident_advice.advise(incident.kind, [signal.error_class for signal in signals])


def sample(signals: Sequence[IncidentSignal]) -> str | None:
    """A reply that tells most, as it was."""
    return next((signal.sample for signal in signals if signal.sample), None)


def accounts(incident: Incident, signals: Sequence[IncidentSignal]) -> list[str]:
    """The SMTP accounts that it is about, by name."""
    names = [incident.smtp_account, *(signal.smtp_account for signal in signals)]
    return list(dict.fromkeys(name for name in names if name))


def domains(incident: Incident, signals: Sequence[IncidentSignal]) -> list[str]:
    """The families of recipients' domains that it is about, as people call them."""
    names = [incident.recipient_domain, *(signal.recipient_domain for signal in signals)]
    known = dict.fromkeys(name for name in names if name)
    return [incident_advice.family_words(name) for name in known]


def number(count: int) -> str:
    """`12`; `1,000+` where nobody has counted further."""
    return f"{count:,}{'+' if count >= SHOWN_MAX else ''}"


def touched(incident: Incident) -> str:
    """`1,204 messages to 310 recipients`; empty for one that is about none."""
    if not incident.message_count:
        return ""
    one = incident.message_count == 1
    messages = f"{incident.message_count:,} message{'' if one else 's'}"
    same = incident.recipient_count == 1
    return f"{messages} to {incident.recipient_count:,} recipient{'' if same else 's'}"


def status_badge(status: Status) -> Badge:
    """That of messages in this status."""
    return badges.STATUS[status]

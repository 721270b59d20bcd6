"""Where a suppression or an unsubscribe comes from, in words: who said so, and how."""

import re
from dataclasses import dataclass

from maild.domain.actor import SYSTEM
from maild.domain.provider_event import DSN, GENERIC, OWN
from maild.domain.suppression import SuppressionClass, SuppressionState
from maild.models import Suppression, Unsubscribe
from maild.services import (
    feedback,
    suppressions,
    unsubscribe_standings,
    unsubscribes,
    webhook_endpoints,
)
from maild.services.unsubscribe_lists import State
from maild.web.badges import Badge

SUPPRESSION_SOURCES = {
    suppressions.SMTP_REPLY: "the recipient's server",
    feedback.SOURCE: "a provider's report",
    suppressions.CONSOLE: "a person, here",
    suppressions.API: "the API",
    suppressions.IMPORT: "an imported file",
}
"""What a filter can ask for."""

BY_LINK = "link"
UNSUBSCRIBE_SOURCES = {
    BY_LINK: "the link in a mail",
    unsubscribe_standings.ONE_CLICK: "the link: one click in a mail program",
    unsubscribe_standings.PAGE: "the link: its page",
    unsubscribe_standings.PREFERENCES: "the link: the preference centre",
    feedback.SOURCE: "a provider's report",
    unsubscribes.CONSOLE: "a person, here",
    unsubscribes.API: "the API",
}
"""The same; the first is all of the three that follow it."""

CLASSES: dict[SuppressionClass, Badge] = {
    SuppressionClass.HARD_BOUNCE: Badge("hard bounce", "return", "bad"),
    SuppressionClass.SOFT_BOUNCE: Badge("soft bounces", "retry", "warn"),
    SuppressionClass.COMPLAINT: Badge("complaint", "flag", "bad"),
    SuppressionClass.MANUAL: Badge("by hand", "person", "neutral"),
}
STATES: dict[SuppressionState, Badge] = {
    SuppressionState.IN_FORCE: Badge("in force", "ban", "bad"),
    SuppressionState.EXPIRED: Badge("expired", "clock", "neutral"),
    SuppressionState.REMOVED: Badge("removed", "minus", "neutral"),
}
UNSUBSCRIBE_STATES: dict[State, Badge] = {
    State.IN_FORCE: Badge("in force", "ban", "bad"),
    State.REMOVED: Badge("came back", "return", "neutral"),
}

_REPORT = re.compile(
    rf"(?:{re.escape(feedback.TOO_OFTEN)})?reported as (?P<what>\w+) by (?P<who>[\w-]+)"
    r"(?:: (?P<text>.*))?",
    re.DOTALL,
)
_HAPPENED = {
    SuppressionClass.HARD_BOUNCE: "Hard bounce",
    SuppressionClass.SOFT_BOUNCE: "Too many soft bounces in a row",
    SuppressionClass.COMPLAINT: "Complaint",
    SuppressionClass.MANUAL: "Something",
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """A sentence, and what was said, by a person or a server, where anything was."""

    words: str
    quote: str | None = None


def of_suppression(row: Suppression) -> Provenance:
    """`Hard bounce reported by SendGrid`: “550 5.1.1 no such user”."""
    happened = _HAPPENED[row.class_]
    if row.source == feedback.SOURCE:
        provider, text = _report(row.reason)
        return Provenance(f"{happened} reported by {provider}", text)
    if row.source == suppressions.SMTP_REPLY:
        if row.class_ is SuppressionClass.SOFT_BOUNCE:
            return Provenance(f"{happened}; its server said last", row.reason)
        return Provenance(f"{happened}: the recipient's server said", row.reason)
    return Provenance(_by(row.source, row.created_by), row.reason)


def of_unsubscribe(row: Unsubscribe) -> Provenance:
    """`One click in their mail program`; `Added by ann@example.org`: “asked on the phone”."""
    if row.source == unsubscribe_standings.ONE_CLICK:
        return Provenance("One click in their mail program")
    if row.source == unsubscribe_standings.PAGE:
        return Provenance("On the page behind the link")
    if row.source == unsubscribe_standings.PREFERENCES:
        return Provenance("In the preference centre")
    if row.source == feedback.SOURCE:
        provider, text = _report(row.reason or "")
        return Provenance(f"Reported by {provider}", text)
    return Provenance(_by(row.source, row.created_by), row.reason)


def _report(reason: str) -> tuple[str, str | None]:
    """Who reported, and the words that they gave."""
    match = _REPORT.fullmatch(reason)
    if match is None:
        return "a provider", reason or None
    return _name(match["who"]), match["text"]


def _name(provider: str) -> str:
    if provider == DSN:
        return "a bounce mail"
    if provider in {GENERIC, OWN}:
        return "the provider"
    return webhook_endpoints.title_of(provider).partition(" (")[0]


def _by(source: str, who: str) -> str:
    if source == suppressions.IMPORT:
        return f"From a file that {who} imported"
    if who == SYSTEM.name:
        return f"Added by maild ({source})"
    how = " with the API" if source == suppressions.API else ""
    return f"Added by {who}{how}"

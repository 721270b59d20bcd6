"""Contacts in words: how they stand, what keeps mail from them, and what became of them."""

from datetime import UTC
from typing import Any

from maild.domain.contact import AttributeKind
from maild.services import audience_members
from maild.services.audiences import Count
from maild.services.contact_standings import Bar, BarKind, StandingState
from maild.web import words
from maild.web.badges import Badge

STATES: dict[StandingState, Badge] = {
    StandingState.OPEN: Badge("can be mailed", "check", "ok"),
    StandingState.SUPPRESSED: Badge("suppressed", "ban", "bad"),
    StandingState.UNSUBSCRIBED: Badge("unsubscribed", "out", "warn"),
    StandingState.PENDING: Badge("not confirmed", "clock", "neutral"),
}
STATUSES = {"active": "active", "pending": "not confirmed"}
KINDS: dict[AttributeKind, str] = {
    AttributeKind.TEXT: "a text",
    AttributeKind.NUMBER: "a number",
    AttributeKind.BOOLEAN: "yes or no",
    AttributeKind.DATE: "a day",
}
OUTCOMES: dict[audience_members.MemberOutcome, Badge] = {
    audience_members.MemberOutcome.ADDED: Badge("added", "check", "ok"),
    audience_members.MemberOutcome.KNOWN: Badge("on the list already", "minus", "neutral"),
    audience_members.MemberOutcome.REMOVED: Badge("taken off", "check", "ok"),
    audience_members.MemberOutcome.ABSENT: Badge("not on the list", "minus", "neutral"),
    audience_members.MemberOutcome.REJECTED: Badge("refused", "cross", "bad"),
}


def bar(one: Bar) -> str:
    """`suppressed as hard bounce, all mail`, `unsubscribed from topic “news”`."""
    if one.kind is BarKind.UNSUBSCRIBE:
        return words.unsubscribed(one.stream, one.topic)
    of = f"{one.stream.value} mail only" if one.stream else "all mail"
    return f"{words.suppressed(one.class_)}, {of}"


def count(found: Count) -> str:
    """`1,234`, `over 10,000`."""
    return f"over {found.number:,}" if found.has_more else f"{found.number:,}"


def contacts(number: int) -> str:
    """`1 contact`, `12 contacts`."""
    return "1 contact" if number == 1 else f"{number:,} contacts"


def value(given: Any) -> str:
    """An attribute's value as a page shows it."""
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, float) and given.is_integer():
        return str(int(given))
    return str(given)


def moment(at: Any) -> str:
    """A time as the field of a form has it, in UTC."""
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"

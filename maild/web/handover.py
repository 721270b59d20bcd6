"""The hand-over in words: what happened while a person was away, by kind, one line for each thing,
and where to look at it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from maild.domain.states import EventType
from maild.models import Event
from maild.services.handovers import (
    COUNT_MAX,
    LISTED_MAX,
    Came,
    Change,
    Ending,
    Handover,
    Happening,
)
from maild.web import audit_words, story, words


@dataclass(frozen=True, slots=True)
class Line:
    """One thing. `at` is when it happened, or will; `place` where to look at it, as the dashboard
    names its places. Without a workspace it is about the whole of this maild.
    """

    text: str
    at: datetime
    workspace_id: int | None
    icon: str
    tone: str
    place: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The lines of one kind. `is_cut`: there are more of them, or may be."""

    title: str
    lines: Sequence[Line]
    is_cut: bool


_OF_MAIL = frozenset({EventType.CONSERVATION_BROKEN})
"""The troubles that are none of a provider."""
_OVER: dict[str, str] = {
    EventType.BREAKER_OPENED: "“{}” was out of use, and works again",
    EventType.SILENT: "“{}” had stopped reporting, and reports again",
    EventType.SIGNATURES_FAILING: "Reports on “{}” were refused, and come in again",
    EventType.CONSERVATION_BROKEN: "There were not as many messages as were accepted; now there are"
    " again",
}
"""What is said of a trouble that is over."""


def tell(handover: Handover) -> list[Group]:
    """The kinds of which there is something, what needs somebody most first."""
    lost = [one for one in handover.troubles if one.event.type in _OF_MAIL]
    broken = [one for one in handover.troubles if one.event.type not in _OF_MAIL]
    mail = [_trouble(one) for one in lost]
    mail += [_unknown(came) for came in handover.unknown]
    mail += [_dead_letters(came) for came in handover.dead_letters]
    freezes = [_ending(freeze) for freeze in handover.ending]
    freezes += [_freeze(one) for one in handover.freezes]
    deeds = [_deed(one) for one in handover.deeds] + [_change(one) for one in handover.changes]
    groups = (
        ("Mail", mail, (lost, handover.unknown, handover.dead_letters)),
        ("Freezes", freezes, (handover.ending, handover.freezes)),
        ("Providers", [_trouble(one) for one in broken], (handover.troubles,)),
        (
            "Who changed what",
            sorted(deeds, key=lambda line: line.at, reverse=True),
            (handover.deeds, handover.changes),
        ),
    )
    return [
        Group(title, lines, is_cut=any(len(part) == LISTED_MAX for part in parts))
        for title, lines, parts in groups
        if lines
    ]


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 dead letter`, `12 dead letters`, `1,000+ dead letters`."""
    more = "+" if number >= COUNT_MAX else ""
    return f"{number:,}{more} {one if number == 1 else many or f'{one}s'}"


def _unknown(came: Came) -> Line:
    return Line(
        f"{count(came.count, 'message')} whose outcome is unknown",
        came.latest_at,
        came.workspace_id,
        icon="question",
        tone="unsure",
        place="unknown",
        note="The provider may or may not have them. Somebody has to say, or retry them.",
    )


def _dead_letters(came: Came) -> Line:
    return Line(
        count(came.count, "dead letter"),
        came.latest_at,
        came.workspace_id,
        icon="alert",
        tone="warn",
        place="dead_letters",
        note="Reports of providers that could not be read or applied.",
    )


def _ending(freeze: Ending) -> Line:
    held = f"It holds {count(freeze.held_count, 'message')}." if freeze.held_count else ""
    return Line(
        f"The freeze of {words.frozen(freeze.kind, freeze.target)} ends",
        freeze.expires_at,
        freeze.workspace_id,
        icon="clock",
        tone="warn",
        place="freezes",
        note=f"{held} {freeze.created_by} started it: {freeze.reason}".strip(),
    )


def _freeze(one: Happening) -> Line:
    is_over = one.event.type == EventType.FREEZE_ENDED
    return Line(
        _entry(one.event).words,
        one.event.created_at,
        one.event.workspace_id,
        icon="check" if is_over else "pause",
        tone="neutral" if is_over else "warn",
        place=None if is_over else "freezes",
        note=_note(one),
    )


def _trouble(one: Happening) -> Line:
    event = one.event
    text = _entry(event).words
    if one.is_over:
        text = _OVER[event.type].format(event.data.get("smtp_account", "?"))
    is_breaker = event.type == EventType.BREAKER_OPENED
    # The account of the environment belongs to no workspace: there is nowhere to go for it.
    place = None if event.workspace_id is None else "providers" if is_breaker else "overview"
    return Line(
        text,
        event.created_at,
        event.workspace_id,
        icon="check" if one.is_over else "alert",
        tone="ok" if one.is_over else "bad",
        place=place,
        note=_note(one),
    )


def _deed(one: Happening) -> Line:
    return Line(
        _entry(one.event).words,
        one.event.created_at,
        one.event.workspace_id,
        icon="settings",
        tone="neutral",
        note=_note(one),
    )


def _change(change: Change) -> Line:
    more = f", and {change.count - 1:,} more like it" if change.count > 1 else ""
    return Line(
        audit_words.tell(change.actor, change.action, change.target) + more,
        change.at,
        change.workspace_id,
        icon="person",
        tone="neutral",
        place="audit",
    )


def _entry(event: Event) -> story.Entry:
    """An event as the timeline of a message tells it."""
    [entry] = story.tell([], [event])
    return entry


def _note(one: Happening) -> str | None:
    return " ".join(_notes(one)) or None


def _notes(one: Happening) -> Iterator[str]:
    details = dict(_entry(one.event).details)
    if one.count > 1:
        yield f"{one.count} times, this is the latest."
    if "By" in details:
        yield f"By {details['By']}."
    if "Reason" in details:
        yield f"Reason: {details['Reason']}"

"""The story of a message in words: its attempts, and every other fact of its timeline.

Where it stands now is told by `explanation.py`, why it was let through or stopped by `why.py`; the
words for what providers report are in `reports.py`.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from string import Formatter
from typing import Any

from maild.domain import ids
from maild.domain.actor import RECIPIENT
from maild.domain.policy import Check
from maild.domain.smtp_reply import Stage
from maild.domain.states import EventType
from maild.models import Attempt, Event
from maild.services.claims import CONTACT_DELETED
from maild.web import filters, reports, words

_OUTCOMES = frozenset(
    {EventType.SENT, EventType.DEFERRED, EventType.FAILED, EventType.OUTCOME_UNKNOWN}
)
"""Events that tell how an attempt ended: they are told with the attempt, not beside it."""

_EVENT_WORDS: dict[EventType, str] = {
    EventType.ACCEPTED: "Accepted and stored",
    EventType.SENT: "Sent",
    EventType.DEFERRED: "Deferred",
    EventType.FAILED: "Failed",
    EventType.OUTCOME_UNKNOWN: "Outcome unknown",
    EventType.OUTCOME_LEARNED: "The outcome is known after all: the reply came in late",
    EventType.ASSUMED_SENT: "Taken for sent",
    EventType.RELEASED: "Released: it may be sent again",
    EventType.RESCUED: "Rescued: its worker died, and the message went back to the queue",
    EventType.SUPPRESSED: "Not sent: this recipient must not be mailed",
    EventType.EXPIRED: "Not sent: its lifetime is over",
    EventType.HELD: "Held: it is kept back until it is released",
    EventType.CANCELLED: "Cancelled: a person withdrew it",
    EventType.RETRIED: "Retried: a person gave it all its attempts again",
    EventType.HASTENED: "Tried at once: a person did not wait for its next attempt",
    EventType.RESENT: "Resent: a person sent a copy of it",
    EventType.COPIED: "A person had it sent: it is a copy of another message",
    EventType.DELIVERED: "Delivered",
    EventType.BOUNCED: "Came back",
    EventType.COMPLAINED: "The recipient called it spam",
    EventType.REPORTED: "The provider reports something",
    EventType.UNSUBSCRIBED: "The recipient unsubscribed",
    EventType.RESUBSCRIBED: "The recipient subscribed again",
    EventType.BREAKER_OPENED: "“{smtp_account}” is out of use for a while: too many tries failed",
    EventType.BREAKER_HALF_OPENED: "“{smtp_account}” is tried again, with a few messages",
    EventType.BREAKER_CLOSED: "“{smtp_account}” works again",
    EventType.FAILED_OVER: "Mail goes through “{to}” instead of “{smtp_account}”",
    EventType.FAILED_BACK: "Mail goes through “{smtp_account}” again",
    EventType.SLOWED: "“{smtp_account}” throttles, so maild sends more slowly",
    EventType.PAUSED: "A person paused “{smtp_account}”",
    EventType.RESUMED: "A person let mail through “{smtp_account}” again",
    EventType.SILENT: "“{smtp_account}” has stopped reporting",
    EventType.REPORTING: "“{smtp_account}” reports again",
    EventType.SIGNATURES_FAILING: "Reports on “{smtp_account}” are refused",
    EventType.FREEZE_STARTED: "A freeze began: some mail of the workspace stands still",
    EventType.FREEZE_ENDED: "A freeze ended: its mail may go out again",
    EventType.POLICY_CHANGED: "The policy was changed",
    EventType.CONSERVATION_BROKEN: "There are not as many messages as were accepted",
    EventType.CONSERVATION_RESTORED: "There are as many messages as were accepted again",
    EventType.DEPLOYMENT_RECORDED: "“{name}” was deployed, as {version}",
    EventType.MAILD_DEPLOYED: "maild {version} runs from here on",
}
"""What each fact says, where nothing in its data makes it say more; names in braces are the
event's data.
"""


def _released(data: dict[str, Any]) -> str | None:
    if "attempt_no" in data:
        return "Given back: the worker had not offered it to a server yet"
    return None if "by" in data else "Released: the freeze that held it is over"


def _failed(data: dict[str, Any]) -> str | None:
    if data.get("check") in {Check.FROM_DOMAIN, Check.RECIPIENT_DOMAIN}:
        return "Failed: the policy has come to forbid it"
    return None


def _assumed_sent(data: dict[str, Any]) -> str:
    if "by" in data:
        return "Taken for sent: a person said so"
    return "Taken for sent, as the rule for mail of its stream says"


def _suppressed(data: dict[str, Any]) -> str | None:
    if data.get("check") == Check.UNSUBSCRIBE:
        topic = data.get("topic")
        what = words.unsubscribed(None, topic) if topic else "unsubscribed"
        return f"Not sent: the recipient has {what}"
    if data.get("check") == Check.SUPPRESSION:
        return f"Not sent: the recipient is {words.suppressed(data.get('class'))}"
    return None


def _held(data: dict[str, Any]) -> str | None:
    return "Held: a freeze stops it" if data.get("check") == Check.FREEZE else None


def _cancelled(data: dict[str, Any]) -> str | None:
    is_nobodys = "by" not in data and data.get("reason") == CONTACT_DELETED
    return "Cancelled: its recipient is not a contact any more" if is_nobodys else None


def _unsubscribed(data: dict[str, Any]) -> str:
    return f"The recipient {words.unsubscribed(data.get('stream'), data.get('topic'))}"


def _freeze_started(data: dict[str, Any]) -> str:
    return f"A freeze began: {words.frozen(data.get('kind'), data.get('target'))} stands still"


def _freeze_ended(data: dict[str, Any]) -> str:
    return f"A freeze ended: {words.frozen(data.get('kind'), data.get('target'))} may go out again"


def _policy_changed(data: dict[str, Any]) -> str | None:
    if data.get("restored_version") is not None:
        rules = words.policy(data["restored_version"])
        return f"The policy was changed back to {rules}"
    return None


def _report_teller(kind: EventType) -> Callable[[dict[str, Any]], str | None]:
    return lambda data: reports.tell(kind, data)


_TELLERS: dict[EventType, Callable[[dict[str, Any]], str | None]] = {
    EventType.RELEASED: _released,
    EventType.FAILED: _failed,
    EventType.ASSUMED_SENT: _assumed_sent,
    EventType.SUPPRESSED: _suppressed,
    EventType.HELD: _held,
    EventType.CANCELLED: _cancelled,
    EventType.UNSUBSCRIBED: _unsubscribed,
    EventType.FREEZE_STARTED: _freeze_started,
    EventType.FREEZE_ENDED: _freeze_ended,
    EventType.POLICY_CHANGED: _policy_changed,
    EventType.SILENT: reports.silent,
    EventType.SIGNATURES_FAILING: reports.signatures_failing,
    **{kind: _report_teller(kind) for kind in reports.KINDS},
}
"""Facts whose data makes them say more than `_EVENT_WORDS`, or None where it does not."""

_SOURCES = {
    "one_click": "one click in their mail program",
    "page": "the page behind the link",
    "preferences": "the preference centre",
    "api": "the API",
    "provider_event": "a report of the provider",
}

_DETAILS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "template": ("Template", lambda told: f"{told['name']}, version {told['version']}"),
    "text": ("Reason", str),
    "reason": ("Reason", str),
    "error_class": ("Class", lambda text: str(text).replace("_", " ")),
    "url": ("Link", reports.shorten),
    "refused": ("Refused", lambda count: f"{count:,} requests"),
    "since": ("Trouble since", lambda text: filters.exact(datetime.fromisoformat(text))),
    "faults": ("Faults", str),
    "tries": ("Tries", str),
    "retry_in_seconds": ("Next try", lambda seconds: f"{filters.span(seconds)} later"),
    "open_seconds": ("Out of use for", filters.span),
    "rate": ("Now at most", lambda rate: f"{rate:g} a second"),
    "from": ("Instead of", str),
    "version": ("Version", str),
    "fields": ("Changed", lambda names: ", ".join(names).replace("_", " ")),
    "source": ("How", lambda source: _SOURCES.get(source, str(source).replace("_", " "))),
    "expires_at": ("Until", lambda text: filters.exact(datetime.fromisoformat(text))),
    "accepted": ("Accepted", lambda count: f"{count:,}"),
    "found": ("Found", lambda count: f"{count:,}"),
    "by": ("By", str),
    "job_id": ("Job", str),
}
"""What is told of an event's data beside its words, in this order: name and form. Anything else of
it is for programs.
"""

_TOLD_BY_ATTEMPT = frozenset({"text", "error_class", "retry_in_seconds"})

_LINKS = {
    EventType.RESENT: ("new_message_id", "Open the copy"),
    EventType.COPIED: ("old_message_id", "Open the original"),
}


@dataclass(frozen=True, slots=True)
class Link:
    """A way to another message."""

    message_id: uuid.UUID
    words: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline: an attempt with the event of its outcome, or another event."""

    at: datetime
    words: str
    attempt: Attempt | None = None
    retry_in_seconds: float | None = None
    steps: tuple[tuple[str, float], ...] = ()
    """The steps of the SMTP dialogue in order, each with its milliseconds."""
    details: tuple[tuple[str, str], ...] = ()
    link: Link | None = None
    reply: str | None = None
    """What the recipient's server or the provider has said, where a report passes it on."""
    tone: str = "neutral"


def tell(attempts: Sequence[Attempt], events: Sequence[Event]) -> list[Entry]:
    """Attempts and events in one order, oldest first."""
    numbers = {attempt.attempt_no for attempt in attempts}
    outcomes: dict[int, Event] = {}
    entries = []
    for event in events:
        number = event.data.get("attempt_no")
        if event.type in _OUTCOMES and number in numbers:
            outcomes[number] = event
        else:
            entries.append(_tell_event(event, is_told_by_attempt=number in numbers))
    entries += [_tell_attempt(attempt, outcomes.get(attempt.attempt_no)) for attempt in attempts]
    return sorted(entries, key=lambda entry: entry.at)


def words_of(event: Event) -> str:
    """What an event says, in a sentence without its full stop."""
    if event.type not in set(EventType):
        return str(event.type)
    return _words(EventType(event.type), event.data)


def _tell_event(event: Event, *, is_told_by_attempt: bool) -> Entry:
    if event.type not in set(EventType):  # of another version of maild
        return Entry(event.created_at, event.type, details=_plain(event.data))
    kind, data = EventType(event.type), event.data
    is_report = reports.is_report(event)
    details = {
        name: value
        for name, value in data.items()
        if name in _DETAILS and value is not None
        if not (is_told_by_attempt and name in _TOLD_BY_ATTEMPT)
        if (name, value) != ("by", RECIPIENT.name)  # the words say so
        if not (is_report and name == "text")  # a quotation
    }
    told = [
        (label, form(details[name])) for name, (label, form) in _DETAILS.items() if name in details
    ]
    if is_report and (happened_at := reports.happened_at(event)):
        told.append(("Happened", filters.exact(happened_at)))
    return Entry(
        event.created_at,
        _words(kind, data),
        details=tuple(told),
        link=_link(kind, data),
        reply=data.get("text") if is_report else None,
        tone=reports.tone(event),
    )


def _words(kind: EventType, data: dict[str, Any]) -> str:
    teller = _TELLERS.get(kind)
    if teller is not None and (told := teller(data)) is not None:
        return told
    text = _EVENT_WORDS[kind]
    names = {name for _, name, _, _ in Formatter().parse(text) if name}
    return text.format_map({name: data.get(name, "?") for name in names}) if names else text


def _plain(data: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The simple facts among data that nobody here knows; no structures and no ids."""
    return tuple(
        (words.start(name.replace("_", " ")), str(value))
        for name, value in sorted(data.items())
        if isinstance(value, str | int | float) and not name.endswith("_id")
    )


def _link(kind: EventType, data: dict[str, Any]) -> Link | None:
    name, text = _LINKS.get(kind, ("", ""))
    message_id = ids.parse_id(str(data.get(name, "")))
    return Link(message_id, text) if message_id else None


def _tell_attempt(attempt: Attempt, outcome: Event | None) -> Entry:
    return Entry(
        attempt.started_at,
        f"Attempt {attempt.attempt_no} through “{attempt.smtp_account_name}”",
        attempt=attempt,
        retry_in_seconds=outcome.data.get("retry_in_seconds") if outcome else None,
        steps=_steps(attempt.timings or {}),
        details=_signed(outcome.data) if outcome else (),
    )


def _signed(data: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The DKIM keys that signed what was taken."""
    return (("Signed with", str(data["signed_by"])),) if data.get("signed_by") else ()


def _steps(timings: dict[str, float]) -> tuple[tuple[str, float], ...]:
    """In the order of the dialogue: jsonb keeps none."""
    order = {stage.value: position for position, stage in enumerate(Stage)}
    known = sorted(timings, key=lambda name: order.get(name, len(order)))
    return tuple((name.replace("_", " "), timings[name]) for name in known)

"""The story of a message in words: what its status means, what follows, and what happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from string import Formatter
from typing import Any

from maild.domain.smtp_reply import Stage
from maild.domain.states import AttemptStatus, EventType, Status
from maild.models import Attempt, Event, Message

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
    EventType.RESENT: "Resent: a person sent a copy of it, {new_message_id}",
    EventType.COPIED: "A person had it sent: it is a copy of {old_message_id}",
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
    EventType.FREEZE_STARTED: "A freeze began: some mail of the workspace stands still",
    EventType.FREEZE_ENDED: "A freeze ended: its mail may go out again",
    EventType.POLICY_CHANGED: "The policy was changed",
    EventType.CONSERVATION_BROKEN: "There are not as many messages as were accepted",
    EventType.CONSERVATION_RESTORED: "There are as many messages as were accepted again",
}
"""What each fact says; names in braces are the event's data, told there and not once more."""

_GIVEN_BACK = "Given back: the worker had not offered it to a server yet"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`meaning` is what the status says, `next` what follows (at `next_at`, where that is known).

    `reply` is what the provider said last, or maild where it got no answer.
    """

    meaning: str
    next: str
    reply: str | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline: an attempt with the event of its outcome, or another event."""

    at: datetime
    words: str
    attempt: Attempt | None = None
    retry_in_seconds: float | None = None
    steps: tuple[tuple[str, float], ...] = ()
    """The steps of the SMTP dialogue in order, each with its milliseconds."""
    details: tuple[tuple[str, Any], ...] = ()


_ENDS: dict[Status, tuple[str, str]] = {
    Status.DELIVERED: (
        "The provider reported that the recipient's server took it.",
        "Nothing more to do. A late bounce or complaint would show here.",
    ),
    Status.BOUNCED: (
        "The provider took it and later reported that it came back.",
        "It is not tried again. Check the address before mailing it again.",
    ),
    Status.COMPLAINED: (
        "The recipient reported it as spam.",
        "It is not tried again. Do not mail this address again without being asked.",
    ),
    Status.FAILED: (
        "It was not sent, and maild has given up on it.",
        "Nothing more happens by itself. Mend the cause, then retry it.",
    ),
    Status.SUPPRESSED: (
        "This recipient must not be mailed, so nothing was sent.",
        "Nothing more happens.",
    ),
    Status.CANCELLED: (
        "It was withdrawn before it was sent.",
        "Nothing more happens; nothing was sent.",
    ),
    Status.EXPIRED: (
        "Its lifetime ended before it could be sent.",
        "Nothing more happens. Submit it again if it still matters.",
    ),
    Status.UNKNOWN: (
        "Contact was lost after the whole message had left and before the provider answered: it may"
        " have been taken, or not.",
        "maild does not try again by itself, for the recipient might get it twice. Look for its"
        " Message-ID in the provider's log, then resolve it.",
    ),
}
"""Statuses whose meaning depends on nothing else: what they say, and what follows."""


def explain(
    message: Message, attempts: Sequence[Attempt], *, max_attempts: int, now: datetime
) -> Explanation:
    """The present state of a message, for somebody who does not know maild."""
    if message.status is Status.QUEUED:
        return _explain_queued(message, max_attempts=max_attempts, now=now)
    if message.status is Status.SENDING:
        return Explanation(
            "A worker is handing it to the provider now:"
            f" attempt {_counted(message)} of {max_attempts}.",
            "The outcome shows here within moments.",
        )
    if message.status is Status.SENT and attempts and not any(a.is_success for a in attempts):
        return Explanation(
            "Its outcome could not be known, and it was taken for sent.",
            "The timeline says by whom. Nothing more to do for maild.",
        )
    if message.status is Status.SENT:
        return Explanation(
            f"The provider behind “{message.smtp_account_name}” took it, and answers for it now.",
            "Nothing more to do for maild. Whether it reached the mailbox, the provider knows.",
            reply=_last_reply(attempts),
        )
    if message.status is Status.HELD:
        return Explanation(
            f"It is kept back on purpose: {message.hold_reason}",
            "It waits until it is released or cancelled, or its lifetime ends.",
        )
    meaning, follows = _ENDS[message.status]
    return Explanation(meaning, follows, reply=message.last_error)


def _explain_queued(message: Message, *, max_attempts: int, now: datetime) -> Explanation:
    due_at = message.next_attempt_at
    if message.last_error:
        is_due = due_at <= now
        attempt = f"Attempt {_counted(message) + 1} of {max_attempts}"
        return Explanation(
            "The last attempt did not succeed, and the fault may pass.",
            f"{attempt} is due: a worker takes it within moments."
            if is_due
            else f"{attempt} follows",
            reply=message.last_error,
            next_at=None if is_due else due_at,
        )
    if due_at > now:
        return Explanation(
            "It is accepted, and its time has not come yet.", "It goes out", next_at=due_at
        )
    return Explanation(
        "It is accepted, stored, and due.",
        "A worker takes it within moments. If it stays here, look at the workers on the overview.",
    )


def excuse(message: Message, attempts: Sequence[Attempt]) -> list[str]:
    """Which of its attempts do not count against a message, and why; nothing where all do."""
    by_provider = sum(attempt.is_excused for attempt in attempts)
    by_person = max(0, message.excused_count - by_provider)
    excuses = []
    if by_provider:
        excuses.append(f"{_attempts(by_provider)} not counted, because the provider was at fault")
    if by_person:
        excuses.append(f"{_attempts(by_person)} not counted, because a person retried it")
    return excuses


def _attempts(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def _counted(message: Message) -> int:
    """How many attempts count against the message, the one under way included."""
    return int(message.attempt_count - message.excused_count)


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
            entries.append(_tell_event(event))
    entries += [_tell_attempt(attempt, outcomes.get(attempt.attempt_no)) for attempt in attempts]
    return sorted(entries, key=lambda entry: entry.at)


def _tell_event(event: Event) -> Entry:
    known = event.type in set(EventType)
    words = _EVENT_WORDS[EventType(event.type)] if known else event.type
    if event.type == EventType.RELEASED and "attempt_no" in event.data:
        words = _GIVEN_BACK
    told = {name for _, name, _, _ in Formatter().parse(words) if name} if known else set()
    if told:
        words = words.format_map({name: event.data.get(name, "?") for name in told})
    details = {name: value for name, value in event.data.items() if name not in told}
    return Entry(event.created_at, words, details=tuple(sorted(details.items())))


def _tell_attempt(attempt: Attempt, outcome: Event | None) -> Entry:
    return Entry(
        attempt.started_at,
        f"Attempt {attempt.attempt_no} through “{attempt.smtp_account_name}”",
        attempt=attempt,
        retry_in_seconds=outcome.data.get("retry_in_seconds") if outcome else None,
        steps=_steps(attempt.timings or {}),
    )


def _steps(timings: dict[str, float]) -> tuple[tuple[str, float], ...]:
    """In the order of the dialogue: jsonb keeps none."""
    order = {stage.value: position for position, stage in enumerate(Stage)}
    known = sorted(timings, key=lambda name: order.get(name, len(order)))
    return tuple((name.replace("_", " "), timings[name]) for name in known)


def _last_reply(attempts: Sequence[Attempt]) -> str | None:
    for attempt in reversed(attempts):
        if attempt.status is AttemptStatus.SENT:
            parts = (attempt.smtp_code, attempt.enhanced_code, attempt.response)
            return " ".join(str(part) for part in parts if part) or None
    return None

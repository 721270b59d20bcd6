"""What is said before something is done to many messages or dead letters: which they are, what will
happen to them, what to think of first, and whether there is a way back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from maild.domain.role import ADMINS, OPERATORS, Roles
from maild.domain.states import Status
from maild.services import bulk_dead_letters, bulk_messages
from maild.services.dead_letters import OutcomeStatus
from maild.web import log_filter

MESSAGES, DEAD_LETTERS = "messages", "dead_letters"
Action = bulk_messages.Action | bulk_dead_letters.Action


@dataclass(frozen=True, slots=True)
class Words:
    """`verb` begins the button and the title: `Retry 12 messages`. `happens` says what becomes of
    them, and `undo` what can be taken back.
    """

    verb: str
    happens: str
    undo: str
    one: str = "message"
    many: str = "messages"
    tone: str = "primary"
    roles: Roles = OPERATORS


WORDS: dict[Action, Words] = {
    bulk_messages.Action.RETRY: Words(
        "Retry",
        "Each is queued again, with all its attempts and the lifetime of its stream, even where its"
        " sender had set an earlier end, and goes out as soon as its provider takes it. Who is"
        " suppressed or has unsubscribed is not mailed.",
        "It can be undone: those that are still queued then are cancelled, unless somebody has"
        " acted on them since. What has gone out stays sent.",
    ),
    bulk_messages.Action.CANCEL: Words(
        "Cancel",
        "Each is withdrawn for good, and never sent.",
        "It cannot be undone. To stop messages for a while, hold them instead.",
        tone="danger",
    ),
    bulk_messages.Action.HOLD: Words(
        "Hold",
        "Each is kept back until somebody releases it. Its lifetime goes on meanwhile: what is held"
        " for too long expires.",
        "It can be undone: those that are still held then are released, unless somebody has acted"
        " on them since.",
    ),
    bulk_messages.Action.RELEASE: Words(
        "Release",
        "Each goes out at once, or at the time for which it is scheduled.",
        "It can be undone: those that are still queued then are held again, unless somebody has"
        " acted on them since. What has gone out stays sent.",
    ),
    bulk_messages.Action.SUPPRESS: Words(
        "Suppress",
        "Each of the addresses gets no mail of this workspace any more, of any stream, until"
        " somebody removes its suppression. Their messages that wait are stopped when their turn"
        " comes. Who is suppressed for a time already stays so for that time only.",
        "It can be undone: the suppressions that this makes are removed, and no others. Who bounces"
        " or complains meanwhile stays suppressed.",
        one="address",
        many="addresses",
        tone="danger",
        roles=ADMINS,
    ),
    bulk_dead_letters.Action.REPLAY: Words(
        "Replay",
        "Each is read again by today's code, and what it says is applied, once: messages get their"
        " end, addresses are suppressed. What still cannot be read or applied stays a dead letter.",
        "It cannot be undone. What it suppresses can be removed from the suppressions.",
        one="dead letter",
        many="dead letters",
    ),
    bulk_dead_letters.Action.DISMISS: Words(
        "Dismiss",
        "Each is ignored from now on: nothing follows from what it reports. It is kept, and can be"
        " replayed all the same.",
        "It can be undone: those that are still dismissed then are dead letters again.",
        one="dead letter",
        many="dead letters",
    ),
}

_LABELS = {
    "q": "with",
    "to_email": "to",
    "from_email": "from",
    "error_class": "error class",
    "smtp_account": "through",
    "event_type": "event",
    "email": "about",
    "endpoint": "endpoint number",
    "restore": "held by restore",
}


RESTORED = (
    "Some of these are held because the database was restored: they may have been sent after the"
    " backup was taken, and what was sent then arrives twice. Look into the provider's log first."
)


def count(number: int, one: str, many: str) -> str:
    """`1 message`, `12,000 messages`."""
    return f"{number:,} {one if number == 1 else many}"


def which(noun: str, values: Mapping[str, str] | None, *, ids_count: int = 0) -> str:
    """`12 chosen messages`; `all messages: status failed, last 24 hours`; `all messages`."""
    one, many = ("message", "messages") if noun == MESSAGES else ("report", "reports")
    if values is None:
        return f"{ids_count:,} chosen {one if ids_count == 1 else many}"
    parts = []
    for name, value in values.items():
        if not value:
            continue
        if name == "range" and value in log_filter.RANGES:
            parts.append(log_filter.RANGES[value][0].lower())
        else:
            parts.append(f"{_LABELS.get(name, name)} {value}")
    if not parts:
        return "all messages" if noun == MESSAGES else "all dead letters"
    return f"all {many}: {', '.join(parts)}"


def title(action: Action) -> str:
    """`Retry messages`."""
    words = WORDS[action]
    return f"{words.verb} {words.many}"


def button(action: Action, number: int, *, has_more: bool) -> str:
    """`Retry 12 messages`, `Retry all these messages`."""
    words = WORDS[action]
    if has_more:
        return f"{words.verb} all these {words.many}"
    return f"{words.verb} {count(number, words.one, words.many)}"


def cautions(look: bulk_messages.Preview) -> list[str]:
    """What to think of first."""
    found = []
    unknown = look.going_by_status.get(Status.UNKNOWN, 0)
    if look.action is bulk_messages.Action.RETRY and unknown:
        found.append(
            f"{count(unknown, 'message has', 'messages have')} an unknown outcome: what has arrived"
            " after all arrives twice. Ask the provider first where that matters."
        )
    return found


def tried(look: bulk_dead_letters.Preview) -> str | None:
    """What a replay of the newest came to, which was taken back."""
    total = sum(look.tried.values())
    if not total:
        return None
    applied = sum(
        look.tried.get(status, 0) for status in (OutcomeStatus.REPLAYED, OutcomeStatus.WAITING)
    )
    return (
        f"We have replayed the newest {total} just now, and taken that back: today's code would"
        f" apply {applied} of them."
    )

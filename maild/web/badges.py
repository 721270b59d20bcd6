"""Badges: for each status an icon, a word and a tone, never colour alone."""

from dataclasses import dataclass
from datetime import datetime

from maild.domain.policy import Verdict
from maild.domain.states import AttemptStatus, Status
from maild.models import Message


@dataclass(frozen=True, slots=True)
class Badge:
    """`icon` is a name of macros/icon.html; `tone` a class of components.css."""

    word: str
    icon: str
    tone: str


STATUS: dict[Status, Badge] = {
    Status.QUEUED: Badge("queued", "queue", "neutral"),
    Status.SENDING: Badge("sending", "arrow", "info"),
    Status.SENT: Badge("sent", "check", "ok"),
    Status.DELIVERED: Badge("delivered", "checks", "ok"),
    Status.BOUNCED: Badge("bounced", "return", "bad"),
    Status.COMPLAINED: Badge("complained", "flag", "bad"),
    Status.FAILED: Badge("failed", "cross", "bad"),
    Status.SUPPRESSED: Badge("suppressed", "ban", "neutral"),
    Status.CANCELLED: Badge("cancelled", "minus", "neutral"),
    Status.EXPIRED: Badge("expired", "clock", "neutral"),
    Status.HELD: Badge("held", "pause", "warn"),
    Status.UNKNOWN: Badge("unknown", "question", "unsure"),
}

ATTEMPT: dict[AttemptStatus, Badge] = {
    AttemptStatus.STARTED: Badge("under way", "arrow", "info"),
    AttemptStatus.SENT: Badge("sent", "check", "ok"),
    AttemptStatus.DEFERRED: Badge("deferred", "retry", "warn"),
    AttemptStatus.FAILED: Badge("failed", "cross", "bad"),
    AttemptStatus.UNKNOWN: Badge("unknown", "question", "unsure"),
    AttemptStatus.INTERRUPTED: Badge("interrupted", "question", "unsure"),
}

VERDICT: dict[Verdict, Badge] = {
    Verdict.PASS: Badge("passed", "check", "ok"),
    Verdict.WAIT: Badge("waits", "clock", "warn"),
    Verdict.STOP: Badge("stopped", "ban", "bad"),
    Verdict.REJECT: Badge("refused", "cross", "bad"),
}
"""What one check, or a whole decision, came to."""

_DEFERRED = Badge("deferred", "retry", "warn")
_SCHEDULED = Badge("scheduled", "clock", "neutral")


def of(message: Message, *, now: datetime) -> Badge:
    """The badge of a message. After a failure `queued` is called deferred, early on scheduled."""
    if message.status is Status.QUEUED:
        if message.last_error:
            return _DEFERRED
        if message.next_attempt_at > now and message.scheduled_at:
            return _SCHEDULED
    return STATUS[message.status]

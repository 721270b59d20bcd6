"""What a person may do to messages by hand, message by message: which must be left alone and why,
and what becomes of the others. `interventions` does it to a few, `bulk_messages` to many, as a job,
and its preview tells beforehand: all of them ask here.

What a person may not override is checked here: whoever asked not to be mailed stays unmailed,
however often somebody presses "retry".
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import peewee

from maild.domain import submission
from maild.domain.actor import Actor
from maild.domain.freeze import FreezeKind
from maild.domain.policy import matching
from maild.domain.states import EventType, Status, Stream
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import Freeze, Message, MessageBody, Suppression, Unsubscribe
from maild.services import policies
from maild.services.transitions import Move

REASON_MAX_CHARS = 500
TOO_LATE = "has changed meanwhile: somebody else was quicker"
CONTENT_REMOVED = "its content was removed, for it was too old to be kept"
RETRIABLE = (Status.FAILED, Status.UNKNOWN)


class Found(NamedTuple):
    """A message as the verbs look at it. `suppression` and `freeze` are the reasons of what stops
    it, `unsubscribe` is an id.
    """

    id: Any
    status: Status
    stream: Stream
    from_email: str
    to_email: str
    seconds_to_schedule: float
    suppression: str | None
    unsubscribe: int | None
    freeze: str | None
    content_pruned_at: datetime | None = None
    """When its content was removed, for it was old."""


class WhyNot(NamedTuple):
    """Why a message is left as it is. `words` are the same for all that are left for that reason,
    `detail` is of this one.
    """

    words: str
    detail: str | None = None

    def __str__(self) -> str:
        return f"{self.words}: {self.detail}" if self.detail else self.words


@dataclass(frozen=True, slots=True)
class Who:
    """Whose doing it is, in which workspace, and why; and as which job, where it is one."""

    workspace_id: int
    actor: Actor
    reason: str | None
    job_id: int | None = None

    @property
    def told(self) -> dict[str, Any]:
        """As the messages' events keep it."""
        facts = {"by": self.actor.name, "reason": self.reason, "job_id": self.job_id}
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Verb:
    """How one kind of intervention treats a message that it finds.

    `why_not` says why one must be left alone; `move` is the move of the others. `rings` says
    whether there is something to send afterwards.
    """

    done: str
    who: Who
    why_not: Callable[[Found], WhyNot | None]
    move: Callable[[Found], Move]
    rings: bool = False


def who(workspace_id: int, by: Actor, reason: str | None, *, job_id: int | None = None) -> Who:
    """Raises InvalidFields, for the reason."""
    if reason is not None and not reason.strip():
        raise _invalid("reason", "must not be empty")
    problems: Iterable[submission.Complaint] = submission.check_line(
        "reason", reason or "", max_chars=REASON_MAX_CHARS
    )
    for name, message in problems:
        raise _invalid(name, message)
    return Who(workspace_id, by, reason, job_id)


def retrying(who: Who) -> Verb:
    """Failed and unknown messages are queued again, with all their attempts and a new lifetime."""
    rules = policies.get(who.workspace_id)

    def why_not(m: Found) -> WhyNot | None:
        if m.status not in RETRIABLE:
            return WhyNot(f"is {m.status.value}: only failed and unknown messages can be retried")
        if stop := _why_never(m):
            return stop
        sender, recipient = (text.rpartition("@")[2] for text in (m.from_email, m.to_email))
        if matching(recipient, rules.blocked_recipient_domains):
            return WhyNot(f"mail to {recipient} is blocked")
        allowed = rules.allowed_from_domains
        if allowed and not matching(sender, allowed):
            return WhyNot(f"the policy does not allow mail from {sender}")
        return None

    def move(m: Found) -> Move:
        again = _move(who, m, Status.QUEUED, EventType.RETRIED)
        lifetime = rules.stream(m.stream).lifetime_seconds
        return replace(again, next_attempt_in=0.0, lifetime_seconds=lifetime)

    return Verb("retried", who, why_not, move, rings=True)


def cancelling(who: Who) -> Verb:
    """Messages that wait or are held are withdrawn."""

    def why_not(m: Found) -> WhyNot | None:
        return None if m.status in {Status.QUEUED, Status.HELD} else _too_late_to_stop(m)

    def move(m: Found) -> Move:
        return _move(who, m, Status.CANCELLED, EventType.CANCELLED)

    return Verb("cancelled", who, why_not, move)


def holding(who: Who) -> Verb:
    """Waiting messages are kept back until they are released. The reason is not None."""
    assert who.reason is not None
    reason = who.reason

    def why_not(m: Found) -> WhyNot | None:
        if m.status is Status.HELD:
            return WhyNot("is held already")
        return None if m.status is Status.QUEUED else _too_late_to_stop(m)

    def move(m: Found) -> Move:
        held = _move(who, m, Status.HELD, EventType.HELD)
        return replace(held, hold_reason=reason)

    return Verb("held", who, why_not, move)


def releasing(who: Who) -> Verb:
    """Held messages go: at once, or at the time for which they are scheduled."""

    def why_not(m: Found) -> WhyNot | None:
        if m.status is not Status.HELD:
            return WhyNot(f"is {m.status.value}, not held")
        # The next claim would only hold it again.
        return WhyNot("a freeze is in force, lift it first", m.freeze) if m.freeze else None

    def move(m: Found) -> Move:
        released = _move(who, m, Status.QUEUED, EventType.RELEASED)
        return replace(released, next_attempt_in=m.seconds_to_schedule)

    return Verb("released", who, why_not, move, rings=True)


def assuming_sent(who: Who) -> Verb:
    """Messages whose outcome is unknown are taken for sent."""

    def move(m: Found) -> Move:
        return _move(who, m, Status.SENT, EventType.ASSUMED_SENT)

    return Verb("resolved", who, lambda m: None, move)


def select() -> Any:
    """The query of messages as `Found`, for `rows` to read."""
    due_at = peewee.fn.greatest(Message.scheduled_at, Message.not_before)
    wait = peewee.fn.extract(peewee.NodeList((peewee.SQL("epoch FROM"), due_at - peewee.fn.now())))
    now = peewee.fn.now()

    def lower(field: Any) -> Any:
        """As suppressions and unsubscribes are kept: beyond ASCII too."""
        return peewee.fn.lower(field.collate("pg_c_utf8"))

    suppression = (
        Suppression.select(Suppression.reason)
        .where(
            Suppression.workspace == Message.workspace,
            Suppression.email == lower(Message.to_email),
            Suppression.stream.is_null() | (Suppression.stream == Message.stream),
            Suppression.removed_at.is_null(),
            Suppression.expires_at.is_null() | (Suppression.expires_at > now),
        )
        .limit(1)
    )
    unsubscribe = (
        Unsubscribe.select(Unsubscribe.id)
        .where(
            Unsubscribe.workspace == Message.workspace,
            Unsubscribe.email == lower(Message.to_email),
            Unsubscribe.stream.is_null() | (Unsubscribe.stream == Message.stream),
            Unsubscribe.topic.is_null() | (Unsubscribe.topic == Message.topic),
            Unsubscribe.removed_at.is_null(),
        )
        .limit(1)
    )
    own = {
        FreezeKind.STREAM: Message.stream,
        FreezeKind.API_KEY: Message.api_key_id.cast("text"),
        FreezeKind.FROM_EMAIL: lower(Message.from_email),
        FreezeKind.RECIPIENT_DOMAIN: peewee.fn.split_part(Message.to_email, "@", -1),
    }
    is_frozen = Freeze.kind == FreezeKind.WORKSPACE
    for kind, target in own.items():
        is_frozen |= (Freeze.kind == kind) & (Freeze.target == target)
    freeze = (
        Freeze.select(Freeze.reason)
        .where(
            Freeze.workspace == Message.workspace,
            is_frozen,
            Freeze.lifted_at.is_null(),
            Freeze.expires_at > now,
        )
        .limit(1)
    )
    pruned_at = MessageBody.select(MessageBody.pruned_at).where(
        MessageBody.message == peewee.fn.coalesce(Message.submission_id, Message.id)
    )
    return Message.select(
        Message.id,
        Message.status,
        Message.stream,
        Message.from_email,
        Message.to_email,
        peewee.fn.greatest(0, peewee.fn.coalesce(wait, 0)),
        suppression,
        unsubscribe.alias("unsubscribe_id"),  # "id" would be read as a message's
        freeze,
        pruned_at.alias("content_pruned_at"),
    )


def rows(query: Any) -> list[Found]:
    """What a query that `select` began finds."""
    return [
        Found(r[0], Status(r[1]), Stream(r[2]), r[3], r[4], float(r[5]), r[6], r[7], r[8], r[9])
        for r in query.tuples()
    ]


def _move(who: Who, m: Found, new: Status, event: EventType) -> Move:
    return Move(m.id, who.workspace_id, old=m.status, new=new, event=event, data=who.told)


def _why_never(m: Found) -> WhyNot | None:
    """What no policy changes: there is nothing left to send, or the recipient must not get it."""
    if m.content_pruned_at is not None:
        return WhyNot(CONTENT_REMOVED, f"{m.content_pruned_at:%Y-%m-%d}")
    if m.suppression is not None:
        return WhyNot("the recipient is suppressed", m.suppression)
    return WhyNot("the recipient has unsubscribed") if m.unsubscribe is not None else None


def _too_late_to_stop(m: Found) -> WhyNot:
    if m.status is Status.SENDING:
        return WhyNot("is being sent right now")
    return WhyNot(f"is {m.status.value} already")


def _invalid(field: str, message: str) -> InvalidFields:
    errors = [FieldError(field, message)]
    return InvalidFields(summarise(errors), errors=errors)

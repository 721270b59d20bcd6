"""What a person does to messages by hand: retry, cancel, hold, release, resolve.

Every move is guarded: of two people at once one wins, and the other is told. Messages come and go
in bulk, without a query for each. What a person may not override is checked again here: whoever
asked not to be mailed stays unmailed, however often somebody presses "retry".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

import peewee

from maild import queue
from maild.db import database
from maild.domain import ids, submission
from maild.domain.actor import Actor
from maild.domain.freeze import FreezeKind
from maild.domain.policy import matching
from maild.domain.states import EventType, Status, Stream
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import Freeze, Message, Suppression, Unsubscribe
from maild.services import audit, message_log, policies, transitions, workspaces
from maild.services.messages import DELIVER
from maild.services.transitions import Move

IDS_MAX = 500
FILTER_MAX = 10_000
"""As many messages one call with a filter looks at."""
SAMPLES = 10
OUTCOMES_MAX = 500
CHUNK = 1_000
"""Messages moved in one transaction."""
REASON_MAX_CHARS = 500
AUDITED_IDS_MAX = 100
"""So many of the messages' ids the audit log keeps with an action; their timelines tell all."""

NOT_FOUND = "not found"
TOO_LATE = "has changed meanwhile: somebody else was quicker"

_RETRIABLE = (Status.FAILED, Status.UNKNOWN)


class Source(StrEnum):
    """Where the messages of a retry came from."""

    IDS = "ids"
    LATEST_FAILED = "latest_failed"
    FILTER = "filter"


class OutcomeStatus(StrEnum):
    """What became of one message of the request."""

    RETRIED = "retried"
    CANCELLED = "cancelled"
    HELD = "held"
    RELEASED = "released"
    RESOLVED = "resolved"
    SKIPPED = "skipped"
    """It is there, and was left as it is; `error` says why."""
    FAILED = "failed"
    """There is no such message in this workspace."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`message_id` is as it was given, which need not be an id at all."""

    message_id: str
    status: OutcomeStatus
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What one call came to, in the order of the request."""

    outcomes: list[Outcome]

    def count(self, *statuses: OutcomeStatus) -> int:
        return sum(outcome.status in statuses for outcome in self.outcomes)

    @property
    def skipped_count(self) -> int:
        return self.count(OutcomeStatus.SKIPPED)

    @property
    def failed_count(self) -> int:
        return self.count(OutcomeStatus.FAILED)

    @property
    def done_count(self) -> int:
        return len(self.outcomes) - self.skipped_count - self.failed_count


@dataclass(frozen=True, slots=True)
class RetryResult:
    """As `Result`, of all that were looked at; `is_truncated` where more match the filter."""

    result: Result
    source: Source
    is_dry_run: bool
    is_truncated: bool

    @property
    def shown(self) -> list[Outcome]:
        """The outcomes to tell one by one."""
        if self.source is not Source.FILTER:
            return self.result.outcomes
        return self.result.outcomes[: SAMPLES if self.is_dry_run else OUTCOMES_MAX]


class _Found(NamedTuple):
    """A message as these verbs look at it."""

    id: Any
    status: Status
    stream: Stream
    from_email: str
    to_email: str
    seconds_to_schedule: float
    suppression: str | None
    unsubscribe: int | None
    freeze: str | None


@dataclass(frozen=True, slots=True)
class _Who:
    """Whose doing it is, in which workspace, and why."""

    workspace_id: int
    actor: Actor
    reason: str | None

    @property
    def told(self) -> dict[str, Any]:
        """As the messages' events keep it."""
        told = {"by": self.actor.name}
        return told if self.reason is None else {**told, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class _Verb:
    """How one kind of intervention treats a message that it finds.

    `why_not` gives the words for one that must be left alone; `move` the move for the others.
    """

    done: OutcomeStatus
    who: _Who
    why_not: Callable[[_Found], str | None]
    move: Callable[[_Found], Move]
    rings: bool = False


def retry(
    workspace_id: int,
    *,
    message_ids: Sequence[str] | None = None,
    limit: int | None = None,
    filter_: message_log.Filter | None = None,
    dry_run: bool = False,
    by: Actor,
    reason: str | None = None,
) -> RetryResult:
    """Queue failed and unknown messages again, with all their attempts and a renewed lifetime.

    Exactly one of the three says which: ids, so many of the newest failed ones, or a filter, whose
    `status` narrows it to one of the two. `dry_run` only tells what would happen. Raises
    InvalidFields, NotFound (the workspace), Unavailable (the search takes too long).
    """
    if sum(given is not None for given in (message_ids, limit, filter_)) != 1:
        raise _invalid("message_ids", "give exactly one of message_ids, limit and filter")
    verb = _retrying(_who(workspace_id, by, reason))
    if message_ids is not None:
        texts, found = _find_by_ids(workspace_id, message_ids)
        source, is_truncated = Source.IDS, False
    else:
        if filter_ is None:
            wanted, at_most = message_log.Filter(status=Status.FAILED), limit or 0
            source = Source.LATEST_FAILED
        else:
            wanted, at_most, source = filter_, FILTER_MAX, Source.FILTER
        rows = _find_newest(workspace_id, wanted, limit=at_most + 1)
        is_truncated = source is Source.FILTER and len(rows) > at_most
        found = {str(row.id): row for row in rows[:at_most]}
        texts = list(found)
    result = _carry_out(texts, found, verb, dry_run=dry_run)
    return RetryResult(result, source, dry_run, is_truncated)


def cancel(
    workspace_id: int, message_ids: Sequence[str], *, by: Actor, reason: str | None = None
) -> Result:
    """Withdraw messages that wait or are held. Raises InvalidFields, NotFound (the workspace)."""
    who = _who(workspace_id, by, reason)
    verb = _Verb(
        OutcomeStatus.CANCELLED,
        who,
        lambda m: None if m.status in {Status.QUEUED, Status.HELD} else _too_late_to_stop(m),
        lambda m: _move(who, m, Status.CANCELLED, EventType.CANCELLED),
    )
    return _carry_out(*_find_by_ids(workspace_id, message_ids), verb)


def hold(workspace_id: int, message_ids: Sequence[str], *, by: Actor, reason: str) -> Result:
    """Keep waiting messages back until they are released. Raises as `cancel`."""
    who = _who(workspace_id, by, reason)

    def move(m: _Found) -> Move:
        held = _move(who, m, Status.HELD, EventType.HELD)
        return replace(held, hold_reason=reason)

    def why_not(m: _Found) -> str | None:
        if m.status is Status.HELD:
            return "is held already"
        return None if m.status is Status.QUEUED else _too_late_to_stop(m)

    verb = _Verb(OutcomeStatus.HELD, who, why_not, move)
    return _carry_out(*_find_by_ids(workspace_id, message_ids), verb)


def release(
    workspace_id: int, message_ids: Sequence[str], *, by: Actor, reason: str | None = None
) -> Result:
    """Let held messages go: at once, or at the time for which they are scheduled. Raises as
    `cancel`.
    """
    who = _who(workspace_id, by, reason)

    def why_not(m: _Found) -> str | None:
        if m.status is not Status.HELD:
            return f"is {m.status.value}, not held"
        # The next claim would only hold it again.
        return f"a freeze is in force, lift it first: {m.freeze}" if m.freeze else None

    def move(m: _Found) -> Move:
        released = _move(who, m, Status.QUEUED, EventType.RELEASED)
        return replace(released, next_attempt_in=m.seconds_to_schedule)

    verb = _Verb(OutcomeStatus.RELEASED, who, why_not, move, rings=True)
    return _carry_out(*_find_by_ids(workspace_id, message_ids), verb)


def resolve(
    workspace_id: int, message_ids: Sequence[str], *, was_sent: bool, by: Actor, reason: str
) -> Result:
    """Say what became of messages whose outcome is unknown: sent, or not, and then queued again
    as by `retry`. Raises as `cancel`.
    """
    who = _who(workspace_id, by, reason)
    if was_sent:
        verb = _Verb(
            OutcomeStatus.RESOLVED,
            who,
            lambda m: None,
            lambda m: _move(who, m, Status.SENT, EventType.ASSUMED_SENT),
        )
    else:
        verb = replace(_retrying(who), done=OutcomeStatus.RESOLVED)
    safe = verb.why_not

    def why_not(m: _Found) -> str | None:
        if m.status is not Status.UNKNOWN:
            return f"is {m.status.value}: only an unknown outcome can be resolved"
        return safe(m)

    verb = replace(verb, why_not=why_not)
    return _carry_out(*_find_by_ids(workspace_id, message_ids), verb)


def _retrying(who: _Who) -> _Verb:
    rules = policies.get(who.workspace_id)

    def why_not(m: _Found) -> str | None:
        if m.status not in _RETRIABLE:
            return f"is {m.status.value}: only failed and unknown messages can be retried"
        if m.suppression is not None:
            return f"the recipient is suppressed: {m.suppression}"
        if m.unsubscribe is not None:
            return "the recipient has unsubscribed"
        sender, recipient = (text.rpartition("@")[2] for text in (m.from_email, m.to_email))
        if matching(recipient, rules.blocked_recipient_domains):
            return f"mail to {recipient} is blocked"
        allowed = rules.allowed_from_domains
        if allowed and not matching(sender, allowed):
            return f"the policy does not allow mail from {sender}"
        return None

    def move(m: _Found) -> Move:
        again = _move(who, m, Status.QUEUED, EventType.RETRIED)
        lifetime = rules.stream(m.stream).lifetime_seconds
        return replace(again, next_attempt_in=0.0, lifetime_seconds=lifetime)

    return _Verb(OutcomeStatus.RETRIED, who, why_not, move, rings=True)


def _move(who: _Who, m: _Found, new: Status, event: EventType) -> Move:
    return Move(m.id, who.workspace_id, old=m.status, new=new, event=event, data=who.told)


def _too_late_to_stop(m: _Found) -> str:
    if m.status is Status.SENDING:
        return "is being sent right now"
    return f"is {m.status.value} already"


def _carry_out(
    texts: Sequence[str], found: dict[str, _Found], verb: _Verb, *, dry_run: bool = False
) -> Result:
    """Make the moves that the verb allows, and tell of each message of the request."""
    errors = {text: verb.why_not(m) for text, m in found.items()}
    going = [found[text] for text in texts if text in found and errors[text] is None]
    gone = {m.id for m in going} if dry_run else _apply([verb.move(m) for m in going], verb)
    outcomes = []
    for text in texts:
        if text not in found:
            outcomes.append(Outcome(text, OutcomeStatus.FAILED, NOT_FOUND))
        elif error := errors[text]:
            outcomes.append(Outcome(text, OutcomeStatus.SKIPPED, error))
        elif found[text].id in gone:
            outcomes.append(Outcome(text, verb.done))
        else:
            outcomes.append(Outcome(text, OutcomeStatus.SKIPPED, TOO_LATE))
    return Result(outcomes)


def _apply(moves: list[Move], verb: _Verb) -> set[Any]:
    gone: set[Any] = set()
    for start in range(0, len(moves), CHUNK):
        with database.atomic():
            moved = transitions.apply(moves[start : start + CHUNK])
            if moved:
                _audit(verb, moved)
            if verb.rings:
                queue.enqueue(DELIVER)
        gone |= moved
    return gone


def _find_by_ids(workspace_id: int, texts: Sequence[str]) -> tuple[list[str], dict[str, _Found]]:
    """The request without repetitions, and what is there of it. Raises InvalidFields, NotFound
    (the workspace).
    """
    if not 1 <= len(texts) <= IDS_MAX:
        raise _invalid("message_ids", f"must have 1 to {IDS_MAX} entries")
    wanted = list(dict.fromkeys(texts))
    parsed = {text: ids.parse_id(text) for text in wanted}
    known = [message_id for message_id in parsed.values() if message_id]
    query = _select().where(Message.workspace == workspace_id, Message.id << known)
    rows = {row.id: row for row in _rows(query)} if known else {}
    if not rows:
        workspaces.require(workspace_id)
    return wanted, {text: rows[i] for text, i in parsed.items() if i in rows}


def _find_newest(workspace_id: int, filter_: message_log.Filter, *, limit: int) -> list[_Found]:
    if filter_.status is not None and filter_.status not in _RETRIABLE:
        raise _invalid("filter.status", "must be failed or unknown")
    query = (
        _select()
        .where(*message_log.conditions(workspace_id, filter_), Message.status << _RETRIABLE)
        .order_by(Message.created_at.desc(), Message.id.desc())
        .limit(limit)
    )
    with message_log.bounded():
        rows = _rows(query)
        if not rows:
            workspaces.require(workspace_id)
    return rows


def _select() -> Any:
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
    )


def _rows(query: Any) -> list[_Found]:
    return [
        _Found(r[0], Status(r[1]), Stream(r[2]), r[3], r[4], float(r[5]), r[6], r[7], r[8])
        for r in query.tuples()
    ]


def _audit(verb: _Verb, moved: set[Any]) -> None:
    shown = sorted(map(str, moved))[:AUDITED_IDS_MAX]
    audit.record(
        verb.who.workspace_id,
        verb.who.actor,
        action=f"messages.{verb.done.value}",
        target="messages",
        after={"count": len(moved), "message_ids": shown},
        reason=verb.who.reason,
    )


def _who(workspace_id: int, by: Actor, reason: str | None) -> _Who:
    """Raises InvalidFields, for the reason."""
    if reason is not None and not reason.strip():
        raise _invalid("reason", "must not be empty")
    problems: Iterable[submission.Complaint] = submission.check_line(
        "reason", reason or "", max_chars=REASON_MAX_CHARS
    )
    for name, message in problems:
        raise _invalid(name, message)
    return _Who(workspace_id, by, reason)


def _invalid(field: str, message: str) -> InvalidFields:
    errors = [FieldError(field, message)]
    return InvalidFields(summarise(errors), errors=errors)

"""What a person does to messages by hand: retry, cancel, hold, release, resolve.

Every move is guarded: of two people at once one wins, and the other is told. Messages come and go
in bulk, without a query for each. What each verb does, and which messages it leaves alone, is in
`verbs`; many at once are a job (`bulk_messages`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from maild import queue
from maild.db import database
from maild.domain import ids
from maild.domain.actor import Actor
from maild.domain.states import Status
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import Message
from maild.services import audit, message_log, transitions, verbs, workspaces
from maild.services.messages import DELIVER
from maild.services.transitions import Move
from maild.services.verbs import RETRIABLE, TOO_LATE, Found, Verb, WhyNot

IDS_MAX = 500
FILTER_MAX = 10_000
"""As many messages one call with a filter looks at."""
SAMPLES = 10
OUTCOMES_MAX = 500
CHUNK = 1_000
"""Messages moved in one transaction."""
AUDITED_IDS_MAX = 100
"""So many of the messages' ids the audit log keeps with an action; their timelines tell all."""

NOT_FOUND = "not found"


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
    verb = verbs.retrying(verbs.who(workspace_id, by, reason))
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
    verb = verbs.cancelling(verbs.who(workspace_id, by, reason))
    return _carry_out(*_find_by_ids(workspace_id, message_ids), verb)


def hold(workspace_id: int, message_ids: Sequence[str], *, by: Actor, reason: str) -> Result:
    """Keep waiting messages back until they are released. Raises as `cancel`."""
    verb = verbs.holding(verbs.who(workspace_id, by, reason))
    return _carry_out(*_find_by_ids(workspace_id, message_ids), verb)


def release(
    workspace_id: int, message_ids: Sequence[str], *, by: Actor, reason: str | None = None
) -> Result:
    """Let held messages go: at once, or at the time for which they are scheduled. Raises as
    `cancel`.
    """
    verb = verbs.releasing(verbs.who(workspace_id, by, reason))
    return _carry_out(*_find_by_ids(workspace_id, message_ids), verb)


def resolve(
    workspace_id: int, message_ids: Sequence[str], *, was_sent: bool, by: Actor, reason: str
) -> Result:
    """Say what became of messages whose outcome is unknown: sent, or not, and then queued again
    as by `retry`. Raises as `cancel`.
    """
    who = verbs.who(workspace_id, by, reason)
    way = verbs.assuming_sent(who) if was_sent else verbs.retrying(who)

    def why_not(m: Found) -> WhyNot | None:
        if m.status is not Status.UNKNOWN:
            return WhyNot(f"is {m.status.value}: only an unknown outcome can be resolved")
        return way.why_not(m)

    verb = replace(way, done=OutcomeStatus.RESOLVED.value, why_not=why_not)
    return _carry_out(*_find_by_ids(workspace_id, message_ids), verb)


def _carry_out(
    texts: Sequence[str], found: dict[str, Found], verb: Verb, *, dry_run: bool = False
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
            outcomes.append(Outcome(text, OutcomeStatus.SKIPPED, str(error)))
        elif found[text].id in gone:
            outcomes.append(Outcome(text, OutcomeStatus(verb.done)))
        else:
            outcomes.append(Outcome(text, OutcomeStatus.SKIPPED, TOO_LATE))
    return Result(outcomes)


def _apply(moves: list[Move], verb: Verb) -> set[Any]:
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


def _find_by_ids(workspace_id: int, texts: Sequence[str]) -> tuple[list[str], dict[str, Found]]:
    """The request without repetitions, and what is there of it. Raises InvalidFields, NotFound
    (the workspace).
    """
    if not 1 <= len(texts) <= IDS_MAX:
        raise _invalid("message_ids", f"must have 1 to {IDS_MAX} entries")
    wanted = list(dict.fromkeys(texts))
    parsed = {text: ids.parse_id(text) for text in wanted}
    known = [message_id for message_id in parsed.values() if message_id]
    query = verbs.select().where(Message.workspace == workspace_id, Message.id << known)
    rows = {row.id: row for row in verbs.rows(query)} if known else {}
    if not rows:
        workspaces.require(workspace_id)
    return wanted, {text: rows[i] for text, i in parsed.items() if i in rows}


def _find_newest(workspace_id: int, filter_: message_log.Filter, *, limit: int) -> list[Found]:
    if filter_.status is not None and filter_.status not in RETRIABLE:
        raise _invalid("filter.status", "must be failed or unknown")
    query = (
        verbs.select()
        .where(*message_log.conditions(workspace_id, filter_), Message.status << RETRIABLE)
        .order_by(Message.created_at.desc(), Message.id.desc())
        .limit(limit)
    )
    with message_log.bounded():
        rows = verbs.rows(query)
        if not rows:
            workspaces.require(workspace_id)
    return rows


def _audit(verb: Verb, moved: set[Any]) -> None:
    shown = sorted(map(str, moved))[:AUDITED_IDS_MAX]
    audit.record(
        verb.who.workspace_id,
        verb.who.actor,
        action=f"messages.{verb.done}",
        target="messages",
        after={"count": len(moved), "message_ids": shown},
        reason=verb.who.reason,
    )


def _invalid(field: str, message: str) -> InvalidFields:
    errors = [FieldError(field, message)]
    return InvalidFields(summarise(errors), errors=errors)

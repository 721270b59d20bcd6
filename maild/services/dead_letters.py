"""Dead letters: provider events that could not be read or applied, and having them replayed or
dismissed.

A replay reads the raw payload again with today's code, and applies what it says, once: what has
been applied meanwhile is passed over, and two replays at once are one. A dry run does all of it,
tells the effects, and takes it back.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import peewee

from maild import db, log, queue
from maild.db import database
from maild.domain import submission
from maild.domain.actor import Actor
from maild.domain.provider_event import ReportStatus
from maild.domain.storable import clean_text
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import ProviderEvent, WebhookPayload
from maild.services import (
    audit,
    locks,
    payload_events,
    payloads,
    provider_events,
    workspaces,
)
from maild.services.feedback import ADDED, ALREADY_THERE
from maild.transports.webhooks.base import UnreadablePayload

logger = log.get(__name__)

IDS_MAX = 500
REASON_MAX_CHARS = 500
AUDITED_IDS_MAX = 100
BYTES_MAX = 8 * 1024 * 1024
"""So many bytes of payloads are replayed in one call, for which others wait; one at least."""
EVENTS_MAX = 2_000
"""And about so many events."""
TOO_MUCH = "this is more than one replay does: replay the rest next"
_REPLAYABLE = frozenset({ReportStatus.DEAD_LETTER, ReportStatus.IGNORED})
"""What was ignored may say more to a newer version."""


class Source(StrEnum):
    """By what the events were chosen."""

    IDS = "ids"
    LATEST = "latest"


class OutcomeStatus(StrEnum):
    """What became of one event of the request."""

    REPLAYED = "replayed"
    DUPLICATE = "duplicate"
    """It says what another event has said before."""
    SKIPPED = "skipped"
    """There is nothing to replay; `error` says why."""
    WAITING = "waiting"
    """It can be read, and is applied by itself in a moment; `error` says for what it waits."""
    DISMISSED = "dismissed"
    FAILED = "failed"
    """It still cannot be read or applied, or there is no such event in this workspace."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`event_id` is as it was given. A payload that has come to hold several events has the effects
    of each.
    """

    event_id: str
    status: OutcomeStatus
    attempt_count: int = 0
    error: str | None = None
    effects: tuple[dict[str, Any], ...] = ()
    is_unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a replay came to, in the order of the request."""

    outcomes: list[Outcome]
    source: Source
    is_dry_run: bool

    def count(self, *statuses: OutcomeStatus) -> int:
        return sum(outcome.status in statuses for outcome in self.outcomes)

    @property
    def summary(self) -> dict[str, int]:
        """The effects, counted by their kind."""
        counts: Counter[str] = Counter()
        for outcome in self.outcomes:
            for effects in outcome.effects:
                if "message_moved_from" in effects:
                    counts[f"messages_{effects['message_status']}"] += 1
                for kind in ("suppression", "unsubscribe"):
                    if effects.get(kind) == ADDED:
                        counts[f"{kind}s_added"] += 1
                    elif effects.get(kind) == ALREADY_THERE:
                        counts[f"{kind}s_already_there"] += 1
        counts["unreadable"] = sum(outcome.is_unreadable for outcome in self.outcomes)
        return dict(counts)


@dataclass(slots=True)
class _Case:
    """An event that is replayed: its row, what today's code made of it, and what is to be told of
    it where that is known before anything is applied.
    """

    row: ProviderEvent
    to_apply: list[ProviderEvent] = field(default_factory=list)
    outcome: Outcome | None = None


def replay(
    workspace_id: int,
    *,
    event_ids: Sequence[str] | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    by: Actor,
) -> Result:
    """Read and apply events again: those with these ids, or so many of the newest dead letters.

    `dry_run` tells what would happen, and changes nothing. Raises InvalidFields, NotFound (the
    workspace).
    """
    if (event_ids is None) == (limit is None):
        raise _invalid("event_ids", "give either event_ids or limit")
    with database.atomic() as transaction:
        workspaces.require(workspace_id)
        # Nobody else reads or applies meanwhile: what waits for whom is then never a circle.
        locks.wait_for_transaction(locks.REPORTS)
        if event_ids is not None:
            wanted = _check_ids(event_ids)
            rows = _lock(workspace_id, [number for number in wanted.values() if number])
            source = Source.IDS
        else:
            rows = _lock_newest(workspace_id, _check_limit(limit))
            wanted = {str(row.id): row.id for row in reversed(rows)}
            source = Source.LATEST
        found = _replay(rows)
        outcomes = [
            found[number] if number in found else _missing(text) for text, number in wanted.items()
        ]
        result = Result(outcomes, source, dry_run)
        if dry_run:
            transaction.rollback()
        elif any(outcome.status is not OutcomeStatus.SKIPPED for outcome in found.values()):
            _audit(workspace_id, result, by=by)
    queue.enqueue(payloads.HINT)  # for what could not be read or applied while we had the lock
    return result


def dismiss(
    workspace_id: int, event_ids: Sequence[str], *, reason: str, by: Actor
) -> list[Outcome]:
    """Let dead letters be, which nothing will ever mend: they are ignored from now on, and can be
    replayed all the same. Raises InvalidFields, NotFound (the workspace).
    """
    _check_reason(reason)
    with database.atomic():
        workspaces.require(workspace_id)
        wanted = _check_ids(event_ids)
        rows = {row.id: row for row in _lock(workspace_id, [n for n in wanted.values() if n])}
        dead = [row.id for row in rows.values() if row.status is ReportStatus.DEAD_LETTER]
        if dead:
            ProviderEvent.update(status=ReportStatus.IGNORED, updated_at=peewee.fn.now()).where(
                ProviderEvent.id << dead
            ).execute()
            audit.record(
                workspace_id,
                by,
                action="provider_events.dismissed",
                target="provider events",
                after={"dismissed": len(dead), "event_ids": dead[:AUDITED_IDS_MAX]},
                reason=reason,
            )
    return [
        _dismissed(text, rows.get(number) if number else None) for text, number in wanted.items()
    ]


def restore(workspace_id: int, event_ids: Sequence[str], *, by: Actor) -> int:
    """Take a dismissal back: what was dismissed is a dead letter again; returns how many were.

    What has been replayed meanwhile, or was never dismissed, stays as it is. Raises InvalidFields,
    NotFound (the workspace).
    """
    with database.atomic():
        workspaces.require(workspace_id)
        wanted = [number for number in _check_ids(event_ids).values() if number]
        # Only what was dismissed is ignored in spite of an error.
        dismissed = [
            row.id
            for row in _lock(workspace_id, wanted)
            if row.status is ReportStatus.IGNORED and row.last_error is not None
        ]
        if dismissed:
            ProviderEvent.update(status=ReportStatus.DEAD_LETTER, updated_at=peewee.fn.now()).where(
                ProviderEvent.id << dismissed
            ).execute()
            audit.record(
                workspace_id,
                by,
                action="provider_events.restored",
                target="provider events",
                after={"restored": len(dismissed), "event_ids": dismissed[:AUDITED_IDS_MAX]},
            )
    return len(dismissed)


def _dismissed(text: str, row: ProviderEvent | None) -> Outcome:
    if row is None:
        return _missing(text)
    if row.status is not ReportStatus.DEAD_LETTER:
        return _skipped(row)
    return Outcome(text, OutcomeStatus.DISMISSED, row.attempt_count)


def why_no_replay(status: ReportStatus) -> str | None:
    """Why an event is not replayed; None where it is."""
    return None if status in _REPLAYABLE else _is_none(status)


def why_no_dismissal(status: ReportStatus) -> str | None:
    """Why an event is not dismissed; None where it is."""
    return None if status is ReportStatus.DEAD_LETTER else _is_none(status)


def _is_none(status: ReportStatus) -> str:
    return f"it is {status.value}, and not a dead letter"


def _skipped(row: ProviderEvent) -> Outcome:
    why = _is_none(row.status)
    return Outcome(str(row.id), OutcomeStatus.SKIPPED, row.attempt_count, why)


def _check_reason(reason: str) -> None:
    problems = list(submission.check_line("reason", reason, max_chars=REASON_MAX_CHARS))
    if not reason.strip():
        problems.append(("reason", "must not be empty"))
    for name, message in problems:
        raise _invalid(name, message)


def _check_ids(texts: Sequence[str]) -> dict[str, int | None]:
    if not 1 <= len(texts) <= IDS_MAX:
        raise _invalid("event_ids", f"must have 1 to {IDS_MAX} entries")
    return {
        text: int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
        for text in texts
    }


def _check_limit(limit: int | None) -> int:
    if limit is None or not 1 <= limit <= IDS_MAX:
        raise _invalid("limit", f"must be from 1 to {IDS_MAX}")
    return limit


def _lock(workspace_id: int, numbers: Sequence[int]) -> list[ProviderEvent]:
    """These events, in the order of their ids."""
    if not numbers:
        return []
    query = ProviderEvent.select().where(
        ProviderEvent.workspace == workspace_id, ProviderEvent.id << list(numbers)
    )
    return list(query.order_by(ProviderEvent.id).for_update())


_SIZES = "SELECT id, octet_length(body) FROM webhook_payloads WHERE id = ANY(%s) ORDER BY id"


def _load(payload_ids: Collection[int]) -> dict[int, WebhookPayload]:
    """The payloads, each once, as many as one replay bears: one at least."""
    chosen: list[int] = []
    total = 0
    for payload_id, size in database.execute_sql(_SIZES, (list(payload_ids),)).fetchall():
        total += size
        if chosen and total > BYTES_MAX:
            break
        chosen.append(payload_id)
    rows = WebhookPayload.select().where(WebhookPayload.id << chosen) if chosen else []
    return {payload.id: payload for payload in rows}


def _lock_newest(workspace_id: int, limit: int) -> list[ProviderEvent]:
    newest = (
        ProviderEvent.select(ProviderEvent.id)
        .where(
            ProviderEvent.workspace == workspace_id,
            ProviderEvent.status == ReportStatus.DEAD_LETTER,
        )
        .order_by(ProviderEvent.id.desc())
        .limit(limit)
    )
    return _lock(workspace_id, [row.id for row in newest])


def _replay(rows: Sequence[ProviderEvent]) -> dict[int, Outcome]:
    """What becomes of these events, by their ids. All are read before any is applied, at once."""
    loaded = _load({row.payload_id for row in rows if row.status in _REPLAYABLE})
    readings: dict[int, list[payload_events.Row] | str] = {}
    cases: list[_Case] = []
    for row in rows:
        if row.status not in _REPLAYABLE:
            cases.append(_Case(row, outcome=_skipped(row)))
        elif row.payload_id not in loaded or sum(len(c.to_apply) for c in cases) > EVENTS_MAX:
            cases.append(_Case(row, outcome=_too_much(row)))
        elif loaded[row.payload_id].pruned_at is not None:
            cases.append(_Case(row, outcome=_removed(row, loaded[row.payload_id])))
        else:
            row.payload = loaded[row.payload_id]
            if row.payload_id not in readings:
                readings[row.payload_id] = _read(row.payload)
            cases.append(_prepare(row, readings[row.payload_id]))
    to_apply = [row for case in cases for row in case.to_apply]
    applied = {
        one.row.id: one for one in provider_events.apply(to_apply, done=ReportStatus.REPLAYED)
    }
    return {
        case.row.id: case.outcome or _outcome(case.row, [applied[r.id] for r in case.to_apply])
        for case in cases
    }


def _too_much(row: ProviderEvent) -> Outcome:
    return Outcome(str(row.id), OutcomeStatus.SKIPPED, row.attempt_count, TOO_MUCH)


def _removed(row: ProviderEvent, payload: WebhookPayload) -> Outcome:
    why = f"What the provider sent was removed on {payload.pruned_at:%Y-%m-%d}, for it was old."
    return Outcome(str(row.id), OutcomeStatus.SKIPPED, row.attempt_count, why)


def _read(payload: WebhookPayload) -> list[payload_events.Row] | str:
    """The rows that today's code makes of a payload; or why it makes none."""
    try:
        described = payload_events.describe(payload, payload_events.parse(payload))
    except UnreadablePayload as error:
        return str(error)
    except Exception as error:
        return payloads.explain(error)
    return described or "Today's reading finds no event in it."


def _prepare(row: ProviderEvent, reading: list[payload_events.Row] | str) -> _Case:
    """Let the row hold what today's code reads; or say why there is nothing to apply."""
    if isinstance(reading, str):
        return _Case(row, outcome=_still_dead(row, reading))
    described = _choose(row, reading)
    if not described:
        return _Case(row, outcome=_still_dead(row, "Today's reading does not find this event."))
    try:
        with database.atomic():
            return _store(row, described)
    except peewee.PeeweeException as error:
        if db.is_away(error):
            raise
        logger.exception("dead_letter.not_stored", report_id=row.id)
        why = f"It could not be stored: {type(error).__name__}"
        return _Case(ProviderEvent.get_by_id(row.id), outcome=_still_dead(row, why))


def _choose(
    row: ProviderEvent, described: Sequence[payload_events.Row]
) -> list[payload_events.Row]:
    """Which of the payload's events a row stands for: all of them, where it could not be read."""
    if row.position is None:
        return list(described)
    key = bytes(row.dedupe_key).hex() if row.dedupe_key is not None else None
    same = [each for each in described if each["dedupe_key"] == key]
    return same[:1] or [each for each in described if each["position"] == row.position]


def _store(row: ProviderEvent, described: Sequence[payload_events.Row]) -> _Case:
    first, *others = described
    twin = _find_twin(row, first)
    _take_over(row, first, duplicate_of=twin)
    payload_events.insert(others)
    case = _Case(row, to_apply=[] if twin else [row])
    case.to_apply += _list_fresh(row, [other["position"] for other in others])
    if not case.to_apply:
        why = f"the same event came as {twin}, and counts once"
        case.outcome = Outcome(str(row.id), OutcomeStatus.DUPLICATE, row.attempt_count, why)
    return case


def _find_twin(row: ProviderEvent, described: payload_events.Row) -> int | None:
    twin: ProviderEvent | None = ProviderEvent.get_or_none(
        ProviderEvent.workspace == row.workspace_id,
        ProviderEvent.provider == described["provider"],
        ProviderEvent.dedupe_key == bytes.fromhex(described["dedupe_key"]),
        ProviderEvent.id != row.id,
    )
    return twin.id if twin else None


def _take_over(
    row: ProviderEvent, described: payload_events.Row, *, duplicate_of: int | None
) -> None:
    row.position = described["position"]
    row.provider = described["provider"]
    row.event_type, row.email = described["event_type"], described["email"]
    row.report = described["report"]
    row.dedupe_key = None if duplicate_of else bytes.fromhex(described["dedupe_key"])
    row.duplicate_of = duplicate_of
    row.occurred_at = described["occurred_at"]
    row.status = ReportStatus.DUPLICATE if duplicate_of else ReportStatus.RECEIVED
    row.next_attempt_at = None if duplicate_of else row.payload.created_at
    row.last_error = None
    row.attempt_count = 0  # tries of reading it are no tries of applying it
    row.save()


def _list_fresh(row: ProviderEvent, positions: Sequence[int]) -> list[ProviderEvent]:
    """The rows that a payload's further events have got just now."""
    if not positions:
        return []
    query = ProviderEvent.select().where(
        ProviderEvent.payload == row.payload_id,
        ProviderEvent.position << list(positions),
        ProviderEvent.status == ReportStatus.RECEIVED,
    )
    fresh = list(query.order_by(ProviderEvent.id))
    for each in fresh:
        each.payload = row.payload
    return fresh


def _outcome(row: ProviderEvent, applied: Sequence[provider_events.Applied]) -> Outcome:
    effects = tuple(one.effects.told() for one in applied)
    errors = [one.row.last_error for one in applied if one.row.last_error]
    if any(one.row.status is ReportStatus.RECEIVED for one in applied):
        status = OutcomeStatus.WAITING
    else:
        status = OutcomeStatus.FAILED if errors else OutcomeStatus.REPLAYED
    error = errors[0] if errors else None
    if all(one.row.status is ReportStatus.IGNORED for one in applied):
        error = "nothing follows from it"
    return Outcome(str(row.id), status, applied[0].row.attempt_count, error, effects)


def _still_dead(row: ProviderEvent, why: str) -> Outcome:
    error = clean_text(why)[: payloads.ERROR_MAX_CHARS]
    row.attempt_count += 1
    ProviderEvent.update(attempt_count=ProviderEvent.attempt_count + 1, last_error=error).where(
        ProviderEvent.id == row.id
    ).execute()
    return Outcome(str(row.id), OutcomeStatus.FAILED, row.attempt_count, error, is_unreadable=True)


def _missing(text: str) -> Outcome:
    return Outcome(text, OutcomeStatus.FAILED, error="there is no such event")


def _audit(workspace_id: int, result: Result, *, by: Actor) -> None:
    done = [o.event_id for o in result.outcomes if o.status is OutcomeStatus.REPLAYED]
    audit.record(
        workspace_id,
        by,
        action="provider_events.replayed",
        target="provider events",
        after={
            "replayed": len(done),
            "failed": result.count(OutcomeStatus.FAILED),
            "event_ids": done[:AUDITED_IDS_MAX],
            "effects": result.summary,
        },
    )


def _invalid(field: str, message: str) -> InvalidFields:
    errors = [FieldError(field, message)]
    return InvalidFields(summarise(errors), errors=errors)

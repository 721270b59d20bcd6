"""Many dead letters at once: what a replay or a dismissal of those that somebody has chosen would
do, and the jobs that do it and take a dismissal back. What becomes of each is in `dead_letters`.

A preview of a replay replays the newest few, and takes that back: so one sees what today's code
makes of them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

import peewee

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.provider_event import ProviderEventType, ReportStatus
from maild.errors import FieldError, InvalidFields, Unavailable
from maild.models import Job, ProviderEvent
from maild.services import dead_letter_lists, dead_letters, jobs, message_log, workspaces
from maild.services.dead_letter_lists import Filter, State
from maild.services.dead_letters import TOO_MUCH, Outcome, OutcomeStatus
from maild.services.jobs import Handler, Step

IDS_MAX = dead_letters.IDS_MAX
COUNTED_MAX = 100_000
SAMPLES = 10
TRIED = 50
"""So many of the newest are replayed for a preview, and that is taken back."""
SHOWN_MAX = 8
CHUNK = 100
NOT_FOUND = "there is no such report in this workspace"
NOT_MATCHING = "it did not match any more when its turn came"
NOT_DISMISSED = "it is not dismissed any more"
_ID_MAX_CHARS = 18


class Action(StrEnum):
    """What can be done to many dead letters."""

    REPLAY = "replay"
    DISMISS = "dismiss"

    @property
    def kind(self) -> str:
        """The kind of job that does it."""
        return f"dead_letters.{self.value}"


UNDO = f"{Action.DISMISS.kind}.undo"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events: those with these ids, or all that match. Exactly one of the two is given.

    All that match has an `until`: what comes later is never touched.
    """

    ids: tuple[str, ...] | None = None
    filter_: Filter | None = None

    def dump(self) -> dict[str, Any]:
        """As a job's params keep it."""
        if self.ids is not None:
            return {"ids": list(self.ids)}
        assert self.filter_ is not None
        values = {one.name: getattr(self.filter_, one.name) for one in fields(self.filter_)}
        return {
            "filter": {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in values.items()
            }
        }

    @staticmethod
    def load(params: Mapping[str, Any]) -> "Selection":
        """What `dump` wrote."""
        if "ids" in params:
            return Selection(ids=tuple(params["ids"]))
        values = dict(params["filter"])
        for name, read in (
            ("state", State),
            ("event_type", ProviderEventType),
            ("emails", tuple),
            ("since", datetime.fromisoformat),
            ("until", datetime.fromisoformat),
        ):
            if values.get(name) is not None:
                values[name] = read(values[name])
        return Selection(filter_=Filter(**values))


@dataclass(frozen=True, slots=True)
class Sample:
    """One of the newest of the chosen events. `outcome` is what a replay would do to it now, for a
    replay; `why_not` is why it would be left as it is, if it would.
    """

    row: ProviderEvent
    outcome: Outcome | None
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would do now. Where more than COUNTED_MAX events match, `has_more` says so and
    all the numbers are of that many. `tried` are the outcomes of the newest TRIED, for a replay.
    """

    action: Action
    count: int
    has_more: bool
    going_count: int
    skipped: dict[str, int]
    by_status: dict[ReportStatus, int]
    by_provider: dict[str, int]
    by_error: dict[str, int]
    samples: list[Sample]
    tried: dict[OutcomeStatus, int]
    missing_count: int = 0


def preview(workspace_id: int, action: Action, selection: Selection, *, by: Actor) -> Preview:
    """What the action would do to the selection now. Raises InvalidFields, NotFound (the
    workspace), Unavailable (counting takes too long).
    """
    _check(selection)
    workspaces.require(workspace_id)
    chosen = _conditions(workspace_id, selection)
    why_not = _why_not(action)
    with message_log.bounded():
        rows = _count(chosen)
        newest = list(
            ProviderEvent.select().where(*chosen).order_by(ProviderEvent.id.desc()).limit(TRIED)
        )
    counted: dict[str, Counter[Any]] = {
        name: Counter() for name in ("status", "provider", "error", "skipped")
    }
    total = going = 0
    for status, provider, error, count in rows:
        total += count
        counted["status"][status] += count
        counted["provider"][provider] += count
        if error:
            counted["error"][error] += count
        if (why := why_not(status)) is None:
            going += count
        else:
            counted["skipped"][why] += count
    outcomes: dict[str, Outcome] = {}
    if action is Action.REPLAY and newest:
        outcomes = {
            one.event_id: one
            for one in dead_letters.replay(
                workspace_id, event_ids=[str(row.id) for row in newest], dry_run=True, by=by
            ).outcomes
        }
    known = len(selection.ids) if selection.ids is not None else 0
    return Preview(
        action,
        count=min(total, COUNTED_MAX),
        has_more=total > COUNTED_MAX,
        going_count=min(going, COUNTED_MAX),
        skipped=dict(counted["skipped"].most_common()),
        by_status=dict(counted["status"].most_common()),
        by_provider=dict(counted["provider"].most_common(SHOWN_MAX)),
        by_error=dict(counted["error"].most_common(SHOWN_MAX)),
        samples=[
            Sample(row, outcomes.get(str(row.id)), why_not(row.status)) for row in newest[:SAMPLES]
        ],
        tried=dict(Counter(one.status for one in outcomes.values())),
        missing_count=max(known - total, 0),
    )


def start(
    workspace_id: int,
    action: Action,
    selection: Selection,
    *,
    reason: str,
    words: str,
    by: Actor,
) -> Job:
    """Have it done. `words` say which events, for people. Raises InvalidFields, NotFound (the
    workspace), Conflict (too many jobs are open).
    """
    _check(selection)
    given = jobs.check_reason(reason)
    return jobs.start(
        workspace_id,
        kind=action.kind,
        params={**selection.dump(), "words": words},
        reason=given,
        total_count=_count_all(_conditions(workspace_id, selection)),
        told={"which": words},
        by=by,
    )


def _check(selection: Selection) -> None:
    if (selection.ids is None) == (selection.filter_ is None):
        raise ValueError("give either ids or a filter")
    if selection.ids is not None and not 1 <= len(selection.ids) <= IDS_MAX:
        message = f"choose 1 to {IDS_MAX} reports, or all that match"
        raise InvalidFields(message, errors=[FieldError("ids", message)])
    if selection.filter_ is not None and selection.filter_.until is None:
        raise ValueError("a selection of all that match needs an end")


def _why_not(action: Action) -> Any:
    if action is Action.REPLAY:
        return dead_letters.why_no_replay
    return dead_letters.why_no_dismissal


def _conditions(workspace_id: int, selection: Selection) -> Sequence[Any]:
    if selection.filter_ is not None:
        return dead_letter_lists.conditions(workspace_id, selection.filter_)
    numbers = [
        int(text)
        for text in selection.ids or ()
        if text.isascii() and text.isdigit() and len(text) <= _ID_MAX_CHARS
    ]
    return [ProviderEvent.workspace == workspace_id, ProviderEvent.id << numbers]


def _count_all(chosen: Sequence[Any]) -> int | None:
    """How many there are; None where that are more than COUNTED_MAX, or takes too long to count."""
    query = ProviderEvent.select(ProviderEvent.id).where(*chosen).limit(COUNTED_MAX + 1)
    try:
        with message_log.bounded():
            count = int(query.count(database, clear_limit=False))
    except Unavailable:
        return None
    return count if count <= COUNTED_MAX else None


def _count(chosen: Sequence[Any]) -> list[tuple[ReportStatus, str | None, str | None, int]]:
    inner = (
        ProviderEvent.select(
            ProviderEvent.status,
            ProviderEvent.provider,
            peewee.fn.left(ProviderEvent.last_error, 120).alias("error"),
        )
        .where(*chosen)
        .limit(COUNTED_MAX + 1)
        .alias("chosen")
    )
    query: Any = (
        ProviderEvent.select(
            inner.c.status, inner.c.provider, inner.c.error, peewee.fn.count(peewee.SQL("*"))
        )
        .from_(inner)
        .group_by(inner.c.status, inner.c.provider, inner.c.error)
    )
    return [
        (ReportStatus(status), provider, error, count)
        for status, provider, error, count in query.tuples()
    ]


def _replay(job: Job) -> Step:
    wanted, position, is_last = _next_chunk(job)
    done, reasons, failed, left = 0, Counter[str](), 0, []
    if wanted:
        outcomes = dead_letters.replay(
            job.workspace_id, event_ids=wanted, by=jobs.actor_of(job)
        ).outcomes
        replayed = {OutcomeStatus.REPLAYED: [], OutcomeStatus.WAITING: []}  # type: ignore[var-annotated]
        for one in outcomes:
            if one.error == TOO_MUCH:
                left.append(one.event_id)
            elif one.status in replayed:
                replayed[one.status].append(int(one.event_id))
            else:
                failed += one.status is OutcomeStatus.FAILED
                reasons[one.error or one.status.value] += 1
        for status, event_ids in replayed.items():
            done += len(event_ids)
            jobs.note_targets(job, event_ids, outcome=status.value)
    return _told(
        job,
        done,
        reasons,
        failed=failed,
        cursor={"before": position, "left": left, "is_last": is_last},
        is_done=is_last and not left,
    )


def _dismiss(job: Job) -> Step:
    wanted, position, is_last = _next_chunk(job)
    done: list[int] = []
    reasons: Counter[str] = Counter()
    failed = 0
    if wanted:
        assert job.reason is not None
        for one in dead_letters.dismiss(
            job.workspace_id, wanted, reason=job.reason, by=jobs.actor_of(job)
        ):
            if one.status is OutcomeStatus.DISMISSED:
                done.append(int(one.event_id))
            else:
                failed += one.status is OutcomeStatus.FAILED
                reasons[one.error or one.status.value] += 1
        jobs.note_targets(job, done, outcome=OutcomeStatus.DISMISSED.value)
    cursor = {"before": position, "left": [], "is_last": is_last}
    return _told(job, len(done), reasons, failed=failed, cursor=cursor, is_done=is_last)


def _next_chunk(job: Job) -> tuple[list[str], Any, bool]:
    """The next events, what the step after begins before, and whether they are the last. What was
    too much for the step before comes first.
    """
    at: dict[str, Any] = job.cursor or {"before": None, "left": [], "is_last": False}
    if at["left"]:
        return at["left"], at["before"], at["is_last"]
    selection = Selection.load(job.params)
    if selection.filter_ is None:
        wanted = list(dict.fromkeys(selection.ids or ()))
        begin = at["before"] or 0
        chunk = wanted[begin : begin + CHUNK]
        return chunk, begin + CHUNK, begin + CHUNK >= len(wanted)
    found = dead_letter_lists.list_ids(
        job.workspace_id, filter_=selection.filter_, limit=CHUNK, older_than=at["before"]
    )
    jobs.allow_time()
    position = found[-1] if found else at["before"]
    return [str(number) for number in found], position, len(found) < CHUNK


def _told(
    job: Job, done: int, reasons: Counter[str], *, failed: int, cursor: Any, is_done: bool
) -> Step:
    skipped = sum(reasons.values()) - failed
    handled = job.handled_count + done + skipped + failed
    if is_done and job.total_count is not None:
        # Whoever counted before it began shall find all of them again.
        if (gone := job.total_count - handled) > 0:
            reasons[NOT_MATCHING] += gone
            skipped += gone
        handled = max(handled, job.total_count)
    return Step(
        cursor=cursor,
        is_done=is_done,
        done=done,
        skipped=skipped,
        failed=failed,
        reasons=reasons,
        total_count=handled if is_done else None,
    )


def _restore(job: Job) -> Step:
    items = jobs.list_changes(job.undo_of_id, limit=CHUNK, after=job.cursor or 0)
    ids = [str(item.target_id) for item in items]
    done = dead_letters.restore(job.workspace_id, ids, by=jobs.actor_of(job)) if ids else 0
    if done:
        restored = [item.target_id for item in items]
        query = ProviderEvent.select(ProviderEvent.id).where(
            ProviderEvent.workspace == job.workspace_id,
            ProviderEvent.id << restored,
            ProviderEvent.status == ReportStatus.DEAD_LETTER,
        )
        jobs.note_targets(job, [row.id for row in query], outcome="brought back")
    left = len(items) - done
    return Step(
        cursor=items[-1].id if items else job.cursor,
        is_done=len(items) < CHUNK,
        done=done,
        skipped=left,
        reasons={NOT_DISMISSED: left} if left else {},
    )


jobs.register(
    Action.REPLAY.kind,
    Handler(
        _replay,
        no_undo="What a replay has applied cannot be taken back: messages have their ends, and"
        " addresses are suppressed. Remove a suppression that you do not want.",
    ),
)
jobs.register(Action.DISMISS.kind, Handler(_dismiss, undo=UNDO))
jobs.register(UNDO, Handler(_restore))

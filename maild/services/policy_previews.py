"""Previews: a workspace's past messages, tried under a policy that is not in force, and under the
one that is.

In charge of reading them: in the order in which they were accepted, each once for both policies,
and a few thousand at a time. What becomes of each is decided by `domain/policy_trial.py`. Nothing
is changed.

What was rejected was never stored, so a preview does not see it. It looks at each message by
itself, and at no freeze: those are no part of a policy.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import peewee

from maild.db import database
from maild.domain.limits import SLOT_SECONDS, WINDOW_SLOTS
from maild.domain.policy import Check, Policy
from maild.domain.policy_trial import DomainFigures, Figures, Outcome, Row, Sample, Trial
from maild.errors import Unavailable
from maild.models import Message
from maild.services import locks, policies, policy_changes
from maild.services.policy_changes import Change

LOOKED_AT_MAX = 200_000
"""Messages of one preview: the newest ones."""
WARM_UP_MAX = 100_000
WARM_UP_SECONDS = (WINDOW_SLOTS + 1) * SLOT_SECONDS
"""How long before its window a preview begins: what was sent then still counts in the limits."""
SAMPLES_MAX = 10
DOMAINS_MAX = 10
STATEMENT_TIMEOUT_MS = 5_000
TIMEOUT_SECONDS = 20.0
FETCH_ROWS = 5_000


class UnderWay(Unavailable):
    """Another preview of the same person is not done yet."""


class Window(StrEnum):
    """How far back a preview looks."""

    DAY = "24h"
    WEEK = "7d"

    @property
    def span(self) -> timedelta:
        return timedelta(days=1 if self is Window.DAY else 7)


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of the messages between `since` and `until` under the policy `tried`, and
    under the one that is `in_force`; `changes` are the differences between the two.

    `is_truncated`: there are more messages in the window than LOOKED_AT_MAX, and `since` is the
    time of the oldest one that was looked at.
    """

    since: datetime
    until: datetime
    is_truncated: bool
    tried: Policy
    in_force: Policy
    changes: list[Change]
    figures: Figures
    in_force_figures: Figures
    domains: list[DomainFigures]
    """Those with the most stopped messages, DOMAINS_MAX at most."""
    samples: list[tuple[Message, Sample]]
    """The first SAMPLES_MAX of each outcome and check, in the order of acceptance."""

    @property
    def looked_at(self) -> int:
        return self.figures.total


def run(
    workspace_id: int,
    *,
    changes: Mapping[str, Any],
    window: Window,
    within: str = "",
    person_id: int | None = None,
    timeout_seconds: float | None = None,
) -> Preview:
    """Try the policy in force with these changes over the messages of the window. Of each person
    that is named, one preview runs at a time; all of it takes TIMEOUT_SECONDS at most, unless said
    otherwise.

    Raises InvalidFields (`within` is where the changes stand in what was sent); NotFound (the
    workspace); UnderWay; Unavailable where it takes too long.
    """
    checked = policy_changes.check(changes, within=within)
    in_force = policies.get_in_force(workspace_id).rules
    tried = policy_changes.apply(in_force, checked)
    trial, control = Trial(tried, samples_max=SAMPLES_MAX), Trial(in_force)
    limit_seconds = TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds
    with _bounded(limit_seconds) as check_time:
        if person_id is not None and not locks.take_trial(person_id):
            raise UnderWay(_UNDER_WAY, retry_after_seconds=1)
        span = _find_span(workspace_id, window)
        for row in _stream(workspace_id, span.warm_up, span.start, check_time):
            trial.look_at(row)
            control.look_at(row)
        trial.start_counting()
        control.start_counting()
        for row in _stream(workspace_id, span.start, span.end, check_time):
            trial.look_at(row)
            control.look_at(row)
        samples = _read_samples(workspace_id, trial.samples)
    return Preview(
        since=span.since,
        until=span.end[0],
        is_truncated=span.is_truncated,
        tried=tried,
        in_force=in_force,
        changes=policy_changes.compare(in_force, tried),
        figures=trial.figures(),
        in_force_figures=control.figures(),
        domains=trial.most_stopped(DOMAINS_MAX),
        samples=samples,
    )


_Mark = tuple[datetime, uuid.UUID]
"""A place in the order of acceptance."""
_LOWEST = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class _Span:
    """From where to where a preview reads; each mark belongs to what is before it."""

    warm_up: _Mark
    start: _Mark
    end: _Mark
    since: datetime
    is_truncated: bool


# How far back the newest so many reach. Only the index is read.
_FIND_MARK = """
SELECT created_at, id FROM messages
WHERE workspace_id = %s AND (created_at, id) > (%s, %s) AND (created_at, id) <= (%s, %s)
ORDER BY created_at DESC, id DESC
OFFSET %s LIMIT 1
"""
# Narrow rows: subjects and the like are read for the samples alone.
_STREAM = """
DECLARE preview NO SCROLL CURSOR FOR
SELECT id::text, date_part('epoch', greatest(created_at, scheduled_at)), stream,
    status = 'suppressed', split_part(from_email, '@', 2), split_part(to_email, '@', 2)
FROM messages
WHERE workspace_id = %s AND (created_at, id) > (%s, %s) AND (created_at, id) <= (%s, %s)
ORDER BY created_at, id
"""
_FETCH = f"FETCH {FETCH_ROWS} FROM preview"
_CLOSE = "CLOSE preview"


def _find_span(workspace_id: int, window: Window) -> _Span:
    [now] = database.execute_sql("SELECT now()").fetchone()
    end, start = (now, _LOWEST), (now - window.span, _LOWEST)
    cut = _find_mark(workspace_id, start, end, LOOKED_AT_MAX)
    since = start[0] if cut is None else cut[0]
    start = cut or start
    warm_up = (since - timedelta(seconds=WARM_UP_SECONDS), _LOWEST)
    warm_up = _find_mark(workspace_id, warm_up, start, WARM_UP_MAX) or warm_up
    return _Span(warm_up, start, end, since, is_truncated=cut is not None)


def _find_mark(workspace_id: int, after: _Mark, upto: _Mark, count: int) -> _Mark | None:
    """The mark after which there are `count` messages up to the other; None where there are no
    more than that in all.
    """
    values = (workspace_id, *after, *upto, count)
    row: _Mark | None = database.execute_sql(_FIND_MARK, values).fetchone()
    return row


def _stream(
    workspace_id: int, after: _Mark, upto: _Mark, check_time: Callable[[], None]
) -> Iterator[Row]:
    """The messages between two marks, in the order of acceptance."""
    database.execute_sql(_STREAM, (workspace_id, *after, *upto))
    while rows := database.execute_sql(_FETCH).fetchall():
        yield from map(Row._make, rows)
        check_time()
    database.execute_sql(_CLOSE)


def _read_samples(workspace_id: int, samples: list[Sample]) -> list[tuple[Message, Sample]]:
    """The samples with their messages, and for those that were stopped what stopped them."""
    ids = [uuid.UUID(sample.row.id) for sample in samples]
    query = Message.select().where(Message.workspace == workspace_id, Message.id << ids)
    found = {str(message.id): message for message in query} if ids else {}
    return [
        (message, _complete(message, sample))
        for sample in samples
        if (message := found.get(sample.row.id)) is not None
    ]


def _complete(message: Message, sample: Sample) -> Sample:
    if sample.outcome is not Outcome.SUPPRESSED:
        return sample
    if message.unsubscribe_id is not None:
        evidence = {"unsubscribe_id": message.unsubscribe_id}
        return replace(sample, check=Check.UNSUBSCRIBE, evidence=evidence)
    stopped_by = {"suppression_id": message.suppression_id}
    return replace(sample, check=Check.SUPPRESSION, evidence=stopped_by)


@contextmanager
def _bounded(timeout_seconds: float) -> Iterator[Callable[[], None]]:
    """A transaction that is cut off when one of its statements, or all of it, takes too long. Gives
    what is to be called now and then.
    """
    ends_at = time.monotonic() + timeout_seconds

    def check_time() -> None:
        if time.monotonic() > ends_at:
            raise Unavailable(_TOO_LONG, retry_after_seconds=5)

    try:
        with database.atomic():
            database.execute_sql(
                "SELECT set_config('statement_timeout', %s, true)", (str(STATEMENT_TIMEOUT_MS),)
            )
            yield check_time
    except peewee.OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        raise Unavailable(_TOO_LONG, retry_after_seconds=5) from error


_TOO_LONG = "The preview took too long, and nothing was changed. Try it over the shorter window."
_UNDER_WAY = "Another preview of yours is still under way. Ask again when it is done."

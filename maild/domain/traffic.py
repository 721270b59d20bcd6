"""Traffic: how much happened to a workspace's mail, by what happened; and the arithmetic of it.

What is counted is events, not messages as they stand: one that is deferred twice and sent then
counts as deferred two times, and as sent once. Nobody is told a share of nothing: it is None.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil

from maild.domain.states import EventType


class Kind(StrEnum):
    """What a message's event counts as, by the words of the states it leads to."""

    ACCEPTED = "accepted"
    SENT = "sent"
    """Taken by a provider, or taken for that. No message is sent twice under this word."""
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    HELD = "held"
    UNKNOWN = "unknown"


KIND_OF: dict[EventType, Kind] = {
    EventType.ACCEPTED: Kind.ACCEPTED,
    EventType.SENT: Kind.SENT,
    EventType.ASSUMED_SENT: Kind.SENT,
    EventType.OUTCOME_LEARNED: Kind.SENT,
    EventType.FAILED: Kind.FAILED,
    EventType.SUPPRESSED: Kind.SUPPRESSED,
    EventType.DEFERRED: Kind.DEFERRED,
    EventType.DELIVERED: Kind.DELIVERED,
    EventType.BOUNCED: Kind.BOUNCED,
    EventType.COMPLAINED: Kind.COMPLAINED,
    EventType.EXPIRED: Kind.EXPIRED,
    EventType.CANCELLED: Kind.CANCELLED,
    EventType.HELD: Kind.HELD,
    EventType.OUTCOME_UNKNOWN: Kind.UNKNOWN,
}
"""The other events count as nothing. The database counts, by the function `traffic_kind`; a test
compares the two.
"""


class Span(StrEnum):
    """How far back a chart looks."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"

    @property
    def step(self) -> timedelta:
        """What one value of a series is about."""
        return _STEPS[self][0]

    @property
    def step_count(self) -> int:
        """How many values a series has."""
        return _STEPS[self][1]

    @property
    def words(self) -> str:
        """`last 24 hours`."""
        return _WORDS[self]


_STEPS = {
    Span.HOUR: (timedelta(minutes=1), 60),
    Span.DAY: (timedelta(minutes=10), 144),
    Span.WEEK: (timedelta(hours=1), 168),
}
_WORDS = {Span.HOUR: "last hour", Span.DAY: "last 24 hours", Span.WEEK: "last 7 days"}
STEPS_MAX = 200
"""So many values a series has at most, where a window is not a span's."""
_FITTING = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(days=1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """A time from `since` to before `until`, in steps that begin at `since`."""

    since: datetime
    until: datetime
    step: timedelta

    @property
    def step_count(self) -> int:
        """How many steps it has, the last one perhaps not over yet."""
        return ceil((self.until - self.since) / self.step)

    def starts(self) -> Iterator[datetime]:
        """When each step begins, oldest first."""
        for number in range(self.step_count):
            yield self.since + number * self.step


def window(span: Span, now: datetime) -> Window:
    """The steps of a span: whole ones by the clock in UTC, the last of which `now` is in."""
    begun = floor(now, span.step)
    return Window(begun - (span.step_count - 1) * span.step, begun + span.step, span.step)


def fit(since: datetime, until: datetime) -> Window:
    """A window from the step that `since` is in to `until`, in steps as short as STEPS_MAX of them
    allow, or of a day.
    """
    steps = (step for step in _FITTING if until - floor(since, step) <= STEPS_MAX * step)
    step = next(steps, _FITTING[-1])
    return Window(floor(since, step), until, step)


def floor(at: datetime, step: timedelta) -> datetime:
    """The last moment up to `at` at which a step begins, counted from 1970 in UTC."""
    return at - (at - _EPOCH) % step


def success_rate(counts: Mapping[Kind, int]) -> float | None:
    """Of the messages whose sending came to an end, the share that a provider took; None where
    none did.

    What was never to be sent is no part of it: suppressed, cancelled, held.
    """
    sent = counts.get(Kind.SENT, 0)
    return _share(
        sent,
        sent
        + counts.get(Kind.FAILED, 0)
        + counts.get(Kind.EXPIRED, 0)
        + counts.get(Kind.UNKNOWN, 0),
    )


def deferral_rate(counts: Mapping[Kind, int]) -> float | None:
    """Of the attempts that ended, the share that has to be made again; None where none ended."""
    deferred = counts.get(Kind.DEFERRED, 0)
    return _share(
        deferred,
        deferred
        + counts.get(Kind.SENT, 0)
        + counts.get(Kind.FAILED, 0)
        + counts.get(Kind.UNKNOWN, 0),
    )


def shares(counts: Mapping[str, int]) -> dict[str, float]:
    """What share of the whole each has; nobody has one where the whole is nothing."""
    whole = sum(counts.values())
    return {name: count / whole for name, count in counts.items()} if whole else {}


def drain_seconds(due_count: int, *, sent_count: int, over_seconds: float) -> float | None:
    """How long it takes to send what is due, as fast as mail went lately: `sent_count` messages
    in so many seconds. 0 where nothing is due; None where nothing was sent, and nobody can tell.
    """
    if due_count == 0:
        return 0.0
    if sent_count == 0 or over_seconds <= 0:
        return None
    return due_count * over_seconds / sent_count


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None

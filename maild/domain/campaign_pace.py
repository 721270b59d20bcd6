"""The pace of a campaign: how many messages may be made of it now. Pure; times are seconds since
1970, by one clock.

By the hour it is a token bucket that holds a minute's worth: in no hour go out more than the limit
and a minute of it. A ramp counts by days of its own: each begins with its first message, and lasts
24 hours. So a day on which the campaign was paused is none, and warming up goes on where it
stopped. What is used up is kept with the campaign: a restart changes nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HOUR = 3_600.0
DAY = 86_400.0
BURST_SECONDS = 60.0
"""So much of its hourly pace may go out at once."""
WAITING_SECONDS = 600.0
"""Messages of so much of its hourly pace may wait to be sent at a time."""
WAITING_OF_DAY = 10
WAITING_OF_DAY_MIN = 100
"""So may one in so many of a day of the ramp, and in any case so few."""
SMOOTH_SECONDS = 5.0
"""Where the bucket is empty, it is waited for as much as this brings."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`per_hour` None: no limit. `ramp`: messages on the first day, the second, ...; after that
    there is no limit of the day.
    """

    per_hour: int | None = None
    ramp: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Used:
    """What a pace has used up until `at`: what is left in the bucket; the day of the ramp, when it
    began, and how many went out on it.
    """

    at: float
    tokens: float = 0.0
    day: int = 0
    day_at: float | None = None
    day_count: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """`count` messages may be made now; None: as many as there are. Where that is none,
    `wait_seconds` says how soon some may.
    """

    count: int | None
    wait_seconds: float = 0.0


def begin(pace: Pace, now: float) -> Used:
    """Before the first message: the bucket is full."""
    return Used(at=now, tokens=_burst(pace.per_hour))


def advance(pace: Pace, used: Used, now: float) -> Used:
    """The same at a later moment. A clock that went back adds nothing."""
    passed = max(0.0, now - used.at)
    tokens = used.tokens
    if pace.per_hour is not None:
        tokens = min(_burst(pace.per_hour), tokens + passed * pace.per_hour / HOUR)
    day, day_at, day_count = used.day, used.day_at, used.day_count
    if day_at is not None and now >= day_at + DAY:
        day, day_at, day_count = day + 1, None, 0
    return Used(max(used.at, now), tokens, day, day_at, day_count)


def find_room(pace: Pace, used: Used) -> Room:
    """How many may go at the moment of `used`."""
    rooms = [_room_of_hour(pace.per_hour, used.tokens), _room_of_day(pace.ramp, used)]
    counts = [room.count for room in rooms if room.count is not None]
    if not counts:
        return Room(None)
    return Room(min(counts), max(room.wait_seconds for room in rooms))


def find_most_waiting(pace: Pace, used: Used) -> int | None:
    """How many messages may wait to be sent at a time; None: as many as may wait of any campaign.
    Else what gathers while a provider is away would go out at once when it is back.
    """
    counts = []
    if pace.per_hour is not None:
        counts.append(math.ceil(pace.per_hour * WAITING_SECONDS / HOUR))
    if used.day < len(pace.ramp):
        of_day = math.ceil(pace.ramp[used.day] / WAITING_OF_DAY)
        counts.append(max(WAITING_OF_DAY_MIN, of_day))
    return min(counts) if counts else None


def use(pace: Pace, used: Used, count: int) -> Used:
    """After so many went out."""
    if not count:
        return used
    tokens = used.tokens - count if pace.per_hour is not None else used.tokens
    day_at = used.at if used.day_at is None else used.day_at
    return Used(used.at, tokens, used.day, day_at, used.day_count + count)


def to_json(used: Used) -> dict[str, Any]:
    """As the campaign keeps it."""
    return {
        "at": used.at,
        "tokens": used.tokens,
        "day": used.day,
        "day_at": used.day_at,
        "day_count": used.day_count,
    }


def from_json(data: dict[str, Any]) -> Used:
    return Used(**data)


def _burst(per_hour: int | None) -> float:
    return 0.0 if per_hour is None else max(1.0, per_hour * BURST_SECONDS / HOUR)


def _room_of_hour(per_hour: int | None, tokens: float) -> Room:
    if per_hour is None:
        return Room(None)
    # A hair's breadth below 1 is 1: halves of seconds add up with an error in the last digit.
    count = math.floor(tokens + 1e-6)
    if count >= 1:
        return Room(count)
    wanted = min(_burst(per_hour), max(1.0, per_hour * SMOOTH_SECONDS / HOUR))
    return Room(0, (wanted - tokens) * HOUR / per_hour)


def _room_of_day(ramp: Sequence[int], used: Used) -> Room:
    if used.day >= len(ramp):
        return Room(None)
    count = max(0, ramp[used.day] - used.day_count)
    if count or used.day_at is None:
        return Room(count)
    return Room(0, used.day_at + DAY - used.at)

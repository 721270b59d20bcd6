"""How long a campaign takes at its pace. Pure."""

import math
from collections.abc import Sequence
from datetime import timedelta

DAYS_MAX = 3_650
"""Further nobody looks."""
_DAY_HOURS = 24


def how_long(
    count: int,
    *,
    per_hour: int | None,
    ramp: Sequence[int] | None,
    test_wait: timedelta = timedelta(),
) -> timedelta | None:
    """How long so many messages take at most so many an hour, and at most so many on each of the
    first days, where most of them wait for so long until a test is decided. Zero where nothing
    slows them down; None where it is more than DAYS_MAX.
    """
    if count <= 0:
        return timedelta()
    left, days = count, 0
    for most in ramp or ():
        today = most if per_hour is None else min(most, per_hour * _DAY_HOURS)
        if left <= today:
            break
        left -= today
        days += 1
        if days > DAYS_MAX:
            return None
    hours = 0.0 if per_hour is None else left / per_hour
    total = days * _DAY_HOURS + hours
    return None if total > DAYS_MAX * _DAY_HOURS else timedelta(hours=total) + test_wait


def in_words(time: timedelta | None) -> str:
    """`about 17 hours`."""
    if time is None:
        return "more than ten years"
    minutes = math.ceil(time.total_seconds() / 60)
    if minutes <= 1:
        return "about a minute"
    if minutes < 100:
        return f"about {minutes} minutes"
    hours = round(minutes / 60)
    return f"about {hours} hours" if hours < 49 else f"about {round(hours / 24)} days"

"""When a campaign begins: a time by the clocks of some place, and the moment that it is. Pure.

Where clocks are put forward, an hour has no moment; where they are put back, one comes twice. The
names of places and their rules are those of IANA's database.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

ZONE_MAX_CHARS = 64


@dataclass(frozen=True, slots=True)
class Moment:
    """`at` is in UTC. `comes_twice`: clocks show that time again later; `at` is the first time."""

    at: datetime
    comes_twice: bool = False


def is_zone(name: str) -> bool:
    """Whether there is a zone of this name, as `Europe/Vienna`."""
    return name in _zones()


def list_zones() -> list[str]:
    """The names of all zones."""
    return sorted(_zones())


def find_moment(local: datetime, zone: str) -> Moment:
    """The moment at which the clocks of `zone` show `local`, which has no offset of its own. Of two
    it is the first.

    Raises ValueError with a sentence: there is no such zone, or its clocks never show that time.
    """
    if not is_zone(zone):
        raise ValueError("is no time zone such as Europe/Vienna")
    rules = ZoneInfo(zone)
    try:
        first, second = (local.replace(tzinfo=rules, fold=fold).astimezone(UTC) for fold in (0, 1))
        shown = first.astimezone(rules)
    except OverflowError:
        raise ValueError("must lie in the years 1 to 9999 in UTC") from None
    if shown.replace(tzinfo=None, fold=0) != local:
        # PEP 495: in the gap, the first reading lies as far behind it as the time lies within it.
        later = shown.replace(tzinfo=None)
        raise ValueError(
            f"does not exist in {zone}: clocks are put forward then. Choose a time such as"
            f" {later.isoformat(sep=' ', timespec='minutes')}"
        )
    return Moment(first, comes_twice=second != first)


def local_time(moment: datetime, zone: str) -> datetime:
    """What the clocks of `zone` show at a moment, without an offset. `zone` is known."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def offset_text(moment: datetime, zone: str) -> str:
    """How far the clocks of `zone` are from UTC at a moment: `UTC+01:00`."""
    offset = moment.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


@cache
def _zones() -> frozenset[str]:
    # The rest are other names for these, kept for old programs, or no place at all.
    return frozenset(
        name for name in available_timezones() if not name.startswith(("posix/", "right/"))
    )

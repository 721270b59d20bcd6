"""How an SMTP account stood over a time, as a band in an SVG, with its numbers in a table.

Across, all is in per cent, so that the band is as wide as its place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from maild.domain.breaker_history import Band, Mode
from maild.services.provider_histories import History
from maild.web import filters
from maild.web.badges import Badge
from maild.web.charts import Mark
from maild.web.provider_words import MODES

MIN_WIDTH = 0.3
"""Per cent: what is short is seen nevertheless."""
ROWS_MAX = 100
"""In the table, so many of the latest."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A band as it is drawn, `x` and `width` in per cent."""

    badge: Badge
    title: str
    x: float
    width: float
    since: datetime
    until: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class BreakerChart:
    """`rows` are the pieces for the table, the latest first. `totals` say for how long each mode
    lasted in all.
    """

    title: str
    pieces: tuple[Piece, ...]
    rows: tuple[Piece, ...]
    marks: tuple[Mark, ...]
    totals: tuple[tuple[Badge, str], ...]
    summary: str
    is_cut: bool


def draw(history: History, *, days: int) -> BreakerChart:
    """The band of the last `days`; it begins where the account does."""
    until = history.until
    begin = until - timedelta(days=days)
    length = timedelta(days=days).total_seconds()

    def across(at: datetime) -> float:
        return max(0.0, (at - begin).total_seconds() / length * 100)

    pieces = [_piece(band, across(band.since), across(band.until)) for band in history.bands]
    totals = _totals(history.bands)
    title = "The last 24 hours" if days == 1 else f"The last {days} days"
    told = ", ".join(f"{badge.word} {span}" for badge, span in totals)
    # What is out of use is drawn last, or a hair of it could be below its neighbour.
    drawn = sorted(pieces, key=lambda piece: piece.badge.tone == "ok", reverse=True)
    return BreakerChart(
        title=title,
        pieces=tuple(drawn),
        rows=tuple(reversed(pieces))[:ROWS_MAX],
        marks=_marks(begin, until, days, across),
        totals=totals,
        summary=f"{title}: {told or 'nothing is known'}",
        is_cut=history.is_cut,
    )


def _piece(band: Band, start: float, end: float) -> Piece:
    badge = MODES[band.mode]
    width = max(end - start, MIN_WIDTH)
    title = f"{badge.word} for {filters.span(band.seconds)}, from {filters.exact(band.since)}"
    x = min(start, 100 - width)
    return Piece(badge, title, round(x, 3), round(width, 3), band.since, band.until, band.seconds)


def _totals(bands: Sequence[Band]) -> tuple[tuple[Badge, str], ...]:
    """How long each mode lasted in all, the best first; none that did not occur."""
    seconds: dict[Mode, float] = {}
    for band in bands:
        seconds[band.mode] = seconds.get(band.mode, 0.0) + band.seconds
    return tuple(
        (MODES[mode], filters.span(seconds[mode])) for mode in reversed(Mode) if mode in seconds
    )


def _marks(
    begin: datetime, until: datetime, days: int, across: Callable[[datetime], float]
) -> tuple[Mark, ...]:
    """Every few hours, or every day, below the band."""
    step = timedelta(hours=4) if days == 1 else timedelta(days=1)
    at = begin.replace(minute=0, second=0, microsecond=0)
    at += timedelta(hours=(-at.hour) % 4 or 4) if days == 1 else timedelta(hours=24 - at.hour)
    marks = []
    while at < until:
        words = f"{at:%H:%M}" if days == 1 else f"{at.day} {at:%b}"
        place = across(at)
        if 3 < place < 97:
            marks.append(Mark(words, round(place, 3)))
        at += step
    return tuple(marks)

"""Charts as numbers: where each bar and each line goes, for macros/chart.html to write as SVG.

Across, everything is in per cent, so that a chart is as wide as its place while its letters keep
their size; down, it is in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

PLOT_HEIGHT = 140
"""Pixels from the highest line of the scale down to zero."""
_HEAD = 8
"""Pixels above that, for half of the highest number."""
_NICE = (2, 4, 6, 8, 10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100)
"""The tops of scales up to 100, each with a whole number at its middle; beyond it is those above
10, times ten, and so on.
"""
_BAR_SHARE = 0.78
"""Of a column's width; the rest is the gap to the next."""
_DENSE_MIN = 100
"""From so many columns on there is no room for gaps."""
_BAR_MIN_HEIGHT = 1.5
"""What is not zero is seen, however small beside the rest."""

SPARK_WIDTH, SPARK_HEIGHT = 96, 24
_SPARK_MARGIN = 2


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of thing that is counted: `values` has a number for each label of the chart, and
    `tone` is a class of components.css (`ok`, `warn`, `bad`, `info`, `unsure`, `neutral`). `url` is
    where its total is looked into, if there is such a place.
    """

    name: str
    tone: str
    values: Sequence[int]
    url: str | None = None

    @property
    def total(self) -> int:
        """All of its values together."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Bar:
    """What one series has in a column. `y` and `height` in pixels."""

    tone: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """A label's bars, the first series lowest. `x` and `width` in per cent of the plot; the bars
    stand at `bar_x` with `bar_width`.
    """

    label: str
    title: str
    values: tuple[int, ...]
    x: float
    width: float
    bar_x: float
    bar_width: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A label of an axis: in pixels from the top on the scale, in per cent below the columns."""

    words: str
    at: float
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Line:
    """A line over the columns, through their middles: `points` for <polyline>, one unit a column
    across and in pixels down.
    """

    series: Series
    points: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Stacked columns, perhaps with a line over them. `summary` says in words what the picture
    shows. `series` has all that is counted, that of the line first.
    """

    title: str
    series: tuple[Series, ...]
    columns: tuple[Column, ...]
    scale: tuple[Mark, ...]
    marks: tuple[Mark, ...]
    summary: str
    total: int
    line: Line | None = None
    plot_bottom: int = _HEAD + PLOT_HEIGHT

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return self.total == 0

    @property
    def is_dense(self) -> bool:
        """Whether the columns stand so close that nothing fits between them."""
        return len(self.columns) >= _DENSE_MIN


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A small line: `points` for <polyline>, and where its last point is."""

    points: str
    last: tuple[float, float] | None
    summary: str
    width: int = SPARK_WIDTH
    height: int = SPARK_HEIGHT


def columns(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    line: Series | None = None,
    marks_max: int = 6,
) -> Columns:
    """Stacked columns over time: a column for each label, oldest first. `line` is drawn over them:
    what is not a part of the same whole.

    `title` says what is counted and over what time ("Messages an hour, last 24 hours"). At most
    `marks_max` labels are written below the columns; all of them are in the titles and the table.
    """
    lines = (line,) if line else ()
    for one in (*lines, *series):
        if len(one.values) != len(labels):
            raise ValueError(f"{one.name}: {len(one.values)} values for {len(labels)} labels")
    totals = [sum(one.values[place] for one in series) for place in range(len(labels))]
    top = nice_top(max((*totals, *(line.values if line else ())), default=0))
    return Columns(
        title=title,
        series=(*lines, *series),
        columns=tuple(_column(labels, lines, series, place, top) for place in range(len(labels))),
        scale=tuple(
            Mark(f"{number:,}", round(_HEAD + PLOT_HEIGHT * (1 - number / top), 1))
            for number in (top, top // 2, 0)
        ),
        marks=_marks(labels, marks_max),
        summary=_summary(title, labels, (*lines, *series), totals),
        total=sum(totals) + sum(one.total for one in lines),
        line=_line(line, top) if line else None,
    )


def sparkline(values: Sequence[int], what: str) -> Sparkline:
    """A line without axes, as high as its highest value. `what` names it: `Sent an hour`."""
    if not values:
        return Sparkline("", None, f"{what}: nothing yet")
    low, high = min(values), max(values)
    across = (SPARK_WIDTH - 2 * _SPARK_MARGIN) / max(len(values) - 1, 1)
    down = SPARK_HEIGHT - 2 * _SPARK_MARGIN
    points = [
        (
            round(_SPARK_MARGIN + place * across, 1),
            round(_SPARK_MARGIN + down * (1 - (value - low) / ((high - low) or 1)), 1),
        )
        for place, value in enumerate(values)
    ]
    return Sparkline(
        points=" ".join(f"{x},{y}" for x, y in points),
        last=points[-1],
        summary=f"{what}: {values[-1]:,} at last, between {low:,} and {high:,}",
    )


def nice_top(highest: int) -> int:
    """The even, round number at the top of a scale that reaches `highest`; at least 2."""
    unit = 1
    while highest > unit * _NICE[-1]:
        unit *= 10
    return next(step * unit for step in _NICE if step * unit >= highest)


def _column(
    labels: Sequence[str],
    lines: Sequence[Series],
    series: Sequence[Series],
    place: int,
    top: int,
) -> Column:
    width = 100 / len(labels)
    share = 1.0 if len(labels) >= _DENSE_MIN else _BAR_SHARE
    bars, y = [], float(_HEAD + PLOT_HEIGHT)
    for one in series:
        if value := one.values[place]:
            height = max(PLOT_HEIGHT * value / top, _BAR_MIN_HEIGHT)
            y -= height
            bars.append(Bar(one.tone, round(y, 1), round(height, 1)))
    counted = [(one.name, one.values[place]) for one in (*lines, *series)]
    counts = ", ".join(f"{value:,} {name}" for name, value in counted if value)
    return Column(
        label=labels[place],
        title=f"{labels[place]}: {counts or 'nothing'}",
        values=tuple(value for _, value in counted),
        x=round(place * width, 3),
        width=round(width, 3),
        bar_x=round(place * width + width * (1 - share) / 2, 3),
        bar_width=round(width * share, 3),
        bars=tuple(bars),
    )


def _line(series: Series, top: int) -> Line:
    points = (
        f"{place + 0.5},{round(_HEAD + PLOT_HEIGHT * (1 - value / top), 1)}"
        for place, value in enumerate(series.values)
    )
    return Line(series, " ".join(points))


def _marks(labels: Sequence[str], marks_max: int) -> tuple[Mark, ...]:
    """Every n-th label below the middle of its column; those at the ends stay inside."""
    step = max(1, ceil(len(labels) / marks_max))
    width = 100 / max(len(labels), 1)
    marks = []
    for place in range(0, len(labels), step):
        if place == 0 and step > 1:
            marks.append(Mark(labels[place], 0, "start"))
        else:
            marks.append(Mark(labels[place], round((place + 0.5) * width, 3)))
    return tuple(marks)


def _summary(
    title: str, labels: Sequence[str], series: Sequence[Series], totals: Sequence[int]
) -> str:
    if not any(one.total for one in series):
        return f"{title}: nothing"
    counts = ", ".join(f"{one.total:,} {one.name}" for one in series)
    highest = max(totals)
    if not highest:
        return f"{title}: {counts}"
    return f"{title}: {counts}. Most at {labels[totals.index(highest)]}: {highest:,}"

"""The chart of the overview: what came in, as a line, over what became of mail."""

from datetime import datetime, timedelta

from flask import url_for

from maild.domain.states import Status
from maild.domain.traffic import Kind, Span
from maild.services.analytics import Summary
from maild.web import charts
from maild.web.charts import Columns, Series

_STEP_WORDS = {
    timedelta(minutes=1): "a minute",
    timedelta(minutes=10): "every 10 minutes",
    timedelta(hours=1): "an hour",
}
_TONES = {Kind.SENT: "ok", Kind.FAILED: "bad", Kind.SUPPRESSED: "neutral"}
"""What becomes of mail, from the ground up."""


def draw(summary: Summary, span: Span) -> Columns:
    """The chart. What is counted leads to the log, of the same time and in that state."""
    labels = [_label(at, span) for at in summary.window.starts()]
    stacked = [
        Series(kind.value, tone, summary.series[kind], url=_log(span, status=Status(kind.value)))
        for kind, tone in _TONES.items()
    ]
    return charts.columns(
        f"Messages {_STEP_WORDS[span.step]}, {span.words}, in UTC",
        labels,
        stacked,
        line=Series("accepted", "info", summary.series[Kind.ACCEPTED], url=_log(span)),
    )


def _label(at: datetime, span: Span) -> str:
    return f"{at.day} {at:%b %H:%M}" if span is Span.WEEK else f"{at:%H:%M}"


def _log(span: Span, *, status: Status | None = None) -> str:
    return url_for("logs.index", range=span.value, status=status)

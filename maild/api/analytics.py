"""/v1/analytics and /v1/billing: how much happened to a workspace's mail."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta

from flask import Response

from maild import clock
from maild.api import schemas
from maild.api.auth import READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.errors import bad_query
from maild.api.query import check_period
from maild.domain import traffic
from maild.domain.csv_safety import neutralise
from maild.domain.traffic import Kind, Span
from maild.services import analytics, health
from maild.services.analytics import DAY, Line, Summary

EXPORT_DAYS = 7
PORTION_CHARS = 32_000


@endpoint(
    "GET",
    "/v1/analytics/summary",
    summary="How much happened in a time, step by step and by SMTP account, and what waits",
    allow=READERS,
    query=schemas.AnalyticsQuery,
    answer=schemas.AnalyticsSummary,
)
def get_analytics_summary(
    caller: Caller, query: schemas.AnalyticsQuery
) -> schemas.AnalyticsSummary:
    """Give `span`, or `from` and `to`. The steps are as wide as the time asks for; `queue` is as it
    is now.
    """
    workspace_id = caller.workspace_id(query.workspace_id)
    check_period(query.since, query.until)
    now = clock.now()
    span = query.span
    if query.since or query.until:
        if span is not None:
            raise bad_query("span", "cannot be given together with from or to")
        until = query.until or now
        window = traffic.fit(query.since or _before(until, DAY), until)
    else:
        span = span or Span.DAY
        window = traffic.window(span, now)
    summary = analytics.summarise(workspace_id, window=window)
    return schemas.AnalyticsSummary(
        workspace_id=workspace_id,
        span=span,
        **{"from": window.since, "to": window.until},
        step_seconds=round(window.step.total_seconds()),
        totals=schemas.CountsOut.of(summary.totals),
        success_rate=summary.success_rate,
        deferral_rate=summary.deferral_rate,
        streams=schemas.StreamsOut(
            **{
                stream.value: schemas.CountsOut.of(counts)
                for stream, counts in summary.streams.items()
            }
        ),
        accounts=[_account(one) for one in summary.accounts],
        series=list(_series(summary)),
        queue=_queue(workspace_id),
    )


@endpoint(
    "GET",
    "/v1/analytics/export.csv",
    summary="How much happened, step by step, by stream and SMTP account, as a CSV file",
    allow=READERS,
    query=schemas.AnalyticsExportQuery,
    answer="text/csv",
    connects=False,  # it reads portion by portion, long after the view has answered
)
def export_analytics(caller: Caller, query: schemas.AnalyticsExportQuery) -> Response:
    """One line for each step, stream and SMTP account in which something happened."""
    workspace_id = caller.workspace_id(query.workspace_id)
    check_period(query.since, query.until)
    until = query.until or clock.now()
    since = query.since or _before(until, EXPORT_DAYS * DAY)
    lines = analytics.export(
        workspace_id, since=since, until=until, step=analytics.EXPORT_STEPS[query.step]
    )
    # RFC 4180: CRLF, and quotes where they are needed.
    response = Response(_write(lines), content_type="text/csv; charset=utf-8; header=present")
    response.headers["Content-Disposition"] = 'attachment; filename="analytics.csv"'
    return response


@endpoint(
    "GET",
    "/v1/billing/metering",
    summary="How much happened on each day, in UTC: what a bill is made of",
    allow=READERS,
    query=schemas.MeteringQuery,
    answer=schemas.Metering,
)
def get_billing_metering(caller: Caller, query: schemas.MeteringQuery) -> schemas.Metering:
    """Days are those of UTC. The current month up to today, unless `from` and `to` say more."""
    workspace_id = caller.workspace_id(query.workspace_id)
    metering = analytics.meter(workspace_id, first=query.first, last=query.last)
    return schemas.Metering(
        workspace_id=workspace_id,
        **{"from": metering.first, "to": metering.last},
        totals=schemas.CountsOut.of(metering.totals),
        days=[schemas.MeteredDay.of(counts, day=day) for day, counts in metering.days],
    )


def _account(one: analytics.AccountTraffic) -> schemas.AccountTrafficOut:
    return schemas.AccountTrafficOut.of(
        one.totals,
        smtp_account=one.name,
        share=one.share,
        success_rate=one.success_rate,
        deferral_rate=one.deferral_rate,
    )


def _series(summary: Summary) -> Iterator[schemas.StepCountsOut]:
    for place, at in enumerate(summary.window.starts()):
        counts = {kind: values[place] for kind, values in summary.series.items()}
        yield schemas.StepCountsOut.of(counts, at=at)


def _queue(workspace_id: int) -> schemas.QueueOut:
    depth = health.measure_queue(workspace_id)
    pace = analytics.measure_pace(workspace_id)
    return schemas.QueueOut(
        due=depth.due_count,
        later=depth.later_count,
        sending=depth.sending_count,
        max=health.DEPTH_MAX,
        oldest_due_seconds=depth.oldest_due_seconds,
        sent_per_second=pace.per_second,
        drain_seconds=analytics.estimate_drain(depth, pace),
    )


def _write(lines: Iterator[Line]) -> Iterator[str]:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["at", "stream", "smtp_account", *(kind.value for kind in Kind)])
    for line in lines:
        facts = [f"{line.at:%Y-%m-%dT%H:%M:%SZ}", line.stream.value, line.smtp_account]
        counts = [line.counts.get(kind, 0) for kind in Kind]
        writer.writerow([neutralise(cell) for cell in (*facts, *counts)])
        if text.tell() > PORTION_CHARS:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _before(until: datetime, length: timedelta) -> datetime:
    try:
        return until - length
    except OverflowError:
        raise bad_query("to", "must lie in the years 1 to 9999 in UTC") from None

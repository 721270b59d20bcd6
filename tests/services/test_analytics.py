"""Analytics: what was counted, over time; from rollups and from what is not folded yet."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from maild import clock
from maild.db import database
from maild.domain import traffic
from maild.domain.states import Stream
from maild.domain.traffic import Kind, Span, Window
from maild.errors import InvalidRequest, NotFound
from maild.models import Message
from maild.services import analytics, rollups
from maild.services.analytics import DAY, EXPORT_STEPS, Pace
from maild.services.health import DEPTH_MAX, QueueDepth
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.counting import add_rollup, add_tally
from tests.services.helpers import ago

pytestmark = pytest.mark.usefixtures("database")

# Minutes are known of the last days only.
AT = (clock.now() - DAY).replace(hour=12, minute=30, second=30, microsecond=0)
LONG_AGO = datetime(2026, 3, 1, 12, 30, 30, tzinfo=UTC)
HOUR = traffic.window(Span.HOUR, AT)
MINUTE = timedelta(minutes=1)


def test_a_workspace_without_mail_has_no_rates_and_no_shares() -> None:
    summary = analytics.summarise(WORKSPACE_A, window=HOUR)
    assert set(summary.totals.values()) == {0}
    assert all(values == [0] * 60 for values in summary.series.values())
    assert summary.success_rate is summary.deferral_rate is None
    assert summary.accounts == []


def test_a_workspace_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        analytics.summarise(999, window=HOUR)
    with pytest.raises(NotFound):
        analytics.meter(999)
    with pytest.raises(NotFound):
        analytics.export(999, since=AT - DAY, until=AT, step=MINUTE)


def test_every_minute_is_in_its_place() -> None:
    add_rollup(AT, 1)
    add_rollup(AT - 59 * MINUTE, 2)
    add_rollup(AT - 60 * MINUTE, 4)  # before
    add_rollup(AT + MINUTE, 8)  # after
    summary = analytics.summarise(WORKSPACE_A, window=HOUR)
    assert summary.series[Kind.SENT] == [2, *[0] * 58, 1]
    assert summary.totals[Kind.SENT] == 3


def test_what_is_folded_and_what_is_not_are_one() -> None:
    add_rollup(AT, 1)
    add_tally(AT, 2, shard=1)
    add_tally(AT, 4, shard=2)
    add_tally(AT - MINUTE, 8)
    summary = analytics.summarise(WORKSPACE_A, window=HOUR)
    assert summary.series[Kind.SENT][-2:] == [8, 7]


@pytest.mark.parametrize("span", list(Span))
def test_folding_changes_nothing_that_is_read(span: Span) -> None:
    now = clock.now()
    for hours in (0, 1, 5, 23, 24, 100, 167, 168):
        add_tally(now - timedelta(hours=hours, minutes=7), hours + 1)
    window = traffic.window(span, now)
    before = analytics.summarise(WORKSPACE_A, window=window)
    rollups.fold()
    assert analytics.summarise(WORKSPACE_A, window=window) == before
    assert before.totals[Kind.SENT]


def test_hours_stand_at_their_steps() -> None:
    add_rollup(AT - 3 * DAY, 5)
    summary = analytics.summarise(WORKSPACE_A, window=traffic.window(Span.WEEK, AT))
    assert summary.series[Kind.SENT][-1 - 72] == 5


def test_what_is_old_is_known_by_the_hour() -> None:
    add_rollup(LONG_AGO, 5)
    rollups.fold()
    begun = LONG_AGO.replace(minute=0, second=0)
    window = Window(begun, begun + 60 * MINUTE, MINUTE)
    assert analytics.summarise(WORKSPACE_A, window=window).series[Kind.SENT] == [5, *[0] * 59]


def test_minutes_and_hours_meet_where_minutes_are_forgotten() -> None:
    """Whatever the steps, and wherever they begin, each message is told once."""
    now = clock.now()
    for hours in range(8 * 24 - 3, 8 * 24 + 4):
        add_rollup(now - timedelta(hours=hours), 1)
    rollups.fold()
    since = traffic.floor(now - 9 * DAY, timedelta(hours=1))
    for step in (MINUTE, 10 * MINUTE, timedelta(hours=1)):
        for minutes in (0, 17):
            window = Window(since, traffic.floor(now, DAY) + minutes * MINUTE, step)
            assert analytics.summarise(WORKSPACE_A, window=window).totals[Kind.SENT] == 7


def test_a_time_that_ends_within_an_hour_has_that_part_of_it() -> None:
    for minutes in (0, 10, 20, 40):
        add_rollup(AT.replace(minute=minutes), 1)
    window = Window(AT.replace(minute=0, second=0) - DAY, AT, timedelta(hours=1))
    assert analytics.summarise(WORKSPACE_A, window=window).series[Kind.SENT][-1] == 3


def test_accounts_have_their_share_of_what_was_sent() -> None:
    add_rollup(AT, 30, smtp_account="ses")
    add_rollup(AT, 10, smtp_account="postmark")
    add_rollup(AT, 10, smtp_account="postmark", stream="marketing", kind="deferred")
    add_rollup(AT, 7, smtp_account="broken", kind="failed")
    add_rollup(AT, 50, smtp_account="", kind="accepted")
    summary = analytics.summarise(WORKSPACE_A, window=HOUR)
    ses, postmark, broken = summary.accounts
    assert [(one.name, one.share) for one in summary.accounts] == [
        ("ses", 0.75),
        ("postmark", 0.25),
        ("broken", 0.0),
    ]
    assert (ses.success_rate, ses.deferral_rate) == (1.0, 0.0)
    assert (postmark.success_rate, postmark.deferral_rate) == (1.0, 0.5)
    assert (broken.success_rate, broken.deferral_rate) == (0.0, 0.0)
    assert summary.totals[Kind.ACCEPTED] == 50
    assert summary.success_rate == 40 / 47
    assert summary.streams[Stream.MARKETING][Kind.DEFERRED] == 10
    assert summary.streams[Stream.TRANSACTIONAL][Kind.SENT] == 40


def test_where_nothing_was_sent_nobody_has_a_share() -> None:
    add_rollup(AT, 7, kind="failed")
    [one] = analytics.summarise(WORKSPACE_A, window=HOUR).accounts
    assert one.share is None


def test_another_workspace_counts_for_itself() -> None:
    add_rollup(AT, 1, workspace=WORKSPACE_B)
    add_tally(AT, 1, workspace=WORKSPACE_B)
    assert analytics.summarise(WORKSPACE_A, window=HOUR).totals[Kind.SENT] == 0
    assert analytics.summarise(WORKSPACE_B, window=HOUR).totals[Kind.SENT] == 2


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [(AT, AT, "to"), (AT, AT - MINUTE, "to"), (AT - 368 * DAY, AT, "from")],
)
def test_a_time_that_is_none_or_too_long_is_refused(
    since: datetime, until: datetime, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        analytics.summarise(WORKSPACE_A, window=Window(since, until, DAY))
    assert [error.field for error in caught.value.errors] == [field]


def test_a_year_is_not_too_long() -> None:
    assert analytics.summarise(WORKSPACE_A, window=traffic.fit(AT - 366 * DAY, AT))


# --- The pace ---------------------------------------------------------------------------------


def test_nothing_sent_lately_is_no_pace() -> None:
    add_tally(ago(minutes=20), 100)
    add_tally(ago(), 100, kind="failed")
    pace = analytics.measure_pace(WORKSPACE_A)
    assert (pace.sent_count, pace.per_second) == (0, 0.0)


def test_the_pace_is_that_of_the_last_minutes() -> None:
    now = clock.now()
    add_rollup(now - 3 * MINUTE, 100)
    add_tally(now - MINUTE, 140)
    pace = analytics.measure_pace(WORKSPACE_A)
    assert pace.sent_count == 240
    # From the beginning of the minute in which the first was sent.
    assert 180 <= pace.over_seconds <= 260
    assert pace.per_second == pace.sent_count / pace.over_seconds


@pytest.mark.parametrize(
    ("due", "pace", "expected"),
    [
        (0, Pace(0, 0.0), 0.0),
        (600, Pace(300, 60.0), 120.0),
        (600, Pace(0, 0.0), None),
        (DEPTH_MAX, Pace(300, 60.0), None),
    ],
)
def test_the_drain_is_told_where_it_is_known(due: int, pace: Pace, expected: float | None) -> None:
    assert analytics.estimate_drain(QueueDepth(due, 5, 5, None), pace) == expected


# --- Metering ---------------------------------------------------------------------------------


def test_each_day_is_metered_in_utc() -> None:
    add_rollup(datetime(2026, 2, 27, 23, 59, tzinfo=UTC), 1)
    add_rollup(datetime(2026, 2, 28, 0, 0, tzinfo=UTC), 2)
    add_rollup(datetime(2026, 2, 28, 23, 0, tzinfo=UTC), 4)
    add_rollup(datetime(2026, 2, 28, 12, 0, tzinfo=UTC), 8, kind="accepted", smtp_account="")
    add_rollup(datetime(2026, 3, 2, 23, 59, tzinfo=UTC), 16)
    add_rollup(datetime(2026, 3, 3, 0, 0, tzinfo=UTC), 32)
    metering = analytics.meter(WORKSPACE_A, first=date(2026, 2, 28), last=date(2026, 3, 2))
    assert [(day, counts[Kind.SENT]) for day, counts in metering.days] == [
        (date(2026, 2, 28), 6),
        (date(2026, 3, 1), 0),
        (date(2026, 3, 2), 16),
    ]
    assert metering.days[0][1][Kind.ACCEPTED] == 8
    assert metering.totals == dict.fromkeys(Kind, 0) | {Kind.SENT: 22, Kind.ACCEPTED: 8}


def test_it_meters_the_month_up_to_today_unless_told() -> None:
    today = clock.now().date()
    metering = analytics.meter(WORKSPACE_A)
    assert (metering.first, metering.last) == (today.replace(day=1), today)
    assert [day for day, _ in metering.days] == [
        metering.first + timedelta(days=n) for n in range(today.day)
    ]
    assert analytics.meter(WORKSPACE_A, last=date(2026, 2, 5)).first == date(2026, 2, 1)
    earlier = today - timedelta(days=40)
    assert len(analytics.meter(WORKSPACE_A, first=earlier).days) == 41


@pytest.mark.parametrize(
    ("days", "field"),
    [
        ({"first": date(2026, 3, 2), "last": date(2026, 3, 1)}, "to"),
        ({"first": date(9999, 12, 31), "last": date(9999, 12, 31)}, "to"),
        ({"first": date(2025, 1, 1), "last": date(2026, 1, 2)}, "from"),
        ({"first": date(1, 1, 1)}, "from"),
    ],
)
def test_days_that_make_no_sense_are_refused(days: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        analytics.meter(WORKSPACE_A, **days)
    assert [error.field for error in caught.value.errors] == [field]


def test_mail_is_metered_as_it_is_accepted_and_sent(sent: Callable[..., Message]) -> None:
    sent()
    sent()
    metering = analytics.meter(WORKSPACE_A)
    assert (metering.totals[Kind.ACCEPTED], metering.totals[Kind.SENT]) == (2, 2)


# --- The file ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("minute", [(12, 29, 1), (12, 30, 2), (13, 5, 4)]),
        ("hour", [(12, 0, 3), (13, 0, 4)]),
        ("day", [(0, 0, 7)]),
    ],
)
def test_a_line_is_about_a_step(step: str, expected: list[tuple[int, int, int]]) -> None:
    add_rollup(AT - MINUTE, 1)
    add_tally(AT, 2)
    add_rollup(AT + 35 * MINUTE, 4)
    lines = analytics.export(
        WORKSPACE_A, since=AT - 2 * MINUTE, until=AT + DAY, step=EXPORT_STEPS[step]
    )
    found = [(line.at.hour, line.at.minute, line.counts[Kind.SENT]) for line in lines]
    assert found == expected


def test_lines_are_by_stream_and_account_and_only_where_something_was() -> None:
    add_rollup(AT, 1)
    add_rollup(AT, 2, kind="failed")
    add_rollup(AT, 4, smtp_account="postmark")
    add_rollup(AT, 8, stream="marketing")
    add_rollup(AT, 16, workspace=WORKSPACE_B)
    lines = list(analytics.export(WORKSPACE_A, since=AT - DAY, until=AT + DAY, step=MINUTE))
    found = [(line.stream.value, line.smtp_account, line.counts) for line in lines]
    assert found == [
        ("marketing", "ses", {Kind.SENT: 8}),
        ("transactional", "postmark", {Kind.SENT: 4}),
        ("transactional", "ses", {Kind.SENT: 1, Kind.FAILED: 2}),
    ]


def test_it_reads_little_by_little_and_holds_no_connection() -> None:
    for days in range(5):
        add_rollup(AT - days * DAY, 1)
    lines = analytics.export(WORKSPACE_A, since=AT - 5 * DAY, until=AT + MINUTE, step=DAY)
    first = next(lines)
    database.execute_sql("DELETE FROM rollups")
    assert first.counts == {Kind.SENT: 1}
    assert list(lines) == []

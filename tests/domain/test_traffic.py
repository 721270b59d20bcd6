"""The arithmetic of traffic: what counts as what, windows, rates, and that nothing has no share."""

from datetime import UTC, datetime, timedelta

import pytest

from maild.domain import traffic
from maild.domain.states import EventType, Status
from maild.domain.traffic import Kind, Span

NOW = datetime(2026, 3, 1, 12, 34, 56, 789, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def test_each_kind_is_a_state_and_some_event_counts_as_it() -> None:
    words = {status.value for status in Status} - {"queued", "sending"} | {"accepted", "deferred"}
    assert {kind.value for kind in Kind} == words
    assert set(traffic.KIND_OF.values()) == set(Kind)


def test_what_tells_of_no_message_counts_as_nothing() -> None:
    assert all(event.value.startswith("message.") for event in traffic.KIND_OF)
    assert EventType.RETRIED not in traffic.KIND_OF


@pytest.mark.parametrize(
    ("span", "since", "until"),
    [
        (Span.HOUR, datetime(2026, 3, 1, 11, 35), datetime(2026, 3, 1, 12, 35)),
        (Span.DAY, datetime(2026, 2, 28, 12, 40), datetime(2026, 3, 1, 12, 40)),
        (Span.WEEK, datetime(2026, 2, 22, 13), datetime(2026, 3, 1, 13)),
    ],
)
def test_a_span_ends_with_the_step_that_is_now(
    span: Span, since: datetime, until: datetime
) -> None:
    window = traffic.window(span, NOW)
    assert (window.since, window.until) == (since.replace(tzinfo=UTC), until.replace(tzinfo=UTC))
    starts = list(window.starts())
    assert len(starts) == window.step_count == span.step_count
    assert starts[0] == window.since
    assert starts[-1] <= NOW < starts[-1] + window.step == window.until


def test_a_span_that_is_asked_for_as_a_step_begins_has_it_as_its_last() -> None:
    window = traffic.window(Span.HOUR, NOW.replace(second=0, microsecond=0))
    assert list(window.starts())[-1] == NOW.replace(second=0, microsecond=0)


@pytest.mark.parametrize(
    ("length", "step"),
    [
        (timedelta(seconds=1), MINUTE),
        (2 * HOUR, MINUTE),
        (200 * MINUTE - timedelta(minutes=1), MINUTE),
        (201 * MINUTE, 10 * MINUTE),
        (DAY, 10 * MINUTE),
        (7 * DAY, HOUR),
        (30 * DAY, DAY),
        (366 * DAY, DAY),
    ],
)
def test_any_other_time_has_steps_that_fit(length: timedelta, step: timedelta) -> None:
    window = traffic.fit(NOW - length, NOW)
    assert window.step == step
    assert NOW - length - step < window.since <= NOW - length
    starts = list(window.starts())
    assert len(starts) == window.step_count
    assert starts[-1] < NOW <= starts[-1] + step


@pytest.mark.parametrize(
    ("counts", "success", "deferral"),
    [
        ({}, None, None),
        ({Kind.ACCEPTED: 5, Kind.SUPPRESSED: 3, Kind.CANCELLED: 1, Kind.HELD: 1}, None, None),
        ({Kind.SENT: 4}, 1.0, 0.0),
        ({Kind.FAILED: 4}, 0.0, 0.0),
        ({Kind.SENT: 6, Kind.FAILED: 1, Kind.EXPIRED: 2, Kind.UNKNOWN: 3}, 0.5, 0.0),
        ({Kind.EXPIRED: 2}, 0.0, None),
        ({Kind.DEFERRED: 3}, None, 1.0),
        ({Kind.SENT: 5, Kind.FAILED: 1, Kind.UNKNOWN: 2, Kind.DEFERRED: 8}, 0.625, 0.5),
        ({Kind.SENT: 1, Kind.BOUNCED: 1, Kind.COMPLAINED: 1, Kind.DELIVERED: 1}, 1.0, 0.0),
    ],
)
def test_rates(counts: dict[Kind, int], success: float | None, deferral: float | None) -> None:
    assert traffic.success_rate(counts) == success
    assert traffic.deferral_rate(counts) == deferral


def test_shares() -> None:
    assert traffic.shares({"a": 3, "b": 1, "c": 0}) == {"a": 0.75, "b": 0.25, "c": 0.0}
    assert traffic.shares({"a": 0, "b": 0}) == {}
    assert traffic.shares({}) == {}


@pytest.mark.parametrize(
    ("due", "sent", "seconds", "expected"),
    [
        (0, 0, 0.0, 0.0),
        (0, 10, 60.0, 0.0),
        (100, 50, 60.0, 120.0),
        (100, 0, 300.0, None),
        (100, 5, 0.0, None),
    ],
)
def test_how_long_a_queue_takes(
    due: int, sent: int, seconds: float, expected: float | None
) -> None:
    assert traffic.drain_seconds(due, sent_count=sent, over_seconds=seconds) == expected

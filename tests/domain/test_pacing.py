"""How fast one worker sends: the bucket, and giving way to throttling."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maild.domain.pacing import (
    BACK_OFF_AGAIN_SECONDS,
    BURST_SECONDS,
    RECOVER_PER_SECOND,
    SLOWEST_PER_SECOND,
    Pace,
)

rates = st.floats(0.01, 5_000)
unhurried = settings(deadline=None)


def send(pace, *, start, seconds, step=0.01):
    """Take whatever may go, every `step`; how many that was."""
    taken = 0
    for number in range(round(seconds / step)):
        now = start + number * step
        while pace.take(now):
            taken += 1
    return taken


def cruise(pace, *, start, seconds, per_second):
    """Send at a steady speed, as far as the pace allows."""
    for number in range(round(seconds * per_second)):
        pace.take(start + number / per_second)


@pytest.mark.parametrize("rate", [0.5, 1, 7, 100])
def test_over_time_it_is_the_rate(rate):
    pace = Pace(rate, now=50.0)
    taken = send(pace, start=50.0, seconds=60)
    assert rate * 60 - 1 <= taken <= rate * 60 + max(1.0, rate * BURST_SECONDS)


def test_without_a_limit_everything_goes():
    pace = Pace(None, now=0.0)
    assert math.isinf(pace.per_second)
    assert all(pace.take(0.0) for _ in range(100_000))
    assert pace.wait_seconds(0.0) == 0.0


def test_what_was_not_used_is_saved_up_to_a_burst_and_no_further():
    pace = Pace(10, now=0.0)
    assert send(pace, start=0.0, seconds=0.01) == 10
    assert send(pace, start=3_600.0, seconds=0.01) == 10


def test_a_slow_pace_lets_one_go_at_once():
    pace = Pace(0.1, now=0.0)
    assert pace.take(0.0)
    assert not pace.take(9.9)
    assert pace.take(10.1)


@unhurried
@given(rates, st.lists(st.floats(0, 30), max_size=200))
def test_it_never_lets_more_go_than_rate_and_burst(rate, pauses):
    now, taken = 1_000.0, 0
    pace = Pace(rate, now=now)
    for pause in pauses:
        now += pause
        for _ in range(50):
            taken += pace.take(now)
        allowed = rate * (now - 1_000.0) + max(1.0, rate * BURST_SECONDS)
        assert taken <= allowed * (1 + 1e-9) + 1e-6


@unhurried
@given(rates, st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=100))
def test_nor_does_it_when_the_provider_throttles_now_and_then(rate, steps):
    now, taken = 1_000.0, 0
    pace = Pace(rate, now=now)
    for pause, is_throttled in steps:
        now += pause
        for _ in range(50):
            taken += pace.take(now)
        if is_throttled:
            pace.throttled(now)
        assert pace.per_second <= rate
        allowed = rate * (now - 1_000.0) + max(1.0, rate * BURST_SECONDS)
        assert taken <= allowed * (1 + 1e-9) + 1e-6


@settings(deadline=None, max_examples=30)
@given(st.floats(0.1, 1_000), st.integers(1, 20))
def test_shares_of_a_rate_make_the_rate(rate, count):
    shares = [Pace(rate / count, now=0.0) for _ in range(count)]
    taken = sum(send(pace, start=0.0, seconds=20, step=0.1) for pace in shares)
    assert taken <= rate * 20 + count * max(1.0, rate / count * BURST_SECONDS)


@unhurried
@given(rates, st.floats(0, 100))
def test_it_says_how_long_to_wait(rate, later):
    pace = Pace(rate, now=0.0)
    while pace.take(later):
        pass
    wait = pace.wait_seconds(later)
    assert 0 < wait <= 1 / rate * 1.000001
    if wait * rate > 1e-6:  # below that it is rounding
        assert not pace.take(later + wait * 0.99)
    assert pace.take(later + wait * 1.000001 + 1e-6)


def test_another_limit_holds_from_now_on():
    pace = Pace(None, now=0.0)
    pace.set_limit(5, now=0.0)
    assert send(pace, start=0.0, seconds=0.01) == 5
    pace.set_limit(50, now=0.0)
    assert send(pace, start=0.0, seconds=0.001, step=0.001) == 0, "a new limit is no new burst"
    assert 49 <= send(pace, start=0.0, seconds=1) <= 50
    pace.set_limit(None, now=1.0)
    assert all(pace.take(1.0) for _ in range(1_000))


def test_setting_the_same_limit_again_and_again_changes_nothing():
    pace, taken = Pace(10, now=0.0), 0
    for number in range(1_000):
        pace.set_limit(10, now=number * 0.01)
        taken += pace.take(number * 0.01)
    assert 108 <= taken <= 110


def test_it_measures_what_went_lately():
    pace = Pace(None, now=0.0)
    assert pace.measured(0.0) == 0.0
    cruise(pace, start=0.0, seconds=3, per_second=40)
    assert pace.measured(3.0) == pytest.approx(40, rel=0.1)
    assert pace.measured(60.0) < 5
    assert pace.measured(120.0) == 0.0


def test_throttling_halves_the_speed_of_the_moment():
    pace = Pace(None, now=0.0)
    cruise(pace, start=0.0, seconds=4, per_second=40)
    assert pace.throttled(4.0)
    assert pace.per_second == pytest.approx(20, rel=0.1)
    assert pace.slowed_to == pace.per_second
    sent = send(pace, start=4.0, seconds=1)
    assert sent <= 42, "a second's burst and a second's work at half the speed"


def test_throttling_counts_from_what_is_allowed_not_from_what_was_saved_up():
    pace = Pace(10, now=0.0)
    while pace.take(0.05):
        pass
    pace.throttled(0.15)
    assert pace.per_second <= 5


def test_complaints_about_what_was_on_its_way_are_one_event():
    pace = Pace(100, now=0.0)
    cruise(pace, start=0.0, seconds=4, per_second=80)
    assert pace.throttled(4.0)
    slowed = pace.slowed_to
    assert not any(pace.throttled(4.0 + n * 0.09) for n in range(1, 11))
    assert pace.slowed_to == slowed
    assert pace.throttled(4.0 + BACK_OFF_AGAIN_SECONDS)
    assert pace.slowed_to < slowed


def test_it_never_comes_to_a_stop():
    pace = Pace(100, now=0.0)
    for number in range(100):
        pace.throttled(number * BACK_OFF_AGAIN_SECONDS)
    assert pace.per_second >= SLOWEST_PER_SECOND
    assert pace.wait_seconds(100.0) <= 1 / SLOWEST_PER_SECOND


def test_it_recovers_step_by_step_up_to_the_limit():
    pace = Pace(100, now=0.0)
    cruise(pace, start=0.0, seconds=4, per_second=80)
    pace.throttled(4.0)
    slowed = pace.per_second
    speeds = []
    for second in range(1, 60):
        pace.available(4.0 + second)
        speeds.append(pace.per_second)
    assert speeds[0] == pytest.approx(slowed * RECOVER_PER_SECOND, rel=0.01)
    assert speeds == sorted(speeds)
    assert speeds[-1] == 100
    assert pace.slowed_to is None


def test_without_a_limit_it_trusts_again_at_twice_the_speed_that_was_too_much():
    pace = Pace(None, now=0.0)
    cruise(pace, start=0.0, seconds=4, per_second=40)
    pace.throttled(4.0)
    seen = []
    for second in range(1, 200):
        pace.available(4.0 + second)
        seen.append(pace.per_second)
    slow = [speed for speed in seen if not math.isinf(speed)]
    assert 40 < max(slow) <= 84
    assert math.isinf(seen[-1])


def test_it_recovers_alike_however_often_it_is_asked():
    seldom, often = Pace(100, now=0.0), Pace(100, now=0.0)
    for pace in (seldom, often):
        cruise(pace, start=0.0, seconds=4, per_second=80)
        pace.throttled(4.0)
    for number in range(1, 1_001):
        often.available(4.0 + number / 100)
    seldom.available(14.0)
    assert often.per_second == pytest.approx(seldom.per_second, rel=0.06)


def test_a_lower_limit_holds_while_it_is_slowed():
    pace = Pace(100, now=0.0)
    cruise(pace, start=0.0, seconds=4, per_second=80)
    pace.throttled(4.0)
    pace.set_limit(3, now=4.0)
    assert pace.per_second == 3

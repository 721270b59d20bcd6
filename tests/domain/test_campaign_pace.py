"""The pace of a campaign."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.campaign_pace import (
    DAY,
    HOUR,
    Pace,
    Used,
    advance,
    begin,
    find_most_waiting,
    find_room,
    from_json,
    to_json,
    use,
)

START = 1_700_000_000.0


def test_without_limits_there_is_room_for_all() -> None:
    assert find_room(Pace(), begin(Pace(), START)).count is None


def test_a_minutes_worth_goes_at_once_and_then_as_it_comes() -> None:
    pace = Pace(per_hour=3_600)
    used = begin(pace, START)
    assert find_room(pace, used).count == 60
    used = use(pace, used, 60)
    assert find_room(pace, used).count == 0
    assert find_room(pace, used).wait_seconds == pytest.approx(5.0)
    assert find_room(pace, advance(pace, used, START + 5)).count == 5


def test_a_slow_pace_has_room_for_one() -> None:
    pace = Pace(per_hour=1)
    used = begin(pace, START)
    assert find_room(pace, used).count == 1
    used = use(pace, used, 1)
    assert find_room(pace, used).wait_seconds == pytest.approx(HOUR)
    assert find_room(pace, advance(pace, used, START + HOUR)).count == 1


def test_what_was_not_used_does_not_gather() -> None:
    pace = Pace(per_hour=600)
    assert find_room(pace, advance(pace, begin(pace, START), START + DAY)).count == 10


def test_a_clock_that_goes_back_gives_nothing() -> None:
    pace = Pace(per_hour=3_600)
    used = use(pace, begin(pace, START), 60)
    assert find_room(pace, advance(pace, used, START - HOUR)).count == 0
    back = advance(pace, advance(pace, used, START - HOUR), START)
    assert find_room(pace, back).count == 0


@given(
    per_hour=st.integers(1, 5_000),
    gaps=st.lists(st.floats(0, 900), min_size=1, max_size=60),
    step=st.integers(1, 500),
)
def test_no_hour_has_more_than_the_limit_and_a_minute_of_it(
    per_hour: int, gaps: list[float], step: int
) -> None:
    pace = Pace(per_hour=per_hour)
    now, used, sent = START, begin(pace, START), []
    for gap in gaps:
        now += gap
        used = from_json(to_json(advance(pace, used, now)))  # as after a restart
        count = min(find_room(pace, used).count or 0, step)
        used = use(pace, used, count)
        sent.append((now, count))
    for at, _ in sent:
        within = sum(count for when, count in sent if at <= when < at + HOUR)
        assert within <= per_hour + max(1, per_hour / 60) + 0.01


def test_a_ramp_counts_by_the_day() -> None:
    pace = Pace(ramp=(10, 20))
    used = begin(pace, START)
    assert find_room(pace, used).count == 10
    used = use(pace, advance(pace, used, START + 50), 10)
    room = find_room(pace, advance(pace, used, START + HOUR))
    assert (room.count, room.wait_seconds) == (0, pytest.approx(DAY - HOUR + 50))
    used = advance(pace, used, START + 50 + DAY)
    assert find_room(pace, used).count == 20
    used = use(pace, used, 5)
    assert find_room(pace, used).count == 15
    used = advance(pace, used, START + 50 + 2 * DAY)
    assert find_room(pace, used).count is None


def test_a_day_without_mail_is_no_day_of_the_ramp() -> None:
    pace = Pace(ramp=(10, 20))
    used = use(pace, begin(pace, START), 10)
    used = advance(pace, used, START + 9 * DAY)
    assert find_room(pace, used).count == 20
    used = advance(pace, used, START + 20 * DAY)
    assert find_room(pace, used).count == 20


def test_both_hold_at_once() -> None:
    pace = Pace(per_hour=60_000, ramp=(10,))
    assert find_room(pace, begin(pace, START)).count == 10
    slow = Pace(per_hour=60, ramp=(1_000,))
    assert find_room(slow, begin(slow, START)).count == 1


def test_it_is_kept_as_json() -> None:
    used = Used(START, 1.5, 2, START - 5, 7)
    assert from_json(to_json(used)) == used


@pytest.mark.parametrize(
    ("pace", "most"),
    [
        (Pace(), None),
        (Pace(per_hour=1), 1),
        (Pace(per_hour=60), 10),
        (Pace(per_hour=36_000), 6_000),
        (Pace(ramp=(500, 5_000)), 100),
        (Pace(ramp=(5_000,)), 500),
        (Pace(per_hour=600, ramp=(50_000,)), 100),
    ],
)
def test_what_may_gather_is_small_beside_the_pace(pace: Pace, most: int | None) -> None:
    assert find_most_waiting(pace, begin(pace, START)) == most


def test_after_the_ramp_only_the_hour_counts() -> None:
    pace = Pace(per_hour=6_000, ramp=(5_000,))
    assert find_most_waiting(pace, Used(at=START, day=1)) == 1_000

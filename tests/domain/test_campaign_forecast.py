"""How long a campaign takes at its pace."""

from datetime import timedelta

import pytest

from maild.domain import campaign_forecast


@pytest.mark.parametrize(
    ("count", "per_hour", "ramp", "hours"),
    [
        (0, 500, None, 0),
        (8_500, 500, None, 17),
        (100, None, None, 0),
        (100, None, [100, 200], 0),
        (101, None, [100, 200], 24),
        (300, None, [100, 200], 24),
        (301, None, [100, 200], 48),
        (1_000, 10, [100, 200], 48 + 70),
        (10, 10, [1_000], 1),
        (500, 10, [1_000], 24 + 26),
        (24 * 10, 10, [1_000], 24),
    ],
)
def test_how_long_it_takes(count, per_hour, ramp, hours):
    found = campaign_forecast.how_long(count, per_hour=per_hour, ramp=ramp)
    assert found == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("count", "per_hour", "hours"), [(0, 500, 0), (100, None, 4), (1_000, 500, 6)]
)
def test_the_wait_for_a_test_comes_on_top(count, per_hour, hours):
    found = campaign_forecast.how_long(
        count, per_hour=per_hour, ramp=None, test_wait=timedelta(hours=4)
    )
    assert found == timedelta(hours=hours)


def test_nobody_waits_for_years():
    assert campaign_forecast.how_long(1_000_000_000, per_hour=1, ramp=None) is None
    assert campaign_forecast.how_long(1_000_000_000, per_hour=None, ramp=[1] * 90) is not None


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(seconds=10), "about a minute"),
        (timedelta(minutes=30), "about 30 minutes"),
        (timedelta(hours=17), "about 17 hours"),
        (timedelta(hours=48), "about 48 hours"),
        (timedelta(days=9), "about 9 days"),
        (None, "more than ten years"),
    ],
)
def test_it_is_told_in_words(time, words):
    assert campaign_forecast.in_words(time) == words

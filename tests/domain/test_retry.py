"""The ladder of waits."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.retry import (
    EXCUSED_FIRST_SECONDS,
    EXCUSED_LAST_SECONDS,
    JITTER,
    delay_seconds,
    excused_delay_seconds,
)

LADDER = (60, 300, 900, 3600)
ladders = st.lists(st.integers(1, 30 * 86_400), min_size=1, max_size=12)


def exact(low, high):
    """No jitter: the middle of the range."""
    return (low + high) / 2


@pytest.mark.proves("deliver-ladder")
@pytest.mark.parametrize(
    ("attempt_no", "seconds"), [(1, 60), (2, 300), (4, 3600), (5, 3600), (99, 3600)]
)
def test_it_climbs_the_ladder_and_stays_on_top(attempt_no, seconds):
    assert delay_seconds(attempt_no, LADDER, jitter=exact) == pytest.approx(seconds)


@given(st.integers(1, 1000), ladders, st.randoms(use_true_random=False))
def test_it_stays_within_the_jitter_of_its_rung(attempt_no, ladder, rng):
    wait = ladder[min(attempt_no, len(ladder)) - 1]
    seconds = delay_seconds(attempt_no, ladder, jitter=rng.uniform)
    assert wait * (1 - JITTER) * 0.999 <= seconds <= wait * (1 + JITTER) * 1.001
    assert seconds > 0


def test_it_spreads_a_backlog():
    rng = random.Random(7)
    assert len({delay_seconds(1, LADDER, jitter=rng.uniform) for _ in range(100)}) == 100


@pytest.mark.parametrize("attempt_no", [0, -1])
def test_attempts_are_counted_from_one(attempt_no):
    with pytest.raises(ValueError, match="counted from 1"):
        delay_seconds(attempt_no, LADDER, jitter=exact)


def test_an_excused_wait_doubles_up_to_the_longest():
    waits = [excused_delay_seconds(n, jitter=exact) for n in range(1, 12)]
    assert waits[0] == pytest.approx(EXCUSED_FIRST_SECONDS)
    for before, after in pairwise(waits):
        assert after == pytest.approx(min(before * 2, EXCUSED_LAST_SECONDS))
    assert excused_delay_seconds(10**6, jitter=exact) == pytest.approx(EXCUSED_LAST_SECONDS)


@given(st.integers(0, 30_000), st.randoms(use_true_random=False))
def test_an_excused_wait_is_short_and_never_nothing(excused_count, rng):
    seconds = excused_delay_seconds(excused_count, jitter=rng.uniform)
    low, high = EXCUSED_FIRST_SECONDS * (1 - JITTER), EXCUSED_LAST_SECONDS * (1 + JITTER)
    assert low * 0.999 <= seconds <= high * 1.001


def test_it_spreads_what_a_broken_provider_gives_back():
    rng = random.Random(7)
    assert len({excused_delay_seconds(1, jitter=rng.uniform) for _ in range(100)}) == 100

"""When a breaker opens, and how long it stays so."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.breaker import (
    CANARY_MESSAGES,
    FIRST_WAIT_SECONDS,
    LAST_WAIT_SECONDS,
    should_open,
    wait_seconds,
)


@pytest.mark.parametrize(
    ("tries", "faults", "opens"),
    [
        (5, 5, True),
        (10, 5, True),
        (11, 5, False),  # less than half
        (4, 4, False),  # too few to tell
        (1_000, 499, False),
        (1_000, 500, True),
        (0, 0, False),
        (5, 0, False),
    ],
)
def test_it_opens_on_enough_faults_and_a_large_share(tries, faults, opens):
    is_open = should_open(try_count=tries, fault_count=faults, min_faults=5, fault_percent=50)
    assert is_open is opens


@given(st.integers(0, 1_000), st.integers(0, 1_000), st.integers(1, 50), st.integers(1, 100))
def test_a_fault_more_never_closes_it(tries, faults, min_faults, percent):
    rules = {"min_faults": min_faults, "fault_percent": percent}
    if should_open(try_count=tries, fault_count=faults, **rules):
        assert should_open(try_count=tries + 1, fault_count=faults + 1, **rules)


def test_each_opening_in_a_row_is_twice_as_long_up_to_the_last():
    waits = [wait_seconds(n) for n in range(1, 12)]
    assert waits[0] == FIRST_WAIT_SECONDS
    for before, after in pairwise(waits):
        assert after == min(before * 2, LAST_WAIT_SECONDS)
    assert waits[-1] == wait_seconds(10**9) == LAST_WAIT_SECONDS


@pytest.mark.parametrize("open_count", [0, -1])
def test_openings_are_counted_from_one(open_count):
    with pytest.raises(ValueError, match="counted from 1"):
        wait_seconds(open_count)


def test_one_message_is_not_enough_to_trust_again():
    assert CANARY_MESSAGES > 1

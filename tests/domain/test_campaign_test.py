"""Tests of subjects: who is in one, and which subject is better."""

from collections import Counter

import pytest

from maild.domain.campaign import Variant
from maild.domain.campaign_test import Tally, assign, choose


def test_it_is_always_the_same() -> None:
    assert [assign(7, n, percent=20) for n in range(100)] == [
        assign(7, n, percent=20) for n in range(100)
    ]


def test_a_share_of_them_is_in_it_half_with_each() -> None:
    found = Counter(assign(1, n, percent=20) for n in range(20_000))
    assert 3_800 < found[Variant.A] + found[Variant.B] < 4_200
    assert abs(found[Variant.A] - found[Variant.B]) < 250


def test_everybody_is_in_it_at_100_percent() -> None:
    assert None not in {assign(1, n, percent=100) for n in range(1_000)}


def test_other_contacts_are_in_it_each_time() -> None:
    first, second = ({n for n in range(1_000) if assign(c, n, percent=20)} for c in (1, 2))
    assert len(first & second) < 80


@pytest.mark.parametrize(
    ("a", "b", "winner"),
    [
        ((100, 20), (100, 21), Variant.B),
        ((100, 21), (100, 20), Variant.A),
        ((100, 20), (100, 20), Variant.A),
        ((200, 20), (100, 11), Variant.B),
        ((200, 20), (100, 10), Variant.A),
        ((0, 0), (0, 0), Variant.A),
        ((0, 0), (10, 0), Variant.A),
        ((0, 0), (10, 1), Variant.B),
        ((10, 1), (0, 0), Variant.A),
        ((10, 0), (0, 0), Variant.A),
    ],
)
def test_the_better_one_wins(a: tuple[int, int], b: tuple[int, int], winner: Variant) -> None:
    assert choose(Tally(*a), Tally(*b)) is winner

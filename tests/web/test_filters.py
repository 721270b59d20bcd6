"""Times, sizes and durations as people read them."""

import datetime as dt

import pytest

from maild.web import filters

NOW = dt.datetime(2025, 11, 22, 18, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (1, "just now"),
        (-1.9, "just now"),
        (2, "2 s ago"),
        (59.9, "59 s ago"),
        (60, "1 m ago"),
        (3599, "59 m ago"),
        (7200, "2 h ago"),
        (86_400 * 3, "3 d ago"),
        (86_400 * 31, "2025-10-22"),
        (-5, "in 5 s"),
        (-250, "in 4 m"),
        (-86_400 * 40, "2026-01-01"),
    ],
)
def test_it_writes_relative_times(seconds, words):
    assert filters.relative(NOW - dt.timedelta(seconds=seconds), now=NOW) == words


def test_it_writes_exact_times_in_utc():
    at = dt.datetime(2025, 11, 22, 19, 0, 1, 234_567, dt.timezone(dt.timedelta(hours=1)))
    assert filters.exact(at) == "2025-11-22 18:00:01.234 UTC"
    assert 'title="2025-11-22 18:00:01.234 UTC"' in filters.ago(at)


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (999, "999 B"), (4700, "4.7 kB"), (1_200_000, "1.2 MB")]
)
def test_it_writes_sizes(count, words):
    assert filters.size(count) == words


@pytest.mark.parametrize(
    ("ms", "words"), [(0.4, "0.4 ms"), (12.6, "13 ms"), (999, "999 ms"), (1234, "1.2 s")]
)
def test_it_writes_short_durations(ms, words):
    assert filters.milliseconds(ms) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (9, "9 s"),
        (60, "1 m"),
        (250, "4 m 10 s"),
        (7500, "2 h 5 m"),
        (90_061, "1 d 1 h"),
    ],
)
def test_it_writes_long_durations(seconds, words):
    assert filters.span(seconds) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0 %"),
        (0.0004, "under 0.1 %"),
        (0.001, "0.1 %"),
        (0.5, "50.0 %"),
        (0.98249, "98.2 %"),
        (0.999, "99.9 %"),
        (0.99999, "over 99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share, words):
    assert filters.percent(share) == words

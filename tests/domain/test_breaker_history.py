"""How an account stood over a time, told from events."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.breaker import State
from maild.domain.breaker_history import SLOWED_SECONDS, Mode, bands
from maild.domain.states import EventType

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = START + timedelta(minutes=60)

OPENED, TRIED, CLOSED = (
    EventType.BREAKER_OPENED,
    EventType.BREAKER_HALF_OPENED,
    EventType.BREAKER_CLOSED,
)


def at(minute):
    return START + timedelta(minutes=minute)


def told(*changes, state=State.CLOSED, is_paused=False):
    """(mode, first minute, last minute) of each band."""
    found = bands(
        [(at(minute), kind) for minute, kind in changes],
        since=START,
        until=END,
        state=state,
        is_paused=is_paused,
    )
    minutes = [(b.since - START, b.until - START) for b in found]
    return [
        (band.mode, since / timedelta(minutes=1), until / timedelta(minutes=1))
        for band, (since, until) in zip(found, minutes, strict=True)
    ]


@pytest.mark.parametrize("state", State)
def test_what_nothing_has_changed_was_so_all_the_time(state):
    assert told(state=state) == [(Mode(state.value), 0, 60)]


def test_a_breaker_opens_is_tried_and_closes():
    assert told((10, OPENED), (20, TRIED), (25, CLOSED)) == [
        (Mode.CLOSED, 0, 10),
        (Mode.OPEN, 10, 20),
        (Mode.HALF_OPEN, 20, 25),
        (Mode.CLOSED, 25, 60),
    ]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (OPENED, Mode.CLOSED, Mode.OPEN),
        (TRIED, Mode.OPEN, Mode.HALF_OPEN),
        (CLOSED, Mode.HALF_OPEN, Mode.CLOSED),
    ],
)
def test_the_first_event_tells_how_it_stood_before(kind, before, after):
    assert told((30, kind)) == [(before, 0, 30), (after, 30, 60)]


def test_a_pause_is_told_before_the_breaker():
    assert told((10, OPENED), (20, EventType.PAUSED), (40, EventType.RESUMED), (50, CLOSED)) == [
        (Mode.CLOSED, 0, 10),
        (Mode.OPEN, 10, 20),
        (Mode.PAUSED, 20, 40),
        (Mode.OPEN, 40, 50),
        (Mode.CLOSED, 50, 60),
    ]


def test_a_pause_that_goes_on_and_one_that_began_before():
    assert told((30, EventType.PAUSED)) == [(Mode.CLOSED, 0, 30), (Mode.PAUSED, 30, 60)]
    assert told((30, EventType.RESUMED)) == [(Mode.PAUSED, 0, 30), (Mode.CLOSED, 30, 60)]
    assert told(is_paused=True) == [(Mode.PAUSED, 0, 60)]


def test_throttling_stands_for_a_minute_each_time_it_is_told():
    assert SLOWED_SECONDS == 60
    assert told((10, EventType.SLOWED), (11, EventType.SLOWED), (30, EventType.SLOWED)) == [
        (Mode.CLOSED, 0, 10),
        (Mode.SLOWED, 10, 12),
        (Mode.CLOSED, 12, 30),
        (Mode.SLOWED, 30, 31),
        (Mode.CLOSED, 31, 60),
    ]


def test_throttling_ends_where_the_breaker_opens():
    assert told((10, EventType.SLOWED), (10.5, OPENED)) == [
        (Mode.CLOSED, 0, 10),
        (Mode.SLOWED, 10, 10.5),
        (Mode.OPEN, 10.5, 60),
    ]


def test_what_says_nothing_of_it_changes_nothing():
    kinds = (EventType.FAILED_OVER, EventType.SILENT, EventType.REPORTING, "provider.of_later")
    assert told(*((10 + n, kind) for n, kind in enumerate(kinds))) == [(Mode.CLOSED, 0, 60)]


def test_there_is_never_a_gap_nor_an_overlap():
    kinds = [OPENED, TRIED, EventType.SLOWED, CLOSED, EventType.PAUSED, EventType.RESUMED]
    changes = [(minute, kinds[minute * 7 % len(kinds)]) for minute in range(-5, 66)]
    found = told(*changes)
    assert found[0][1] == 0
    assert found[-1][2] == 60
    for (mode, _, until), (next_mode, since, _) in itertools.pairwise(found):
        assert until == since
        assert mode is not next_mode

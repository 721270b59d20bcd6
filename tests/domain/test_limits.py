"""Hourly limits: no hour has more than the limit, and nobody waits longer than they must."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maild.domain.limits import SLOT_SECONDS, WINDOW_SLOTS, WORKSPACE, Ledger, Usage, slot_of

HOUR = 3_600.0
START = 1_700_000_000.0
FAR = START + 1_000 * HOUR

unhurried = settings(deadline=None, max_examples=150)
times = st.lists(st.floats(0, 4 * HOUR).map(lambda seconds: START + seconds), max_size=40)
limits = st.integers(1, 6)


def most_in_an_hour(sent):
    """Over all windows of 3,600 seconds; the fullest one begins with a message."""
    return max((sum(1 for at in sent if first <= at < first + HOUR) for first in sent), default=0)


def fits(sent, slot, limit):
    """Whether one more in this slot leaves all windows within the limit, by looking at them all."""
    slots = [*map(slot_of, sent), slot]
    return all(
        sum(1 for s in slots if end - WINDOW_SLOTS <= s <= end) <= limit
        for end in range(slot, slot + WINDOW_SLOTS + 1)
    )


def place(ledger, at, *, limit, until=FAR, waits=True):
    """Count a message; returns when, None where it was not counted."""
    return ledger.place([("it", WORKSPACE, limit)], at, until=until, waits=waits)[0]


def count(ledger, at):
    """Count a message at this very moment, whatever else is counted there."""
    assert place(ledger, at, limit=1_000_000) == at


def find(ledger, at, *, limit, scope=WORKSPACE, until=FAR):
    return ledger.find_place([("it", scope, limit)], at, until=until)


@unhurried
@given(times, limits)
def test_no_hour_has_more_than_the_limit(times, limit):
    ledger = Ledger()
    sent = [place(ledger, at, limit=limit) for at in times]
    assert most_in_an_hour(sent) <= limit


@unhurried
@given(st.lists(st.tuples(st.floats(0, 4 * HOUR), st.booleans()), max_size=40), limits)
def test_it_holds_when_some_are_refused_and_others_wait(messages, limit):
    ledger, sent = Ledger(), []
    for seconds, waits in messages:
        at = START + seconds
        found = place(ledger, at, limit=limit, waits=waits)
        if found is not None:
            assert found == at or waits
            sent.append(found)
    assert most_in_an_hour(sent) <= limit


@unhurried
@given(times, limits)
def test_the_place_is_the_earliest_slot_that_has_room(times, limit):
    ledger, sent = Ledger(), []
    for at in times:
        found = place(ledger, at, limit=limit)
        slot = slot_of(at)
        if fits(sent, slot, limit):
            assert found == at
        else:
            while not fits(sent, slot, limit):
                slot += 1
            assert found == slot * SLOT_SECONDS
        sent.append(found)


@unhurried
@given(times, limits, st.floats(0, 3 * HOUR))
def test_it_never_goes_before_its_time_nor_after_its_end(times, limit, patience):
    ledger = Ledger()
    for at in times:
        found = place(ledger, at, limit=limit, until=at + patience)
        assert found is None or found == at or at < found < at + patience


@unhurried
@given(times, limits, st.floats(0, 3 * HOUR))
def test_there_is_none_only_where_every_slot_until_the_end_is_full(times, limit, patience):
    ledger, sent = Ledger(), []
    for at in times:
        found = place(ledger, at, limit=limit, until=at + patience)
        if found is None:
            slots = range(slot_of(at), slot_of(at + patience) + 1)
            free = [slot for slot in slots if fits(sent, slot, limit)]
            assert all(slot * SLOT_SECONDS >= at + patience for slot in free)
        else:
            sent.append(found)


@unhurried
@given(times, st.randoms(use_true_random=False))
def test_what_was_placed_counts_the_same_in_any_order(times, chance):
    shuffled = chance.sample(times, len(times))
    one, other = Ledger(), Ledger()
    for first, second in zip(times, shuffled, strict=True):
        count(one, first)
        count(other, second)
    for at in times:
        assert one.usage(WORKSPACE, at, limit=9) == other.usage(WORKSPACE, at, limit=9)
        for limit in (1, 3, 8):
            found = find(one, at, limit=limit)
            assert found == find(other, at, limit=limit)


@unhurried
@given(times, times, limits)
def test_what_is_written_down_counts_as_what_was_placed(before, after, limit):
    placed = Ledger()
    counts = {}
    for at in before:
        count(placed, at)
        counts[slot_of(at)] = counts.get(slot_of(at), 0) + 1
    read = Ledger((WORKSPACE, slot, count) for slot, count in counts.items())
    assert [place(placed, at, limit=limit) for at in after] == [
        place(read, at, limit=limit) for at in after
    ]


def test_what_it_remembers_changes_no_answer():
    """Questions under changing limits, between messages near and far, against a ledger that was
    asked nothing before.
    """
    chance = random.Random(20)
    ledger, sent = Ledger(), []
    for _ in range(2_000):
        at = START + chance.choice((chance.uniform(0, HOUR), chance.uniform(0, 48 * HOUR)))
        limit = chance.choice((3, 3, 3, 20, 60))
        fresh = Ledger()
        for one in sent:
            count(fresh, one)
        found = find(ledger, at, limit=limit)
        assert found == find(fresh, at, limit=limit)
        if chance.random() < 0.2:
            count(ledger, found)
            sent.append(found)
        elif sent and chance.random() < 0.1:
            ledger.give_back(WORKSPACE, sent.pop(chance.randrange(len(sent))))


def test_what_is_given_back_has_room_again():
    ledger = Ledger([(WORKSPACE, slot_of(START), 1)])
    assert place(ledger, START, limit=2) == START
    assert place(ledger, START, limit=2) != START
    ledger.give_back(WORKSPACE, START)
    assert ledger.usage(WORKSPACE, START, limit=2).used == 1
    assert place(ledger, START, limit=2) == START


def test_a_message_for_later_leaves_room_for_itself():
    """It is counted at its own time: what comes before it must not fill its hour."""
    ledger = Ledger()
    count(ledger, START + HOUR / 2)
    assert place(ledger, START, limit=2) == START
    assert place(ledger, START, limit=2) > START + HOUR


def test_scopes_do_not_count_in_each_other():
    ledger = Ledger([("example.org", slot_of(START), 5)])
    assert find(ledger, START, limit=5, scope="example.org") > START
    assert find(ledger, START, limit=5, scope="example.net") == START
    assert ledger.usage(WORKSPACE, START, limit=5).used == 0


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_never_has_room(limit):
    assert find(Ledger(), START, limit=limit) is None
    assert place(Ledger(), START, limit=limit) is None


def test_there_is_no_place_after_the_end():
    assert find(Ledger(), START, limit=1, until=START) is None


SLOT = START // SLOT_SECONDS * SLOT_SECONDS


@pytest.mark.parametrize(
    ("taken", "at", "used", "reset_seconds"),
    [
        ([], SLOT, 0, 13 * 300),
        ([SLOT], SLOT + 10, 1, 13 * 300 - 10),
        ([SLOT, SLOT + 299, SLOT + 300], SLOT + 300, 3, 12 * 300),
        ([SLOT], SLOT + 12 * 300, 1, 300),
        ([SLOT], SLOT + 12 * 300 + 299, 1, 1),
        ([SLOT], SLOT + 13 * 300, 0, 13 * 300),
        ([SLOT + 600], SLOT, 0, 13 * 300),
    ],
)
def test_usage_tells_what_is_counted_and_until_when(taken, at, used, reset_seconds):
    ledger = Ledger()
    for one in taken:
        count(ledger, one)
    assert ledger.usage(WORKSPACE, at, limit=9) == Usage(9, used, reset_seconds)


@pytest.mark.parametrize(("used", "remaining"), [(0, 4), (3, 1), (4, 0), (7, 0)])
def test_what_remains_is_never_less_than_nothing(used, remaining):
    assert Usage(limit=4, used=used, reset_seconds=1).remaining == remaining


def test_the_window_is_longer_than_an_hour_by_one_slot_at_most():
    """On the safe side: the place comes back 60 to 65 minutes after it was taken."""
    for second in range(0, SLOT_SECONDS, 7):
        ledger = Ledger()
        place(ledger, SLOT + second, limit=1)
        assert HOUR <= place(ledger, SLOT + second, limit=1) - (SLOT + second) <= HOUR + 300


def test_there_is_room_where_all_of_it_fits_whenever_it_is_due():
    ledger = Ledger([(WORKSPACE, slot_of(START), 3), ("example.org", slot_of(FAR), 9)])
    assert ledger.is_roomy(WORKSPACE, limit=5, room=2)
    assert not ledger.is_roomy(WORKSPACE, limit=5, room=3)
    assert not ledger.is_roomy("example.org", limit=10, room=2)


def test_a_moment_at_the_end_is_none_before_it():
    ledger = Ledger([(WORKSPACE, slot_of(START), 1)])
    free_at = float((slot_of(START) + WINDOW_SLOTS + 1) * SLOT_SECONDS)
    assert find(ledger, START, limit=1, until=free_at + 1) == free_at
    assert find(ledger, START, limit=1, until=free_at) is None


def test_what_comes_after_a_moment_is_not_used_by_then():
    at = float(slot_of(START) * SLOT_SECONDS)
    ledger = Ledger([(WORKSPACE, slot_of(START), 2), (WORKSPACE, slot_of(START) + 1, 5)])
    assert ledger.usage(WORKSPACE, at, limit=9).used == 2

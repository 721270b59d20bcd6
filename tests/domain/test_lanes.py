"""Whose turn it is."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maild.domain.lanes import SLICE, TRANSACTIONAL_RUN, Lane, Rotation
from maild.domain.states import PRIORITY, Stream

URGENT = [Lane(PRIORITY[Stream.TRANSACTIONAL], n) for n in range(1, 100)]
PATIENT = [Lane(PRIORITY[Stream.MARKETING], n) for n in range(1, 100)]


class Queue:
    """Lanes with so many messages each, served as the engine does."""

    def __init__(self, waiting: dict[Lane, int]) -> None:
        self.waiting = Counter(waiting)
        self.rotation = Rotation()

    def serve(self) -> tuple[Lane, int]:
        """The next slice: whose it is, and how many messages."""
        lanes = [lane for lane, count in self.waiting.items() if count]
        lane = self.rotation.pick(lanes)
        assert lane is not None
        count = min(SLICE, self.waiting[lane])
        self.waiting[lane] -= count
        self.rotation.served(lane)
        return lane, count

    def sent_before(self, lane: Lane) -> int:
        """How many messages of others go before the first one of this lane."""
        ahead = 0
        while (served := self.serve())[0] != lane:
            ahead += served[1]
        return ahead


def test_a_lane_tells_its_stream():
    assert URGENT[0].stream is Stream.TRANSACTIONAL
    assert PATIENT[0].stream is Stream.MARKETING


def test_without_work_it_is_nobodys_turn():
    assert Rotation().pick([]) is None


@pytest.mark.parametrize("lanes", [URGENT, PATIENT], ids=["transactional", "marketing"])
@pytest.mark.parametrize("large", [0, 1], ids=["first", "last"])
def test_a_backlog_of_200_000_delays_anothers_message_by_a_slice_at_most(lanes, large):
    queue = Queue({lanes[large]: 200_000, lanes[1 - large]: 1})
    assert queue.sent_before(lanes[1 - large]) <= SLICE


@settings(deadline=None)
@given(st.integers(0, 1_999), st.booleans())
def test_nor_does_it_when_the_message_comes_in_the_middle(slices_before, is_first):
    large, small = URGENT[is_first], URGENT[not is_first]
    queue = Queue({large: 200_000})
    for _ in range(slices_before):
        queue.serve()
    queue.waiting[small] = 1
    assert queue.sent_before(small) <= SLICE


def test_many_large_lanes_delay_a_message_by_a_slice_of_each_at_most():
    queue = Queue(dict.fromkeys(URGENT[:20], 10_000))
    for _ in range(107):
        queue.serve()
    queue.waiting[URGENT[50]] = 1
    assert queue.sent_before(URGENT[50]) <= 20 * SLICE


def test_lanes_with_a_backlog_get_the_same():
    queue = Queue(dict.fromkeys(URGENT[:7], 100_000))
    turns = Counter(queue.serve()[0] for _ in range(7 * 50))
    assert set(turns.values()) == {50}


@pytest.mark.parametrize("count", [2, 3, 7])
def test_campaigns_get_the_same_while_transactional_mail_runs(count):
    """What transactional lanes are served moves no campaign before another."""
    queue = Queue(dict.fromkeys([URGENT[0], *PATIENT[:count]], 1_000_000))
    turns = Counter(queue.serve()[0] for _ in range(count * 20 * (TRANSACTIONAL_RUN + 1)))
    assert [turns[lane] for lane in PATIENT[:count]] == [20] * count


@pytest.mark.parametrize("count", [7, 11])
def test_transactional_lanes_get_the_same_while_campaigns_run(count):
    queue = Queue(dict.fromkeys([PATIENT[0], *URGENT[:count]], 1_000_000))
    turns = Counter(queue.serve()[0] for _ in range(count * 5 * (TRANSACTIONAL_RUN + 1)))
    assert [turns[lane] for lane in URGENT[:count]] == [5 * TRANSACTIONAL_RUN] * count


def test_transactional_mail_goes_before_marketing():
    queue = Queue({PATIENT[0]: 200_000, URGENT[5]: 1})
    assert queue.serve() == (URGENT[5], 1)


def test_marketing_gets_a_slice_after_a_few_of_transactional_mail():
    queue = Queue({URGENT[0]: 200_000, URGENT[1]: 200_000, PATIENT[0]: 200_000})
    served = [queue.serve()[0].stream for _ in range(10 * (TRANSACTIONAL_RUN + 1))]
    one_round = [Stream.TRANSACTIONAL] * TRANSACTIONAL_RUN + [Stream.MARKETING]
    assert served == one_round * 10


def test_all_capacity_goes_to_whoever_is_there():
    queue = Queue({PATIENT[0]: 1_000})
    assert [queue.serve() for _ in range(10)] == [(PATIENT[0], SLICE)] * 10


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(URGENT[:8] + PATIENT[:8]), st.integers(1, 3_000), min_size=1)
)
def test_everything_is_served_in_the_end(waiting):
    queue = Queue(waiting)
    served = Counter()
    while any(queue.waiting.values()):
        lane, count = queue.serve()
        served[lane] += count
    assert served == Counter(waiting)


def rounds_without_a_turn(arrivals, *, lanes, capacity, rounds):
    """The longest that a lane with work waited, in rounds of `capacity` turns; a round lists the
    lanes anew, as the engine does.
    """
    rotation, waiting = Rotation(), Counter()
    waited, longest = Counter(), Counter()
    for number in range(rounds):
        for lane in arrivals(number):
            waiting[lane] += 1
        open_lanes = {lane for lane in lanes if waiting[lane]}
        for _ in range(min(capacity, len(open_lanes))):
            lane = rotation.pick(open_lanes)
            assert lane is not None
            open_lanes.discard(lane)
            waiting[lane] -= min(SLICE, waiting[lane])
            waited[lane] = 0
            rotation.served(lane)
        for lane in open_lanes:
            waited[lane] += 1
            longest[lane] = max(longest[lane], waited[lane])
    return max(longest.values(), default=0)


def test_lanes_that_come_and_go_do_not_starve_those_that_wait():
    """Fifty lanes get a message every fifth round, twice what the workers can take: everyone waits
    for longer, but in turn.
    """
    lanes = URGENT[:50]
    longest = rounds_without_a_turn(
        lambda number: [lane for lane in lanes if (number + lane.workspace_id) % 5 == 0],
        lanes=lanes,
        capacity=5,
        rounds=500,
    )
    assert longest <= len(lanes) / 5 + 1


def test_a_stream_of_single_messages_does_not_starve_a_backlog():
    """Each of the others has one message now and then, and together they fill the line."""
    backlog, others = URGENT[98], URGENT[:98]
    queue = Queue({backlog: 200_000})
    queue.serve()
    turns = []
    for number in range(1_000):
        queue.waiting[others[number % len(others)]] = 1
        if queue.serve()[0] == backlog:
            turns.append(number)
    gaps = [after - before for before, after in zip([0, *turns], [*turns, 1_000], strict=True)]
    assert max(gaps) <= 2 * len(URGENT)

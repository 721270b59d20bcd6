"""A path: how much it takes on, what it lets go, when it dials and when it gives way."""

import dataclasses
from collections import Counter
from typing import cast

import pytest

from maild.domain.lanes import SLICE, Lane, Rotation
from maild.domain.pacing import Pace
from maild.domain.states import PRIORITY, Stream
from maild.services import paths
from maild.services.claims import Content
from maild.services.paths import BUFFER_MAX, CHECK_SECONDS, DIALS_AT_ONCE, Parcel, Path
from maild.services.providers import Account
from maild.transports.smtp import Connection
from tests.services.helpers import CLAIM

NOW = 100.0
URGENT, PATIENT = Stream.TRANSACTIONAL, Stream.MARKETING


def make(
    *, connections: int = 4, open_count: int | None = None, per_second: float | None = None
) -> Path:
    """A path with room for so many connections, all of them open unless said otherwise."""
    account = Account(1, "postal", 1, connections, per_second, "1")
    path = Path(account, Pace(per_second, now=NOW), connection_limit=connections)
    for _ in range(connections if open_count is None else open_count):
        path.connections[cast(Connection, object())] = "1"
    return path


def parcel(stream: Stream = URGENT, *, checked_at: float = NOW, subject: str = "") -> Parcel:
    claim = dataclasses.replace(CLAIM, stream=stream, subject=subject)
    return Parcel(claim, Content(None, None, [], "Hello", None, 0), [], checked_at)


def taken(path: Path, count: int, *, now: float = NOW) -> list[str]:
    """The subjects of the next messages."""
    found = [path.take(now) for _ in range(count)]
    return [p.claim.subject for p in found if p is not None]


def test_nothing_is_claimed_before_a_connection_stands() -> None:
    path = make(open_count=0)
    assert path.room(NOW) == 0
    assert not path.is_low(NOW)
    path.connections[cast(Connection, object())] = "1"
    assert path.room(NOW) > 0
    assert path.is_low(NOW)


def test_it_takes_on_what_its_connections_can_hold_in_hand() -> None:
    path = make(connections=4)
    assert path.room(NOW) == 8
    for _ in range(5):
        path.put(parcel())
    assert path.room(NOW) == 3
    assert not path.is_low(NOW)
    for _ in range(10):
        path.put(parcel())
    assert path.room(NOW) == 0


def test_a_fast_path_takes_on_more_and_never_too_much() -> None:
    path = make(connections=4)
    now = NOW
    for _ in range(4_000):
        path.put(parcel(checked_at=now))
        assert path.take(now) is not None
        now += 1 / 400
    assert path.room(now) == pytest.approx(400 * paths.BUFFER_SECONDS, rel=0.2)
    assert make(connections=1_000).room(NOW) == BUFFER_MAX


def test_a_slow_pace_takes_on_no_more_than_may_go() -> None:
    path = make(connections=10, per_second=3)
    assert path.room(NOW) == 3
    for _ in range(3):
        path.put(parcel())
    assert len(taken(path, 3)) == 3
    assert path.room(NOW) == 1, "one is kept ready for the next token"
    path.put(parcel())
    assert path.take(NOW) is None
    assert path.take(NOW + 0.39) is not None


def test_a_canary_takes_on_one_at_a_time() -> None:
    path = make()
    path.is_canary = True
    assert path.room(NOW) == 1
    path.put(parcel())
    assert path.room(NOW) == 0
    assert path.take(NOW) is not None
    assert path.room(NOW) == 0, "until its outcome is in"
    path.begun -= 1
    assert path.room(NOW) == 1


def test_transactional_mail_goes_first_and_each_stream_in_order() -> None:
    path = make()
    for subject, stream in (("p1", PATIENT), ("u1", URGENT), ("p2", PATIENT), ("u2", URGENT)):
        path.put(parcel(stream, subject=subject))
    assert path.ready_count == 4
    assert taken(path, 5) == ["u1", "u2", "p1", "p2"]
    assert (path.ready_count, path.begun) == (0, 4)


def test_what_a_connection_gives_back_goes_first() -> None:
    path = make()
    for subject in "abc":
        path.put(parcel(subject=subject))
    first = path.take(NOW)
    assert first is not None
    assert first.begun_at == NOW
    path.put_back(first)
    assert taken(path, 3) == ["a", "b", "c"]


def test_what_was_not_looked_at_lately_is_not_offered() -> None:
    """I6: the bound on what goes out after a suppression has committed."""
    path = make()
    one = parcel()
    path.put(one)
    late = NOW + CHECK_SECONDS + 0.01
    assert path.take(late) is None
    assert path.unchecked(late) == [one]
    one.checked_at = late
    assert path.take(late) is one


def test_it_is_looked_at_again_in_time() -> None:
    path = make()
    old, new = parcel(PATIENT), parcel(URGENT, checked_at=NOW + CHECK_SECONDS / 2)
    path.put(old)
    path.put(new)
    assert path.unchecked(NOW + 0.01) == []
    assert path.unchecked(NOW + CHECK_SECONDS / 2 + 0.01) == [old]


def test_an_answer_is_as_old_as_its_question() -> None:
    path = make()
    one = parcel(checked_at=NOW - 1)
    path.put(one)
    assert path.checked([one], 1, looked_at=NOW, now=NOW + 0.4)
    assert one.checked_at == NOW
    assert path.take(NOW + 0.4) is one, "at once: the mark has the rest of the time"


def test_late_answers_make_the_next_look_one_for_fewer() -> None:
    path = make(connections=200)
    parcels = [parcel(stream, checked_at=NOW - 1) for stream in (PATIENT, URGENT) * 150]
    for each in parcels:
        path.put(each)
    late = NOW + CHECK_SECONDS
    assert len(path.unchecked(NOW)) == 300
    sizes = []
    for _ in range(5):
        looked = path.unchecked(late)
        sizes.append(len(looked))
        assert not path.checked(looked, len(looked), looked_at=NOW, now=late)
        assert path.take(late) is None
    assert sizes == [300, 150, 75, 37, paths.CHECKED_MIN]
    looked = path.unchecked(late)
    assert looked == parcels[1 : 2 * paths.CHECKED_MIN : 2], "what goes next, and no fewer"
    assert path.checked(looked, len(looked), looked_at=late, now=late + CHECK_SECONDS / 2)
    assert path.take(late + CHECK_SECONDS / 2) is looked[0]
    assert len(path.unchecked(late + 1)) == paths.CHECKED_MIN, "in time, but with nothing to spare"
    for _ in range(5):
        path.checked([], paths.CHECKED_MIN, looked_at=late, now=late + 0.01)
    assert path.check_limit == BUFFER_MAX


def test_what_is_not_offered_costs_no_token() -> None:
    path = make(per_second=1)
    assert path.take(NOW) is None
    path.put(parcel(checked_at=NOW - 10))
    assert path.take(NOW) is None
    path.put_back(parcel())
    assert path.take(NOW) is not None


def test_what_was_stopped_is_taken_out() -> None:
    path = make()
    parcels = [parcel(stream, subject=stream) for stream in (URGENT, PATIENT, URGENT, PATIENT)]
    for each in parcels:
        path.put(each)
    path.remove({parcels[0], parcels[3]})
    assert path.drain() == [parcels[2], parcels[1]]
    assert (path.ready_count, path.drain()) == (0, [])


def test_it_is_quiet_when_nothing_is_ready_begun_or_being_opened() -> None:
    path = make()
    assert path.is_quiet
    path.put(parcel())
    assert not path.is_quiet
    assert path.take(NOW) is not None
    assert not path.is_quiet
    path.begun -= 1
    assert path.is_quiet
    path.opening += 1
    assert not path.is_quiet


def test_the_first_connection_is_dialled_alone() -> None:
    path = make(connections=20, open_count=0)
    for _ in range(100):
        path.put(parcel())
    assert path.dials_wanted(NOW) == 1
    path.opening, path.dialled_at = 1, NOW
    assert path.dials_wanted(NOW) == 0, "whether the server answers is not known yet"


def test_a_server_that_is_silent_or_gone_is_soon_known_to_be() -> None:
    """More dials, one by one where the first takes its time, at once where it was in vain; as many
    in a row as open a breaker, and the path is down.
    """
    silent = make(connections=20, open_count=0)
    silent.opening, silent.dialled_at = 1, NOW
    assert silent.dials_wanted(NOW + paths.SLOW_DIAL_SECONDS + 0.1) == 1
    silent.opening = paths.FIRST_DIALS_MAX
    assert silent.dials_wanted(NOW + 60) == 0

    gone = make(connections=3, open_count=0)
    gone.failed_to_dial(NOW)
    assert gone.dials_wanted(gone.next_dial_at) == 3, "within its limit"
    for _ in range(4):
        assert not gone.is_down(after=5)
        gone.failed_to_dial(NOW)
    assert gone.is_down(after=5)
    gone.dialled()
    assert not gone.is_down(after=5)


def test_a_canary_dials_once_at_a_time() -> None:
    path = make(connections=20, open_count=0)
    path.failed_to_dial(NOW)
    path.is_canary = True
    assert path.dials_wanted(path.next_dial_at) == 1
    path.opening = 1
    assert path.dials_wanted(path.next_dial_at + 60) == 0


def test_then_as_many_as_there_is_work_for_within_the_limit() -> None:
    path = make(connections=20, open_count=1)
    assert path.dials_wanted(NOW) == 0
    for _ in range(3):
        path.put(parcel())
    assert path.dials_wanted(NOW) == 3
    path.idle[next(iter(path.connections))] = None
    assert path.dials_wanted(NOW) == 2
    for _ in range(100):
        path.put(parcel())
    assert path.dials_wanted(NOW) == DIALS_AT_ONCE
    path.opening = DIALS_AT_ONCE
    assert path.dials_wanted(NOW) == 0
    path.opening, path.connection_limit = 0, 3
    assert path.dials_wanted(NOW) == 2


def test_a_share_of_no_connection_dials_nothing() -> None:
    path = make(connections=0)
    path.put(parcel())
    assert path.dials_wanted(NOW) == 0


def test_a_server_that_does_not_answer_is_left_alone_for_longer_each_time() -> None:
    path = make(open_count=0)
    now, waits = NOW, []
    for _ in range(10):
        assert path.dials_wanted(now) >= 1
        path.failed_to_dial(now)
        assert path.dials_wanted(now) == 0
        waits.append(path.next_dial_at - now)
        now = path.next_dial_at
    assert waits[0] == pytest.approx(paths.FIRST_DIAL_WAIT_SECONDS)
    assert waits[1] == pytest.approx(2 * waits[0])
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(paths.LAST_DIAL_WAIT_SECONDS)
    path.dialled()
    path.failed_to_dial(now)
    assert path.next_dial_at - now == pytest.approx(paths.FIRST_DIAL_WAIT_SECONDS)


def test_throttling_halves_the_connections_and_lets_them_grow_again() -> None:
    path = make(connections=8)
    assert path.limit(NOW) == 8
    assert path.throttled(NOW)
    assert path.limit(NOW) == 4
    assert not path.throttled(NOW + 0.1), "the same event"
    assert path.limit(NOW) == 4
    now = NOW
    grown = []
    for _ in range(8):
        now += paths.REGROW_SECONDS + 0.1
        grown.append(path.limit(now))
        assert path.limit(now) == grown[-1], "asking makes it no faster"
    assert grown == [5, 6, 7, 8, 8, 8, 8, 8]


def test_throttling_leaves_one_connection() -> None:
    path = make(connections=8)
    for number in range(10):
        path.throttled(NOW + number * 2)
    assert path.limit(NOW + 19) == 1


def test_throttling_counts_from_the_connections_that_are_open() -> None:
    path = make(connections=100, open_count=6)
    path.throttled(NOW)
    assert path.limit(NOW) == 3


def test_marketing_is_not_starved_on_a_path_that_transactional_mail_fills() -> None:
    """Both have more than the path can take; the engine claims by the rotation."""
    path, rotation, sent = make(connections=4, per_second=10), Rotation(), Counter[Stream]()
    lanes = {Lane(priority, 1): stream for stream, priority in PRIORITY.items()}
    now = NOW
    for _ in range(20_000):
        now += 0.01
        while path.is_low(now):
            lane = rotation.pick(lanes)
            assert lane is not None
            for _ in range(min(SLICE, path.room(now))):
                path.put(parcel(lanes[lane]))
            rotation.served(lane)
        for each in path.unchecked(now):
            each.checked_at = now
        while (gone := path.take(now)) is not None:
            sent[gone.claim.stream] += 1
            path.begun -= 1
    assert sent.total() == pytest.approx(2_000, rel=0.02)
    assert sent[PATIENT] >= sent.total() / 10
    assert sent[URGENT] > sent[PATIENT]

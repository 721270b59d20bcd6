"""A worker's lease: kept by renewing, lost by silence; and its share of what all keep together."""

import dataclasses
import threading
import time
import uuid
from typing import Any

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maild import db
from maild.config import Settings
from maild.errors import Unavailable
from maild.models import Worker
from maild.services import claims, rescues, workers
from maild.services.workers import Lease
from tests.services.helpers import CLAIM, Accept, at_once, kill, silence, take


def test_a_renewed_lease_is_alive(lease: Lease) -> None:
    silence(lease, seconds=lease.seconds - 5)
    before = Worker.get_by_id(lease.worker_id).seen_at
    assert workers.renew(lease)
    assert Worker.get_by_id(lease.worker_id).seen_at > before
    assert [w.id for w in workers.list_alive()] == [lease.worker_id]


def test_renewing_keeps_its_messages_its_own(accept: Accept, lease: Lease) -> None:
    accept()
    take(lease)
    silence(lease, seconds=lease.seconds - 1)
    workers.renew(lease)
    assert rescues.rescue() == 0


@pytest.mark.proves("I22")
def test_a_lease_that_ended_is_not_renewed_but_taken_anew(lease: Lease) -> None:
    old_id = lease.worker_id
    workers.set_has_marks(old_id, True)
    kill(lease)
    assert not workers.renew(lease)
    assert lease.worker_id != old_id
    assert [w.id for w in workers.list_alive()] == [lease.worker_id]
    assert not Worker.get_by_id(lease.worker_id).has_marks, "its marks are yet to be begun"
    assert Worker.get_by_id(old_id).has_marks, "the rescue reads those of the old one"
    assert workers.renew(lease)


def test_a_worker_that_was_forgotten_takes_a_lease_anew(lease: Lease) -> None:
    old_id = lease.worker_id
    Worker.delete().execute()
    assert not workers.renew(lease)
    assert lease.worker_id != old_id


def test_what_it_held_before_is_for_the_rescue(accept: Accept, lease: Lease) -> None:
    accept()
    take(lease)
    kill(lease)
    workers.renew(lease)
    assert rescues.rescue() == 1


def test_a_renewal_makes_the_lease_fresh_again(lease: Lease) -> None:
    lease.renewed_at -= lease.seconds
    assert not lease.is_fresh()
    workers.renew(lease)
    assert lease.is_fresh()


def test_a_renewal_that_waits_for_a_lock_gives_up(
    lease: Lease, session_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the lease gets older meanwhile: nothing is sent on the strength of a hope."""
    monkeypatch.setattr(workers, "STATEMENT_TIMEOUT_MS", 50)
    lease.renewed_at -= lease.seconds
    other = psycopg2.connect(session_settings.postgres_dsn)
    caught: list[Exception] = []

    def renew() -> None:
        try:
            with db.connection():
                workers.renew(lease)
        except Unavailable as error:
            caught.append(error)

    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT FROM workers FOR UPDATE")
        thread = threading.Thread(target=renew)
        thread.start()
        thread.join()
    finally:
        other.close()
    assert len(caught) == 1
    assert not lease.is_fresh()


def test_a_worker_stops_sending_well_before_others_may_take_over(lease: Lease) -> None:
    assert lease.is_fresh()
    assert lease.may_claim()
    lease.renewed_at -= lease.seconds * workers.FRESH_SHARE
    assert not lease.is_fresh()
    assert not lease.may_claim()


def test_a_stopping_worker_claims_nothing_and_finishes_what_it_has(lease: Lease) -> None:
    lease.stopping.set()
    assert not lease.may_claim()
    assert lease.is_fresh()


def test_it_knows_what_it_holds(lease: Lease) -> None:
    one, two, three, other = (
        dataclasses.replace(CLAIM, message_id=uuid.uuid4(), worker_id=lease.worker_id)
        for _ in range(4)
    )
    lease.hold([one, two])
    lease.hold([two, three])
    lease.let_go([one])
    workers.let_go([two, other])
    assert lease.held == {three.message_id: (lease.worker_id, 1)}
    assert workers.current() is lease
    lease.let_all_go()
    assert lease.held == {}


@pytest.mark.parametrize("change", [{"worker_id": uuid.UUID(int=9)}, {"attempt_no": 2}])
def test_the_late_end_of_one_claim_does_not_end_the_next(
    change: dict[str, Any], lease: Lease
) -> None:
    """As when its lease was lost in the middle of a dialogue, and it has claimed the same again."""
    first = dataclasses.replace(CLAIM, worker_id=lease.worker_id)
    second = dataclasses.replace(first, **change)
    lease.hold([first])
    lease.hold([second])
    lease.let_go([first])
    assert set(lease.held) == {second.message_id}
    lease.let_go([second])
    assert lease.held == {}


def places(*leases: Lease) -> list[tuple[int, int]]:
    return [(lease.rank, lease.count) for lease in leases]


def test_workers_know_their_place_among_the_living(lease: Lease) -> None:
    others = [workers.enter() for _ in range(3)]
    kill(others[0])
    living = [lease, *others[1:]]
    for each in living:
        assert workers.renew(each)
    assert sorted(places(*living)) == [(0, 3), (1, 3), (2, 3)]
    assert not workers.renew(others[0]), "one that comes back shares again"
    for each in living:
        workers.renew(each)
    assert sorted(places(*living, others[0])) == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_workers_that_renew_at_once_have_different_places(lease: Lease) -> None:
    all_of_them = [lease, *(workers.enter() for _ in range(4))]
    at_once(*[lambda each=each: workers.renew(each) for each in all_of_them])
    assert sorted(places(*all_of_them)) == [(n, 5) for n in range(5)]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 200))
def test_the_shares_of_all_make_the_whole(total: int, count: int) -> None:
    shares = [Lease(uuid.uuid4(), 30.0, rank=n, count=count).share(total) for n in range(count)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def test_a_worker_alone_has_everything(lease: Lease) -> None:
    assert lease.share(7) == 7


def test_a_worker_that_leaves_is_forgotten_unless_it_holds_messages(
    accept: Accept, lease: Lease
) -> None:
    accept()
    batch = take(lease)
    workers.leave(lease)
    assert Worker.select().count() == 1
    claims.release(batch)
    workers.leave(lease)
    assert Worker.select().count() == 0


@pytest.mark.parametrize("does_claim", [True, False])
def test_a_worker_that_leaves_waits_for_a_claim_that_is_not_committed(
    does_claim: bool, accept: Accept, lease: Lease
) -> None:
    """As when it is told to go while a claim of its own hangs."""
    accept()
    left: list[bool] = []

    def leave() -> None:
        with db.connection():
            left.append(workers.leave(lease))

    thread = threading.Thread(target=leave)
    with db.database.atomic() as transaction:
        take(lease)
        thread.start()
        wait_until_blocked()
        if not does_claim:
            transaction.rollback()
    thread.join()
    assert left == [not does_claim]
    assert Worker.select().count() == does_claim


def wait_until_blocked() -> None:
    """Return when somebody waits for a lock of this connection's."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    )
    deadline = time.monotonic() + 30
    while not db.database.execute_sql(waiting).fetchone()[0]:
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


def test_a_heartbeat_does_not_wait_for_a_claim(accept: Accept, lease: Lease) -> None:
    accept()
    with db.database.atomic():
        take(lease)
        at_once(lambda: workers.renew(lease), lambda: workers.set_has_marks(lease.worker_id, True))
    assert workers.has_marks(lease.worker_id)


def test_dead_workers_are_forgotten_once_they_hold_nothing(accept: Accept, lease: Lease) -> None:
    accept()
    take(lease)
    kill(lease)
    alive = workers.enter()
    assert workers.prune_dead() == 0
    rescues.rescue()
    assert workers.prune_dead() == 1
    assert [w.id for w in workers.list_alive()] == [alive.worker_id]


def test_the_last_sign_of_life_is_known(lease: Lease) -> None:
    assert workers.find_last_seen() == Worker.get_by_id(lease.worker_id).seen_at
    Worker.delete().execute()
    assert workers.find_last_seen() is None

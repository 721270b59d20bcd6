"""A worker's lease: kept by renewing, lost by silence."""

from datetime import UTC, datetime, timedelta

from maild.models import Worker
from maild.services import claims, workers
from maild.services.workers import Lease


def silence(lease: Lease, *, seconds: float) -> None:
    at = datetime.now(UTC) - timedelta(seconds=seconds)
    Worker.update(seen_at=at).where(Worker.id == lease.worker_id).execute()


def test_a_renewed_lease_is_alive(lease: Lease) -> None:
    silence(lease, seconds=lease.seconds - 5)
    before = Worker.get_by_id(lease.worker_id).seen_at
    assert workers.renew(lease)
    assert Worker.get_by_id(lease.worker_id).seen_at > before
    assert [w.id for w in workers.list_alive()] == [lease.worker_id]


def test_a_lease_that_ended_is_not_renewed_but_taken_anew(lease: Lease) -> None:
    old_id = lease.worker_id
    silence(lease, seconds=lease.seconds + 1)
    assert not workers.renew(lease)
    assert lease.worker_id != old_id
    assert [w.id for w in workers.list_alive()] == [lease.worker_id]
    assert workers.renew(lease)


def test_a_worker_stops_dialling_well_before_others_may_take_over(lease: Lease) -> None:
    assert lease.may_dial()
    lease.renewed_at -= lease.seconds * workers.FRESH_SHARE
    assert not lease.may_dial()


def test_a_stopping_worker_dials_nothing(lease: Lease) -> None:
    lease.stopping.set()
    assert not lease.may_dial()


def test_a_worker_that_leaves_is_forgotten_unless_it_holds_messages(
    lease: Lease, accept: object
) -> None:
    accept()  # type: ignore[operator]
    batch = claims.claim(lease.worker_id, limit=1)
    workers.leave(lease)
    assert Worker.select().count() == 1
    claims.release(batch)
    workers.leave(lease)
    assert Worker.select().count() == 0


def test_dead_workers_are_forgotten_once_they_hold_nothing(lease: Lease, accept: object) -> None:
    accept()  # type: ignore[operator]
    claims.claim(lease.worker_id, limit=1)
    silence(lease, seconds=lease.seconds + 1)
    assert workers.prune_dead() == 0
    assert workers.find_last_seen() is not None
    claims.rescue()
    assert workers.prune_dead() == 1
    assert workers.find_last_seen() is None

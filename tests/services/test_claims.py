"""Claims: who gets what, in which order, and what becomes of it when its worker dies."""

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from maild import db
from maild.config import Settings
from maild.domain.states import AttemptStatus, EventType, Status
from maild.models import Attempt, Message, Worker
from maild.services import claims, messages, timeline, workers
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_B

Accept = Callable[..., Message]


def reload(message: Message) -> Message:
    return messages.get(message.workspace_id, message.id)


def kill(lease: Lease) -> None:
    """What Postgres sees of a worker that died a while ago."""
    long_ago = datetime.now(UTC) - timedelta(seconds=lease.seconds + 1)
    Worker.update(seen_at=long_ago).where(Worker.id == lease.worker_id).execute()


def test_a_claim_writes_the_attempt_before_anything_is_dialled(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    [claim] = claims.claim(lease.worker_id, limit=10)

    assert (claim.message_id, claim.attempt_no) == (message.id, 1)
    held = reload(message)
    assert (held.status, held.worker_id) == (Status.SENDING, lease.worker_id)
    [attempt] = timeline.list_attempts(message)
    assert attempt.status is AttemptStatus.STARTED
    assert attempt.worker_id == lease.worker_id
    assert attempt.smtp_account_name == "default"


def test_it_takes_the_oldest_due_first_and_no_more_than_asked(accept: Accept, lease: Lease) -> None:
    made = [accept(subject=str(number)) for number in range(5)]
    accept(scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    first = claims.claim(lease.worker_id, limit=3)
    rest = claims.claim(lease.worker_id, limit=100)
    assert [c.message_id for c in first + rest] == [m.id for m in made]
    assert claims.claim(lease.worker_id, limit=100) == []


def test_two_workers_never_claim_the_same_message(accept: Accept, lease: Lease) -> None:
    for _ in range(200):
        accept()
    taken: list[uuid.UUID] = []
    lock = threading.Lock()

    def work() -> None:
        with db.connection():
            while batch := claims.claim(lease.worker_id, limit=7):
                with lock:
                    taken.extend(claim.message_id for claim in batch)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 200


def test_a_worker_that_postgres_believes_dead_claims_nothing(accept: Accept, lease: Lease) -> None:
    accept()
    kill(lease)
    assert claims.claim(lease.worker_id, limit=10) == []
    assert claims.claim(uuid.uuid4(), limit=10) == []


def test_the_rescue_frees_what_a_dead_worker_held(accept: Accept, lease: Lease) -> None:
    mine, other = accept(), accept(workspace_id=WORKSPACE_B)
    claims.claim(lease.worker_id, limit=10)
    kill(lease)
    assert claims.rescue() == 2

    for message in (mine, other):
        rescued = reload(message)
        assert (rescued.status, rescued.attempt_count) == (Status.QUEUED, 1)
        assert rescued.error_class == "interrupted"
        [attempt] = timeline.list_attempts(message)
        assert attempt.status is AttemptStatus.INTERRUPTED
        assert timeline.list_events(message)[-1].type == EventType.RESCUED
    assert claims.rescue() == 0
    survivor = workers.enter()
    assert [c.attempt_no for c in claims.claim(survivor.worker_id, limit=10)] == [2, 2]


def test_the_rescue_leaves_the_living_alone(accept: Accept, lease: Lease) -> None:
    accept()
    claims.claim(lease.worker_id, limit=10)
    assert claims.rescue() == 0


def test_the_rescue_frees_what_a_forgotten_worker_held(accept: Accept, lease: Lease) -> None:
    message = accept()
    claims.claim(lease.worker_id, limit=10)
    Worker.delete().where(Worker.id == lease.worker_id).execute()
    assert claims.rescue() == 1
    assert reload(message).status is Status.QUEUED


def test_a_message_that_kills_its_workers_ends_in_failed(
    accept: Accept, lease: Lease, use_settings: Callable[..., Settings]
) -> None:
    use_settings(max_attempts=2)
    message = accept()
    for _ in range(2):
        claims.claim(workers.enter().worker_id, limit=10)
        kill(workers.current())
        claims.rescue()
    failed = reload(message)
    assert failed.status is Status.FAILED
    assert timeline.list_events(message)[-1].type == EventType.FAILED
    assert [a.status for a in timeline.list_attempts(message)] == [AttemptStatus.INTERRUPTED] * 2


def test_the_rescue_works_through_more_than_one_batch(
    accept: Accept, lease: Lease, monkeypatch: object
) -> None:
    for _ in range(5):
        accept()
    claims.claim(lease.worker_id, limit=10)
    kill(lease)
    monkeypatch.setattr(claims, "RESCUE_BATCH", 2)  # type: ignore[attr-defined]
    assert claims.rescue() == 5
    assert Attempt.select().where(Attempt.status == AttemptStatus.INTERRUPTED).count() == 5


def test_releasing_takes_the_attempt_back(accept: Accept, lease: Lease) -> None:
    message = accept()
    batch = claims.claim(lease.worker_id, limit=10)
    claims.release(batch)
    released = reload(message)
    assert (released.status, released.attempt_count) == (Status.QUEUED, 0)
    assert timeline.list_attempts(message) == []


def test_releasing_what_was_rescued_meanwhile_changes_nothing(accept: Accept, lease: Lease) -> None:
    message = accept()
    batch = claims.claim(lease.worker_id, limit=10)
    kill(lease)
    claims.rescue()
    claims.release(batch)
    after = reload(message)
    assert (after.status, after.attempt_count) == (Status.QUEUED, 1)
    assert [a.status for a in timeline.list_attempts(message)] == [AttemptStatus.INTERRUPTED]


def test_what_the_worker_does_not_know_of_is_put_back(accept: Accept, lease: Lease) -> None:
    """As when the answer to a claim is lost: Postgres thinks that this worker holds it."""
    forgotten, held = accept(), accept()
    claims.claim(lease.worker_id, limit=10)
    lease.hold({held.id})
    assert claims.rescue_forgotten(lease) == 0, "the answer to the claim may be under way"
    Message.update(updated_at=datetime.now(UTC) - timedelta(minutes=1)).execute()
    assert claims.rescue_forgotten(lease) == 1
    assert reload(forgotten).status is Status.QUEUED
    assert reload(held).status is Status.SENDING


def test_a_second_rescue_waits_and_parts_the_batch(accept: Accept, lease: Lease) -> None:
    """What was only claimed along with a message that kills workers must not die with it."""
    made = [accept() for _ in range(10)]
    for _ in range(2):
        claims.claim(workers.enter().worker_id, limit=10)
        kill(workers.current())
        claims.rescue()
    times = {reload(m).next_attempt_at for m in made}
    assert len(times) == 10
    assert min(times) > datetime.now(UTC) + timedelta(seconds=20)


def test_releasing_keeps_what_the_last_attempt_said(accept: Accept, lease: Lease) -> None:
    message = accept()
    Message.update(last_error="451 later", error_class="greylisted").execute()
    claims.release(claims.claim(lease.worker_id, limit=10))
    assert (reload(message).last_error, reload(message).error_class) == ("451 later", "greylisted")

"""What an attempt comes to, and that it is written down even when the database is away."""

import dataclasses
import threading
import uuid
from collections.abc import Callable

import psycopg2
import pytest

from maild import db
from maild.config import Settings
from maild.db import database
from maild.domain.smtp_reply import ErrorClass, Reply, Stage
from maild.domain.states import AttemptStatus, EventType, Status
from maild.errors import Unavailable
from maild.models import Message
from maild.services import claims, messages, outcomes, timeline
from maild.services.claims import Claim
from maild.services.workers import Lease
from maild.transports.smtp import Outcome

CLAIM = Claim(
    worker_id=uuid.uuid4(),
    message_id=uuid.uuid4(),
    workspace_id=1,
    attempt_no=2,
    from_email="a@example.com",
    to_email="b@example.org",
    subject="Hello",
    size_bytes=10,
    created_at_epoch=0.0,
    smtp_account_id=None,
    smtp_account_name="default",
)
ACCEPTED = Outcome(
    accepted=True,
    stage=Stage.FINAL_DOT,
    reply=Reply(250, "2.0.0", "OK"),
    error_class=None,
    is_permanent=False,
    is_unknown=False,
    is_stale=False,
    text="accepted: 250 2.0.0 OK",
    remote="127.0.0.1:25",
)
REFUSED = dataclasses.replace(
    ACCEPTED,
    accepted=False,
    stage=Stage.RCPT_TO,
    reply=Reply(451, "4.3.0", "Try later"),
    error_class=ErrorClass.UNKNOWN,
    text="451 4.3.0 Try later",
)


@pytest.mark.parametrize(
    ("outcome", "attempt_no", "status", "attempt_status", "event"),
    [
        (ACCEPTED, 1, Status.SENT, AttemptStatus.SENT, EventType.SENT),
        (REFUSED, 1, Status.QUEUED, AttemptStatus.DEFERRED, EventType.DEFERRED),
        (REFUSED, 9, Status.FAILED, AttemptStatus.FAILED, EventType.FAILED),
        (
            dataclasses.replace(REFUSED, is_permanent=True),
            1,
            Status.FAILED,
            AttemptStatus.FAILED,
            EventType.FAILED,
        ),
        (
            dataclasses.replace(REFUSED, is_unknown=True, reply=None),
            9,
            Status.UNKNOWN,
            AttemptStatus.UNKNOWN,
            EventType.OUTCOME_UNKNOWN,
        ),
    ],
    ids=["accepted", "transient", "last attempt", "permanent", "unknown"],
)
def test_it_decides_what_comes_next(
    outcome: Outcome,
    attempt_no: int,
    status: Status,
    attempt_status: AttemptStatus,
    event: EventType,
    settings: Settings,
) -> None:
    claim = dataclasses.replace(CLAIM, attempt_no=attempt_no)
    result = outcomes.decide(claim, outcome, duration_ms=12)
    assert (result.move.new, result.status, result.move.event) == (status, attempt_status, event)
    assert (result.move.next_attempt_in is not None) == (status is Status.QUEUED)
    assert (result.move.last_error is None) == (status is Status.SENT)


def test_it_waits_longer_after_each_attempt(
    settings: Settings, use_settings: Callable[..., Settings]
) -> None:
    use_settings(retry_delays_seconds=(100, 1_000, 10_000))
    for attempt_no, rung in ((1, 100), (2, 1_000), (3, 10_000), (4, 10_000)):
        claim = dataclasses.replace(CLAIM, attempt_no=attempt_no)
        wait = outcomes.decide(claim, REFUSED, duration_ms=1).move.next_attempt_in
        assert wait is not None
        assert rung * 0.8 <= wait <= rung * 1.2


def test_a_servers_nul_does_not_stop_the_recording(
    accept: Callable[..., Message], lease: Lease
) -> None:
    message = accept()
    [claim] = claims.claim(lease.worker_id, limit=1)
    rude = dataclasses.replace(REFUSED, reply=Reply(451, None, "no\0pe"), text="451 no\0pe")
    outcomes.record([outcomes.decide(claim, rude, duration_ms=1)])
    [attempt] = timeline.list_attempts(message)
    assert attempt.response == "no\N{REPLACEMENT CHARACTER}pe"
    assert "\0" not in messages.get(1, message.id).last_error


def test_it_keeps_an_outcome_until_the_database_is_back(
    accept: Callable[..., Message], lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider said 250 while Postgres was away: the message ends as sent all the same."""
    message = accept()
    [claim] = claims.claim(lease.worker_id, limit=1)
    away = threading.Event()
    tried_in_vain = threading.Event()
    connection = db.connection

    def perhaps() -> object:
        if away.is_set():
            tried_in_vain.set()
            raise Unavailable("away")
        return connection()

    monkeypatch.setattr(db, "connection", perhaps)
    monkeypatch.setattr(outcomes, "RETRY_SECONDS", 0.01)
    away.set()
    recorder = outcomes.Recorder()
    recorder.put(outcomes.decide(claim, ACCEPTED, duration_ms=1))
    assert tried_in_vain.wait(10)
    assert messages.get(1, message.id).status is Status.SENDING
    away.clear()
    assert recorder.close(timeout_seconds=30)
    assert messages.get(1, message.id).status is Status.SENT


def test_closing_writes_what_is_left(accept: Callable[..., Message], lease: Lease) -> None:
    made = [accept() for _ in range(250)]
    recorder = outcomes.Recorder()
    for claim in claims.claim(lease.worker_id, limit=250):
        recorder.put(outcomes.decide(claim, ACCEPTED, duration_ms=1))
    assert recorder.close(timeout_seconds=30)
    assert {messages.get(1, m.id).status for m in made} == {Status.SENT}


def test_a_lock_that_another_holds_too_long_is_an_outage(
    accept: Callable[..., Message], lease: Lease, session_settings: Settings
) -> None:
    """As while a slow migration runs: the recorder waits and tries again, instead of dying."""
    message = accept()
    [claim] = claims.claim(lease.worker_id, limit=1)
    other = psycopg2.connect(session_settings.postgres_dsn)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
    try:
        with pytest.raises(Unavailable, match="busy"):
            in_a_thread(lambda: record_impatiently(claim))
    finally:
        other.close()
    outcomes.record([outcomes.decide(claim, ACCEPTED, duration_ms=1)])
    assert messages.get(1, message.id).status is Status.SENT


def record_impatiently(claim: Claim) -> None:
    with db.connection(), database.atomic():
        database.execute_sql("SET LOCAL lock_timeout = '50ms'")
        outcomes.record([outcomes.decide(claim, ACCEPTED, duration_ms=1)])


def in_a_thread(action: Callable[[], None]) -> None:
    """Run `action` on a connection of its own; raises what it raises."""
    caught: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if caught:
        raise caught[0]


def test_a_result_that_cannot_be_written_takes_no_other_with_it(
    accept: Callable[..., Message], lease: Lease
) -> None:
    """The others are written, the thread lives on, and the lost one is put back by the sweep."""
    made = [accept() for _ in range(3)]
    results = [
        outcomes.decide(claim, ACCEPTED, duration_ms=1)
        for claim in claims.claim(lease.worker_id, limit=3)
    ]
    lease.hold({m.id for m in made})
    results[1] = dataclasses.replace(results[1], duration_ms=2**40)
    recorder = outcomes.Recorder()
    for result in results:
        recorder.put(result)
    recorder.flush()
    assert [messages.get(1, m.id).status for m in made] == [
        Status.SENT,
        Status.SENDING,
        Status.SENT,
    ]
    assert lease.held == set()
    assert recorder.close(timeout_seconds=30)

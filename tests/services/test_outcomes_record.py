"""Writing attempts down: rows, states, events and counts, in one transaction; and who lost."""

import dataclasses
import uuid

import peewee
import psycopg2
import pytest

from maild import db
from maild.config import Settings
from maild.db import database
from maild.domain.smtp_reply import Reply
from maild.domain.states import AttemptStatus, EventType, Status
from maild.errors import Unavailable
from maild.models import AccountTally, Attempt, Event, Message
from maild.services import outcomes, rescues, timeline, workers
from maild.services.claims import Claim
from maild.services.outcomes import Result
from maild.services.workers import Lease
from maild.transports.smtp import Outcome
from tests.conftest import WORKSPACE_B
from tests.services.helpers import (
    ACCEPTED,
    B_URGENT,
    LATER,
    LOST,
    NO_SUCH_USER,
    PATH_FAULT,
    REMOTE,
    Accept,
    at_once,
    end,
    event_types,
    kill,
    make_due,
    reload,
    says,
    take,
    take_one,
)


def decide(claim: Claim, outcome: Outcome) -> Result:
    return outcomes.decide(claim, outcome, duration_ms=12)


def tallies() -> dict[tuple[int, uuid.UUID], tuple[int, int]]:
    """Tries and faults by account and worker, over all slots."""
    found: dict[tuple[int, uuid.UUID], tuple[int, int]] = {}
    for row in AccountTally.select():
        tries, faults = found.get((row.account_id, row.worker_id), (0, 0))
        key = (row.account_id, row.worker_id)
        found[key] = (tries + row.try_count, faults + row.fault_count)
    return found


def test_an_accepted_message_is_sent_and_its_attempt_written(accept: Accept, lease: Lease) -> None:
    message = accept()
    end(take_one(lease))
    sent = reload(message)
    assert (sent.status, sent.worker_id, sent.next_attempt_at) == (Status.SENT, None, None)
    assert (sent.last_error, sent.error_class, sent.attempt_count) == (None, None, 1)
    [attempt] = timeline.list_attempts(message)
    assert (attempt.attempt_no, attempt.status) == (1, AttemptStatus.SENT)
    assert (attempt.worker_id, attempt.smtp_account_name) == (lease.worker_id, "default")
    assert (attempt.remote, attempt.stage) == (REMOTE, "final_dot")
    assert (attempt.smtp_code, attempt.enhanced_code, attempt.response) == (250, "2.0.0", "OK")
    assert (attempt.error_class, attempt.is_excused) == (None, False)
    assert (attempt.duration_ms, attempt.timings) == (12, {"final_dot": 1.5})
    assert (attempt.finished_at - attempt.started_at).total_seconds() == pytest.approx(0.012)
    assert event_types(message) == [EventType.ACCEPTED, EventType.SENT]


def test_a_deferred_message_is_queued_with_what_was_said(accept: Accept, lease: Lease) -> None:
    message = accept()
    end(take_one(lease), LATER)
    deferred = reload(message)
    assert (deferred.status, deferred.worker_id) == (Status.QUEUED, None)
    assert (deferred.attempt_count, deferred.excused_count) == (1, 0)
    assert deferred.last_error == LATER.text
    [attempt] = timeline.list_attempts(message)
    assert (attempt.status, attempt.smtp_code) == (AttemptStatus.DEFERRED, 451)
    assert take(lease) == [], "it is not due yet"


def test_success_wipes_out_what_an_earlier_attempt_said(accept: Accept, lease: Lease) -> None:
    message = accept()
    end(take_one(lease), LATER)
    make_due(message)
    end(take_one(lease))
    assert (reload(message).last_error, reload(message).error_class) == (None, None)
    assert [a.attempt_no for a in timeline.list_attempts(message)] == [1, 2]


def test_an_excused_attempt_is_written_and_does_not_count(accept: Accept, lease: Lease) -> None:
    message = accept()
    for number in range(1, 21):
        claim = take_one(lease)
        assert (claim.attempt_no, claim.excused_count) == (number, number - 1)
        end(claim, PATH_FAULT)
        assert (reload(message).attempt_count, reload(message).excused_count) == (number, number)
        assert reload(message).status is Status.QUEUED
        make_due(message)
    attempts = timeline.list_attempts(message)
    assert [(a.attempt_no, a.is_excused) for a in attempts] == [(n, True) for n in range(1, 21)]
    end(take_one(lease), LATER)
    assert (reload(message).attempt_count, reload(message).excused_count) == (21, 20)


def test_a_group_is_written_in_one_transaction(accept: Accept, lease: Lease) -> None:
    made = [accept() for _ in range(4)]
    ends = [ACCEPTED, LATER, NO_SUCH_USER, LOST]
    results = [decide(c, o) for c, o in zip(take(lease), ends, strict=True)]
    outcomes.record(results)
    assert [reload(m).status for m in made] == [
        Status.SENT,
        Status.QUEUED,
        Status.FAILED,
        Status.UNKNOWN,
    ]
    written = Event.select(peewee.SQL("xmin::text")).where(Event.type != EventType.ACCEPTED)
    assert len({row[0] for row in written.tuples()}) == 1


def test_writing_the_same_again_changes_nothing(accept: Accept, lease: Lease) -> None:
    """As when Postgres went away after the commit and before its answer."""
    made = [accept() for _ in range(3)]
    ends = [ACCEPTED, LATER, LOST]
    results = [decide(c, o) for c, o in zip(take(lease), ends, strict=True)]
    outcomes.record(results)
    before = [(reload(m).__data__, event_types(m)) for m in made]
    outcomes.record(results)
    assert [(reload(m).__data__, event_types(m)) for m in made] == before
    assert Attempt.select().count() == 3


def test_nothing_is_written_for_nothing(database: None) -> None:
    outcomes.record([])
    assert AccountTally.select().count() == 0


def test_tries_and_faults_are_counted_by_account_and_worker(accept: Accept, lease: Lease) -> None:
    for _ in range(4):
        accept()
    accept(workspace_id=WORKSPACE_B)
    ends = [ACCEPTED, LATER, NO_SUCH_USER, PATH_FAULT]
    results = [decide(c, o) for c, o in zip(take(lease), ends, strict=True)]
    postal = dataclasses.replace(take_one(lease, B_URGENT), account_id=7, account_name="postal")
    dial = decide(postal, PATH_FAULT).fault
    assert dial is not None
    other = dataclasses.replace(dial, worker_id=uuid.UUID(int=5))
    outcomes.record([*results, decide(postal, ACCEPTED)], faults=[dial, other])
    assert tallies() == {
        (0, lease.worker_id): (4, 1),
        (7, lease.worker_id): (2, 1),
        (7, uuid.UUID(int=5)): (1, 1),
    }
    outcomes.record([], faults=[dial])
    assert tallies()[7, lease.worker_id] == (3, 2)


def test_what_no_server_saw_says_nothing_about_one(accept: Accept, lease: Lease) -> None:
    accept()
    end(take_one(lease), LOST)
    assert tallies() == {}


def test_a_message_that_may_be_to_blame_itself_proves_nothing(accept: Accept, lease: Lease) -> None:
    message = accept()
    for _ in range(4):
        end(take_one(lease), PATH_FAULT)
        make_due(message)
    assert tallies() == {(0, lease.worker_id): (outcomes.BLAMED_TRIES, outcomes.BLAMED_TRIES)}


def test_a_late_result_does_not_overwrite_the_newer_state(accept: Accept, lease: Lease) -> None:
    """I15: the rescue has taken the message away meanwhile, and another worker has it."""
    message = accept()
    stale = take_one(lease)
    kill(lease)
    rescues.rescue()
    Message.update(status=Status.QUEUED, next_attempt_at=peewee.fn.now()).execute()
    other = workers.enter()
    newer = take_one(other)
    for outcome in (LATER, NO_SUCH_USER, LOST, ACCEPTED):
        end(stale, outcome)
    after = reload(message)
    assert (after.status, after.worker_id) == (Status.SENDING, other.worker_id)
    end(newer)
    assert reload(message).status is Status.SENT
    assert event_types(message).count(EventType.SENT) == 1


def test_a_result_of_an_earlier_attempt_changes_nothing(accept: Accept, lease: Lease) -> None:
    """The same worker, and the same message, but not the same attempt."""
    message = accept()
    first = take_one(lease)
    end(first, LATER)
    make_due(message)
    take_one(lease)
    end(first, NO_SUCH_USER)
    assert (reload(message).status, reload(message).attempt_count) == (Status.SENDING, 2)


def test_a_reply_that_comes_in_late_settles_an_unknown_outcome(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    claim = take_one(lease)
    kill(lease)
    rescues.rescue()
    assert reload(message).status is Status.UNKNOWN
    end(claim)
    assert reload(message).status is Status.SENT
    assert event_types(message) == [
        EventType.ACCEPTED,
        EventType.OUTCOME_UNKNOWN,
        EventType.OUTCOME_LEARNED,
    ]
    learned = timeline.list_events(message)[-1]
    assert learned.data["smtp_code"] == 250
    [attempt] = timeline.list_attempts(message)
    assert (attempt.status, attempt.smtp_code) == (AttemptStatus.SENT, 250)
    end(claim)
    assert event_types(message).count(EventType.OUTCOME_LEARNED) == 1


def test_only_an_acceptance_settles_it(accept: Accept, lease: Lease) -> None:
    """What was refused is not failed by a reply that may be another copy's."""
    message = accept()
    claim = take_one(lease)
    end(claim, LOST)
    for outcome in (LATER, NO_SUCH_USER):
        end(claim, outcome)
    assert reload(message).status is Status.UNKNOWN
    [attempt] = timeline.list_attempts(message)
    assert attempt.status is AttemptStatus.UNKNOWN


def test_a_reply_to_an_earlier_attempt_does_not_settle_a_later_one(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    first = take_one(lease)
    end(first, LATER)
    make_due(message)
    end(take_one(lease), LOST)
    end(first, ACCEPTED)
    assert reload(message).status is Status.UNKNOWN


def test_a_servers_nul_does_not_stop_the_recording(accept: Accept, lease: Lease) -> None:
    message, other = accept(), accept()
    rude, polite = take(lease)
    lost = dataclasses.replace(LOST, text="lost\0contact")
    outcomes.record([decide(rude, says("no\0pe")), decide(polite, lost)])
    [attempt] = timeline.list_attempts(message)
    assert attempt.response == "no\N{REPLACEMENT CHARACTER}pe"
    assert reload(message).last_error.startswith("451 no\N{REPLACEMENT CHARACTER}pe")
    assert reload(other).status is Status.UNKNOWN


def test_a_nul_in_an_acceptance_does_not_either(accept: Accept, lease: Lease) -> None:
    message = accept()
    reply = Reply(250, None, "queued as \0")
    end(take_one(lease), dataclasses.replace(ACCEPTED, reply=reply, text=f"accepted: {reply}"))
    assert reload(message).status is Status.SENT


def test_two_who_record_the_same_at_once_write_it_once(accept: Accept, lease: Lease) -> None:
    for _ in range(50):
        accept()
    results = [decide(claim, ACCEPTED) for claim in take(lease)]
    at_once(*[lambda: outcomes.record(results), lambda: outcomes.record(results[::-1])] * 2)
    assert Event.select().where(Event.type == EventType.SENT).count() == 50
    assert Attempt.select().count() == 50


def test_a_lock_that_another_holds_too_long_is_an_outage(
    accept: Accept, lease: Lease, session_settings: Settings
) -> None:
    """As while a slow migration runs: the recorder waits and tries again, instead of dying."""
    message = accept()
    claim = take_one(lease)

    def record_impatiently() -> None:
        with database.atomic():
            database.execute_sql("SET LOCAL lock_timeout = '50ms'")
            end(claim)

    other = psycopg2.connect(session_settings.postgres_dsn)
    try:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="busy"):
            at_once(record_impatiently)
    finally:
        other.close()
    assert not db.database.is_closed()
    end(claim)
    assert reload(message).status is Status.SENT

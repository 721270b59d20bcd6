"""The recorder's thread: groups, soon, and what happens when Postgres does not take them."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence

import peewee
import psycopg2
import pytest

from maild import db
from maild.config import Settings
from maild.db import database
from maild.domain.states import AttemptStatus, EventType, Status
from maild.models import AccountTally, Attempt, Event, Message
from maild.services import outcomes, providers, recorder, rescues, timeline
from maild.services.outcomes import Result
from maild.services.recorder import Recorder
from maild.services.workers import Lease
from maild.transports.smtp import Outcome
from tests.services.helpers import (
    ACCEPTED,
    LATER,
    PATH_FAULT,
    Accept,
    ago,
    event_types,
    reload,
    take,
)

WAIT_SECONDS = 30


@pytest.fixture
def writer() -> Iterator[Recorder]:
    """A recorder of the test's own."""
    made = Recorder()
    yield made
    assert made.close(timeout_seconds=WAIT_SECONDS)


@pytest.fixture
def results(accept: Accept, lease: Lease) -> Callable[..., list[Result]]:
    """Call to have messages claimed and their attempts ended."""

    def make(*ends: Outcome) -> list[Result]:
        for _ in ends:
            accept()
        claims = take(lease, limit=len(ends))
        lease.hold(claims)
        return [
            outcomes.decide(claim, outcome, duration_ms=1)
            for claim, outcome in zip(claims, ends, strict=True)
        ]

    return make


Results = Callable[..., list[Result]]


def statuses(results: Sequence[Result]) -> list[Status]:
    found = {m.id: m.status for m in Message.select()}
    return [found[r.claim.message_id] for r in results]


def spoil(result: Result) -> Result:
    """A result that the table cannot hold."""
    return dataclasses.replace(result, duration_ms=2**40)


def test_everything_put_is_written_when_it_is_flushed(results: Results, writer: Recorder) -> None:
    made = results(ACCEPTED, LATER, ACCEPTED)
    for result in made:
        writer.put(result)
    writer.flush()
    assert statuses(made) == [Status.SENT, Status.QUEUED, Status.SENT]


def test_flushing_an_idle_recorder_returns(database: None, writer: Recorder) -> None:
    writer.flush()
    writer.flush()


def test_what_comes_together_is_written_together(
    results: Results, writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "GROUP_WAIT_SECONDS", WAIT_SECONDS)  # a flush ends the wait
    for result in results(*[ACCEPTED] * 40):
        writer.put(result)
    writer.flush()
    sent = Event.select(peewee.SQL("xmin::text")).where(Event.type == EventType.SENT)
    assert sent.count() == 40
    assert len(set(sent.tuples())) == 1


def test_a_group_has_its_limit(
    results: Results, writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "GROUP_WAIT_SECONDS", WAIT_SECONDS)
    monkeypatch.setattr(recorder, "GROUP_MAX", 10)
    groups: list[int] = []
    writer.on_recorded = lambda written: groups.append(len(written))
    for result in results(*[ACCEPTED] * 35):
        writer.put(result)
    writer.flush()
    assert groups == [10, 10, 10, 5]


def test_it_tells_what_is_written_after_the_commit(results: Results, writer: Recorder) -> None:
    made = results(ACCEPTED, ACCEPTED)
    told: list[tuple[Result, Status]] = []

    def look(written: Sequence[Result]) -> None:
        with db.connection():
            told.extend(zip(written, statuses(written), strict=True))

    writer.on_recorded = look
    for result in made:
        writer.put(result)
    writer.flush()
    assert told == [(result, Status.SENT) for result in made]


def test_what_is_written_is_no_longer_held(
    results: Results, lease: Lease, writer: Recorder
) -> None:
    made = results(ACCEPTED, LATER, ACCEPTED)
    for result in made[:2]:
        writer.put(result)
    writer.flush()
    assert set(lease.held) == {made[2].claim.message_id}


def test_what_is_written_is_let_go_before_anything_else_is_done(
    results: Results, lease: Lease, writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the commit on it may be claimed again, by this very worker."""
    held: list[int] = []
    monkeypatch.setattr(providers, "judge", lambda _: held.append(len(lease.held)))
    writer.on_recorded = lambda _: held.append(len(lease.held))
    writer.put(results(PATH_FAULT)[0])
    writer.flush()
    assert held == [0, 0]


def test_faults_of_dials_are_counted_without_a_message(
    results: Results, lease: Lease, writer: Recorder
) -> None:
    told: list[Sequence[Result]] = []
    writer.on_recorded = told.append
    fault = results(PATH_FAULT)[0].fault
    assert fault is not None
    for _ in range(3):
        writer.put(fault)
    writer.flush()
    [tally] = AccountTally.select()
    assert (tally.account_id, tally.try_count, tally.fault_count) == (0, 3, 3)
    assert told == []


def test_closing_writes_what_is_left(results: Results) -> None:
    made = results(*[ACCEPTED] * 300)
    closing = Recorder()
    for result in made:
        closing.put(result)
    assert closing.close(timeout_seconds=WAIT_SECONDS)
    assert set(statuses(made)) == {Status.SENT}


class Outage:
    """Postgres takes no new connection until `end`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tried_in_vain = threading.Event()
        self._is_over = False
        self._connect = psycopg2.connect
        monkeypatch.setattr(psycopg2, "connect", self._perhaps)
        monkeypatch.setattr(recorder, "RETRY_SECONDS", 0.01)
        database.close_idle()

    def end(self) -> None:
        self._is_over = True

    def _perhaps(self, *args: object, **kwargs: object) -> object:
        if not self._is_over:
            self.tried_in_vain.set()
            raise psycopg2.OperationalError("connection refused")
        return self._connect(*args, **kwargs)


@pytest.mark.proves("I16")
def test_it_keeps_outcomes_until_the_database_is_back(
    results: Results, lease: Lease, writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I16: the provider said 250 while Postgres was away: it ends as sent all the same."""
    made = results(ACCEPTED, LATER, ACCEPTED)
    outage = Outage(monkeypatch)
    writer.put(made[0])
    assert outage.tried_in_vain.wait(WAIT_SECONDS)
    for result in made[1:]:
        writer.put(result)
    assert statuses(made) == [Status.SENDING] * 3
    assert len(lease.held) == 3, "they are still in its hands: no rescue of what is forgotten"
    outage.end()
    writer.flush()
    assert statuses(made) == [Status.SENT, Status.QUEUED, Status.SENT]
    assert lease.held == {}


def test_closing_gives_up_on_a_database_that_stays_away(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = results(ACCEPTED)
    outage = Outage(monkeypatch)
    closing = Recorder()
    closing.put(made[0])
    assert outage.tried_in_vain.wait(WAIT_SECONDS)
    assert not closing.close(timeout_seconds=0.01)
    outage.end()
    assert closing.close(timeout_seconds=WAIT_SECONDS)
    assert statuses(made) == [Status.SENT]


def test_a_connection_that_is_cut_in_the_middle_of_writing_loses_nothing(
    results: Results,
    writer: Recorder,
    session_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "RETRY_SECONDS", 0.01)
    made = results(ACCEPTED, LATER)
    other = psycopg2.connect(session_settings.postgres_dsn)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT FROM messages FOR UPDATE")
            for result in made:
                writer.put(result)
            blocked = None
            while blocked is None:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE wait_event_type = 'Lock' AND pg_backend_pid() = ANY"
                    " (pg_blocking_pids(pid))"
                )
                blocked = cursor.fetchone()
    finally:
        other.close()
    writer.flush()
    assert statuses(made) == [Status.SENT, Status.QUEUED]
    assert Attempt.select().count() == 2


def test_a_result_that_cannot_be_written_takes_no_other_with_it(
    results: Results, lease: Lease, writer: Recorder
) -> None:
    made = results(ACCEPTED, ACCEPTED, LATER)
    for result in (made[0], spoil(made[1]), made[2]):
        writer.put(result)
    writer.flush()
    assert statuses(made) == [Status.SENT, Status.SENDING, Status.QUEUED]
    assert lease.held == {}, "what could not be written is for the rescue of the forgotten"
    more = results(ACCEPTED)
    writer.put(more[0])
    writer.flush()
    assert statuses(more) == [Status.SENT], "and the thread lives on"


def test_it_does_not_tell_that_it_has_written_what_it_has_not(
    results: Results, writer: Recorder
) -> None:
    """I3: on this word the mark in Redis is removed, which alone tells that a server took it."""
    made = results(ACCEPTED, ACCEPTED)
    told: list[Result] = []
    writer.on_recorded = told.extend
    for result in (spoil(made[0]), made[1]):
        writer.put(result)
    writer.flush()
    assert told == [made[1]]


def test_what_could_not_be_written_is_settled_by_the_rescue_of_the_forgotten(
    results: Results, lease: Lease, writer: Recorder
) -> None:
    """Without its mark nobody can tell: it may have been taken."""
    made = results(ACCEPTED)
    writer.put(spoil(made[0]))
    writer.flush()
    Message.update(updated_at=ago(minutes=1)).execute()
    assert rescues.rescue_forgotten(lease) == 1
    message = Message.get_by_id(made[0].claim.message_id)
    assert message.status is Status.UNKNOWN
    assert event_types(message)[-1] == EventType.OUTCOME_UNKNOWN
    [attempt] = timeline.list_attempts(message)
    assert attempt.status is AttemptStatus.UNKNOWN
    assert reload(message).attempt_count == 1


def test_the_process_has_one_recorder() -> None:
    assert recorder.current() is recorder.current()

"""The rescue of what a dead worker held, by the marks that it left."""

import dataclasses
import uuid
from collections.abc import Callable

import pytest
import redis

from maild import config, marks
from maild.config import Settings
from maild.db import database
from maild.domain.smtp_reply import Reply
from maild.domain.states import AttemptStatus, EventType, Status, Stream
from maild.marks import BEGUN, DOT
from maild.models import Attempt, Event, Message, Worker
from maild.services import rescues, timeline, workers
from maild.services.rescues import WAIT_FOR_REDIS_SECONDS
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_B, free_ports
from tests.services.helpers import (
    A_PATIENT,
    ACCEPTED,
    B_URGENT,
    LATER,
    PATH_FAULT,
    REMOTE,
    Accept,
    ago,
    answer,
    at_once,
    end,
    event_types,
    kill,
    leave_marks,
    make_due,
    mark,
    reload,
    silence,
    take,
    take_one,
)

UseSettings = Callable[..., Settings]


def send_redis_away(use_settings: UseSettings) -> None:
    use_settings(redis_url=f"redis://127.0.0.1:{free_ports(1)[0]}/0")


def test_what_was_only_claimed_goes_back_and_its_attempt_is_not_used(
    accept: Accept, lease: Lease
) -> None:
    mine, other = accept(), accept(workspace_id=WORKSPACE_B)
    take(lease)
    take(lease, B_URGENT)
    leave_marks(lease)
    kill(lease)
    assert rescues.rescue() == 2
    for message in (mine, other):
        rescued = reload(message)
        assert (rescued.status, rescued.attempt_count) == (Status.QUEUED, 0)
        assert rescued.error_class is None
        assert timeline.list_attempts(message) == []
        assert event_types(message) == [EventType.ACCEPTED, EventType.RESCUED]
    assert rescues.rescue() == 0
    assert [c.attempt_no for c in take(workers.enter())] == [1], "at once, and for the first time"


def test_what_was_offered_goes_back_and_counts(accept: Accept, lease: Lease) -> None:
    message = accept()
    take(lease)
    leave_marks(lease, mark(message, BEGUN))
    kill(lease)
    rescues.rescue()
    rescued = reload(message)
    assert (rescued.status, rescued.attempt_count) == (Status.QUEUED, 1)
    assert rescued.error_class == "interrupted"
    [attempt] = timeline.list_attempts(message)
    assert (attempt.status, attempt.worker_id) == (AttemptStatus.INTERRUPTED, lease.worker_id)
    assert event_types(message)[-1] == EventType.RESCUED
    assert [c.attempt_no for c in take(workers.enter())] == [2]


@pytest.mark.proves("I5")
def test_a_message_that_kills_its_workers_ends_in_failed(
    accept: Accept, database: None, use_settings: UseSettings
) -> None:
    """I5."""
    use_settings(max_attempts=3)
    message = accept()
    for number in range(1, 4):
        assert reload(message).status is Status.QUEUED
        make_due(message)
        lease = workers.enter()
        take_one(lease)
        leave_marks(lease, mark(message, BEGUN, attempt_no=number))
        kill(lease)
        rescues.rescue()
    assert reload(message).status is Status.FAILED
    assert event_types(message)[-1] == EventType.FAILED
    assert [a.status for a in timeline.list_attempts(message)] == [AttemptStatus.INTERRUPTED] * 3


def test_a_second_death_makes_it_wait(accept: Accept, database: None) -> None:
    """So that it takes no others with it."""
    message = accept()
    for number in (1, 2):
        lease = workers.enter()
        take_one(lease)
        leave_marks(lease, mark(message, BEGUN, attempt_no=number))
        kill(lease)
        rescues.rescue()
    assert reload(message).next_attempt_at > ago(seconds=-30)
    assert take(workers.enter()) == []


def test_one_that_dies_unoffered_again_and_again_never_fails(
    accept: Accept, database: None, use_settings: UseSettings
) -> None:
    use_settings(max_attempts=2)
    message = accept()
    for _ in range(5):
        lease = workers.enter()
        assert take_one(lease).attempt_no == 1
        leave_marks(lease)
        kill(lease)
        rescues.rescue()
    assert reload(message).status is Status.QUEUED


@pytest.mark.parametrize(
    ("rule", "status"),
    [("hold", Status.UNKNOWN), ("retry", Status.QUEUED), ("assume_sent", Status.SENT)],
)
def test_what_may_have_been_taken_is_unknown_and_ends_by_its_rule(
    rule: str, status: Status, accept: Accept, lease: Lease, use_settings: UseSettings
) -> None:
    rules = dataclasses.replace(config.current().marketing, unknown_outcome=rule)
    use_settings(marketing=rules)
    message = accept(stream=Stream.MARKETING)
    take_one(lease, A_PATIENT)
    leave_marks(lease, mark(message, DOT))
    kill(lease)
    rescues.rescue()
    assert reload(message).status is status
    [attempt] = timeline.list_attempts(message)
    assert attempt.status is AttemptStatus.UNKNOWN
    told = EventType.ASSUMED_SENT if rule == "assume_sent" else EventType.OUTCOME_UNKNOWN
    assert event_types(message) == [EventType.ACCEPTED, told]


@pytest.mark.parametrize(
    ("reply", "status", "attempt_status", "event"),
    [
        ((250, "2.0.0", "OK queued"), Status.SENT, AttemptStatus.SENT, EventType.SENT),
        ((550, "5.7.1", "No"), Status.FAILED, AttemptStatus.FAILED, EventType.FAILED),
        ((451, None, "Later"), Status.QUEUED, AttemptStatus.DEFERRED, EventType.DEFERRED),
        ((421, None, "Bye"), Status.QUEUED, AttemptStatus.DEFERRED, EventType.DEFERRED),
    ],
    ids=["250", "550", "451", "421"],
)
def test_a_reply_that_was_marked_is_the_outcome(
    reply: tuple[int, str | None, str],
    status: Status,
    attempt_status: AttemptStatus,
    event: EventType,
    accept: Accept,
    lease: Lease,
) -> None:
    message = accept()
    take_one(lease)
    leave_marks(lease, mark(message, answer(*reply)))
    kill(lease)
    rescues.rescue()
    after = reload(message)
    assert (after.status, after.attempt_count) == (status, 1)
    assert after.excused_count == (reply[0] == 421), "the path's fault, as it would have been"
    [attempt] = timeline.list_attempts(message)
    assert (attempt.status, attempt.smtp_code) == (attempt_status, reply[0])
    assert (attempt.enhanced_code, attempt.response) == (reply[1], reply[2])
    assert attempt.remote == REMOTE
    assert event_types(message) == [EventType.ACCEPTED, event]


@pytest.mark.parametrize("text", ["no\0pe", "\N{SNOWMAN}", "x" * 3_000, 'a "quote"'])
def test_a_mark_keeps_what_the_server_said(text: str) -> None:
    outcome = rescues.read_mark(answer(451, "4.7.1", text))
    assert outcome.reply is not None
    assert outcome.reply == Reply(451, "4.7.1", text[:500])
    assert outcome.verdict is not None
    assert outcome.error_class is outcome.verdict.error_class
    assert rescues.read_mark(answer(250, None, text)).accepted


def test_the_mark_of_an_earlier_attempt_does_not_count(accept: Accept, lease: Lease) -> None:
    message = accept()
    end(take_one(lease), LATER)
    make_due(message)
    take_one(lease)
    leave_marks(lease, mark(message, answer(250, None, "OK"), attempt_no=1))
    kill(lease)
    rescues.rescue()
    assert (reload(message).status, reload(message).attempt_count) == (Status.QUEUED, 1)


@pytest.mark.parametrize("how", ["flushed", "not all written", "no row"])
def test_without_marks_to_rely_on_everything_is_unknown(
    how: str, accept: Accept, lease: Lease, redis_url: str
) -> None:
    """Never sent again on a guess."""
    made = [accept() for _ in range(3)]
    take(lease)
    leave_marks(lease, mark(made[0], BEGUN))
    if how == "flushed":
        with redis.Redis.from_url(redis_url, protocol=2) as client:
            client.flushall()
    elif how == "not all written":
        workers.set_has_marks(lease.worker_id, False)
    kill(lease)
    if how == "no row":
        Worker.delete().execute()
    assert rescues.rescue() == 3
    assert {reload(m).status for m in made} == {Status.UNKNOWN}
    assert all("may have been" in a.response or "lost" in a.response for a in Attempt.select())


def test_it_waits_for_a_redis_that_is_away(
    accept: Accept, lease: Lease, use_settings: UseSettings
) -> None:
    """However long the worker has been dead by then: after a power cut it comes back last."""
    message = accept()
    take_one(lease)
    leave_marks(lease)
    silence(lease, seconds=3600)
    url = config.current().redis_url
    send_redis_away(use_settings)
    assert rescues.rescue() == 0
    assert reload(message).status is Status.SENDING
    rescues._asked_at[lease.worker_id] -= WAIT_FOR_REDIS_SECONDS - 10
    assert rescues.rescue() == 0
    use_settings(redis_url=url)
    assert rescues.rescue() == 1
    assert reload(message).status is Status.QUEUED, "by its marks, as if Redis had never been away"
    assert lease.worker_id not in rescues._asked_at


def test_it_does_not_wait_for_ever(accept: Accept, lease: Lease, use_settings: UseSettings) -> None:
    message = accept()
    take_one(lease)
    leave_marks(lease)
    kill(lease)
    send_redis_away(use_settings)
    assert rescues.rescue() == 0
    rescues._asked_at[lease.worker_id] -= WAIT_FOR_REDIS_SECONDS
    assert rescues.rescue() == 1
    assert reload(message).status is Status.UNKNOWN
    rescues.rescue()
    assert rescues._asked_at == {}, "who is gone is not remembered"


@pytest.mark.parametrize(
    ("left", "status"),
    [
        (None, Status.UNKNOWN),
        (BEGUN, Status.UNKNOWN),
        (DOT, Status.UNKNOWN),
        (answer(250, None, "OK"), Status.SENT),
    ],
    ids=["none", "begun", "dot", "reply"],
)
def test_of_a_redis_that_was_started_anew_only_the_last_marks_are_believed(
    left: str | None, status: Status, accept: Accept, lease: Lease, redis_url: str
) -> None:
    """Its disk lacks the last moment, in which the final dot may have gone out."""
    message = accept()
    take_one(lease)
    leave_marks(lease, {} if left is None else mark(message, left))
    with redis.Redis.from_url(redis_url, protocol=2) as client:
        client.hset(marks._key(lease.worker_id), marks.SERVER, "f" * 40)
    kill(lease)
    assert rescues.rescue() == 1
    assert reload(message).status is status


def test_the_marks_stay_where_redis_may_be_another_databases(accept: Accept, lease: Lease) -> None:
    message = accept()
    take_one(lease)
    leave_marks(lease, mark(message, DOT))
    kill(lease)
    assert rescues.rescue(drop_marks=False) == 1
    assert marks.read(config.current().redis_url, lease.worker_id) == mark(message, DOT)


def test_one_that_waits_for_redis_keeps_no_other_waiting(
    accept: Accept, lease: Lease, use_settings: UseSettings
) -> None:
    first, second = accept(), accept(workspace_id=WORKSPACE_B)
    take_one(lease)
    leave_marks(lease)
    unmarked = workers.enter()
    take_one(unmarked, B_URGENT)
    kill(lease)
    kill(unmarked)
    send_redis_away(use_settings)
    assert rescues.rescue() == 1
    assert reload(first).status is Status.SENDING
    assert reload(second).status is Status.UNKNOWN


def test_the_living_are_left_alone(accept: Accept, lease: Lease) -> None:
    message = accept()
    take_one(lease)
    leave_marks(lease, mark(message, DOT))
    silence(lease, seconds=lease.seconds - 5)
    assert rescues.rescue() == 0
    assert reload(message).status is Status.SENDING
    assert marks.read(config.current().redis_url, lease.worker_id) == mark(message, DOT)


def test_the_marks_are_dropped_when_all_is_settled(accept: Accept, lease: Lease) -> None:
    message = accept()
    take_one(lease)
    leave_marks(lease, mark(message, DOT))
    kill(lease)
    rescues.rescue()
    assert marks.read(config.current().redis_url, lease.worker_id) is None


def test_it_works_through_more_than_one_batch(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [accept() for _ in range(7)]
    take(lease)
    leave_marks(lease, mark(made[6], answer(250, None, "OK")))
    kill(lease)
    monkeypatch.setattr(rescues, "BATCH", 3)
    assert rescues.rescue() == 7
    assert [reload(m).status for m in made] == [Status.QUEUED] * 6 + [Status.SENT]


def test_two_rescues_at_once_settle_each_message_once(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [accept() for _ in range(40)]
    take(lease)
    found: dict[str, str] = {}
    for message in made[:10]:
        found |= mark(message, DOT)
    for message in made[10:20]:
        found |= mark(message, BEGUN)
    for message in made[20:30]:
        found |= mark(message, answer(250, None, "OK"))
    leave_marks(lease, found)
    kill(lease)
    monkeypatch.setattr(rescues, "BATCH", 7)
    at_once(*[rescues.rescue] * 3)
    expected = [Status.UNKNOWN] * 10 + [Status.QUEUED] * 10 + [Status.SENT] * 10
    assert [reload(m).status for m in made] == expected + [Status.QUEUED] * 10
    assert [reload(m).attempt_count for m in made] == [1] * 30 + [0] * 10
    assert Event.select().where(Event.type != EventType.ACCEPTED).count() == 40
    assert Attempt.select().count() == 30


@pytest.mark.parametrize("value", ["?", "[250]", "{}", "[]", '["250", null, "OK", ""]'])
def test_a_mark_that_nobody_can_read_is_no_reason_to_rescue_nobody(
    value: str, accept: Accept, lease: Lease
) -> None:
    """As of a version of maild that writes them otherwise, in the middle of an upgrade."""
    odd, other = accept(), accept()
    take(lease)
    leave_marks(lease, mark(odd, value))
    kill(lease)
    rescues.rescue()
    assert reload(odd).status is Status.UNKNOWN
    assert reload(other).status is Status.QUEUED


def test_a_rescued_claim_is_what_it_was(accept: Accept, lease: Lease) -> None:
    """The rules need all of it: the stream, what counts, the account, how long it still lives."""
    first = accept(stream=Stream.MARKETING)
    end(take_one(lease, A_PATIENT), PATH_FAULT)
    make_due(first)
    claim = take_one(lease, A_PATIENT)
    [row] = database.execute_sql(rescues._HELD, (lease.worker_id, 10)).fetchall()
    found = rescues._claim(row)
    assert found.seconds_left == pytest.approx(claim.seconds_left, abs=60)
    assert dataclasses.replace(found, seconds_left=claim.seconds_left, route=claim.route) == claim
    assert claim.excused_count == 1


def test_a_worker_that_is_not_known_is_dead(accept: Accept, lease: Lease) -> None:
    message = accept()
    take_one(lease)
    Message.update(worker_id=uuid.uuid4()).execute()
    assert rescues.rescue() == 1
    assert reload(message).status is Status.UNKNOWN


def test_an_accepted_message_keeps_its_outcome_through_the_mark() -> None:
    assert rescues.read_mark(rescues.write_mark(ACCEPTED)).reply == ACCEPTED.reply

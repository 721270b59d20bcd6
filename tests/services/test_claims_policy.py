"""What the policy says of attempts, lifetimes and lost contact: it holds for what is claimed after
a change, when it is delivered and when it is rescued.
"""

from datetime import timedelta

import pytest

from maild.domain.states import AttemptStatus, EventType, Status, Stream
from maild.marks import BEGUN, DOT
from maild.models import Message
from maild.services import interventions, policies, rescues, timeline, workers
from maild.services.workers import Lease
from maild.transports.smtp import Outcome
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.freezing import BY
from tests.services.helpers import (
    A_PATIENT,
    LATER,
    LOST,
    PATH_FAULT,
    Accept,
    ago,
    answer,
    end,
    event_types,
    kill,
    leave_marks,
    make_due,
    mark,
    reload,
    take,
    take_one,
)

LATER_MARK = answer(451, "4.3.0", "Try later")


def save(workspace_id: int = WORKSPACE_A, **changes: object) -> None:
    policies.save(workspace_id, changes=changes, by=BY)


def versions(message: Message) -> list[int]:
    """By which policy each attempt was made."""
    return [attempt.policy_version for attempt in timeline.list_attempts(message)]


def die(message: Message, lease: Lease, value: str, *, attempt_no: int = 1) -> None:
    """The worker dies, leaves this mark, and is rescued."""
    leave_marks(lease, mark(message, value, attempt_no=attempt_no))
    kill(lease)
    assert rescues.rescue() == 1


# Attempts


def test_fewer_attempts_hold_for_what_was_accepted_before(accept: Accept, lease: Lease) -> None:
    message = accept()
    save(transactional={"max_attempts": 1})
    claim = take_one(lease)
    assert (claim.policy_version, claim.rules.max_attempts) == (1, 1)
    end(claim, LATER)
    failed = reload(message)
    assert failed.status is Status.FAILED
    assert failed.last_error.startswith("Gave up after 1 attempt.")
    assert versions(message) == [1]


def test_an_attempt_under_way_ends_by_the_rules_of_its_claim(accept: Accept, lease: Lease) -> None:
    message = accept()
    claim = take_one(lease)
    save(transactional={"max_attempts": 1})
    end(claim, LATER)
    assert reload(message).status is Status.QUEUED
    make_due(message)
    end(take_one(lease), LATER)
    assert reload(message).status is Status.FAILED, "and the next one by those of then"
    assert versions(message) == [0, 1]


def test_more_attempts_hold_at_the_next_claim(accept: Accept, lease: Lease) -> None:
    save(transactional={"max_attempts": 1})
    message = accept()
    save(transactional={"max_attempts": 3})
    for _ in range(2):
        end(take_one(lease), LATER)
        assert reload(message).status is Status.QUEUED
        make_due(message)
    end(take_one(lease), LATER)
    assert reload(message).status is Status.FAILED


def test_what_is_excused_does_not_count_whatever_the_policy(accept: Accept, lease: Lease) -> None:
    save(transactional={"max_attempts": 1})
    message = accept()
    for _ in range(3):
        end(take_one(lease), PATH_FAULT)
        assert reload(message).status is Status.QUEUED
        make_due(message)


def test_other_streams_and_workspaces_keep_their_rules(accept: Accept, lease: Lease) -> None:
    message = accept()
    save(marketing={"max_attempts": 1})
    save(WORKSPACE_B, transactional={"max_attempts": 1})
    end(take_one(lease), LATER)
    assert reload(message).status is Status.QUEUED


@pytest.mark.parametrize(
    ("value", "last"),
    [(BEGUN, AttemptStatus.INTERRUPTED), (LATER_MARK, AttemptStatus.FAILED)],
    ids=["begun", "451"],
)
def test_a_rescue_counts_attempts_by_the_policy(
    value: str, last: AttemptStatus, accept: Accept, lease: Lease
) -> None:
    save(transactional={"max_attempts": 2})
    message = accept()
    take_one(lease)
    die(message, lease, value)
    assert reload(message).status is Status.QUEUED
    make_due(message)
    again = workers.enter()
    take_one(again)
    die(message, again, value, attempt_no=2)
    assert reload(message).status is Status.FAILED
    assert timeline.list_attempts(message)[-1].status is last
    assert versions(message) == [1, 1]


def test_a_rescue_goes_by_the_policy_of_its_moment(accept: Accept, lease: Lease) -> None:
    message = accept()
    take_one(lease)
    save(transactional={"max_attempts": 1})
    die(message, lease, BEGUN)
    assert reload(message).status is Status.FAILED


# Lost contact

RULES = [
    ("hold", Status.UNKNOWN, EventType.OUTCOME_UNKNOWN),
    ("retry", Status.QUEUED, EventType.OUTCOME_UNKNOWN),
    ("assume_sent", Status.SENT, EventType.ASSUMED_SENT),
]


@pytest.mark.parametrize("how", ["delivery", "rescue by a mark", "rescue without marks"])
@pytest.mark.parametrize("stream", list(Stream))
@pytest.mark.parametrize(("rule", "status", "event"), RULES)
def test_an_unknown_outcome_is_treated_as_the_policy_says(
    rule: str,
    status: Status,
    event: EventType,
    stream: Stream,
    how: str,
    accept: Accept,
    lease: Lease,
) -> None:
    message = accept(stream=stream)
    other_rule = next(name for name, _, _ in RULES if name != rule)
    other_stream = next(other for other in Stream if other is not stream)
    changes: dict[str, object] = {
        stream.value: {"unknown_outcome": rule},
        other_stream.value: {"unknown_outcome": other_rule},
    }
    save(**changes)
    lost_contact(message, lease, how)
    after = reload(message)
    assert (after.status, event_types(message)[-1]) == (status, event)
    [attempt] = timeline.list_attempts(message)
    assert (attempt.status, attempt.policy_version) == (AttemptStatus.UNKNOWN, 1)


def lost_contact(message: Message, lease: Lease, how: str) -> None:
    claim = (
        take_one(lease) if message.stream is Stream.TRANSACTIONAL else take_one(lease, A_PATIENT)
    )
    if how == "delivery":
        end(claim, LOST)
    elif how == "rescue by a mark":
        die(message, lease, DOT)
    else:
        kill(lease)
        assert rescues.rescue() == 1


def test_a_retry_of_an_unknown_outcome_ends_with_the_policys_attempts(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    save(transactional={"unknown_outcome": "retry", "max_attempts": 2})
    for status in (Status.QUEUED, Status.UNKNOWN):
        end(take_one(lease), LOST)
        assert reload(message).status is status
        make_due(message)


# Lifetimes


def test_a_lifetime_holds_for_what_is_accepted_after_it_was_changed(accept: Accept) -> None:
    before = accept()
    save(transactional={"lifetime_seconds": 3_600})
    after, patient = accept(), accept(stream=Stream.MARKETING)
    assert after.expires_at - after.created_at == timedelta(hours=1)
    assert before.expires_at - before.created_at > timedelta(hours=2)
    assert patient.expires_at - patient.created_at > timedelta(hours=2)


@pytest.mark.parametrize("outcome", [LATER, PATH_FAULT, LOST], ids=["451", "path fault", "lost"])
def test_no_attempt_is_planned_past_the_end_of_a_life(
    outcome: Outcome, accept: Accept, lease: Lease
) -> None:
    save(transactional={"lifetime_seconds": 60, "unknown_outcome": "retry"})
    message = accept()
    Message.update(expires_at=ago(seconds=-1)).execute()
    end(take_one(lease), outcome)
    after = reload(message)
    assert after.status is (Status.UNKNOWN if outcome is LOST else Status.FAILED)
    assert take(lease) == []


def test_a_retry_by_a_person_gives_a_life_as_the_policy_says_now(
    accept: Accept, lease: Lease
) -> None:
    save(transactional={"lifetime_seconds": 60, "max_attempts": 1})
    message = accept()
    end(take_one(lease), LATER)
    save(transactional={"lifetime_seconds": 7_200})
    assert interventions.retry(WORKSPACE_A, message_ids=[str(message.id)], by=BY).result.done_count
    again = reload(message)
    assert again.status is Status.QUEUED
    assert (
        timedelta(hours=2) - timedelta(minutes=1) < again.expires_at - ago() <= timedelta(hours=2)
    )

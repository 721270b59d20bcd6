"""What a person does by hand: guarded, told on the timeline, and never past a suppression."""

import dataclasses
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from maild import config, db, queue
from maild.domain.actor import Actor
from maild.domain.states import EventType, Status, Stream
from maild.domain.suppression import SuppressionClass
from maild.errors import InvalidFields, NotFound
from maild.models import AuditEntry, Event, Freeze, Message, Suppression
from maild.services import interventions, policies, suppressions, verbs
from maild.services.interventions import OutcomeStatus, Result, Source
from maild.services.message_log import Filter
from maild.services.messages import DELIVER
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import start_freeze

Accept = Callable[..., Message]
Make = Callable[..., Message]

pytestmark = pytest.mark.usefixtures("database")

ME = Actor("me")


@pytest.fixture
def make(accept: Accept) -> Make:
    """A message in any status, brought there by moves that the database allows."""

    def store(status: Status, *, attempt_count: int = 0, **fields: object) -> Message:
        message = accept(**fields)
        direct = {Status.FAILED, Status.HELD, Status.SUPPRESSED, Status.CANCELLED, Status.EXPIRED}

        def update(**values: object) -> None:
            Message.update(**values).where(Message.id == message.id).execute()

        if status is Status.QUEUED:
            return message
        if status not in direct:
            update(status=Status.SENDING, worker_id=uuid.uuid4(), next_attempt_at=None)
        if status not in {Status.SENDING, Status.UNKNOWN, *direct}:
            update(status=Status.SENT, worker_id=None)
        if status is not Status.SENDING:
            held = {"hold_reason": "to look at it"} if status is Status.HELD else {}
            update(
                status=status,
                worker_id=None,
                next_attempt_at=None,
                attempt_count=attempt_count,
                **held,
            )
        return Message.get_by_id(message.id)

    return store


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hints that are given, in order."""
    hints: list[str] = []
    monkeypatch.setattr(queue, "enqueue", hints.append)
    return hints


def again(message: Message) -> Message:
    found: Message = Message.get_by_id(message.id)
    return found


def retry(*messages: Message, **more: object) -> Result:
    ids = [str(message.id) for message in messages]
    return interventions.retry(WORKSPACE_A, message_ids=ids, by=ME, **more).result  # type: ignore[arg-type]


def told(message: Message) -> tuple[str, dict[str, object]]:
    """The latest event of a message."""
    event = Event.select().where(Event.message == message.id).order_by(Event.id.desc()).get()
    return event.type, event.data


def errors(result: Result) -> list[tuple[OutcomeStatus, str | None]]:
    return [(outcome.status, outcome.error) for outcome in result.outcomes]


@pytest.mark.parametrize("status", [Status.FAILED, Status.UNKNOWN])
def test_a_retry_gives_all_attempts_and_a_life_again(
    make: Make, rung: list[str], status: Status
) -> None:
    message = make(status, attempt_count=9)
    short = datetime.now(UTC) + timedelta(seconds=1)
    Message.update(expires_at=short).where(Message.id == message.id).execute()
    rung.clear()
    assert errors(retry(message, reason="it was our fault")) == [(OutcomeStatus.RETRIED, None)]
    row = again(message)
    assert row.status is Status.QUEUED
    assert (row.attempt_count, row.excused_count) == (9, 9)
    assert row.next_attempt_at <= datetime.now(UTC)
    lifetime = timedelta(seconds=config.current().lifetime_seconds("transactional"))
    assert row.expires_at > short + lifetime / 2
    assert told(message) == (
        EventType.RETRIED.value,
        {"by": "me", "reason": "it was our fault"},
    )
    assert rung == [DELIVER]


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.FAILED, Status.UNKNOWN}))
def test_only_failed_and_unknown_messages_can_be_retried(make: Make, status: Status) -> None:
    message = make(status)
    [(outcome, error)] = errors(retry(message))
    assert outcome is OutcomeStatus.SKIPPED
    assert error == f"is {status}: only failed and unknown messages can be retried"
    assert again(message).status is status


@pytest.mark.parametrize(
    ("stream", "expires", "is_in_force"),
    [
        (None, None, True),
        (Stream.TRANSACTIONAL, timedelta(hours=1), True),
        (Stream.MARKETING, None, False),
        (None, timedelta(hours=-1), False),
    ],
)
def test_a_suppressed_recipient_stays_unmailed(
    make: Make, stream: Stream | None, expires: timedelta | None, is_in_force: bool
) -> None:
    message = make(Status.FAILED, to_email="Ann@example.org")
    for workspace, email in ((WORKSPACE_A, "ann@example.org"), (WORKSPACE_B, "bob@example.org")):
        Suppression.insert(
            class_=SuppressionClass.MANUAL,
            created_by=ME,
            workspace=workspace,
            email=email,
            stream=stream,
            reason="it bounced",
            source="test",
            expires_at=datetime.now(UTC) + expires if expires else None,
        ).execute()
    [(outcome, error)] = errors(retry(message))
    if is_in_force:
        assert (outcome, error) == (
            OutcomeStatus.SKIPPED,
            "the recipient is suppressed: it bounced",
        )
        assert again(message).status is Status.FAILED
    else:
        assert outcome is OutcomeStatus.RETRIED


def test_a_suppression_is_found_whatever_the_case(make: Make) -> None:
    message = make(Status.FAILED, to_email="Änn@bücher.example")
    suppressions.add(WORKSPACE_A, "ÄNN@Bücher.example", reason="complained", source="test")
    [(outcome, error)] = errors(retry(message))
    assert (outcome, error) == (
        OutcomeStatus.SKIPPED,
        "the recipient is suppressed: complained",
    )


def test_a_domain_that_was_blocked_since_stays_unmailed(
    make: Make, use_settings: Callable[..., object]
) -> None:
    message = make(Status.FAILED, to_email="ann@bücher.example")
    use_settings(blocked_recipient_domains=("xn--bcher-kva.example",))
    [(outcome, error)] = errors(retry(message))
    assert (outcome, error) == (
        OutcomeStatus.SKIPPED,
        "mail to bücher.example is blocked",
    )


def test_ids_of_nobody_and_of_others_look_the_same(make: Make) -> None:
    foreign = make(Status.FAILED, workspace_id=WORKSPACE_B)
    own = make(Status.FAILED)
    texts = [str(uuid.uuid4()), str(foreign.id), "nonsense", "", str(own.id)]
    result = interventions.retry(WORKSPACE_A, message_ids=texts, by=ME).result
    assert errors(result)[:4] == [(OutcomeStatus.FAILED, "not found")] * 4
    assert [outcome.message_id for outcome in result.outcomes] == texts
    assert (result.done_count, result.skipped_count, result.failed_count) == (1, 0, 4)
    assert again(foreign).status is Status.FAILED


def test_an_id_given_twice_is_one_message(make: Make) -> None:
    message = make(Status.FAILED)
    assert errors(retry(message, message)) == [(OutcomeStatus.RETRIED, None)]


def test_the_newest_failed_ones_are_retried(make: Make) -> None:
    failed = [make(Status.FAILED) for _ in range(4)]
    make(Status.UNKNOWN)
    make(Status.FAILED, workspace_id=WORKSPACE_B)
    retried = interventions.retry(WORKSPACE_A, limit=3, by=ME)
    assert (retried.source, retried.is_truncated) == (Source.LATEST_FAILED, False)
    assert retried.result.done_count == 3
    assert [again(m).status for m in failed] == [Status.FAILED] + [Status.QUEUED] * 3


def test_a_filter_finds_failed_and_unknown_ones(make: Make) -> None:
    wanted = [make(status, tags=("x",)) for status in (Status.FAILED, Status.UNKNOWN)]
    others = [
        make(Status.FAILED),
        make(Status.SENT, tags=("x",)),
        make(Status.FAILED, tags=("x",), workspace_id=WORKSPACE_B),
    ]
    before = [again(m).status for m in others]
    retried = interventions.retry(WORKSPACE_A, filter_=Filter(tag="x"), by=ME)
    assert retried.source is Source.FILTER
    assert retried.result.done_count == 2
    assert [again(m).status for m in wanted] == [Status.QUEUED] * 2
    assert [again(m).status for m in others] == before


def test_a_dry_run_changes_nothing(make: Make, rung: list[str]) -> None:
    messages = [make(Status.FAILED) for _ in range(12)]
    Suppression.insert(
        class_=SuppressionClass.MANUAL,
        created_by=ME,
        workspace=WORKSPACE_A,
        email="ann@example.org",
        reason="r",
        source="test",
    ).execute()
    fine = make(Status.FAILED, to_email="bob@example.org")
    rung.clear()
    retried = interventions.retry(WORKSPACE_A, filter_=Filter(), dry_run=True, by=ME)
    result = retried.result
    assert (result.done_count, result.skipped_count, len(retried.shown)) == (1, 12, 10)
    assert retried.is_dry_run
    assert {again(m).status for m in [*messages, fine]} == {Status.FAILED}
    assert Event.select().where(Event.type == EventType.RETRIED.value).count() == 0
    assert rung == []


def test_one_call_with_a_filter_looks_at_so_many_and_says_so(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interventions, "FILTER_MAX", 2)
    monkeypatch.setattr(interventions, "CHUNK", 1)
    for _ in range(3):
        make(Status.FAILED)
    retried = interventions.retry(WORKSPACE_A, filter_=Filter(), by=ME)
    assert (retried.is_truncated, retried.result.done_count) == (True, 2)
    retried = interventions.retry(WORKSPACE_A, filter_=Filter(), by=ME)
    assert (retried.is_truncated, retried.result.done_count) == (False, 1)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"limit": 1, "message_ids": ["x"]},
        {"limit": 1, "filter_": Filter()},
        {"message_ids": []},
        {"message_ids": ["x"] * 501},
        {"filter_": Filter(status=Status.SENT)},
        {"limit": 1, "reason": " "},
        {"limit": 1, "reason": "a\nb"},
        {"limit": 1, "reason": "x" * 501},
    ],
)
def test_it_refuses_a_request_that_makes_no_sense(given: dict[str, object]) -> None:
    with pytest.raises(InvalidFields):
        interventions.retry(WORKSPACE_A, by=ME, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", [{"limit": 1}, {"filter_": Filter()}, {"message_ids": [str(uuid.uuid4())]}]
)
def test_an_unknown_workspace_is_not_found(given: dict[str, object]) -> None:
    with pytest.raises(NotFound, match="workspace 99"):
        interventions.retry(99, by=ME, **given)  # type: ignore[arg-type]


def test_of_two_at_once_one_wins_and_the_other_is_told(make: Make) -> None:
    messages = [make(Status.FAILED) for _ in range(20)]
    barrier = threading.Barrier(4)

    def run(_: int) -> Result:
        with db.connection():
            barrier.wait()
            return retry(*messages)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(4)))
    for place in range(20):
        outcomes = [result.outcomes[place].status for result in results]
        assert outcomes.count(OutcomeStatus.RETRIED) == 1
        assert outcomes.count(OutcomeStatus.SKIPPED) == 3
    assert Event.select().where(Event.type == EventType.RETRIED.value).count() == 20


@pytest.mark.parametrize("status", [Status.QUEUED, Status.HELD])
def test_waiting_and_held_messages_can_be_cancelled(make: Make, status: Status) -> None:
    message = make(status)
    result = interventions.cancel(WORKSPACE_A, [str(message.id)], by=ME, reason="a mistake")
    assert errors(result) == [(OutcomeStatus.CANCELLED, None)]
    row = again(message)
    assert (row.status, row.next_attempt_at, row.hold_reason) == (Status.CANCELLED, None, None)
    assert told(message) == (EventType.CANCELLED.value, {"by": "me", "reason": "a mistake"})


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.QUEUED, Status.HELD}))
def test_what_is_under_way_or_over_cannot_be_cancelled(make: Make, status: Status) -> None:
    message = make(status)
    [(outcome, error)] = errors(interventions.cancel(WORKSPACE_A, [str(message.id)], by=ME))
    assert outcome is OutcomeStatus.SKIPPED
    expected = "is being sent right now" if status is Status.SENDING else f"is {status} already"
    assert error == expected
    assert again(message).status is status


def test_a_message_is_held_with_a_reason_and_released(make: Make, rung: list[str]) -> None:
    message = make(Status.QUEUED)
    ids = [str(message.id)]
    held = interventions.hold(WORKSPACE_A, ids, by=ME, reason="wrong price")
    assert errors(held) == [(OutcomeStatus.HELD, None)]
    assert (again(message).status, again(message).hold_reason) == (Status.HELD, "wrong price")
    assert told(message) == (EventType.HELD.value, {"by": "me", "reason": "wrong price"})
    twice = interventions.hold(WORKSPACE_A, ids, by=ME, reason="again")
    assert errors(twice) == [(OutcomeStatus.SKIPPED, "is held already")]
    rung.clear()
    released = interventions.release(WORKSPACE_A, ids, by=Actor("you"))
    assert errors(released) == [(OutcomeStatus.RELEASED, None)]
    row = again(message)
    assert (row.status, row.hold_reason) == (Status.QUEUED, None)
    assert row.next_attempt_at <= datetime.now(UTC)
    assert told(message) == (EventType.RELEASED.value, {"by": "you"})
    assert rung == [DELIVER]


@pytest.mark.parametrize("status", [Status.SENDING, Status.SENT, Status.FAILED])
def test_what_is_not_waiting_can_be_neither_held_nor_released(make: Make, status: Status) -> None:
    ids = [str(make(status).id)]
    held = interventions.hold(WORKSPACE_A, ids, by=ME, reason="r")
    released = interventions.release(WORKSPACE_A, ids, by=ME)
    assert held.skipped_count == released.skipped_count == 1
    assert released.outcomes[0].error == f"is {status}, not held"


def test_a_released_message_waits_for_its_time(make: Make) -> None:
    at = datetime.now(UTC) + timedelta(hours=3)
    message = make(Status.HELD, scheduled_at=at)
    interventions.release(WORKSPACE_A, [str(message.id)], by=ME)
    assert abs(again(message).next_attempt_at - at) < timedelta(seconds=1)


def test_what_a_freeze_holds_is_not_released_by_hand(make: Make) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="stolen list")
    message = make(Status.HELD)
    Message.update(freeze=freeze.id).where(Message.id == message.id).execute()
    [(outcome, error)] = errors(interventions.release(WORKSPACE_A, [str(message.id)], by=ME))
    assert outcome is OutcomeStatus.SKIPPED
    assert error == "a freeze is in force, lift it first: stolen list"
    Freeze.update(lifted_at=datetime.now(UTC)).execute()
    assert interventions.release(WORKSPACE_A, [str(message.id)], by=ME).done_count == 1
    assert again(message).freeze_id is None


def test_a_person_says_that_it_was_sent(make: Make, rung: list[str]) -> None:
    message = make(Status.UNKNOWN)
    rung.clear()
    result = interventions.resolve(
        WORKSPACE_A, [str(message.id)], was_sent=True, by=ME, reason="it is in their log"
    )
    assert errors(result) == [(OutcomeStatus.RESOLVED, None)]
    assert again(message).status is Status.SENT
    assert told(message) == (
        EventType.ASSUMED_SENT.value,
        {"by": "me", "reason": "it is in their log"},
    )
    assert rung == []


def test_a_person_says_that_it_was_not_sent(make: Make, rung: list[str]) -> None:
    message = make(Status.UNKNOWN, attempt_count=2)
    suppressed = make(Status.UNKNOWN, to_email="bob@example.org")
    Suppression.insert(
        class_=SuppressionClass.MANUAL,
        created_by=ME,
        workspace=WORKSPACE_A,
        email="bob@example.org",
        reason="r",
        source="test",
    ).execute()
    rung.clear()
    result = interventions.resolve(
        WORKSPACE_A,
        [str(message.id), str(suppressed.id)],
        was_sent=False,
        by=ME,
        reason="not in their log",
    )
    assert [o.status for o in result.outcomes] == [OutcomeStatus.RESOLVED, OutcomeStatus.SKIPPED]
    row = again(message)
    assert (row.status, row.excused_count) == (Status.QUEUED, 2)
    assert told(message)[0] == EventType.RETRIED.value
    assert again(suppressed).status is Status.UNKNOWN
    assert rung == [DELIVER]


@pytest.mark.parametrize("was_sent", [True, False])
@pytest.mark.parametrize("status", [Status.FAILED, Status.SENT, Status.QUEUED])
def test_only_an_unknown_outcome_can_be_resolved(
    make: Make, status: Status, was_sent: bool
) -> None:
    message = make(status)
    [(outcome, error)] = errors(
        interventions.resolve(WORKSPACE_A, [str(message.id)], was_sent=was_sent, by=ME, reason="r")
    )
    assert outcome is OutcomeStatus.SKIPPED
    assert error == f"is {status}: only an unknown outcome can be resolved"


def test_each_kind_is_audited_with_its_messages(make: Make) -> None:
    message = make(Status.QUEUED)
    ids = [str(message.id)]
    interventions.hold(WORKSPACE_A, ids, by=ME, reason="to look at it")
    interventions.release(WORKSPACE_A, ids, by=ME)
    interventions.cancel(WORKSPACE_A, ids, by=ME)
    interventions.cancel(WORKSPACE_A, ids, by=ME)  # which changes nothing
    interventions.retry(WORKSPACE_A, message_ids=ids, dry_run=True, by=ME)
    entries = list(AuditEntry.select().order_by(AuditEntry.seq))
    assert [e.action for e in entries] == [
        "messages.held", "messages.released", "messages.cancelled",
    ]  # fmt: skip
    assert {e.actor for e in entries} == {"me"}
    assert entries[0].after == {"count": 1, "message_ids": ids}
    assert [e.reason for e in entries] == ["to look at it", None, None]


def test_a_sender_that_the_policy_does_not_allow_any_more_stays_unsent(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = make(Status.FAILED)
    rules = dataclasses.replace(policies.get(WORKSPACE_A), allowed_from_domains=("other.example",))
    with monkeypatch.context() as patch:
        patch.setattr(verbs.policies, "get", lambda _: rules)
        [(outcome, error)] = errors(retry(message))
    assert (outcome, error) == (
        OutcomeStatus.SKIPPED,
        "the policy does not allow mail from example.com",
    )
    assert errors(retry(message)) == [(OutcomeStatus.RETRIED, None)]

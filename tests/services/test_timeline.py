"""The story of a message: the attempt under way, and what happened to providers meanwhile."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from maild import clock
from maild.domain.states import AttemptStatus, EventType, Status
from maild.models import Attempt, Event, Message
from maild.services import timeline
from tests.conftest import WORKSPACE_A, WORKSPACE_B

Accept = Callable[..., Message]

pytestmark = pytest.mark.usefixtures("database")


def change(message: Message, **fields: object) -> Message:
    Message.update(**fields).where(Message.id == message.id).execute()
    found: Message = Message.get_by_id(message.id)
    return found


def sending(message: Message, *, attempt_no: int) -> Message:
    return change(
        message,
        status=Status.SENDING,
        worker_id=uuid.uuid4(),
        next_attempt_at=None,
        attempt_count=attempt_no,
        smtp_account_name="eu",
        updated_at=clock.now(),
    )


def store_attempt(message: Message, number: int, status: AttemptStatus) -> None:
    Attempt.insert(
        message=message.id,
        attempt_no=number,
        status=status,
        worker_id=uuid.uuid4(),
        smtp_account_name="eu",
        finished_at=clock.now(),
    ).execute()


def provider_event(
    kind: EventType, *, workspace_id: int | None = WORKSPACE_A, at: datetime | None = None
) -> None:
    values = {"created_at": at} if at else {}
    data = {"smtp_account": "eu"}
    Event.insert(workspace=workspace_id, type=kind.value, data=data, **values).execute()


def test_the_attempt_under_way_is_told_by_the_message(accept: Accept) -> None:
    message = accept()
    store_attempt(message, 1, AttemptStatus.DEFERRED)
    message = sending(message, attempt_no=2)
    first, second = timeline.list_attempts(message)
    assert (first.attempt_no, first.status) == (1, AttemptStatus.DEFERRED)
    assert (second.attempt_no, second.status) == (2, AttemptStatus.STARTED)
    assert second.smtp_account_name == "eu"
    assert second.started_at == message.updated_at
    assert second.worker_id == message.worker_id
    assert (second.finished_at, second.is_excused, second.is_success) == (None, False, False)
    assert Attempt.select().count() == 1


def test_an_attempt_that_is_written_already_is_told_once(accept: Accept) -> None:
    """The message was read before its outcome was committed, the attempts after."""
    message = sending(accept(), attempt_no=1)
    store_attempt(message, 1, AttemptStatus.SENT)
    [only] = timeline.list_attempts(message)
    assert only.status is AttemptStatus.SENT


@pytest.mark.parametrize("status", [Status.QUEUED, Status.FAILED])
def test_a_message_that_is_not_being_sent_has_none_under_way(
    accept: Accept, status: Status
) -> None:
    message = accept()
    if status is Status.FAILED:
        message = change(message, status=status, next_attempt_at=None)
    assert timeline.list_attempts(message) == []


def test_what_happened_to_providers_stands_between(accept: Accept) -> None:
    provider_event(EventType.SLOWED, at=clock.now() - timedelta(hours=1))
    message = accept()
    provider_event(EventType.BREAKER_OPENED)
    provider_event(EventType.BREAKER_OPENED, workspace_id=None)
    provider_event(EventType.PAUSED, workspace_id=WORKSPACE_B)
    Event.insert(workspace=WORKSPACE_A, type="conservation.broken", data={}).execute()
    Event.insert(
        workspace=WORKSPACE_A, message=message.id, type=EventType.DEFERRED.value, data={}
    ).execute()
    provider_event(EventType.FAILED_BACK)
    told = [(event.type, event.workspace_id) for event in timeline.list_events(message)]
    assert told == [
        ("message.accepted", WORKSPACE_A),
        ("provider.breaker_opened", WORKSPACE_A),
        ("provider.breaker_opened", None),
        ("message.deferred", WORKSPACE_A),
        ("provider.failed_back", WORKSPACE_A),
    ]


def test_what_happened_after_its_end_is_another_story(accept: Accept) -> None:
    message = change(accept(), status=Status.FAILED, next_attempt_at=None, updated_at=clock.now())
    provider_event(EventType.PAUSED, at=message.updated_at + timedelta(seconds=1))
    assert [event.type for event in timeline.list_events(message)] == ["message.accepted"]
    unknown = sending(accept(), attempt_no=1)
    provider_event(EventType.RESUMED)
    assert "provider.resumed" in [event.type for event in timeline.list_events(unknown)]


def test_of_a_noisy_provider_the_latest_is_told(accept: Accept) -> None:
    message = accept()
    for kind in [EventType.PAUSED, *[EventType.SLOWED] * timeline.PROVIDER_EVENTS_MAX]:
        provider_event(kind)
    types = [event.type for event in timeline.list_events(message)]
    assert types == ["message.accepted"] + ["provider.slowed"] * timeline.PROVIDER_EVENTS_MAX

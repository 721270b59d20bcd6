"""The end of a freeze: what it held is let go, once, and told."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import redis

from maild import queue
from maild.config import Settings
from maild.domain.actor import Actor
from maild.domain.freeze import FreezeKind
from maild.domain.states import EventType, Status, Stream
from maild.models import Event, Freeze, Message, Workspace
from maild.services import freezes
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.freezing import BY, K, ahead, audited, hold, make_key, start, told
from tests.services.helpers import (
    A_PATIENT,
    B_URGENT,
    Accept,
    ago,
    at_once,
    event_types,
    reload,
    set_end,
    start_freeze,
    take,
)


@pytest.fixture
def bell(settings: Settings, database: None) -> Iterator[redis.Redis]:
    """The run's Valkey, emptied, and the doorbell on it."""
    with redis.Redis.from_url(settings.redis_url, protocol=2) as client:
        client.flushall()
        queue.init(settings.redis_url)
        yield client


def test_a_freeze_in_force_lets_nothing_go(accept: Accept, lease: Lease) -> None:
    start_freeze(WORKSPACE_A, reason="a test", expires_at=ahead(hours=1))
    message = accept()
    take(lease)
    assert freezes.release_thawed() == 0
    assert reload(message).status is Status.HELD


def test_a_lift_lets_go_at_once_and_rings(accept: Accept, lease: Lease, bell: redis.Redis) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="a test")
    message = accept()
    take(lease)
    bell.flushall()
    lifted = freezes.lift(freeze, reason="mended", by=BY)
    assert (lifted.lifted_by, lifted.lift_reason) == ("operator key", "mended")
    assert bell.llen("huey.redis.maild") == 1

    after = reload(message)
    assert (after.status, after.hold_reason, after.freeze_id) == (Status.QUEUED, None, None)
    assert after.attempt_count == 0
    assert event_types(message) == [EventType.ACCEPTED, EventType.HELD, EventType.RELEASED]
    assert [c.message_id for c in take(lease)] == [message.id], "it is due at once"
    assert freezes.release_thawed() == 0


@pytest.mark.parametrize("kind", list(FreezeKind))
def test_what_it_held_is_queued_again_when_its_time_is_over(
    kind: FreezeKind, accept: Accept, lease: Lease
) -> None:
    targets = {
        K.STREAM: "transactional",
        K.SMTP_ACCOUNT: "default",
        K.FROM_EMAIL: "shop@example.com",
        K.RECIPIENT_DOMAIN: "example.org",
    }
    freeze = start(kind, str(make_key()) if kind is K.API_KEY else targets.get(kind))
    [message] = hold(freeze, accept)
    set_end(freeze, ended := ago(seconds=1))
    assert freezes.release_thawed() == 1
    after = reload(message)
    assert (after.status, after.hold_reason, after.freeze_id) == (Status.QUEUED, None, None)
    assert event_types(message)[-1] == EventType.RELEASED
    assert [c.message_id for c in take(lease)] == [message.id]
    row = Freeze.get_by_id(freeze.id)
    assert (row.lifted_at, row.lifted_by) == (ended, "maild")
    assert freezes.release_thawed() == 0
    assert [kind for kind, _ in told()] == [EventType.FREEZE_STARTED, EventType.FREEZE_ENDED]


def test_what_is_scheduled_for_later_keeps_its_time(accept: Accept, lease: Lease) -> None:
    """A person may have moved the time of a held message."""
    freeze = start_freeze(WORKSPACE_A, reason="a test")
    message = accept()
    take(lease)
    later = ahead(hours=3)
    Message.update(scheduled_at=later).execute()
    freezes.lift(freeze)
    assert reload(message).next_attempt_at == later


def test_what_a_person_holds_stays_held(accept: Accept, lease: Lease) -> None:
    message = accept()
    Message.update(status=Status.HELD, next_attempt_at=None, hold_reason="look at it").execute()
    freezes.lift(start_freeze(WORKSPACE_A, reason="a test"))
    assert freezes.release_thawed() == 0
    assert reload(message).hold_reason == "look at it"


def test_a_second_freeze_holds_what_the_first_lets_go(accept: Accept, lease: Lease) -> None:
    first = start_freeze(WORKSPACE_A, reason="first", stream=Stream.MARKETING)
    second = start_freeze(WORKSPACE_A, reason="second")
    message = accept(stream=Stream.MARKETING)
    take(lease, A_PATIENT)
    assert reload(message).hold_reason == "first"
    freezes.lift(first)
    assert take(lease, A_PATIENT) == []
    assert (reload(message).hold_reason, reload(message).freeze_id) == ("second", second.id)
    freezes.lift(second)
    assert [c.message_id for c in take(lease, A_PATIENT)] == [message.id]


def test_one_workspaces_end_of_a_freeze_lets_go_its_own(accept: Accept, lease: Lease) -> None:
    mine = start_freeze(WORKSPACE_A, reason="a test")
    start_freeze(WORKSPACE_B, reason="a test")
    own, other = accept(), accept(workspace_id=WORKSPACE_B)
    take(lease)
    take(lease, B_URGENT)
    freezes.lift(mine)
    freezes.release_thawed()
    assert reload(own).status is Status.QUEUED
    assert reload(other).status is Status.HELD


@pytest.mark.parametrize("how", ["lifted", "ended"])
def test_lifting_what_is_over_changes_nothing(how: str, database: None) -> None:
    freeze = start()
    if how == "lifted":
        freezes.lift(freeze, reason="mended", by=BY)
    else:
        set_end(freeze, ago(seconds=1))
    before = freezes.get(WORKSPACE_A, freeze.id)
    entries = len(audited())
    after = freezes.lift(freeze, reason="again", by=Actor("somebody else"))
    for name in ("lifted_at", "lifted_by", "lift_reason", "expires_at"):
        assert getattr(after, name) == getattr(before, name)
    assert len(audited()) == entries


def test_of_two_that_lift_at_once_one_is_told_of(accept: Accept, database: None) -> None:
    freeze = start()
    hold(freeze, accept, count=20)
    at_once(*[lambda: freezes.lift(freeze, reason="mended", by=BY)] * 4)
    assert [kind for kind, _ in told()] == [EventType.FREEZE_STARTED, EventType.FREEZE_ENDED]
    assert [entry.action for entry in audited()] == ["freeze.started", "freeze.lifted"]
    assert Event.select().where(Event.type == EventType.RELEASED).count() == 20


def test_a_lift_goes_on_in_batches(
    accept: Accept, database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze = start()
    hold(freeze, accept, count=10)
    monkeypatch.setattr(freezes, "RELEASE_BATCH", 3)
    freezes.lift(freeze)
    assert Message.select().where(Message.status == Status.QUEUED).count() == 3
    assert audited()[-1].after["released_at_once"] == 3
    assert freezes.release_thawed() == 7
    assert Message.select().where(Message.status == Status.QUEUED).count() == 10


def test_a_share_is_one_batch_at_least_and_the_next_goes_on(
    accept: Accept, database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze = start()
    hold(freeze, accept, count=7)
    set_end(freeze, ago(seconds=1))
    monkeypatch.setattr(freezes, "RELEASE_BATCH", 3)
    assert [freezes.release_thawed(seconds=0) for _ in range(4)] == [3, 3, 1, 0]


def test_a_freeze_that_holds_much_keeps_no_other_waiting(
    accept: Accept, database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    much, little = start(K.STREAM, "marketing"), start(K.RECIPIENT_DOMAIN, "example.net")
    hold(much, accept, count=9)
    hold(little, accept, count=2)
    for freeze in (much, little):
        set_end(freeze, ago(seconds=1))
    monkeypatch.setattr(freezes, "RELEASE_BATCH", 3)
    rung: list[str] = []
    monkeypatch.setattr(freezes.queue, "enqueue", rung.append)
    clock = iter([0.0, 0.0, 1.0])  # at the beginning, and after each batch
    monkeypatch.setattr(freezes, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert freezes.release_thawed(seconds=1) == 5
    assert Message.select().where(Message.freeze_id == little.id).count() == 0
    assert len(rung) == 2, "each batch wakes the workers"


def test_it_lets_go_what_several_freezes_held(accept: Accept, database: None) -> None:
    over = [start(K.RECIPIENT_DOMAIN, f"{n}.example") for n in range(5)]
    standing = start(K.STREAM, "marketing")
    for freeze in (over[0], standing, over[3], over[4]):
        hold(freeze, accept, count=2)
    for freeze in over:
        set_end(freeze, ago(seconds=1))
    assert freezes.release_thawed() == 6
    held = Message.select().where(Message.status == Status.HELD)
    assert {message.freeze_id for message in held} == {standing.id}


def test_two_at_once_let_each_message_go_once(
    accept: Accept, database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze = start()
    hold(freeze, accept, count=60)
    set_end(freeze, ago(seconds=1))
    monkeypatch.setattr(freezes, "RELEASE_BATCH", 7)
    released: list[int] = []
    at_once(*[lambda: released.append(freezes.release_thawed())] * 3)
    released.append(freezes.release_thawed())  # what one skipped while another had it
    assert sum(released) == 60
    assert Event.select().where(Event.type == EventType.RELEASED).count() == 60
    assert [kind for kind, _ in told()].count(EventType.FREEZE_ENDED) == 1


def test_a_workspace_goes_with_its_freezes(accept: Accept, lease: Lease) -> None:
    start_freeze(WORKSPACE_A, reason="a test")
    accept()
    take(lease)
    Workspace.delete().where(Workspace.id == WORKSPACE_A).execute()
    assert Freeze.select().count() == 0

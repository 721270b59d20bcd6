"""Freezes: who may start what, how one ends, and that what it held is then let go."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from maild import queue
from maild.config import Settings
from maild.domain.actor import Actor
from maild.domain.freeze import FreezeKind, FreezeState
from maild.domain.states import EventType, Status, Stream
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import ApiKey, AuditEntry, Event, Freeze, Message, Workspace
from maild.services import freezes, smtp_accounts
from maild.services.smtp_accounts import NewSmtpAccount
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
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

BY = Actor("operator key", ip="192.0.2.7", request_id="r-1")
K = FreezeKind


def ahead(**spans: float) -> datetime:
    return datetime.now(UTC) + timedelta(**spans)


def start(kind: FreezeKind = K.WORKSPACE, target: str | None = None, **changes: Any) -> Freeze:
    values: dict[str, Any] = {"reason": "a test", "expires_at": ahead(hours=1), "by": BY}
    workspace_id = changes.pop("workspace_id", WORKSPACE_A)
    return freezes.start(workspace_id, kind=kind, target=target, **{**values, **changes})


def make_key(workspace_id: int = WORKSPACE_A) -> int:
    key = ApiKey.create(
        workspace=workspace_id,
        name="billing",
        prefix="mk_1a2b",
        key_hash=uuid.uuid4().bytes * 2,
        role="sender",
        created_by="admin key",
    )
    return int(key.id)


def make_account(name: str, workspace_id: int = WORKSPACE_A) -> None:
    account = NewSmtpAccount(name, "smtp.example.com", 587, "shop@example.com")
    smtp_accounts.save(workspace_id, account)


def hold(freeze: Freeze, accept: Accept, *, count: int = 1) -> list[Message]:
    """Messages that this freeze holds, as a claim leaves them."""
    made = [accept(workspace_id=freeze.workspace_id) for _ in range(count)]
    held = {"status": Status.HELD, "next_attempt_at": None, "hold_reason": freeze.reason}
    ids = [message.id for message in made]
    Message.update(**held, freeze=freeze.id).where(Message.id << ids).execute()
    return made


def told() -> list[tuple[str, dict[str, Any]]]:
    """The events of workspaces so far."""
    rows = Event.select().where(Event.message.is_null()).order_by(Event.id)
    return [(row.type, row.data) for row in rows]


def audited() -> list[AuditEntry]:
    return list(AuditEntry.select().order_by(AuditEntry.seq))


@pytest.fixture
def bell(settings: Settings, database: None) -> Iterator[redis.Redis]:
    """The run's Valkey, emptied, and the doorbell on it."""
    with redis.Redis.from_url(settings.redis_url, protocol=2) as client:
        client.flushall()
        queue.init(settings.redis_url)
        yield client


# Starting


@pytest.mark.parametrize(
    ("kind", "target", "kept"),
    [
        (K.WORKSPACE, None, None),
        (K.STREAM, "marketing", "marketing"),
        (K.SMTP_ACCOUNT, "default", "default"),
        (K.FROM_EMAIL, "Shop@Example.COM", "shop@example.com"),
        (K.FROM_EMAIL, "ÄRGER@BÜCHER.example", "ärger@bücher.example"),
        (K.RECIPIENT_DOMAIN, "Example.ORG", "example.org"),
        (K.RECIPIENT_DOMAIN, "xn--bcher-kva.example", "bücher.example"),
        (K.RECIPIENT_DOMAIN, "BÜCHER.example", "bücher.example"),
        (K.RECIPIENT_DOMAIN, "corp.test", "corp.test"),
    ],
)
def test_a_target_is_kept_in_the_form_that_messages_have(
    kind: FreezeKind, target: str | None, kept: str | None, database: None
) -> None:
    freeze = start(kind, target)
    assert (freeze.kind, freeze.target) == (kind, kept)
    assert Freeze.get_by_id(freeze.id).target == kept


def test_a_freeze_of_an_account_or_a_key_names_one_of_the_workspace(database: None) -> None:
    make_account("ses")
    make_account("theirs", WORKSPACE_B)
    ours, theirs = make_key(), make_key(WORKSPACE_B)
    assert start(K.SMTP_ACCOUNT, "ses").target == "ses"
    assert start(K.API_KEY, str(ours)).target == str(ours)
    for kind, target in (
        (K.SMTP_ACCOUNT, "theirs"),
        (K.SMTP_ACCOUNT, "nobody"),
        (K.SMTP_ACCOUNT, "SES"),
        (K.API_KEY, str(theirs)),
        (K.API_KEY, "999999"),
    ):
        with pytest.raises(NotFound) as caught:
            start(kind, target)
        assert target in caught.value.detail
    assert Freeze.select().count() == 2


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (K.WORKSPACE, "transactional"),
        (K.WORKSPACE, ""),
        *((kind, None) for kind in K if kind is not K.WORKSPACE),
        *((kind, "") for kind in K if kind is not K.WORKSPACE),
        (K.STREAM, "Marketing"),
        (K.STREAM, "urgent"),
        (K.SMTP_ACCOUNT, "a\nb"),
        (K.SMTP_ACCOUNT, "a\0b"),
        (K.API_KEY, "0"),
        (K.API_KEY, "-1"),
        (K.API_KEY, "01"),
        (K.API_KEY, "mk_1a2b"),
        (K.API_KEY, "٣"),
        (K.API_KEY, "2147483648"),
        (K.API_KEY, "9" * 5000),
        (K.FROM_EMAIL, "example.com"),
        (K.FROM_EMAIL, "a@b@example.com"),
        (K.FROM_EMAIL, "a@example.com\r\nBcc: x@example.com"),
        (K.FROM_EMAIL, "\ud800@example.com"),
        (K.RECIPIENT_DOMAIN, "ann@example.com"),
        (K.RECIPIENT_DOMAIN, "@example.com"),
        (K.RECIPIENT_DOMAIN, "*.example.com"),
        (K.RECIPIENT_DOMAIN, "exa mple.com"),
        (K.RECIPIENT_DOMAIN, "example.com\n"),
        (K.RECIPIENT_DOMAIN, "\ud800.example"),
        (K.RECIPIENT_DOMAIN, "a" * 5000),
    ],
)
def test_it_refuses_what_is_no_target(kind: FreezeKind, target: str | None, database: None) -> None:
    with pytest.raises(InvalidFields) as caught:
        start(kind, target)
    assert [error.field for error in caught.value.errors] == ["target"]
    assert Freeze.select().count() == 0


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "a\0b", "x" * 501, "\ud800"])
def test_it_wants_a_reason_of_one_line(reason: str, database: None) -> None:
    freeze = start()
    for act in (
        lambda: start(K.STREAM, "marketing", reason=reason),
        lambda: freezes.extend(freeze, expires_at=ahead(days=2), reason=reason, by=BY),
        lambda: freezes.lift(freeze, reason=reason, by=BY),
    ):
        with pytest.raises(InvalidFields) as caught:
            act()
        assert {error.field for error in caught.value.errors} == {"reason"}
    [row] = Freeze.select()
    assert (row.expires_at, row.lifted_at) == (freeze.expires_at, None)


def test_its_end_lies_ahead_and_within_thirty_days(database: None) -> None:
    for expires_at in (ago(seconds=1), ahead(days=30, minutes=1)):
        with pytest.raises(InvalidFields) as caught:
            start(expires_at=expires_at)
        assert [error.field for error in caught.value.errors] == ["expires_at"]
    assert start(expires_at=ahead(days=29, hours=23)).lifted_at is None


def test_it_complains_of_everything_at_once(database: None) -> None:
    with pytest.raises(InvalidFields) as caught:
        start(K.STREAM, "urgent", reason="", expires_at=ago(days=1))
    assert [e.field for e in caught.value.errors] == ["reason", "expires_at", "target"]


def test_an_unknown_workspace_is_not_found(database: None) -> None:
    with pytest.raises(NotFound):
        start(workspace_id=999)
    with pytest.raises(NotFound):
        freezes.list_page(999)


def test_the_same_is_frozen_once_at_a_time(database: None) -> None:
    first = start(K.RECIPIENT_DOMAIN, "example.org")
    with pytest.raises(Conflict) as caught:
        start(K.RECIPIENT_DOMAIN, "EXAMPLE.org", reason="another")
    assert f"the freeze {first.id}" in caught.value.detail
    assert "Extend" in caught.value.detail
    start(K.RECIPIENT_DOMAIN, "example.net")
    start(K.RECIPIENT_DOMAIN, "example.org", workspace_id=WORKSPACE_B)
    start()
    start(workspace_id=WORKSPACE_B)
    with pytest.raises(Conflict):
        start()
    assert Freeze.select().count() == 5


@pytest.mark.parametrize("how", ["lifted", "ended"])
def test_what_is_over_can_be_frozen_again(how: str, database: None) -> None:
    first = start()
    if how == "lifted":
        freezes.lift(first)
    else:
        set_end(first, ago(seconds=1))
    assert start().id != first.id


def test_of_two_that_start_the_same_at_once_one_wins(database: None) -> None:
    refused: list[str] = []

    def act() -> None:
        try:
            start(K.STREAM, "marketing")
        except Conflict as error:
            refused.append(error.detail)

    at_once(*[act] * 5)
    assert len(refused) == 4
    assert Freeze.select().count() == 1
    assert [entry.action for entry in audited()] == ["freeze.started"]


# Extending


def test_a_freeze_can_last_longer(database: None) -> None:
    freeze = start(expires_at=ahead(hours=1))
    later = ahead(days=3)
    extended = freezes.extend(freeze, expires_at=later, reason="not mended yet", by=BY)
    assert extended.expires_at == later == Freeze.get_by_id(freeze.id).expires_at
    assert extended.reason == "a test", "why it began"


def test_it_is_not_made_shorter(database: None) -> None:
    freeze = start(expires_at=ahead(hours=2))
    for expires_at in (freeze.expires_at, ahead(hours=1)):
        with pytest.raises(InvalidFields) as caught:
            freezes.extend(freeze, expires_at=expires_at, by=BY)
        assert [error.field for error in caught.value.errors] == ["expires_at"]
        assert "lift it" in caught.value.detail
    with pytest.raises(InvalidFields):
        freezes.extend(freeze, expires_at=ahead(days=31), by=BY)
    assert Freeze.get_by_id(freeze.id).expires_at == freeze.expires_at


@pytest.mark.parametrize("how", ["lifted", "ended", "gone"])
def test_what_is_over_is_not_extended(how: str, database: None) -> None:
    freeze = start()
    if how == "lifted":
        freezes.lift(freeze)
    elif how == "ended":
        set_end(freeze, ago(seconds=1))
    else:
        freeze.delete_instance()
    with pytest.raises(Conflict):
        freezes.extend(freeze, expires_at=ahead(days=2), by=BY)


# Ending


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


# What is kept of it


def test_it_is_told_and_audited(database: None) -> None:
    freeze = start(K.FROM_EMAIL, "shop@example.com", reason="stolen list")
    end = Freeze.get_by_id(freeze.id).expires_at
    freezes.extend(freeze, expires_at=ahead(days=2), reason="still", by=BY)
    freezes.lift(freeze, reason="mended", by=BY)

    facts = {"freeze_id": freeze.id, "kind": "from_email", "target": "shop@example.com"}
    by = {"by": "operator key"}
    until = {"expires_at": end.isoformat().replace("+00:00", "Z")}
    assert told() == [
        (EventType.FREEZE_STARTED, {**facts, **by, **until, "reason": "stolen list"}),
        (EventType.FREEZE_ENDED, {**facts, **by, "reason": "mended"}),
    ]
    entries = audited()
    assert [(e.action, e.reason) for e in entries] == [
        ("freeze.started", "stolen list"),
        ("freeze.extended", "still"),
        ("freeze.lifted", "mended"),
    ]
    assert {e.target for e in entries} == {"from_email shop@example.com"}
    assert {(e.actor, e.actor_ip, e.request_id) for e in entries} == {
        ("operator key", "192.0.2.7", "r-1")
    }
    assert entries[1].before["expires_at"] == until["expires_at"] != entries[1].after["expires_at"]


def test_pages_go_from_the_newest_to_the_oldest(database: None) -> None:
    made = [start(K.RECIPIENT_DOMAIN, f"{n}.example").id for n in range(5)]
    start(workspace_id=WORKSPACE_B)
    seen: list[int] = []
    older = None
    while True:
        page = freezes.list_page(WORKSPACE_A, limit=2, older_than=older)
        seen += [freeze.id for freeze in page.freezes]
        older = page.older
        if older is None:
            break
    assert seen == made[::-1]


def test_a_list_shows_what_is_in_force_or_over_or_both(database: None) -> None:
    standing, lifted, ended = (start(K.RECIPIENT_DOMAIN, f"{n}.example") for n in range(3))
    freezes.lift(lifted)
    set_end(ended, ago(seconds=1))

    def ids(state: FreezeState | None) -> set[int]:
        return {freeze.id for freeze in freezes.list_page(WORKSPACE_A, state=state).freezes}

    assert ids(FreezeState.IN_FORCE) == {standing.id}
    assert ids(FreezeState.ENDED) == {lifted.id, ended.id}
    assert ids(None) == {standing.id, lifted.id, ended.id}
    assert freezes.list_page(WORKSPACE_B, state=None).freezes == []


def test_another_workspaces_is_not_found(database: None) -> None:
    theirs = start(workspace_id=WORKSPACE_B)
    for freeze_id in (theirs.id, theirs.id + 1_000):
        with pytest.raises(NotFound):
            freezes.get(WORKSPACE_A, freeze_id)
    assert freezes.get(WORKSPACE_B, theirs.id) == theirs

"""Hourly limits: who is accepted, who waits, who is refused, and what takes up a place."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.limits import SLOT_SECONDS, WINDOW_SLOTS, WORKSPACE, slot_of
from maild.domain.policy import Check, Verdict
from maild.domain.states import Status, Stream
from maild.errors import BlockedRecipientDomain, RateLimited
from maild.models import AcceptedTally, Event, LimitTally, Message, MessageBody
from maild.services import (
    acceptance,
    claims,
    decisions,
    freezes,
    interventions,
    messages,
    policies,
    suppressions,
    timeline,
)
from maild.services.messages import NewMessage
from maild.services.submissions import Submitter
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.freezing import ahead, start
from tests.services.helpers import A_URGENT, make_due, reload

pytestmark = pytest.mark.usefixtures("database")

GOOD = NewMessage("shop@example.com", "ann@example.org", "Hello", "Hello Ann.")
WINDOW_SECONDS = (WINDOW_SLOTS + 1) * SLOT_SECONDS


def new(to_email="ann@example.org", **fields):
    return dataclasses.replace(GOOD, to_email=to_email, **fields)


def accept(to_email="ann@example.org", *, workspace_id=WORKSPACE_A, **fields):
    return messages.accept(workspace_id, new(to_email, **fields))


def limit(*, workspace=None, domain=None, on_limit="reject", workspace_id=WORKSPACE_A):
    changes = {
        "rate_limit_workspace_per_hour": workspace,
        "rate_limit_domain_per_hour": domain,
        "on_limit": on_limit,
    }
    policies.save(workspace_id, changes=changes, by=SYSTEM)


def use_up(count, *, scope=WORKSPACE, slots_ago=0):
    """As if so many messages had been accepted then; returns when they are not counted any more."""
    slot = slot_of(datetime.now(UTC).timestamp()) - slots_ago
    LimitTally.insert(workspace=WORKSPACE_A, domain=scope, slot=slot, message_count=count).execute()
    return datetime.fromtimestamp(slot * SLOT_SECONDS + WINDOW_SECONDS, UTC)


def refuse(to_email="ann@example.org", **fields):
    """The error with which a submission is refused; nothing of it is stored."""
    before = stored()
    with pytest.raises(RateLimited) as caught:
        accept(to_email, **fields)
    assert stored() == before
    return caught.value


def stored():
    models = (Message, MessageBody, Event, AcceptedTally)
    return [model.select().count() for model in models], sorted(
        (row.domain, row.slot, row.message_count) for row in LimitTally.select()
    )


def decided(message):
    """The verdict of its acceptance, and what each check said."""
    events = timeline.list_events(message)
    [record] = decisions.list_records([], events)
    return record.verdict, {checked.check: checked for checked in record.checks}


# Refused


def test_what_is_over_the_workspaces_limit_is_refused():
    limit(workspace=3)
    for number in range(3):
        accept(f"ann@d{number}.example")
    error = refuse("ann@d4.example")
    assert error.detail.startswith("This workspace is limited to 3 messages an hour")
    assert WINDOW_SECONDS - SLOT_SECONDS < error.retry_after_seconds <= WINDOW_SECONDS + 1
    assert error.headers["RateLimit-Limit"] == "3"
    assert error.headers["RateLimit-Remaining"] == "0"
    assert 0 < int(error.headers["RateLimit-Reset"]) <= WINDOW_SECONDS


def test_what_is_over_a_domains_limit_is_refused_and_others_are_not():
    limit(domain=2)
    accept()
    accept("bob@example.org")
    error = refuse("eve@example.org")
    assert "Mail of this workspace to example.org is limited to 2" in error.detail
    accept("ann@mail.example.org")
    accept("ann@example.net")


def test_the_forms_of_a_domain_share_its_limit():
    limit(domain=1)
    accept("ann@BÜCHER.example")
    for text in ("ann@bücher.example", "ann@xn--bcher-kva.example"):
        refuse(text)


def test_it_says_when_there_is_room():
    limit(workspace=2)
    use_up(1, slots_ago=1)
    free_at = use_up(1, slots_ago=5)
    error = refuse()
    assert f"There is room from {free_at:%Y-%m-%dT%H:%M:%SZ}." in error.detail
    away = (free_at - datetime.now(UTC)).total_seconds()
    assert away <= error.retry_after_seconds <= away + 10


def test_the_window_is_an_hour_and_the_slot_that_it_began_in():
    limit(workspace=1)
    use_up(1, slots_ago=WINDOW_SLOTS + 2)  # a slot to spare: one may end meanwhile
    accept()
    LimitTally.delete().execute()
    use_up(1, slots_ago=WINDOW_SLOTS - 1)
    refuse()


@pytest.mark.parametrize("scope", ["workspace", "domain"])
def test_a_limit_of_0_lets_nothing_through_and_names_no_time(scope):
    for on_limit in ("reject", "defer"):
        limit(**{scope: 0}, on_limit=on_limit)
        error = refuse()
        assert "There is room" not in error.detail
        assert error.retry_after_seconds > WINDOW_SECONDS - SLOT_SECONDS
        assert error.headers["RateLimit-Limit"] == "0"


def test_without_a_limit_nothing_is_refused_and_all_is_counted():
    limit()
    use_up(10**6, slots_ago=1)
    accept()
    verdict, checks = decided(Message.get())
    assert verdict is Verdict.PASS
    assert not {Check.WORKSPACE_LIMIT, Check.DOMAIN_LIMIT} & set(checks)
    limit(domain=1)
    refuse()


# Deferred


def test_what_is_over_the_limit_waits_for_the_next_room():
    limit(workspace=2, on_limit="defer")
    free_at = use_up(2, slots_ago=3)
    sent_on = [accept(f"ann@d{n}.example") for n in range(5)]
    room = timedelta(seconds=WINDOW_SECONDS)
    expected = [free_at, free_at, free_at + room, free_at + room, free_at + 2 * room]
    assert [message.next_attempt_at for message in sent_on] == expected
    assert [reload(message).next_attempt_at for message in sent_on] == expected
    assert {message.status for message in sent_on} == {Status.QUEUED}
    assert {message.scheduled_at for message in sent_on} == {None}
    verdict, checks = decided(sent_on[2])
    assert verdict is Verdict.WAIT
    said = checks[Check.WORKSPACE_LIMIT]
    assert (said.verdict, said.evidence["limit"]) == (Verdict.WAIT, 2)
    assert said.evidence["free_at"] == f"{free_at + room:%Y-%m-%dT%H:%M:%SZ}"
    assert said.evidence["value"] >= 2


def test_it_waits_for_both_limits():
    limit(workspace=2, domain=1, on_limit="defer")
    use_up(2, slots_ago=9)
    free_at = use_up(1, scope="example.org", slots_ago=2)
    assert accept().next_attempt_at == free_at
    verdict, checks = decided(Message.get())
    assert verdict is Verdict.WAIT
    assert {checks[check].verdict for check in (Check.WORKSPACE_LIMIT, Check.DOMAIN_LIMIT)} == {
        Verdict.WAIT
    }


def test_a_deferred_message_goes_out_then_and_not_before(inbox, deliver):
    limit(workspace=1, on_limit="defer")
    use_up(1, slots_ago=3)
    message = accept()
    assert deliver() == 0
    assert inbox.messages() == []
    make_due(message)
    assert deliver() == 1
    assert reload(message).status is Status.SENT
    assert len(inbox.messages()) == 1


def test_what_would_not_fit_into_its_lifetime_is_refused():
    limit(workspace=1, on_limit="defer")
    free_at = use_up(1, slots_ago=3)
    accept(expires_at=free_at + timedelta(seconds=1))
    LimitTally.update(message_count=0).where(LimitTally.slot > 0).execute()
    free_at = use_up(1, slots_ago=2)
    error = refuse(expires_at=free_at)
    away = (free_at - datetime.now(UTC)).total_seconds()
    assert abs(error.retry_after_seconds - away) < 30
    assert refuse(expires_at=free_at - timedelta(minutes=10)).retry_after_seconds > 0


def test_it_lives_no_longer_because_it_was_deferred():
    limit(workspace=1, on_limit="defer")
    use_up(1, slots_ago=3)
    message = accept()
    lifetime = policies.get(WORKSPACE_A).stream(Stream.TRANSACTIONAL).lifetime_seconds
    assert message.expires_at == message.created_at + timedelta(seconds=lifetime)


# Scheduled


def test_a_scheduled_message_counts_when_it_is_due():
    limit(workspace=2)
    then = ahead(days=3)
    accept(scheduled_at=then)
    accept(scheduled_at=then)
    refuse(scheduled_at=then)
    refuse(scheduled_at=then + timedelta(minutes=30))
    refuse(scheduled_at=then - timedelta(minutes=30))
    accept(scheduled_at=then + timedelta(seconds=WINDOW_SECONDS))
    accept()
    accept()
    refuse()


def test_a_scheduled_message_that_has_no_room_waits_from_its_own_time():
    limit(workspace=1, on_limit="defer")
    then = ahead(days=3)
    first = accept(scheduled_at=then)
    second = accept(scheduled_at=then)
    slot = slot_of(then.timestamp())
    assert first.next_attempt_at == then
    assert second.next_attempt_at.timestamp() == slot * SLOT_SECONDS + WINDOW_SECONDS
    assert second.scheduled_at == then


def test_what_was_scheduled_for_the_past_counts_now():
    limit(workspace=1)
    accept(scheduled_at=datetime(2020, 1, 1, tzinfo=UTC))
    refuse()


# What takes up a place, and what does not


def test_a_suppressed_recipient_takes_up_no_place():
    limit(workspace=1, domain=1)
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="asked", source="test")
    for _ in range(3):
        assert accept().status is Status.SUPPRESSED
    assert LimitTally.select().count() == 0
    accept("bob@example.org")
    assert accept().status is Status.SUPPRESSED, "with or without room"


def test_a_frozen_message_takes_up_its_place():
    limit(workspace=1)
    start()
    accept()
    refuse()


def test_a_refused_submission_takes_up_no_place_with_any_recipient():
    limit(workspace=3, domain=2)
    accept("a@full.example")
    accept("b@full.example")
    error = refuse("ann@example.org", cc=("c@full.example",))
    assert "to full.example is limited to 2" in error.detail
    refuse("ann@example.org", cc=("ann@example.net", "ann@example.com"))
    with pytest.raises(BlockedRecipientDomain):
        accept("ann@example.org", cc=("x@mailinator.com",))
    accept("ann@example.org")
    refuse("ann@example.org")


def test_in_a_batch_too_a_refused_submission_takes_up_no_place():
    limit(workspace=3)
    too_many = new("ann@example.org", cc=("ann@a.example", "ann@b.example", "ann@c.example"))
    settled = messages.accept_many(WORKSPACE_A, [too_many, new(), too_many, new(), new(), new()])
    assert [type(one) for one in settled] == [
        RateLimited, Message, RateLimited, Message, Message, RateLimited,
    ]  # fmt: skip


def test_each_recipient_takes_up_a_place_but_for_those_that_are_stopped():
    limit(workspace=3)
    suppressions.add(WORKSPACE_A, "bob@example.org", reason="asked", source="test")
    copies = ("bob@example.org", "eve@example.org", "ANN@example.org")
    accept("ann@example.org", cc=copies, bcc=("dan@example.org",))
    assert Message.select().count() == 4
    refuse()


def test_what_is_counted_is_what_was_accepted():
    limit(workspace=100, domain=100)
    accept("a@one.example", cc=("b@one.example", "c@two.example"))
    accept("d@two.example")
    counts = {row.domain: row.message_count for row in LimitTally.select()}
    assert counts == {WORKSPACE: 4, "one.example": 2, "two.example": 2}


def test_a_batch_is_accepted_in_its_order_as_far_as_there_is_room():
    limit(workspace=100)
    settled = messages.accept_many(WORKSPACE_A, [new(f"a{n}@example.org") for n in range(500)])
    assert [type(one) for one in settled] == [Message] * 100 + [RateLimited] * 400
    assert [m.to_email for m in settled[:100]] == [f"a{n}@example.org" for n in range(100)]
    assert Message.select().count() == 100


def test_a_workspaces_limit_is_its_own():
    limit(workspace=1, domain=1)
    limit(workspace=1, domain=1, workspace_id=WORKSPACE_B)
    accept()
    refuse()
    accept(workspace_id=WORKSPACE_B)
    refuse(workspace_id=WORKSPACE_B)


def test_a_new_policy_counts_what_was_accepted_under_the_old_one():
    limit(workspace=5)
    for _ in range(4):
        accept()
    limit(workspace=3)
    refuse()
    limit(domain=5)
    accept()
    refuse()
    limit(workspace=6)
    accept()
    refuse()


def test_pruning_forgets_nothing_that_counts():
    limit(workspace=1)
    use_up(1, slots_ago=WINDOW_SLOTS - 1)
    LimitTally.insert(
        workspace=WORKSPACE_A, domain="old.example", slot=1000, message_count=1
    ).execute()
    acceptance.prune()
    assert [row.domain for row in LimitTally.select()] == [WORKSPACE]
    refuse()


def test_what_is_scheduled_far_ahead_is_found_where_it_counts():
    """Only what is near is read, and all of it once a limit has no room."""
    limit(workspace=2, on_limit="defer")
    then = ahead(days=200)
    for _ in range(2):
        accept(scheduled_at=then)
    for _ in range(2):
        accept(scheduled_at=then + timedelta(seconds=WINDOW_SECONDS))
    slot = slot_of(then.timestamp())
    fifth = accept(scheduled_at=then)
    assert fifth.next_attempt_at.timestamp() == slot * SLOT_SECONDS + 2 * WINDOW_SECONDS
    [one, other] = messages.accept_many(
        WORKSPACE_A, [new(), new(scheduled_at=then + timedelta(minutes=5))]
    )
    assert one.next_attempt_at == one.created_at
    assert other.next_attempt_at == fifth.next_attempt_at


def test_a_turn_that_found_no_room_stores_each_message_once():
    limit(workspace=3, on_limit="defer")
    use_up(2, slots_ago=2)
    by = Submitter(idempotency_key="k", request_hash=b"h")
    news = [(new(f"a{n}@example.org"), by.of_entry(n, b"h")) for n in range(4)]
    settled = messages.submit_many(WORKSPACE_A, news)
    events = Event.select().where(Event.message.is_null(False))
    assert Message.select().count() == events.count() == 4
    assert sum(row.message_count for row in LimitTally.select()) == 2 + 4 + 4
    again = messages.submit_many(WORKSPACE_A, news)
    assert [one.messages[0].id for one in again] == [one.messages[0].id for one in settled]
    assert all(one.is_replayed for one in again)


# A hold that ends


@pytest.mark.parametrize("how", ["by hand", "by a freeze"])
def test_what_waits_for_a_limit_is_not_due_sooner_for_having_been_held(how, lease):
    limit(workspace=1, on_limit="defer")
    accept()
    deferred = accept()
    due_at = deferred.next_attempt_at
    assert due_at > deferred.created_at
    ids = [str(deferred.id)]
    if how == "by hand":
        interventions.hold(WORKSPACE_A, ids, by=SYSTEM, reason="to look at it")
        interventions.release(WORKSPACE_A, ids, by=SYSTEM)
    else:
        freeze = start()
        make_due(deferred)
        claims.claim(lease.worker_id, A_URGENT, account_id=0, account_name="default", limit=9)
        assert reload(deferred).status is Status.HELD
        freezes.lift(freeze)
        freezes.release_thawed()
    after = reload(deferred)
    assert after.status is Status.QUEUED
    assert abs(after.next_attempt_at - due_at) < timedelta(seconds=1)


# Turns


def test_far_from_a_limit_nobody_takes_a_turn_and_near_it_everybody_does(monkeypatch):
    turns = []
    lock = acceptance.locks.accepting_in_turn
    monkeypatch.setattr(
        acceptance.locks, "accepting_in_turn", lambda workspace: turns.append(1) or lock(workspace)
    )
    limit(workspace=acceptance.ROOM + 10)
    accept()
    assert len(turns) == 0, "there is room for all that can be under way"
    use_up(10, slots_ago=1)
    accept()
    assert len(turns) == 1, "and now there is not"
    accept()
    assert len(turns) == 2
    limit(workspace=None)
    accept()
    accept()
    assert len(turns) == 3, "it was looked at once more"


def test_what_was_decided_long_ago_is_decided_anew_in_turn(monkeypatch):
    """Its process was stopped in between."""
    monkeypatch.setattr(acceptance, "STALE_SECONDS", 0.0)
    read = []
    facts_read = acceptance.facts.read
    monkeypatch.setattr(
        acceptance.facts, "read", lambda *a, **k: read.append("after" in k) or facts_read(*a, **k)
    )
    accept()
    assert read == [False, True]
    assert Message.select().count() == 1

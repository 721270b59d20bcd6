"""Pausing, resuming and cancelling: what it does to a campaign and to its messages."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from maild import clock, db
from maild.domain.actor import Actor
from maild.domain.campaign import MOVES, CampaignStatus, RecipientStatus, Variant
from maild.domain.freeze import FreezeKind
from maild.domain.states import Status
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry, Campaign, Message
from maild.services import (
    campaign_states,
    campaign_steps,
    freezes,
    interventions,
    lifetimes,
    restore_marks,
    unsubscribes,
)
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import (
    again,
    counts,
    due,
    hand_all,
    make_campaign,
    make_contacts,
    messages_of,
    reasons,
    rows_of,
    send_some,
    step,
    step_until,
)
from tests.services.helpers import A_PATIENT, LATER, ago, end, set_end, take
from tests.services.restoring import make_safe

S = CampaignStatus
BY = Actor("ann@example.com")
pytestmark = pytest.mark.usefixtures("database")


def statuses(campaign: Campaign) -> list[str]:
    return [message.status.value for message in messages_of(campaign)]


def handed(count: int = 4) -> Campaign:
    """A campaign whose messages all wait in the queue."""
    make_contacts(count)
    return hand_all(make_campaign())


def audited() -> list[str]:
    return [row.action for row in AuditEntry.select().order_by(AuditEntry.seq)]


# --- Pause and resume -------------------------------------------------------------------------


@pytest.mark.proves("I12")
def test_a_pause_holds_what_waits_and_leaves_what_is_on_its_way() -> None:
    campaign = handed(4)
    first, second, third, fourth = messages_of(campaign)
    send_some([first], "sending")
    send_some([second], "sent")
    interventions.hold(WORKSPACE_A, [str(third.id)], by=BY, reason="look at it")
    done = campaign_states.pause(WORKSPACE_A, campaign.id, reason="a typo", by=BY)
    assert done.message_count == 1
    assert statuses(campaign) == ["sending", "sent", "held", "held"]
    assert [m.hold_reason for m in messages_of(campaign)[2:]] == ["look at it", "campaign paused"]
    paused = again(campaign)
    assert (paused.status, paused.paused_from) == (S.PAUSED, S.SENDING)
    assert (paused.paused_by, paused.pause_reason) == (BY.name, "a typo")
    assert counts(campaign) == {"queued": 3, "sent": 1}
    due(campaign)
    assert not campaign_steps.take_step()
    done = campaign_states.resume(WORKSPACE_A, campaign.id, by=BY)
    assert done.message_count == 1
    assert statuses(campaign) == ["sending", "sent", "held", "queued"]
    assert again(campaign).pause_reason is None
    assert audited()[-2:] == ["campaign.paused", "campaign.resumed"]
    assert fourth.id in {m.id for m in messages_of(campaign)}


def test_a_pause_while_preparing_goes_on_there() -> None:
    make_contacts(3)
    campaign = make_campaign()
    step(campaign)
    campaign_states.pause(WORKSPACE_A, campaign.id, by=BY)
    assert again(campaign).paused_from is S.PREPARING
    campaign_states.resume(WORKSPACE_A, campaign.id, by=BY)
    hand_all(campaign)
    assert len(messages_of(campaign)) == 3


@pytest.mark.proves("I12")
def test_what_comes_back_to_the_queue_after_a_pause_is_held_by_its_claim(lease: Lease) -> None:
    campaign = handed(2)
    claims = take(lease, A_PATIENT)
    assert len(claims) == 2
    campaign_states.pause(WORKSPACE_A, campaign.id, by=BY)
    end(claims[0], LATER)  # deferred: it waits for its next attempt
    db.database.execute_sql("UPDATE messages SET next_attempt_at = now() WHERE status = 'queued'")
    assert take(lease, A_PATIENT) == []
    assert sorted(statuses(campaign)) == ["held", "sending"]
    [held] = [m for m in messages_of(campaign) if m.status is Status.HELD]
    assert held.hold_reason == "campaign paused"
    done = campaign_states.resume(WORKSPACE_A, campaign.id, by=BY)
    assert done.message_count == 1
    assert len(take(lease, A_PATIENT)) == 1


def test_what_a_late_claim_holds_after_resuming_is_let_go_by_the_next_step() -> None:
    campaign = handed(2)
    campaign_states.pause(WORKSPACE_A, campaign.id, by=BY)
    kept = messages_of(campaign)
    campaign_states.resume(WORKSPACE_A, campaign.id, by=BY)
    db.database.execute_sql(
        "UPDATE messages SET status = 'held', hold_reason = 'campaign paused',"
        " next_attempt_at = NULL WHERE id = %s",
        (kept[0].id,),
    )
    step(campaign)
    assert statuses(campaign) == ["queued", "queued"]


def test_a_pause_lasts_longer_than_a_message_lives() -> None:
    campaign = handed(2)
    campaign_states.pause(WORKSPACE_A, campaign.id, by=BY)
    assert all((m.expires_at - clock.now()).days > 300 for m in messages_of(campaign))
    assert lifetimes.expire_overdue() == 0
    campaign_states.resume(WORKSPACE_A, campaign.id, by=BY)
    assert all((m.expires_at - clock.now()).days < 30 for m in messages_of(campaign))


@pytest.mark.proves("I12")
def test_a_freeze_that_ends_lets_nothing_of_a_paused_campaign_go(lease: Lease) -> None:
    campaign = handed(2)
    freeze = freezes.start(
        WORKSPACE_A,
        kind=FreezeKind.STREAM,
        target="marketing",
        reason="storm",
        expires_at=clock.now() + timedelta(hours=1),
        by=BY,
    )
    assert take(lease, A_PATIENT) == []
    campaign_states.pause(WORKSPACE_A, campaign.id, by=BY)
    assert {m.freeze_id for m in messages_of(campaign)} == {freeze.id}
    set_end(freeze, ago(seconds=1))
    freezes.release_thawed()
    assert statuses(campaign) == ["queued", "queued"]
    assert take(lease, A_PATIENT) == []
    assert {m.hold_reason for m in messages_of(campaign)} == {"campaign paused"}
    campaign_states.resume(WORKSPACE_A, campaign.id, by=BY)
    assert len(take(lease, A_PATIENT)) == 2


def test_who_left_during_a_pause_is_not_mailed_after_it(lease: Lease) -> None:
    campaign = handed(2)
    campaign_states.pause(WORKSPACE_A, campaign.id, by=BY)
    unsubscribes.add(WORKSPACE_A, "ann1@example.net", source="api", by=BY)
    campaign_states.resume(WORKSPACE_A, campaign.id, by=BY)
    assert [claim.to_email for claim in take(lease, A_PATIENT)] == ["ann2@example.net"]
    assert reasons(campaign, RecipientStatus.SUPPRESSED) == {"unsubscribed": 1}


# --- Cancel -----------------------------------------------------------------------------------


@pytest.mark.proves("I12")
def test_cancelling_withdraws_all_that_is_not_out() -> None:
    campaign = handed(5)
    first, second, third, fourth, _ = messages_of(campaign)
    send_some([first], "sending")
    send_some([second], "sent")
    send_some([third], "delivered")
    interventions.hold(WORKSPACE_A, [str(fourth.id)], by=BY, reason="look at it")
    done = campaign_states.cancel(WORKSPACE_A, campaign.id, reason="wrong", by=BY)
    assert done.message_count == 2
    assert statuses(campaign) == ["sending", "sent", "delivered", "cancelled", "cancelled"]
    cancelled = again(campaign)
    assert (cancelled.status, cancelled.cancelled_by) == (S.CANCELLED, BY.name)
    assert cancelled.ended_at is not None
    assert step(campaign).settled_at is None  # one is on its way
    db.database.execute_sql(
        "UPDATE messages SET status = 'sent', worker_id = NULL WHERE id = %s", (first.id,)
    )
    assert step(campaign).settled_at is not None
    assert counts(campaign) == {"sent": 2, "delivered": 1, "cancelled": 2}


def test_rows_without_a_message_are_cancelled_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_steps, "WITHDRAWN_AT_ONCE", 2)
    make_contacts(5)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    campaign_states.cancel(WORKSPACE_A, campaign.id, by=BY)
    assert counts(campaign) == {"queued": 5}
    step(campaign)
    assert counts(campaign) == {"queued": 3, "cancelled": 2}
    step(campaign, 2)
    assert counts(campaign) == {"cancelled": 5}
    assert again(campaign).settled_at is not None
    assert messages_of(campaign) == []


@pytest.mark.proves("I12")
def test_what_comes_back_to_the_queue_after_cancelling_is_withdrawn(lease: Lease) -> None:
    campaign = handed(2)
    claims = take(lease, A_PATIENT)
    campaign_states.cancel(WORKSPACE_A, campaign.id, by=BY)
    for claim in claims:
        end(claim, LATER)
    db.database.execute_sql("UPDATE messages SET next_attempt_at = now() WHERE status = 'queued'")
    assert take(lease, A_PATIENT) == []
    assert statuses(campaign) == ["cancelled", "cancelled"]
    assert step(campaign).settled_at is not None
    assert counts(campaign) == {"cancelled": 2}


def test_a_retry_of_a_failed_message_of_a_cancelled_campaign_sends_nothing(lease: Lease) -> None:
    campaign = handed(1)
    [message] = messages_of(campaign)
    send_some([message], "failed")
    assert counts(campaign) == {"failed": 1}
    campaign_states.cancel(WORKSPACE_A, campaign.id, by=BY)
    interventions.retry(WORKSPACE_A, message_ids=[str(message.id)], by=BY)
    assert counts(campaign) == {"queued": 1}
    assert take(lease, A_PATIENT) == []
    assert counts(campaign) == {"cancelled": 1}


def test_a_paused_campaign_can_be_cancelled() -> None:
    campaign = handed(3)
    campaign_states.pause(WORKSPACE_A, campaign.id, by=BY)
    campaign_states.cancel(WORKSPACE_A, campaign.id, by=BY)
    assert again(campaign).paused_from is None
    assert counts(campaign) == {"cancelled": 3}


# --- A restore --------------------------------------------------------------------------------


@pytest.mark.proves("I12")
def test_a_restore_lets_no_campaign_go_on_by_itself() -> None:
    make_contacts(3)
    sending = make_campaign()
    step_until(sending, S.SENDING)
    later = make_campaign(
        template=sending.template_id,
        template_version=1,
        starts_at=clock.now() + timedelta(hours=1),
    )
    try:
        make_safe()
    finally:
        if restore_marks.find() is not None:
            restore_marks.remove()
    paused = again(sending)
    assert (paused.status, paused.paused_from) == (S.PAUSED, S.SENDING)
    assert "restored from the backup" in (paused.pause_reason or "")
    assert (again(later).status, again(later).starts_at) == (S.DRAFT, None)
    for campaign in (sending, later):
        due(campaign)
    assert not campaign_steps.take_step()


# --- Guards -----------------------------------------------------------------------------------


def in_status(status: CampaignStatus) -> Campaign:
    fields: dict[str, Any] = {"status": status}
    if status is S.PAUSED:
        fields["paused_from"] = S.SENDING
    if status in {S.FINISHED, S.CANCELLED}:
        fields["ended_at"] = clock.now()
    return make_campaign(**fields)


@pytest.mark.parametrize("status", list(S))
@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_a_verb_does_only_what_the_states_have(verb: str, status: CampaignStatus) -> None:
    campaign = in_status(status)
    act = getattr(campaign_states, verb)
    is_allowed = {
        "pause": S.PAUSED in MOVES[status],
        "resume": status is S.PAUSED,
        "cancel": S.CANCELLED in MOVES[status],
    }[verb]
    if is_allowed:
        act(WORKSPACE_A, campaign.id, by=BY)
        return
    with pytest.raises(Conflict):
        act(WORKSPACE_A, campaign.id, by=BY)
    assert again(campaign).status is status
    assert audited() == []


@pytest.mark.parametrize("old", list(S))
def test_the_database_refuses_every_other_move(old: CampaignStatus) -> None:
    campaign = in_status(old)
    for new in set(S) - MOVES[old] - {old}:
        with pytest.raises(Exception, match="cannot go from"), db.database.atomic():
            db.database.execute_sql(
                "UPDATE campaigns SET status = %s WHERE id = %s", (new.value, campaign.id)
            )


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_another_workspaces_campaign_is_not_there(verb: str) -> None:
    campaign = make_campaign()
    with pytest.raises(NotFound):
        getattr(campaign_states, verb)(WORKSPACE_B, campaign.id, by=BY)
    with pytest.raises(NotFound):
        campaign_states.choose_winner(WORKSPACE_B, campaign.id, Variant.A, by=BY)


@pytest.mark.parametrize("reason", ["x" * 501, "two\nlines", "nul\0", "\ud800"])
def test_a_reason_is_one_line(reason: str) -> None:
    campaign = handed(1)
    with pytest.raises(InvalidFields):
        campaign_states.pause(WORKSPACE_A, campaign.id, reason=reason, by=BY)
    assert again(campaign).status is S.SENDING


def test_of_two_who_pause_at_once_one_does() -> None:
    campaign = handed(3)
    results: list[str] = []

    def pause() -> None:
        with db.connection():
            try:
                campaign_states.pause(WORKSPACE_A, campaign.id, by=BY)
                results.append("paused")
            except Conflict:
                results.append("refused")

    people = [threading.Thread(target=pause) for _ in range(2)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(results) == ["paused", "refused"]
    assert audited().count("campaign.paused") == 1


def test_a_pause_waits_for_the_step_that_is_under_way() -> None:
    make_contacts(2)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    began, go_on = threading.Event(), threading.Event()

    def hold_it() -> None:
        with db.connection(), db.database.atomic():
            campaign_states.lock(WORKSPACE_A, campaign.id)
            began.set()
            go_on.wait(30)

    stepping = threading.Thread(target=hold_it)
    stepping.start()
    assert began.wait(30)
    assert not campaign_steps.take_step()  # another worker has it
    go_on.set()
    stepping.join()
    campaign_states.pause(WORKSPACE_A, campaign.id, by=BY)
    assert again(campaign).status is S.PAUSED
    assert Message.select().count() == 0
    assert len(rows_of(campaign)) == 2

"""The steps of a campaign: it begins, its ledger is written, messages are made, and it ends."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from maild import clock, db
from maild.domain.actor import SYSTEM
from maild.domain.campaign import AudienceKind, CampaignStatus, RecipientStatus
from maild.models import (
    Audience,
    AudienceMember,
    AuditEntry,
    Campaign,
    CampaignRecipient,
    Contact,
    Message,
    Segment,
)
from maild.services import (
    campaign_audience,
    campaign_handover,
    campaign_ledger,
    campaign_loop,
    campaign_states,
    campaign_steps,
    suppressions,
    unsubscribes,
)
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import (
    again,
    counts,
    due,
    hand_all,
    make_campaign,
    make_contacts,
    make_template,
    messages_of,
    reasons,
    rows_of,
    send_some,
    set_policy,
    step,
    step_until,
)
from tests.services.conftest import wait_until

S = CampaignStatus
pytestmark = pytest.mark.usefixtures("database")


# --- The whole way ----------------------------------------------------------------------------


def test_it_goes_the_whole_way() -> None:
    make_contacts(5)
    campaign = make_campaign()
    assert step(campaign).status is S.PREPARING
    assert step(campaign).status is S.SENDING
    assert counts(campaign) == {"queued": 5}
    hand_all(campaign)
    messages = messages_of(campaign)
    assert {m.to_email for m in messages} == {f"ann{n}@example.net" for n in range(1, 6)}
    assert {m.subject for m in messages} == {f"News for ann{n}@example.net" for n in range(1, 6)}
    assert {m.stream.value for m in messages} == {"marketing"}
    assert {tuple(m.tags) for m in messages} == {(f"campaign-{campaign.id}",)}
    assert {m.recipient_id for m in messages} == {row.id for row in rows_of(campaign)}
    assert again(campaign).handed_count == 5
    assert step(campaign).status is S.SENDING
    send_some(messages, "delivered")
    ended = step_until(campaign, S.FINISHED)
    assert ended.ended_at is not None
    assert ended.settled_at is not None
    assert counts(campaign) == {"delivered": 5}
    due(campaign)
    assert not campaign_steps.take_step()


def test_it_does_not_begin_before_its_time() -> None:
    make_contacts(1)
    campaign = make_campaign(starts_at=clock.now() + timedelta(hours=1))
    waiting = step(campaign)
    assert waiting.status is S.SCHEDULED
    assert waiting.step_at == waiting.starts_at
    assert not campaign_steps.take_step()
    assert campaign_steps.rest_seconds() > 3_000


@pytest.mark.parametrize("status", [S.DRAFT, S.IN_REVIEW])
def test_a_draft_goes_nowhere_by_itself(status: CampaignStatus) -> None:
    campaign = make_campaign(status=status, starts_at=None)
    due(campaign)
    assert not campaign_steps.take_step()


def test_nobody_is_an_audience_too() -> None:
    campaign = make_campaign()
    step_until(campaign, S.FINISHED)
    assert counts(campaign) == {}


def test_campaigns_take_turns() -> None:
    version = make_template()
    kept = {"template": version.template_id, "template_version": 1}
    first, second = make_campaign(**kept), make_campaign(**kept)
    for campaign in (second, first):
        due(campaign)
    assert campaign_steps.take_step()
    assert campaign_steps.take_step()
    assert {again(first).status, again(second).status} == {S.PREPARING}


def test_the_loop_does_what_it_is_rung_for_and_stops() -> None:
    stopping = threading.Event()
    loop = threading.Thread(target=campaign_loop.loop.work, args=(stopping,))
    loop.start()
    try:
        campaign = make_campaign()
        campaign_loop.loop.wake()
        wait_until(lambda: again(campaign).status is S.FINISHED)
    finally:
        stopping.set()
        campaign_loop.loop.wake()
        loop.join()


# --- The audience -----------------------------------------------------------------------------


def test_only_contacts_of_its_workspace_who_are_active_are_meant() -> None:
    make_contacts(2)
    make_contacts(3, workspace_id=WORKSPACE_B)
    Contact.create(
        workspace_id=WORKSPACE_A, email="new@example.net", status="pending", created_by="test"
    )
    campaign = make_campaign()
    hand_all(campaign)
    assert again(campaign).audience_count == 2


def test_a_list_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_steps, "LOOKED_AT", 2)
    contacts = make_contacts(7)
    audience = Audience.create(workspace=WORKSPACE_A, name="Staff", created_by="test")
    for contact in contacts[1:6]:
        AudienceMember.insert(audience_id=audience.id, contact_id=contact.id).execute()
    campaign = make_campaign(audience_kind=AudienceKind.LIST, audience=audience.id)
    step(campaign)
    assert step(campaign).audience_count == 2
    assert step(campaign).audience_count == 4
    assert step(campaign).audience_count == 5
    assert again(campaign).status is S.SENDING
    assert [row.contact_id for row in rows_of(campaign)] == [c.id for c in contacts[1:6]]


def test_the_rules_of_a_segment_are_those_when_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_steps, "LOOKED_AT", 3)
    make_contacts(6)
    rules = {"field": "email", "op": "begins_with", "value": "ann1"}
    segment = Segment.create(
        workspace=WORKSPACE_A, name="Firsts", rules=rules, created_by="t", updated_by="t"
    )
    campaign = make_campaign(audience_kind=AudienceKind.SEGMENT, segment=segment.id)
    step(campaign, 2)
    everybody = {"field": "email", "op": "begins_with", "value": "a"}
    Segment.update(rules=everybody).where(Segment.id == segment.id).execute()
    hand_all(campaign)
    assert [row.email for row in rows_of(campaign)] == ["ann1@example.net"]
    Segment.delete().where(Segment.id == segment.id).execute()
    send_some(messages_of(campaign), "sent")
    assert step_until(campaign, S.FINISHED).rules == rules


@pytest.mark.parametrize("kind", ["list", "segment", "template"])
def test_what_is_gone_when_it_begins_stops_it_with_words(kind: str) -> None:
    make_contacts(2)
    fields: dict[str, Any] = {"audience_kind": kind} if kind != "template" else {"template": None}
    campaign = make_campaign(**fields)
    step(campaign)
    stopped = step(campaign)
    assert (stopped.status, stopped.paused_from) == (S.PAUSED, S.PREPARING)
    assert stopped.pause_reason == f"Its {kind} was deleted."
    assert stopped.paused_by == "maild"
    assert counts(campaign) == {}
    assert AuditEntry.select().where(AuditEntry.action == "campaign.paused").count() == 1


def test_a_list_that_is_deleted_meanwhile_stops_it_and_one_that_comes_back_lets_it_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(campaign_steps, "LOOKED_AT", 2)
    audience = Audience.create(workspace=WORKSPACE_A, name="Staff", created_by="test")
    for contact in make_contacts(4):
        AudienceMember.insert(audience_id=audience.id, contact_id=contact.id).execute()
    campaign = make_campaign(audience_kind=AudienceKind.LIST, audience=audience.id)
    step(campaign, 2)
    Audience.update(removed_at=clock.now()).where(Audience.id == audience.id).execute()
    assert step(campaign).status is S.PAUSED
    assert counts(campaign) == {"queued": 2}
    Audience.update(removed_at=None).where(Audience.id == audience.id).execute()
    campaign_states.resume(WORKSPACE_A, campaign.id, by=SYSTEM)
    hand_all(campaign)
    assert len(messages_of(campaign)) == 4


def test_an_address_that_is_added_anew_meanwhile_is_meant_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(campaign_steps, "LOOKED_AT", 2)
    contacts = make_contacts(3)
    campaign = make_campaign()
    step(campaign, 2)
    Contact.delete().where(Contact.id == contacts[0].id).execute()
    Contact.create(workspace_id=WORKSPACE_A, email=contacts[0].email, created_by="test")
    step_until(campaign, S.SENDING)
    assert [row.email for row in rows_of(campaign)] == [c.email for c in contacts]
    assert counts(campaign) == {"queued": 3}


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", 30), ("Asia/Tokyo", 31), ("America/Los_Angeles", 30)]
)
def test_today_is_the_day_by_its_clocks(zone: str, day: int) -> None:
    at = datetime(2027, 1, 30, 23, tzinfo=UTC)
    campaign = make_campaign(time_zone=zone, started_at=at)
    assert campaign_audience.day_of(campaign) == date(2027, 1, day)


# --- Who must not be mailed -------------------------------------------------------------------


def test_who_is_suppressed_or_has_left_is_told_and_not_mailed() -> None:
    make_contacts(5)
    suppressions.add(WORKSPACE_A, "ann1@example.net", reason="bounced", source="api", by=SYSTEM)
    unsubscribes.add(WORKSPACE_A, "ann2@example.net", source="api", by=SYSTEM)
    unsubscribes.add(WORKSPACE_A, "ann3@example.net", topic="news", source="api", by=SYSTEM)
    unsubscribes.add(WORKSPACE_A, "ann4@example.net", topic="offers", source="api", by=SYSTEM)
    campaign = make_campaign(topic="news")
    hand_all(campaign)
    assert counts(campaign) == {"queued": 2, "suppressed": 3}
    assert reasons(campaign, RecipientStatus.SUPPRESSED) == {"unsubscribed": 2, "suppressed": 1}


def test_who_leaves_between_preparing_and_sending_gets_nothing() -> None:
    make_contacts(2)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    unsubscribes.add(WORKSPACE_A, "ann1@example.net", source="api", by=SYSTEM)
    hand_all(campaign)
    assert counts(campaign) == {"queued": 1, "suppressed": 1}


def test_a_contact_that_is_deleted_meanwhile_gets_nothing() -> None:
    contacts = make_contacts(2)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    Contact.delete().where(Contact.id == contacts[0].id).execute()
    hand_all(campaign)
    assert counts(campaign) == {"queued": 1, "cancelled": 1}
    assert reasons(campaign, RecipientStatus.CANCELLED) == {"contact_deleted": 1}


def test_a_field_without_a_value_is_told_and_sends_nothing() -> None:
    make_contacts(1)
    Contact.create(
        workspace_id=WORKSPACE_A, email="bo@example.net", attributes={"plan": "pro"}, created_by="t"
    )
    version = make_template(html="<p>{{ contact.plan }} {{ contact.city }}</p>", subject="News")
    campaign = make_campaign(template=version.template_id, template_version=1)
    hand_all(campaign)
    assert reasons(campaign, RecipientStatus.FAILED) == {
        "missing_fields: contact.city": 1,
        "missing_fields: contact.plan, contact.city": 1,
    }
    assert step_until(campaign, S.FINISHED).handed_count == 0


def test_a_blocked_domain_fails_its_rows_and_no_others() -> None:
    make_contacts(2)
    Contact.create(workspace_id=WORKSPACE_A, email="bo@blocked.example", created_by="test")
    set_policy(blocked_recipient_domains=["blocked.example"])
    campaign = make_campaign()
    hand_all(campaign)
    assert counts(campaign) == {"queued": 2, "failed": 1}
    assert reasons(campaign, RecipientStatus.FAILED) == {"blocked_domain": 1}


def test_a_sender_that_the_policy_forbids_stops_it_and_fails_nobody() -> None:
    make_contacts(2)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    set_policy(allowed_from_domains=["other.example"])
    stopped = step(campaign)
    assert stopped.status is S.PAUSED
    assert "does not allow mail from example.com" in (stopped.pause_reason or "")
    assert counts(campaign) == {"queued": 2}
    set_policy(allowed_from_domains=[])
    campaign_states.resume(WORKSPACE_A, campaign.id, by=SYSTEM)
    hand_all(campaign)
    assert len(messages_of(campaign)) == 2


# --- Faults, and several at once --------------------------------------------------------------

POINTS: list[tuple[Any, str]] = [
    (campaign_audience, "find_rules"),
    (campaign_audience, "choose"),
    (campaign_steps, "_write_rows"),
    (campaign_handover, "look"),
    (campaign_handover, "_pick"),
    (campaign_handover, "_settle"),
    (campaign_handover, "_write"),
    (campaign_steps, "_save"),
    (campaign_states, "move"),
]


class _Broken(Exception):
    pass


@pytest.mark.proves("I12")
@pytest.mark.parametrize(("module", "name"), POINTS, ids=[name for _, name in POINTS])
def test_a_step_that_fails_leaves_nothing_half_done(
    module: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_steps, "LOOKED_AT", 2)
    monkeypatch.setattr(campaign_handover, "ROWS_MAX", 2)
    make_contacts(5)
    campaign = make_campaign()
    real = getattr(module, name)
    calls = 0

    def sometimes(*args: Any, **kwargs: Any) -> Any:
        """After the work is done, every second time, so that each step fails once."""
        nonlocal calls
        calls += 1
        done = real(*args, **kwargs)
        if calls % 2:
            raise _Broken("in the middle")
        return done

    monkeypatch.setattr(module, name, sometimes)
    for _ in range(40):
        if again(campaign).status not in {S.SCHEDULED, S.PREPARING, S.SENDING}:
            break
        Campaign.update(fault_count=0).where(Campaign.id == campaign.id).execute()
        step(campaign)
        assert campaign_ledger.figures(again(campaign)).difference == 0
        sent = [m for m in messages_of(campaign) if m.status.value == "queued"]
        send_some(sent, "sent")
    assert again(campaign).status is S.FINISHED
    assert counts(campaign) == {"sent": 5}
    assert sorted(m.to_email for m in messages_of(campaign)) == [
        f"ann{n}@example.net" for n in range(1, 6)
    ]
    assert Message.select().where(Message.workspace == WORKSPACE_A).count() == 5


def test_a_step_that_fails_again_and_again_pauses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    make_contacts(1)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)

    def broken(*_: Any, **__: Any) -> Any:
        raise _Broken("no luck\nat all")

    monkeypatch.setattr(campaign_handover, "_pick", broken)
    for count in range(1, 6):
        failed = step(campaign)
        assert (failed.status, failed.fault_count) == (S.SENDING, count)
        assert failed.fault == "Something unexpected happened: _Broken: no luck"
        assert failed.step_at > clock.now()
    stopped = step(campaign)
    assert (stopped.status, stopped.pause_reason) == (S.PAUSED, stopped.fault)
    resumed = campaign_states.resume(WORKSPACE_A, campaign.id, by=SYSTEM).campaign
    assert (resumed.fault, resumed.fault_count) == (None, 0)


@pytest.mark.proves("I12")
def test_two_workers_at_once_hand_over_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_steps, "LOOKED_AT", 10)
    monkeypatch.setattr(campaign_handover, "ROWS_MAX", 7)
    make_contacts(60)
    campaign = make_campaign()
    due(campaign)
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            with db.connection():
                campaign_steps.take_step()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(2_000):
            current = again(campaign)
            if current.prepared_at and current.handed_count == 60:
                break
            done.wait(0.02)
    finally:
        done.set()
        for worker in workers:
            worker.join()
    assert len({m.to_email for m in messages_of(campaign)}) == 60
    assert Message.select().where(Message.workspace == WORKSPACE_A).count() == 60
    assert counts(campaign) == {"queued": 60}


@pytest.mark.proves("I12")
def test_the_database_refuses_a_second_message_for_a_row(accept: Callable[..., Message]) -> None:
    make_contacts(1)
    campaign = make_campaign()
    hand_all(campaign)
    [row] = rows_of(campaign)
    with pytest.raises(Exception, match="messages_of_recipient"):
        accept(recipient_id=row.id, to_email=row.email)


def test_rows_without_a_campaign_are_none_of_its_business(accept: Callable[..., Message]) -> None:
    message = accept()
    assert message.recipient_id is None
    assert CampaignRecipient.select().count() == 0

"""Limits and pace: how many messages of a campaign go out in an hour or a day, and what waits."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from maild import clock, db
from maild.domain.actor import SYSTEM
from maild.domain.campaign import CampaignStatus
from maild.domain.states import Status
from maild.models import Campaign, Contact, Message
from maild.services import campaign_handover, suppressions
from maild.services.claims import PAUSED
from tests.conftest import WORKSPACE_A
from tests.services.campaigning import (
    again,
    counts,
    hand_all,
    make_campaign,
    make_contacts,
    messages_of,
    send_some,
    set_policy,
    step,
    step_until,
)

S = CampaignStatus
pytestmark = pytest.mark.usefixtures("database")


def test_it_leaves_a_part_of_the_workspaces_limit_to_other_mail(
    accept: Callable[..., Message],
) -> None:
    make_contacts(30)
    set_policy(rate_limit_workspace_per_hour=20)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    step(campaign)
    waiting = step(campaign)
    assert waiting.handed_count == 18
    assert waiting.step_at > clock.now() + timedelta(seconds=10)
    assert counts(campaign) == {"queued": 30}
    assert accept(to_email="reset@example.org").status.value == "queued"
    set_policy(rate_limit_workspace_per_hour=None)
    hand_all(campaign)
    assert len(messages_of(campaign)) == 30


def test_a_domain_whose_limit_is_full_keeps_no_other_waiting() -> None:
    make_contacts(6)
    for n in range(3):
        Contact.create(workspace_id=WORKSPACE_A, email=f"bo{n}@other.example", created_by="test")
    set_policy(rate_limit_domain_per_hour=4)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    step(campaign)
    handed = {m.to_email.partition("@")[2] for m in messages_of(campaign)}
    assert handed == {"example.net", "other.example"}
    assert again(campaign).handed_count == 7
    waiting = step(campaign)
    assert waiting.step_at > clock.now() + timedelta(seconds=10)
    assert counts(campaign) == {"queued": 9}
    set_policy(rate_limit_domain_per_hour=None)
    Campaign.update(pace=None).where(Campaign.id == campaign.id).execute()
    hand_all(campaign)
    assert len(messages_of(campaign)) == 9


def test_it_keeps_its_pace() -> None:
    make_contacts(5)
    campaign = make_campaign(per_hour=120)
    step_until(campaign, S.SENDING)
    assert step(campaign).handed_count == 2
    waiting = step(campaign)
    assert waiting.handed_count == 2
    assert waiting.step_at > clock.now() + timedelta(seconds=20)


def test_who_must_not_be_mailed_uses_up_nothing_of_the_pace() -> None:
    first, second, *_ = make_contacts(5)
    for contact in (first, second):
        suppressions.add(WORKSPACE_A, contact.email, reason="bounced", source="api", by=SYSTEM)
    campaign = make_campaign(ramp=[2, 100])
    step_until(campaign, S.SENDING)
    step(campaign)
    step(campaign)
    assert counts(campaign) == {"queued": 3, "suppressed": 2}
    assert sum(message.status is Status.QUEUED for message in messages_of(campaign)) == 2


def test_it_keeps_its_ramp() -> None:
    make_contacts(5)
    campaign = make_campaign(ramp=[3, 100])
    step_until(campaign, S.SENDING)
    step(campaign)
    waiting = step(campaign)
    assert waiting.handed_count == 3
    assert waiting.step_at > clock.now() + timedelta(minutes=4)
    Campaign.update(pace={**waiting.pace, "day_at": waiting.pace["day_at"] - 86_400}).execute()
    assert step(campaign).handed_count == 5


def test_however_slow_its_pace_what_a_claim_has_held_too_late_is_found_soon() -> None:
    make_contacts(2)
    campaign = make_campaign(ramp=[1])
    step_until(campaign, S.SENDING)
    step(campaign)
    step(campaign)
    db.database.execute_sql(
        "UPDATE messages SET status = 'held', next_attempt_at = NULL, hold_reason = %s", (PAUSED,)
    )
    assert again(campaign).step_at < clock.now() + timedelta(minutes=6)
    step(campaign)
    assert [message.status for message in messages_of(campaign)] == [Status.QUEUED]


def test_only_so_many_are_in_the_queue_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_handover, "DUE_MAX", 3)
    monkeypatch.setattr(campaign_handover, "FREE_MIN", 1)
    make_contacts(5)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    assert step(campaign).handed_count == 3
    assert step(campaign).handed_count == 3
    send_some(messages_of(campaign)[:1], "sent")
    assert step(campaign).handed_count == 4

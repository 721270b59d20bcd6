"""A freeze during a campaign: what is handed over, what expires, and what goes out afterwards."""

from datetime import timedelta

import pytest

from maild import clock, db
from maild.domain.campaign import CampaignStatus
from maild.domain.freeze import FreezeKind
from maild.models import Campaign, Freeze, Message
from maild.services import freezes, lifetimes
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A
from tests.services.campaigning import (
    again,
    hand_all,
    make_campaign,
    make_contacts,
    messages_of,
    step,
    step_until,
)
from tests.services.helpers import A_PATIENT, Accept, ago, set_end, take

S = CampaignStatus
pytestmark = pytest.mark.usefixtures("database")


def freeze(kind: FreezeKind = FreezeKind.STREAM, target: str | None = "marketing") -> Freeze:
    return freezes.start(
        WORKSPACE_A,
        kind=kind,
        target=target,
        reason="storm",
        expires_at=clock.now() + timedelta(days=1),
    )


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (FreezeKind.WORKSPACE, None),
        (FreezeKind.STREAM, "marketing"),
        (FreezeKind.FROM_EMAIL, "News@Example.com"),
    ],
)
def test_nothing_is_handed_over_into_a_freeze(kind: FreezeKind, target: str | None) -> None:
    make_contacts(3)
    campaign = make_campaign(from_email="News@example.com", per_hour=3_600)
    step_until(campaign, S.SENDING)
    frozen = freeze(kind, target)
    waiting = step(campaign)
    assert waiting.handed_count == 0
    assert waiting.pace is None
    assert waiting.step_at > clock.now() + timedelta(seconds=2)
    freezes.lift(frozen)
    assert step(campaign).handed_count == 3


@pytest.mark.parametrize(
    ("kind", "target"),
    [(FreezeKind.STREAM, "transactional"), (FreezeKind.RECIPIENT_DOMAIN, "example.net")],
)
def test_a_freeze_of_other_mail_keeps_no_campaign_back(kind: FreezeKind, target: str) -> None:
    make_contacts(3)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    freeze(kind, target)
    assert step(campaign).handed_count == 3


def test_what_a_freeze_holds_of_a_campaign_gets_its_lifetime_back(lease: Lease) -> None:
    make_contacts(2)
    campaign = hand_all(make_campaign())
    frozen = freeze()
    assert take(lease, A_PATIENT) == []
    db.database.execute_sql(
        "UPDATE messages SET updated_at = now() - interval '5 days',"
        " expires_at = expires_at - interval '5 days'"
    )
    assert lifetimes.expire_overdue() == 0
    set_end(frozen, ago(seconds=1))
    freezes.release_thawed()
    assert all((m.expires_at - clock.now()).days >= 3 for m in messages_of(campaign))
    assert len(take(lease, A_PATIENT)) == 2


def test_other_mail_grows_old_in_a_freeze(accept: Accept, lease: Lease) -> None:
    message = accept(stream="marketing")
    freeze()
    assert take(lease, A_PATIENT) == []
    Message.update(expires_at=ago(seconds=1)).execute()
    assert lifetimes.expire_overdue() == 1
    assert Message.get_by_id(message.id).status.value == "expired"


def test_what_waits_of_a_campaign_with_a_pace_stays_small() -> None:
    make_contacts(40)
    campaign = make_campaign(per_hour=60)
    step_until(campaign, S.SENDING)
    for _ in range(15):
        let_an_hour_pass(campaign)
        step(campaign)
    assert again(campaign).handed_count == 10


def let_an_hour_pass(campaign: Campaign) -> None:
    kept = again(campaign).pace
    if kept:
        Campaign.update(pace={**kept, "at": kept["at"] - 3_600}).execute()

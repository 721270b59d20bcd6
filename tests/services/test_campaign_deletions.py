"""Contacts that are deleted while a campaign runs, and those that are added again."""

import pytest

from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus, RecipientStatus
from maild.domain.states import EventType
from maild.models import Campaign, Contact, ContactEngagement
from maild.services import campaign_states, contacts, last_check, timeline
from maild.services.contact_fields import ContactFields
from maild.services.workers import Lease
from maild.web import story
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import (
    counts,
    hand_all,
    make_campaign,
    make_contacts,
    messages_of,
    reasons,
    rows_of,
    step_until,
)
from tests.services.helpers import A_PATIENT, take

S = CampaignStatus
BY = Actor("ann@example.com")
pytestmark = pytest.mark.usefixtures("database")


def handed(count: int = 2) -> Campaign:
    make_contacts(count)
    return hand_all(make_campaign())


def delete(email: str) -> None:
    contact = contacts.find_by_email(WORKSPACE_A, email)
    assert contact is not None
    contacts.delete(WORKSPACE_A, contact.id, by=BY)


def taken(lease: Lease) -> list[str]:
    return [claim.to_email for claim in take(lease, A_PATIENT)]


@pytest.mark.proves("I6")
def test_who_is_deleted_is_not_mailed_though_the_message_is_made(lease: Lease) -> None:
    campaign = handed()
    delete("ann1@example.net")
    assert taken(lease) == ["ann2@example.net"]
    assert counts(campaign) == {"queued": 1, "cancelled": 1}
    assert reasons(campaign, RecipientStatus.CANCELLED) == {"contact_deleted": 1}
    [gone] = [one for one in messages_of(campaign) if one.to_email == "ann1@example.net"]
    [event] = [one for one in timeline.list_events(gone) if one.type == EventType.CANCELLED]
    assert event.data == {"campaign_id": campaign.id, "reason": "contact deleted"}
    assert "not a contact any more" in story.words_of(event)


def test_who_is_deleted_during_a_pause_is_not_mailed_after_it(lease: Lease) -> None:
    campaign = handed()
    campaign_states.pause(WORKSPACE_A, campaign.id, by=BY)
    delete("ann2@example.net")
    campaign_states.resume(WORKSPACE_A, campaign.id, by=BY)
    assert taken(lease) == ["ann1@example.net"]


def test_who_is_deleted_after_the_claim_is_found_by_the_last_check(lease: Lease) -> None:
    handed()
    claims = take(lease, A_PATIENT)
    delete("ann1@example.net")
    stopped = last_check.find_forbidden(claims)[1]
    assert stopped == {one.message_id for one in claims if one.to_email == "ann1@example.net"}


def test_who_was_added_again_is_mailed(lease: Lease) -> None:
    handed()
    delete("ann1@example.net")
    contacts.upsert(WORKSPACE_A, "ann1@example.net", ContactFields(), by=BY)
    assert sorted(taken(lease)) == ["ann1@example.net", "ann2@example.net"]


def test_a_contact_of_another_workspace_does_not_count(lease: Lease) -> None:
    handed()
    delete("ann1@example.net")
    contacts.upsert(WORKSPACE_B, "ann1@example.net", ContactFields(), by=BY)
    assert taken(lease) == ["ann2@example.net"]


def test_who_has_to_confirm_anew_is_not_mailed_before() -> None:
    make_contacts(2)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    delete("ann1@example.net")
    Contact.create(
        workspace_id=WORKSPACE_A, email="ann1@example.net", status="pending", created_by="test"
    )
    hand_all(campaign)
    assert counts(campaign) == {"queued": 1, "cancelled": 1}


def test_who_is_added_again_before_the_turn_comes_gets_the_mail() -> None:
    make_contacts(2)
    campaign = make_campaign()
    step_until(campaign, S.SENDING)
    delete("ann1@example.net")
    anew = contacts.upsert(
        WORKSPACE_A, "ann1@example.net", ContactFields(name="Ann anew"), by=BY
    ).contact
    hand_all(campaign)
    assert counts(campaign) == {"queued": 2}
    assert [row.contact_id for row in rows_of(campaign) if row.email == anew.email] == [anew.id]
    assert ContactEngagement.get_or_none(ContactEngagement.contact_id == anew.id) is not None

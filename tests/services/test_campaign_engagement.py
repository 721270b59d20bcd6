"""What recipients do with a campaign's mail: first times in its ledger, last times for segments."""

from collections.abc import Callable
from datetime import datetime

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.campaign import CampaignStatus
from maild.models import Contact, ContactEngagement, Message
from maild.services import (
    campaign_ledger,
    contacts,
    segment_members,
    segment_rules,
    suppressions,
    unsubscribes,
)
from maild.services.campaign_ledger import Engagement
from maild.services.unsubscribe_links import Link
from tests.conftest import WORKSPACE_A
from tests.services.campaigning import (
    counts,
    hand_all,
    make_campaign,
    make_contacts,
    make_template,
    messages_of,
    rows_of,
    send_some,
    step_until,
)
from tests.services.reporting import about, report

pytestmark = pytest.mark.usefixtures("database")


def test_the_first_time_of_each_counts_in_any_order() -> None:
    make_contacts(1)
    campaign = hand_all(make_campaign())
    [message] = messages_of(campaign)
    send_some([message], "sent")
    late, early = "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"
    report(about(message, "opened", timestamp=late, event_id="1"))
    report(about(message, "clicked", timestamp=late, event_id="2"))
    report(about(message, "opened", timestamp=early, event_id="3"))
    report(about(message, "opened", timestamp=late, event_id="4"))
    [row] = rows_of(campaign)
    assert row.opened_at.isoformat() == "2026-01-01T00:00:00+00:00"
    assert row.clicked_at.isoformat() == "2026-01-02T00:00:00+00:00"
    assert campaign_ledger.figures(campaign).engagement == Engagement(1, 1, 0, 0)


def test_who_complains_or_leaves_is_counted() -> None:
    make_contacts(2)
    campaign = hand_all(make_campaign())
    first, second = messages_of(campaign)
    send_some([first, second], "delivered")
    report(about(first, "complained"))
    report(about(second, "unsubscribed"))
    assert campaign_ledger.figures(campaign).engagement.complained_count == 1
    assert campaign_ledger.figures(campaign).engagement.unsubscribed_count == 1
    assert counts(campaign) == {"delivered": 2}


def test_who_leaves_by_the_link_in_the_mail_is_counted() -> None:
    make_contacts(2)
    campaign = hand_all(make_campaign(topic="news"))
    first = messages_of(campaign)[0]
    send_some([first], "sent")
    link = Link(WORKSPACE_A, first.id, first.to_email, "news")
    for _ in range(2):
        unsubscribes.leave(link, everything=False, source="one_click", by=SYSTEM)
    assert campaign_ledger.figures(campaign).engagement == Engagement(0, 0, 0, 1)


def test_reports_about_other_mail_change_no_ledger(accept: Callable[..., Message]) -> None:
    make_contacts(1)
    campaign = hand_all(make_campaign())
    message = accept()
    send_some([message], "sent")
    report(about(message, "opened"))
    assert campaign_ledger.figures(campaign).engagement == Engagement()


# --- The last times, for segments -------------------------------------------------------------


def last_times(contact: Contact) -> list[datetime | None]:
    """When they were mailed, opened and clicked last."""
    row = ContactEngagement.get_by_id(contact.id)
    return [row.mailed_at, row.opened_at, row.clicked_at]


def mean(rules: dict[str, object]) -> set[str]:
    """Whom they mean, counted among all."""
    look = segment_members.look(WORKSPACE_A, segment_rules.read(WORKSPACE_A, rules))
    assert look.count == len(look.sample)
    return {contact.email for contact in look.sample}


def test_only_who_is_mailed_has_been_mailed() -> None:
    make_contacts(3)
    suppressions.add(WORKSPACE_A, "ann2@example.net", reason="r", source="api", by=SYSTEM)
    hand_all(make_campaign())
    assert mean({"field": "last_mailed_at", "op": "is_set"}) == {
        "ann1@example.net", "ann3@example.net",
    }  # fmt: skip
    assert mean({"field": "last_mailed_at", "op": "in_last_days", "value": 1}) == {
        "ann1@example.net", "ann3@example.net",
    }  # fmt: skip
    assert mean({"field": "last_mailed_at", "op": "is_not_set"}) == {"ann2@example.net"}


def test_the_last_time_over_all_campaigns_counts_in_any_order() -> None:
    [ann] = make_contacts(1)
    template = make_template()
    first, second = (
        hand_all(make_campaign(template=template.template_id, template_version=1)) for _ in range(2)
    )
    messages = [*messages_of(first), *messages_of(second)]
    send_some(messages, "sent")
    late, early = "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"
    report(about(messages[0], "opened", timestamp=late, event_id="1"))
    report(about(messages[1], "opened", timestamp=early, event_id="2"))
    report(about(messages[1], "clicked", timestamp=early, event_id="3"))
    mailed_at, opened_at, clicked_at = last_times(ann)
    [handed] = [row.handed_at for row in rows_of(second)]
    assert mailed_at == handed
    assert opened_at is not None
    assert clicked_at is not None
    assert (opened_at.isoformat(), clicked_at.isoformat()) == (
        "2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    assert mean({"field": "last_opened_at", "op": "before", "value": "2026-01-02"}) == set()
    assert mean({"field": "last_clicked_at", "op": "before", "value": "2026-01-02"}) == {ann.email}


def test_what_comes_of_mail_to_a_contact_that_is_gone_is_no_error() -> None:
    make_contacts(2)
    campaign = hand_all(make_campaign())
    messages = messages_of(campaign)
    send_some(messages, "sent")
    gone = Contact.get(Contact.email == messages[0].to_email)
    contacts.delete(WORKSPACE_A, gone.id, by=SYSTEM)
    report(about(messages[0], "opened", event_id="1"))
    assert campaign_ledger.figures(campaign).engagement == Engagement(1, 0, 0, 0)
    assert ContactEngagement.select().count() == 1
    assert counts(campaign) == {"sent": 1, "delivered": 1}


def test_who_is_deleted_while_a_campaign_runs_is_mailed_and_leaves_nothing() -> None:
    [ann] = make_contacts(1)
    campaign = step_until(make_campaign(), CampaignStatus.SENDING)
    contacts.delete(WORKSPACE_A, ann.id, by=SYSTEM)
    hand_all(campaign)
    assert len(messages_of(campaign)) <= 1
    assert ContactEngagement.select().count() == 0

"""Before a campaign is sent: what stops it, what there is to know, and whom it would reach."""

from datetime import datetime, timedelta

import pytest

from maild import clock
from maild.db import database
from maild.domain.actor import SYSTEM, Actor
from maild.domain.campaign import CampaignStatus, Variant
from maild.domain.contact import AttributeKind, ContactStatus
from maild.domain.freeze import FreezeKind
from maild.domain.states import Stream
from maild.domain.template import Severity
from maild.errors import Conflict, InvalidFields, NotFound, TooManyRequests
from maild.models import Audience, AudienceMember, AuditEntry, Contact, Domain, Message
from maild.services import (
    campaign_checks,
    campaign_previews,
    campaign_reach,
    campaign_tests,
    contact_attributes,
    freezes,
    message_log,
    policies,
    segments,
    smtp_accounts,
    suppressions,
    topics,
    unsubscribes,
)
from maild.services.campaign_reach import Condition
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import make_campaign, make_contacts, make_template

pytestmark = pytest.mark.usefixtures("database")

ANN = Actor("ann@a.example")
FAR = datetime.fromisoformat("2027-03-01T09:30:00")
NEEDS = "Hello {{ contact.first_name }}. {{ unsubscribe_url }}"


def draft(**fields):
    values = {"status": CampaignStatus.DRAFT, "starts_at": None, "template_version": None}
    if "template" not in fields:
        values["template"] = make_template().template_id
    return make_campaign(**{**values, **fields})


def codes(campaign, severity=None):
    found = campaign_checks.check(campaign).findings
    return [one.code for one in found if severity is None or one.severity is severity]


def message_of(campaign, code):
    [found] = [one for one in campaign_checks.check(campaign).findings if one.code == code]
    return found.message


# -- whom it would reach --------------------------------------------------------------------------


def test_everybody_is_counted_once_for_the_first_reason():
    contacts = make_contacts(9)
    suppressions.add(WORKSPACE_A, "ann1@example.net", reason="r", source="api")
    suppressions.add(
        WORKSPACE_A, "ann2@example.net", reason="r", source="api", stream=Stream.MARKETING
    )
    suppressions.add(
        WORKSPACE_A, "ann3@example.net", reason="r", source="api", stream=Stream.TRANSACTIONAL
    )
    suppressions.add(WORKSPACE_B, "ann3@example.net", reason="r", source="api")
    for email, topic in (
        ("ann1@example.net", None),
        ("ann4@example.net", None),
        ("ann4@example.net", "news"),
        ("ann5@example.net", "news"),
        ("ann6@example.net", "other"),
    ):
        unsubscribes.add(WORKSPACE_A, email, topic=topic, source="api", by=SYSTEM)
    Contact.update(status=ContactStatus.PENDING).where(Contact.id == contacts[8].id).execute()
    make_contacts(3, workspace_id=WORKSPACE_B)
    report = campaign_checks.check(draft(topic="news"))
    reach = report.reach
    assert (reach.audience, reach.can_be_mailed, reach.pending) == (8, 4, 1)
    assert (reach.suppressed, reach.unsubscribed, reach.left_topic) == (2, 1, 1)
    assert report.can_be_sent
    assert report.audience_name == "Everyone"
    assert campaign_checks.check(draft(template=None, topic=None)).reach.can_be_mailed == 5


def test_a_list_and_a_segment_are_those_on_it():
    contacts = make_contacts(5)
    audience = Audience.create(workspace=WORKSPACE_A, name="Staff", created_by="test")
    for contact in contacts[:2]:
        AudienceMember.insert(audience_id=audience.id, contact_id=contact.id).execute()
    campaign = draft(audience_kind="list", audience_id=audience.id)
    report = campaign_checks.check(campaign)
    assert (report.reach.audience, report.audience_name) == (2, "Staff")
    told = segments.create(
        WORKSPACE_A,
        name="Ann 3",
        rules={"all": [{"field": "email", "op": "equals", "value": "ann3@example.net"}]},
        by=ANN,
    )
    template = campaign.template_id
    campaign = draft(audience_kind="segment", segment_id=told.segment.id, template=template)
    report = campaign_checks.check(campaign)
    assert (report.reach.audience, report.audience_name) == (1, "Ann 3")
    segments.delete(WORKSPACE_A, told.segment.id, by=ANN)
    report = campaign_checks.check(campaign)
    assert [one.code for one in report.stops] == ["no_audience"]
    assert (report.reach, report.audience_name, report.takes) == (None, None, None)


def test_rules_that_name_what_is_gone_stop_it():
    make_contacts(1)
    contact_attributes.declare(WORKSPACE_A, "plan", AttributeKind.TEXT, by=ANN)
    told = segments.create(
        WORKSPACE_A,
        name="Pro",
        rules={"all": [{"field": "attributes.plan", "op": "equals", "value": "pro"}]},
        by=ANN,
    )
    campaign = draft(audience_kind="segment", segment_id=told.segment.id)
    assert codes(campaign, Severity.STOP) == ["audience_empty"]
    contact_attributes.take_away(WORKSPACE_A, "plan")
    assert codes(campaign, Severity.STOP) == ["segment_broken"]
    assert "do not hold any more" in message_of(campaign, "segment_broken")
    with pytest.raises(Conflict):
        campaign_checks.require_sendable(campaign)
    assert campaign_previews.make(campaign).contact is None


def test_an_audience_whom_nobody_may_mail_is_told():
    make_contacts(1)
    suppressions.add(WORKSPACE_A, "ann1@example.net", reason="r", source="api")
    assert "nobody_to_mail" in codes(draft(), Severity.WARN)


# -- merge fields ---------------------------------------------------------------------------------


def test_fields_without_a_value_are_counted_for_each_with_samples():
    first = make_contacts(15, attributes={"first_name": None})[0]
    Contact.update(attributes={"first_name": "Ann"}).where(Contact.id == first.id).execute()
    template = make_template(body_text=NEEDS, html="<p>{{ contact.name }}</p>", fields=[])
    report = campaign_checks.check(draft(template=template.template_id))
    found = {one.name: one for one in report.lacking}
    assert {name: one.count for name, one in found.items()} == {"first_name": 14, "name": 15}
    assert found["first_name"].samples[0] == "ann2@example.net"
    assert len(found["first_name"].samples) == 10
    assert report.is_lacking_exact
    assert "14 contacts have no value for contact.first_name" in " ".join(
        one.message for one in report.findings if one.code == "missing_field"
    )


def test_what_a_template_does_without_is_not_missing():
    make_contacts(3, attributes={})
    template = make_template(
        body_text="{% if contact.plan %}You have {{ contact.plan }}{% endif %}"
        "{{ contact.name | default: 'you' }} {{ unsubscribe_url }}",
        html="",
    )
    report = campaign_checks.check(draft(template=template.template_id))
    assert report.lacking == ()
    assert report.is_lacking_exact


def test_of_too_many_the_most_that_it_can_be_is_told(monkeypatch):
    monkeypatch.setattr(campaign_checks, "RENDERED_MAX", 2)
    make_contacts(3)
    template = make_template(
        body_text="{% if contact.plan %}{{ contact.plan }}{% endif %} {{ unsubscribe_url }}"
    )
    report = campaign_checks.check(draft(template=template.template_id))
    assert [(one.name, one.count) for one in report.lacking] == [("plan", 3)]
    assert not report.is_lacking_exact


def test_the_templates_own_subject_does_not_count_where_another_is_sent():
    make_contacts(1)
    template = make_template(subject="For {{ contact.nick }}").template_id
    assert [one.name for one in campaign_checks.check(draft(template=template)).lacking] == ["nick"]
    assert campaign_checks.check(draft(template=template, subject="For you")).lacking == ()
    other = {"subject_b": "{{ contact.pet }}", "test_percent": 10, "test_minutes": 1}
    tested = draft(template=template, subject="A", test_metric="opens", **other)
    assert [one.name for one in campaign_checks.check(tested).lacking] == ["pet"]


def test_what_a_campaign_has_no_value_for_stops_it():
    make_contacts(1)
    template = make_template(
        body_text="{{ data.order }} {{ campaign.name }} {{ campaign.x }} {{ unsubscribe_url }}"
    )
    campaign = draft(template=template.template_id)
    assert codes(campaign, Severity.STOP) == ["field_without_value"] * 2


# -- all else -------------------------------------------------------------------------------------


def test_a_sound_campaign_has_nothing_that_stops_it():
    make_contacts(1)
    campaign = draft()
    assert campaign_checks.require_sendable(campaign) == 1
    assert campaign_checks.check(campaign).can_be_sent


def test_the_sender_must_be_allowed_and_should_be_ready():
    make_contacts(1)
    policies.save(WORKSPACE_A, changes={"allowed_from_domains": ["shop.example"]}, by=ANN)
    assert codes(draft(), Severity.STOP) == ["forbidden_sender"]
    assert "unknown_domain" in codes(draft(from_email="a@shop.example", template=None))
    Domain.create(
        workspace=WORKSPACE_A, name="shop.example", created_by="t", good={}, drift={},
        results={"spf": {"state": "bad", "summary": "There is none."}},
    )  # fmt: skip
    assert "not_aligned" in codes(draft(from_email="a@shop.example", template=None))


def test_the_policys_limits_are_told_in_hours():
    make_contacts(30)
    policies.save(
        WORKSPACE_A,
        changes={
            "rate_limit_workspace_per_hour": 10,
            "rate_limit_domain_per_hour": 6,
            "blocked_recipient_domains": ["example.net"],
            "marketing": {"lifetime_seconds": 3_600},
        },
        by=ANN,
    )
    campaign = draft(per_hour=500)
    report = campaign_checks.check(campaign)
    assert (report.per_hour, report.takes) == (10, timedelta(hours=3))
    found = [one.code for one in report.findings]
    assert {"blocked_domains", "domain_limit", "takes_time", "short_lifetime"} <= set(found)
    told = message_of(campaign, "takes_time")
    assert told == "At 10 an hour, the 30 messages take about 3 hours."
    test = {"subject_b": "Or so", "test_percent": 50, "test_minutes": 240, "test_metric": "opens"}
    tested = draft(template=campaign.template_id, per_hour=500, **test)
    assert campaign_checks.check(tested).takes == timedelta(hours=7)
    told = message_of(tested, "takes_time")
    assert told == "At 10 an hour, with the wait for its test, the 30 messages take about 7 hours."


def test_an_account_that_cannot_be_used_stops_it(account):
    make_contacts(1)
    campaign = draft(smtp_account="main")
    assert codes(campaign, Severity.STOP) == ["no_account"]
    account("main", active=True)
    assert codes(campaign, Severity.STOP) == []
    smtp_accounts.pause(WORKSPACE_A, name="main", reason="r", by=ANN)
    assert codes(campaign, Severity.STOP) == ["account_paused"]
    template = campaign.template_id
    assert codes(draft(template=template), Severity.STOP) == ["account_paused"]
    account("other")
    assert codes(draft(template=template), Severity.STOP) == []
    assert codes(campaign, Severity.STOP) == ["account_paused"]


def test_a_freeze_and_an_undeclared_topic_are_told():
    make_contacts(1)
    campaign = draft(topic="news")
    assert "topic_not_declared" in codes(campaign)
    topics.save(WORKSPACE_A, topics.NewTopic("News"), by=ANN)
    freezes.start(
        WORKSPACE_A,
        kind=FreezeKind.STREAM,
        target="marketing",
        reason="Look first.",
        expires_at=clock.now() + timedelta(hours=1),
        by=ANN,
    )
    found = codes(campaign)
    assert "topic_not_declared" not in found
    assert "frozen" in found


def test_its_time_is_looked_at():
    make_contacts(1)
    template = make_template().template_id
    past = datetime.fromisoformat("2020-01-01T00:00")
    assert codes(draft(send_at=past, template=template), Severity.STOP) == ["time_is_over"]
    gap = datetime.fromisoformat("2027-03-28T02:30")
    campaign = draft(send_at=gap, time_zone="Europe/Vienna", template=template)
    assert codes(campaign, Severity.STOP) == ["bad_time"]
    twice = datetime.fromisoformat("2027-10-31T02:30")
    campaign = draft(send_at=twice, time_zone="Europe/Vienna", template=template)
    assert "at 00:30 UTC" in message_of(campaign, "time_comes_twice")
    assert codes(draft(send_at=FAR, template=template), Severity.STOP) == []


def test_a_test_of_nobody_is_told():
    make_contacts(5)
    campaign = draft(subject_b="B", test_percent=10, test_minutes=5, test_metric="opens")
    assert "test_too_small" in codes(campaign)


# -- previews and tests ---------------------------------------------------------------------------


def test_a_preview_is_the_first_contacts_mail_or_anybodys():
    make_contacts(2, attributes={"first_name": "Ann"})
    template = make_template(subject="Hi {{ contact.email }}", body_text=NEEDS).template_id
    campaign = draft(template=template)
    shown = campaign_previews.make(campaign)
    assert (shown.mail.subject, shown.contact.email) == ("Hi ann1@example.net", "ann1@example.net")
    assert shown.mail.text.startswith("Hello Ann.")
    shown = campaign_previews.make(campaign, email="ANN2@Example.net")
    assert (shown.mail.subject, shown.variant) == ("Hi ann2@example.net", None)
    with pytest.raises(NotFound):
        campaign_previews.make(campaign, email="eve@example.net")
    for email in ("nobody", "\ud800@example.net", "a\0@example.net"):
        with pytest.raises(InvalidFields):
            campaign_previews.make(campaign, email=email)
    make_contacts(3, workspace_id=WORKSPACE_B)
    with pytest.raises(NotFound):
        campaign_previews.make(campaign, email="ann3@example.net")


def test_each_subject_of_a_test_can_be_looked_at():
    make_contacts(1)
    campaign = draft(
        subject="One", subject_b="Two", test_percent=10, test_minutes=5, test_metric="opens"
    )
    shown = campaign_previews.make(campaign)
    assert (shown.mail.subject, shown.variant) == ("One", Variant.A)
    assert campaign_previews.make(campaign, variant=Variant.B).mail.subject == "Two"
    plain = draft(template=campaign.template_id)
    with pytest.raises(InvalidFields):
        campaign_previews.make(plain, variant=Variant.B)
    with pytest.raises(Conflict):
        campaign_previews.make(draft(template=None))


def test_a_preview_of_nobody_is_a_samples_and_says_what_is_missing():
    template = make_template(body_text=NEEDS).template_id
    shown = campaign_previews.make(draft(template=template))
    assert shown.contact is None
    assert "contact.first_name" in shown.mail.missing


@pytest.fixture
def team(make_person):
    for name in "ab":
        make_person(f"{name}@a.example")
    make_person("x@b.example", workspace_id=WORKSPACE_B)
    campaign_tests.forget()


def test_a_test_goes_to_members_as_all_mail_does(team):
    make_contacts(1)
    unsubscribes.add(WORKSPACE_A, "b@a.example", topic="news", source="api", by=SYSTEM)
    campaign = draft(topic="news", from_name="Shop", reply_to="reply@example.com")
    tested = campaign_tests.send(campaign, to=["a@a.example", "b@a.example"], by=ANN)
    assert [one.message.status for one in tested.outcomes] == ["queued", "suppressed"]
    message = Message.get(Message.to_email == "a@a.example")
    assert message.subject == "[Test] News for ann1@example.net"
    assert (message.stream, message.topic, message.tags) == ("marketing", "news", ["campaign-test"])
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).first()
    assert (entry.action, entry.target) == ("campaign.tested", f"campaign {campaign.id}")


def test_a_test_goes_to_nobody_else_and_not_any_number_of_times(team, monkeypatch):
    make_contacts(1)
    campaign = draft()
    for to in ([], ["x@b.example"], ["ann1@example.net"], ["nobody"], ["a@a.example"] * 6):
        with pytest.raises(InvalidFields):
            campaign_tests.send(campaign, to=to, by=ANN)
    monkeypatch.setattr(campaign_tests, "PER_MINUTE_MAX", 2)
    for _ in range(2):
        campaign_tests.send(campaign, to=["a@a.example"], by=ANN)
    with pytest.raises(TooManyRequests):
        campaign_tests.send(campaign, to=["a@a.example"], by=ANN)
    assert Message.select().count() == 2


def test_an_audience_that_is_not_found_out_about_in_a_moment_is_no_empty_one(monkeypatch):
    nobody = Condition("c.id = -1", ())
    assert campaign_reach.is_empty(nobody)
    monkeypatch.setattr(message_log, "SEARCH_TIMEOUT_MS", 50)
    with database.atomic():
        database.execute_sql("SELECT set_config('statement_timeout', '7s', true)")
        make_contacts(1)
        slow = Condition("pg_sleep(1) IS NULL", ())
        assert not campaign_reach.is_empty(slow)
        assert campaign_reach.is_empty(nobody)
        assert database.execute_sql("SHOW statement_timeout").fetchone() == ("7s",)

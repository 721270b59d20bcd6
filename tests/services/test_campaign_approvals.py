"""From a draft to its time: approval, a second person, what is fixed, and clocks."""

from datetime import datetime, timedelta

import pytest

from maild import clock
from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Audience, AudienceMember, AuditEntry, Contact, Template, TemplateVersion
from maild.services import (
    campaign_approvals,
    campaign_settings,
    campaign_states,
    campaigns,
    templates,
)
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import (
    HTML,
    again,
    make_campaign,
    make_contacts,
    make_template,
    step_until,
)
from tests.services.restoring import make_safe

pytestmark = pytest.mark.usefixtures("database")

ANN, BOB, KEY = Actor("ann@a.example"), Actor("bob@a.example"), Actor("key mk_1 (shop)")
S = CampaignStatus
FAR = datetime.fromisoformat("2027-03-01T09:30:00")


@pytest.fixture
def draft():
    make_contacts(2)
    version = make_template()
    return campaigns.create(
        WORKSPACE_A,
        {
            "name": "Spring",
            "audience_kind": "everyone",
            "from_email": "news@example.com",
            "template_id": version.template_id,
        },
        by=ANN,
    )


def do(verb, row, *, by=ANN, **fields):
    return getattr(campaign_approvals, verb)(WORKSPACE_A, row.id, by=by, **fields)


def save_again(row):
    """Another version of its template."""
    Template.update(version=Template.version + 1).where(Template.id == row.template_id).execute()
    template = templates.get(WORKSPACE_A, row.template_id)
    return TemplateVersion.create(
        template=template.id, version=template.version, subject="New", format="html", source=HTML,
        html=HTML, body_text="New {{ unsubscribe_url }}", fields=[], created_by="test",
    )  # fmt: skip


def want_second():
    campaign_settings.save(WORKSPACE_A, needs_second_person=True, by=ANN)


def actions():
    return [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]


def test_without_a_time_it_begins_at_once(draft):
    before = clock.now()
    row = do("schedule", draft)
    assert row.status is S.SCHEDULED
    assert before <= row.starts_at <= clock.now()
    assert (row.version, row.template_version) == (2, 1)
    assert (row.submitted_by, row.approved_by) == (ANN.name, None)
    assert actions() == ["campaign.created", "campaign.scheduled"]
    step_until(row, S.SENDING)


def test_a_time_is_that_of_the_clocks_in_its_zone(draft):
    row = do("schedule", draft, send_at=FAR, time_zone="Europe/Vienna")
    assert row.starts_at.isoformat() == "2027-03-01T08:30:00+00:00"
    assert row.step_at == row.starts_at
    assert (row.send_at, row.time_zone, row.changed_by) == (FAR, "Europe/Vienna", ANN.name)


def test_now_is_now_whatever_the_draft_says(draft):
    campaigns.change(WORKSPACE_A, draft.id, {"send_at": FAR}, by=ANN)
    row = do("schedule", draft, is_now=True)
    assert row.send_at is None
    assert row.starts_at <= clock.now()


def test_a_time_that_cannot_be_is_refused(draft):
    gap = datetime.fromisoformat("2027-03-28T02:30")
    for fields in (
        {"send_at": gap, "time_zone": "Europe/Vienna"},
        {"send_at": datetime.fromisoformat("2020-01-01T00:00")},
        {"send_at": datetime.fromisoformat("2099-01-01T00:00")},
        {"send_at": FAR, "is_now": True},
        {"send_at": FAR, "time_zone": "Vienna"},
    ):
        with pytest.raises(InvalidFields):
            do("schedule", draft, **fields)
    assert again(draft).status is S.DRAFT
    assert again(draft).send_at is None


def test_of_a_time_that_comes_twice_the_first_is_taken(draft):
    twice = datetime.fromisoformat("2027-10-31T02:30")
    row = do("schedule", draft, send_at=twice, time_zone="Europe/Vienna")
    assert row.starts_at.isoformat() == "2027-10-31T00:30:00+00:00"


def test_what_is_sent_is_fixed_when_it_is_submitted(draft):
    row = do("submit", draft)
    assert (row.status, row.template_version, row.submitted_by) == (S.IN_REVIEW, 1, ANN.name)
    save_again(row)
    row = do("approve", row, by=BOB)
    assert (row.status, row.template_version, row.approved_by) == (S.SCHEDULED, 1, BOB.name)
    row = do("unschedule", row)
    assert (row.status, row.template_version) == (S.DRAFT, None)
    assert (row.submitted_by, row.approved_by, row.starts_at) == (None, None, None)
    assert do("submit", row).template_version == 2


def test_what_was_approved_does_not_change_without_approval(draft):
    row = do("approve", do("submit", draft), by=BOB)
    with pytest.raises(Conflict, match="Take it off the schedule"):
        campaigns.change(WORKSPACE_A, row.id, {"subject": "Other"}, by=ANN)
    row = do("unschedule", row)
    campaigns.change(WORKSPACE_A, row.id, {"subject": "Other"}, by=ANN)
    with pytest.raises(Conflict):
        do("approve", row, by=BOB)


def test_it_is_sent_back_with_a_reason(draft):
    row = do("send_back", do("submit", draft), by=BOB, reason=" The price is wrong. ")
    assert (row.status, row.submitted_by, row.template_version) == (S.DRAFT, None, None)
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).first()
    assert (entry.action, entry.reason) == ("campaign.sent_back", "The price is wrong.")
    row = do("submit", row)
    with pytest.raises(InvalidFields):
        do("send_back", row, reason="a\nb")
    with pytest.raises(InvalidFields):
        do("send_back", row, reason="x" * 501)


def test_a_second_person_is_another_person(draft):
    want_second()
    with pytest.raises(Conflict, match="second person"):
        do("schedule", draft, by=BOB)
    campaigns.change(WORKSPACE_A, draft.id, {"subject": "Other"}, by=KEY)
    row = do("submit", draft, by=ANN)
    for same in (ANN, KEY):
        with pytest.raises(Conflict, match="somebody else than"):
            do("approve", row, by=same)
    assert again(row).status is S.IN_REVIEW
    assert do("approve", row, by=BOB).approved_by == BOB.name


def test_who_wrote_it_is_not_the_second_person_either(draft):
    want_second()
    row = do("submit", draft, by=BOB)
    with pytest.raises(Conflict):
        do("approve", row, by=ANN)
    assert do("approve", row, by=KEY).status is S.SCHEDULED


def test_another_address_makes_nobody_a_second_person(draft, make_person):
    want_second()
    ann = make_person(ANN.name)
    row = do("submit", draft, by=BOB)
    new = Actor("ann@new.example")
    campaign_approvals.follow_person(ann.id, old=ANN.name, new=new.name)
    assert again(row).submitted_by == BOB.name
    with pytest.raises(Conflict):
        do("approve", row, by=new)


def test_an_address_is_followed_in_the_persons_workspaces_alone(draft, make_person):
    stranger = make_person("eve@b.example", workspace_id=WORKSPACE_B)
    campaign_approvals.follow_person(stranger.id, old=ANN.name, new="eve@new.example")
    assert again(draft).created_by == ANN.name


def test_a_restore_makes_a_draft_without_a_version_or_an_approval(draft):
    row = do("approve", do("submit", draft), by=BOB)
    save_again(row)
    make_safe()
    restored = again(row)
    assert (restored.status, restored.starts_at) == (S.DRAFT, None)
    assert (restored.submitted_by, restored.approved_by) == (None, None)
    assert do("submit", restored).template_version == 2


def test_one_person_is_enough_where_nobody_wants_two(draft):
    assert do("approve", do("submit", draft), by=ANN).approved_by == ANN.name


VERBS = {
    "submit": {S.DRAFT},
    "schedule": {S.DRAFT},
    "send_back": {S.IN_REVIEW},
    "approve": {S.IN_REVIEW},
    "unschedule": {S.SCHEDULED},
}


@pytest.mark.parametrize("status", list(S))
def test_each_verb_is_for_its_states(status):
    make_contacts(1)
    fields = {"ended_at": clock.now()} if status in {S.FINISHED, S.CANCELLED} else {}
    if status is S.PAUSED:
        fields["paused_from"] = S.SENDING
    row = make_campaign(status=status, **fields)
    for verb, states in VERBS.items():
        if status in states:
            continue
        with pytest.raises(Conflict):
            do(verb, row)
    assert again(row) == row
    assert again(row).status is status
    assert AuditEntry.select().count() == 0


def test_the_second_of_two_learns_of_the_first(draft):
    row = do("submit", draft, version=1)
    for verb in ("approve", "send_back"):
        with pytest.raises(Conflict, match="Somebody has changed"):
            do(verb, row, version=1, by=BOB)
    row = do("approve", row, version=2, by=BOB)
    with pytest.raises(Conflict):
        do("unschedule", row, version=2)
    assert do("unschedule", row, version=3).version == 4


def test_another_workspaces_campaign_is_not_there(draft):
    for verb in VERBS:
        with pytest.raises(NotFound):
            getattr(campaign_approvals, verb)(WORKSPACE_B, draft.id, by=ANN)


def test_what_stops_it_is_told_all_at_once(draft):
    campaigns.change(WORKSPACE_A, draft.id, {"audience_kind": "list", "template_id": None}, by=ANN)
    for verb in ("submit", "schedule"):
        with pytest.raises(Conflict, match="It cannot be sent") as caught:
            do(verb, draft)
        assert [error.field for error in caught.value.errors] == ["no_audience", "no_template"]


def test_what_is_gone_by_then_stops_the_approval(draft):
    audience = Audience.create(workspace=WORKSPACE_A, name="Staff", created_by="test")
    contact = Contact.select().first()
    audience_fields = {"audience_kind": "list", "audience_id": audience.id}
    campaigns.change(WORKSPACE_A, draft.id, audience_fields, by=ANN)
    with pytest.raises(Conflict, match="Nobody is in its audience"):
        do("submit", draft)
    AudienceMember.insert(audience_id=audience.id, contact_id=contact.id).execute()
    row = do("submit", draft)
    Audience.update(removed_at=clock.now()).execute()
    with pytest.raises(Conflict, match="No list is chosen, or it was deleted"):
        do("approve", row, by=BOB)
    Audience.update(removed_at=None).execute()
    templates.archive(WORKSPACE_A, row.template_id, by=BOB)
    with pytest.raises(Conflict, match="archived"):
        do("approve", row, by=BOB)
    assert again(row).status is S.IN_REVIEW


def test_a_time_that_went_by_while_it_was_reviewed_stops_the_approval(draft):
    soon = (clock.now() + timedelta(hours=1)).replace(tzinfo=None)
    campaigns.change(WORKSPACE_A, draft.id, {"send_at": soon}, by=ANN)
    row = do("submit", draft)
    past = (clock.now() - timedelta(hours=1)).replace(tzinfo=None, microsecond=0)
    type(row).update(send_at=past).execute()
    with pytest.raises(InvalidFields, match="is over already"):
        do("approve", row, by=BOB)
    row = do("send_back", row)
    assert do("schedule", row, is_now=True).status is S.SCHEDULED


def test_what_has_begun_is_not_taken_off_the_schedule(draft):
    row = step_until(do("schedule", draft), S.SENDING)
    with pytest.raises(Conflict):
        do("unschedule", row)
    done = campaign_states.cancel(WORKSPACE_A, row.id, by=ANN)
    assert done.campaign.status is S.CANCELLED

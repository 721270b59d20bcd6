"""Writing campaigns down, reading them, throwing drafts away; and what holds for all of them."""

from datetime import datetime

import pytest

from maild.domain import campaign as words
from maild.domain.actor import Actor
from maild.domain.campaign import AudienceKind, CampaignStatus
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import Audience, AuditEntry, Campaign, Segment
from maild.services import campaign_settings, campaigns
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.campaigning import again, make_campaign, make_template

pytestmark = pytest.mark.usefixtures("database")

ANN, BOB = Actor("ann@a.example"), Actor("bob@a.example")
LEAST = {"name": "Spring", "audience_kind": "everyone", "from_email": "news@example.com"}
TEST = {"subject_b": "B", "test_percent": 20, "test_minutes": 60, "test_metric": "opens"}
LOCAL = datetime.fromisoformat("2027-03-01T09:30:00")
OTHER_STATES = [status for status in CampaignStatus if status not in {CampaignStatus.DRAFT}]


def create(**fields):
    return campaigns.create(WORKSPACE_A, {**LEAST, **fields}, by=ANN)


def change(row, *, by=BOB, version=None, **fields):
    return campaigns.change(WORKSPACE_A, row.id, fields, version=version, by=by)


def put_in(status):
    """A campaign of that status."""
    fields = {"ended_at": LOCAL} if status in {"finished", "cancelled"} else {}
    if status == "paused":
        fields["paused_from"] = "sending"
    return make_campaign(status=status, **fields)


def test_a_draft_needs_little_and_says_what_it_does_not_know():
    row = create()
    assert (row.status, row.version, row.created_by) == (CampaignStatus.DRAFT, 1, ANN.name)
    assert (row.name, row.from_email, row.time_zone) == ("Spring", "news@example.com", "UTC")
    assert row.audience_kind is AudienceKind.EVERYONE
    assert (row.template_id, row.send_at, row.subject, row.ramp) == (None, None, None, None)
    [entry] = AuditEntry.select()
    assert (entry.action, entry.target) == ("campaign.created", f"campaign {row.id}")
    assert entry.after == {**LEAST, "time_zone": "UTC"}


def test_what_is_said_is_kept_in_its_normal_form():
    row = create(
        name="  Spring  sale ",
        from_email="News@EXAMPLE.com",
        from_name=" Shop ",
        reply_to="",
        topic=" Weekly News ",
        send_at=LOCAL,
        time_zone="Europe/Vienna",
        ramp=[100, 200],
        per_hour=500,
        subject="Hi {{ contact.name | default: 'you' }}",
        **TEST,
    )
    row = again(row)
    assert (row.name, row.from_email) == ("Spring sale", "news@example.com")
    assert (row.from_name, row.reply_to, row.topic) == ("Shop", None, "weekly news")
    assert (row.send_at, row.time_zone) == (LOCAL, "Europe/Vienna")
    assert (row.ramp, row.per_hour) == ([100, 200], 500)
    assert (row.test_percent, row.test_minutes, row.test_metric) == (20, 60, words.TestMetric.OPENS)


@pytest.mark.parametrize(
    ("fields", "complaints"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "x" * 201}, ["name"]),
        ({"name": "a\r\nb"}, ["name"]),
        ({"name": "a\0b"}, ["name"]),
        ({"name": "\ud800"}, ["name"]),
        ({"from_email": ""}, ["from_email"]),
        ({"from_email": "nobody"}, ["from_email"]),
        ({"from_email": "a@example.com\r\nBcc: b@example.com"}, ["from_email"]),
        ({"from_name": "a\nb"}, ["from_name"]),
        ({"reply_to": "a b@example.com"}, ["reply_to"]),
        ({"audience_kind": "all"}, ["audience_kind"]),
        ({"topic": "a\nb"}, ["topic"]),
        ({"topic": "x" * 500}, ["topic"]),
        ({"smtp_account": "x" * 65}, ["smtp_account"]),
        ({"subject": "{{ contact.name"}, ["subject"]),
        ({"subject": "a\r\nb"}, ["subject"]),
        ({"subject": "x" * 2_001}, ["subject"]),
        ({"subject_b": "B"}, ["test_metric", "test_minutes", "test_percent"]),
        ({**TEST, "subject_b": None}, ["test_metric", "test_minutes", "test_percent"]),
        ({**TEST, "subject_b": "{% if %}"}, ["subject_b"]),
        ({**TEST, "test_percent": 0}, ["test_percent"]),
        ({**TEST, "test_percent": 101}, ["test_percent"]),
        ({**TEST, "test_percent": True}, ["test_percent"]),
        ({**TEST, "test_minutes": 10_081}, ["test_minutes"]),
        ({**TEST, "test_metric": "sales"}, ["test_metric"]),
        ({"per_hour": 0}, ["per_hour"]),
        ({"per_hour": "5"}, ["per_hour"]),
        ({"ramp": "5"}, ["ramp"]),
        ({"ramp": [1] * 91}, ["ramp"]),
        ({"ramp": [5, 0, "x"]}, ["ramp.1", "ramp.2"]),
        ({"time_zone": "Vienna"}, ["time_zone"]),
        ({"send_at": "soon"}, ["send_at"]),
        ({"send_at": datetime.fromisoformat("2027-03-01T09:30+01:00")}, ["send_at"]),
        (
            {"send_at": datetime.fromisoformat("2027-03-28T02:30"), "time_zone": "Europe/Vienna"},
            ["send_at"],
        ),
        ({"status": "finished", "workspace_id": 2}, ["status", "workspace_id"]),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_the_fields_names(fields, complaints):
    with pytest.raises(InvalidFields) as caught:
        create(**fields)
    assert sorted({error.field for error in caught.value.errors}) == complaints
    row = create()
    with pytest.raises(InvalidFields):
        change(row, **fields)
    assert again(row) == row
    assert Campaign.select().count() == 1


def test_what_belongs_to_another_audience_is_dropped():
    audience = Audience.create(workspace=WORKSPACE_A, name="Staff", created_by="test")
    row = create(audience_kind="list", audience_id=audience.id)
    assert row.audience_id == audience.id
    assert change(row, audience_kind="everyone").audience_id is None
    assert create(audience_kind="list").audience_id is None  # a draft may wait for it


def test_another_workspaces_things_are_not_there():
    audience = Audience.create(workspace=WORKSPACE_B, name="Staff", created_by="test")
    segment = Segment.create(
        workspace=WORKSPACE_B, name="S", rules={}, created_by="t", updated_by="t"
    )
    template = make_template(workspace_id=WORKSPACE_B).template_id
    for fields in (
        {"audience_kind": "list", "audience_id": audience.id},
        {"audience_kind": "segment", "segment_id": segment.id},
        {"template_id": template},
    ):
        with pytest.raises(NotFound):
            create(**fields)
    row = create()
    for verb in (
        lambda: campaigns.get(WORKSPACE_B, row.id),
        lambda: campaigns.change(WORKSPACE_B, row.id, {"name": "x"}, by=BOB),
        lambda: campaigns.copy(WORKSPACE_B, row.id, by=BOB),
        lambda: campaigns.delete(WORKSPACE_B, row.id, by=BOB),
    ):
        with pytest.raises(NotFound):
            verb()
    assert campaigns.list_page(WORKSPACE_B).campaigns == []
    with pytest.raises(NotFound):
        campaigns.list_page(999)


def test_a_change_tells_what_was_and_what_is():
    row = create(subject="Old", per_hour=5)
    changed = change(row, subject="New", per_hour=5, send_at=LOCAL)
    assert (changed.version, changed.changed_by) == (2, BOB.name)
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).first()
    assert (entry.action, entry.actor) == ("campaign.changed", BOB.name)
    assert entry.before == {"subject": "Old", "send_at": None}
    assert entry.after == {"subject": "New", "send_at": "2027-03-01T09:30:00"}


def test_what_changes_nothing_is_no_change():
    row = create(subject="Old")
    assert change(row, subject=" Old ").version == 1
    assert AuditEntry.select().count() == 1
    assert again(row).changed_by is None


def test_the_second_of_two_learns_of_the_first():
    row = create()
    change(row, version=1, name="First")
    with pytest.raises(Conflict, match="Somebody has changed"):
        change(row, version=1, name="Second")
    with pytest.raises(Conflict):
        campaigns.delete(WORKSPACE_A, row.id, version=1, by=ANN)
    assert again(row).name == "First"


@pytest.mark.parametrize("status", OTHER_STATES)
def test_only_a_draft_is_changed_or_thrown_away(status):
    row = put_in(status)
    with pytest.raises(Conflict):
        change(row, name="Other")
    with pytest.raises(Conflict):
        campaigns.delete(WORKSPACE_A, row.id, by=ANN)
    assert again(row).name == "Spring"
    assert AuditEntry.select().count() == 0


@pytest.mark.parametrize("status", list(CampaignStatus))
def test_a_copy_is_a_draft_whatever_has_become_of_the_other(status):
    row = put_in(status)
    copied = campaigns.copy(WORKSPACE_A, row.id, by=BOB)
    assert (copied.status, copied.name) == (CampaignStatus.DRAFT, "Spring (copy)")
    assert (copied.template_id, copied.template_version) == (row.template_id, None)
    assert (copied.starts_at, copied.submitted_by, copied.created_by) == (None, None, BOB.name)
    long = create(name="x" * 200)
    assert len(campaigns.copy(WORKSPACE_A, long.id, by=BOB).name) == 200


def test_a_copy_says_what_is_gone_too():
    audience = Audience.create(workspace=WORKSPACE_A, name="Staff", created_by="test")
    row = create(audience_kind="list", audience_id=audience.id)
    Audience.update(removed_at=LOCAL).execute()
    copied = campaigns.copy(WORKSPACE_A, row.id, by=ANN)
    assert copied.audience_id == audience.id
    assert change(copied, name="Still a draft").name == "Still a draft"


def test_a_draft_is_thrown_away():
    row = create(subject="Old")
    assert campaigns.delete(WORKSPACE_A, row.id, by=BOB).id == row.id
    with pytest.raises(NotFound):
        campaigns.get(WORKSPACE_A, row.id)
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).first()
    assert (entry.action, entry.before["subject"]) == ("campaign.deleted", "Old")


def test_lists_come_in_pages_newest_first():
    made = [create(name=f"c{n}").id for n in range(5)]
    make_campaign(status=CampaignStatus.SENDING)
    page = campaigns.list_page(WORKSPACE_A, status=CampaignStatus.DRAFT, limit=3)
    assert [row.id for row in page.campaigns] == made[:1:-1]
    page = campaigns.list_page(
        WORKSPACE_A, status=CampaignStatus.DRAFT, limit=3, older_than=page.older
    )
    assert [row.id for row in page.campaigns] == made[1::-1]
    assert page.older is None
    assert len(campaigns.list_page(WORKSPACE_A).campaigns) == 6


def test_there_are_not_any_number_of_drafts(monkeypatch):
    monkeypatch.setattr(campaigns, "DRAFTS_MAX", 2)
    first = create()
    create()
    with pytest.raises(Conflict, match="2 drafts"):
        create()
    with pytest.raises(Conflict):
        campaigns.copy(WORKSPACE_A, first.id, by=ANN)


def test_settings_are_kept_with_who_said_so():
    assert campaign_settings.get(WORKSPACE_A).needs_second_person is False
    saved = campaign_settings.save(WORKSPACE_A, needs_second_person=True, version=0, by=ANN)
    assert (saved.needs_second_person, saved.version, saved.updated_by) == (True, 1, ANN.name)
    assert campaign_settings.get(WORKSPACE_A) == saved
    assert campaign_settings.save(WORKSPACE_A, needs_second_person=True, by=BOB) == saved
    with pytest.raises(Conflict):
        campaign_settings.save(WORKSPACE_A, needs_second_person=False, version=0, by=BOB)
    assert campaign_settings.get(WORKSPACE_B).needs_second_person is False
    with pytest.raises(NotFound):
        campaign_settings.get(999)
    [entry] = AuditEntry.select()
    assert entry.action == "campaign_settings.changed"
    assert (entry.before, entry.after) == (
        {"needs_second_person": False},
        {"needs_second_person": True},
    )

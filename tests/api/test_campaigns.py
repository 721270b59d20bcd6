"""/v1/campaigns over HTTP: the whole way, who may do what, and what is refused."""

import csv
import io

import pytest

from maild.domain.campaign import CampaignStatus, RecipientStatus
from maild.domain.role import Role
from maild.models import AuditEntry, Campaign, CampaignRecipient
from maild.services import campaign_tests
from tests.conftest import WORKSPACE_A
from tests.services.campaigning import (
    counts,
    hand_all,
    make_campaign,
    make_contacts,
    make_template,
    step_until,
)

LEAST = {"name": "Spring", "audience_kind": "everyone", "from_email": "news@example.com"}


@pytest.fixture
def create(api):
    """Make a draft that could be sent; any field may be given."""

    def make(key="admin", **fields):
        template = {} if "template_id" in fields else {"template_id": make_template().template_id}
        response = api("POST", "/v1/campaigns", json={**LEAST, **template, **fields}, key=key)
        assert response.status_code == 201, response.text
        return response.get_json()

    return make


@pytest.fixture
def do(api):
    """Call with a campaign's id and a verb."""

    def call(campaign_id, verb, key="admin", **body):
        return api("POST", f"/v1/campaigns/{campaign_id}/{verb}", json=body, key=key)

    return call


def test_the_whole_way(api, create, do):
    make_contacts(3)
    row = create(send_at="2027-03-01T09:30:00", time_zone="Europe/Vienna", ramp=[10])
    assert (row["status"], row["version"], row["send_at"]) == ("draft", 1, "2027-03-01T09:30:00")
    one = f"/v1/campaigns/{row['id']}"
    changed = api("POST", one, json={"subject": "Hi", "ramp": None, "version": 1}).get_json()
    assert (changed["subject"], changed["ramp"], changed["name"]) == ("Hi", None, "Spring")
    checks = api("GET", f"{one}/checks").get_json()
    assert checks["can_be_sent"]
    assert (checks["reach"]["audience_count"], checks["reach"]["mailable_count"]) == (3, 3)
    shown = api("GET", f"{one}/preview", query={"email": "ann2@example.net"}).get_json()
    assert (shown["email"], shown["subject"]) == ("ann2@example.net", "Hi")
    row = do(row["id"], "schedule", now=True, version=2).get_json()
    assert (row["status"], row["send_at"]) == ("scheduled", None)
    campaign = hand_all(step_until(Campaign.get_by_id(row["id"]), CampaignStatus.SENDING))
    detail = api("GET", one).get_json()
    assert detail["figures"]["by_status"]["queued"] == 3
    assert (detail["figures"]["difference"], detail["figures"]["waiting_count"]) == (0, 0)
    paused = do(row["id"], "pause", reason="Wait").get_json()
    assert (paused["status"], paused["pause_reason"], paused["message_count"]) == (
        "paused", "Wait", 3,
    )  # fmt: skip
    assert do(row["id"], "resume").get_json()["status"] == "sending"
    assert do(row["id"], "cancel").get_json()["status"] == "cancelled"
    step_until(campaign, CampaignStatus.CANCELLED)
    report = api("GET", "/v1/campaigns/report", query={"campaign_id": row["id"]}).get_json()
    assert report["figures"]["by_status"]["cancelled"] == 3
    assert report["by_domain"][0]["name"] == "example.net"
    assert counts(campaign) == {"cancelled": 3}


def test_who_is_behind_a_figure_comes_in_pages_and_as_a_file(api):
    campaign = make_campaign(status=CampaignStatus.SENDING, name="=1+1")
    for number in range(5):
        CampaignRecipient.insert(
            campaign=campaign.id,
            contact_id=number + 1,
            email=f"=ann{number}@example.net",
            status=RecipientStatus.FAILED if number else RecipientStatus.SUPPRESSED,
            reason="expired" if number else "unsubscribed",
        ).execute()
    Campaign.update(audience_count=5).where(Campaign.id == campaign.id).execute()
    query = {"campaign_id": campaign.id, "status": "failed", "limit": 3}
    page = api("GET", "/v1/campaigns/recipients", query=query).get_json()
    assert (page["count"], [one["contact_id"] for one in page["recipients"]]) == (3, [2, 3, 4])
    query["cursor"] = page["next_cursor"]
    page = api("GET", "/v1/campaigns/recipients", query=query).get_json()
    assert ([one["contact_id"] for one in page["recipients"]], page["next_cursor"]) == ([5], None)
    query = {"campaign_id": campaign.id, "reason": "unsubscribed"}
    assert api("GET", "/v1/campaigns/recipients", query=query).get_json()["count"] == 1
    response = api("GET", "/v1/campaigns/recipients/export", query={"campaign_id": campaign.id})
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["status"] for row in rows] == ["suppressed", *["failed"] * 4]
    assert rows[0]["email"].startswith("'=")  # no formula for a spreadsheet
    [entry] = AuditEntry.select().where(AuditEntry.action == "campaign.recipients_exported")
    assert (entry.actor, entry.target) == ("admin key", f"campaign {campaign.id}")


def test_two_persons_are_told_apart_by_their_keys(api, create, do, refused, make_key):
    make_contacts(1)
    settings = {"needs_second_person": True, "version": 0}
    saved = api("POST", "/v1/campaigns/settings", json=settings).get_json()
    assert (saved["needs_second_person"], saved["version"]) == (True, 1)
    refused(api("POST", "/v1/campaigns/settings", json=settings), 409, "conflict")
    writer, other = make_key("operator", name="writer"), make_key("operator", name="other")
    row = create(key=writer)
    refused(do(row["id"], "schedule", key=other), 409, "conflict")
    assert do(row["id"], "submit", key=writer).status_code == 200
    refused(do(row["id"], "approve", key=writer), 409, "conflict")
    approved = do(row["id"], "approve", key=other, version=2).get_json()
    assert (approved["status"], "other" in approved["approved_by"]) == ("scheduled", True)


def test_what_stops_it_is_in_the_errors(api, create, do, refused):
    row = create(template_id=None)
    document = refused(do(row["id"], "submit"), 409, "conflict")
    assert [one["field"] for one in document["errors"]] == ["audience_empty", "no_template"]
    assert Campaign.get_by_id(row["id"]).status is CampaignStatus.DRAFT


def test_the_second_of_two_gets_409(api, create, do, refused):
    make_contacts(1)
    row = create()
    one = f"/v1/campaigns/{row['id']}"
    assert api("POST", one, json={"name": "First", "version": 1}).status_code == 200
    refused(api("POST", one, json={"name": "Second", "version": 1}), 409, "conflict")
    refused(do(row["id"], "submit", version=1), 409, "conflict")
    refused(api("DELETE", "/v1/campaigns", json={"id": row["id"], "version": 1}), 409, "conflict")
    gone = api("DELETE", "/v1/campaigns", json={"id": row["id"], "version": 2})
    assert gone.get_json() == {
        "workspace_id": WORKSPACE_A, "id": row["id"], "name": "First", "status": "deleted",
    }  # fmt: skip
    refused(api("GET", one), 404, "not_found")


VERBS = {
    "submit": "draft",
    "schedule": "draft",
    "send-back": "in_review",
    "approve": "in_review",
    "unschedule": "scheduled",
    "resume": "paused",
    "winner": "none",
}


@pytest.mark.parametrize("status", list(CampaignStatus))
def test_a_verb_of_another_state_is_409_and_changes_nothing(do, refused, database, status):
    fields = {"paused_from": "sending"} if status is CampaignStatus.PAUSED else {}
    if status in {CampaignStatus.FINISHED, CampaignStatus.CANCELLED}:
        fields["ended_at"] = "2026-01-01T00:00:00Z"
    campaign = make_campaign(status=status, **fields)
    verbs = {verb for verb, state in VERBS.items() if state != status}
    if status not in {CampaignStatus.PREPARING, CampaignStatus.SENDING}:
        verbs.add("pause")
    if status in {"draft", "in_review", "finished", "cancelled"}:
        verbs.add("cancel")
    for verb in verbs:
        body = {"winner": "a"} if verb == "winner" else {}
        refused(do(campaign.id, verb, **body), 409, "conflict")
    assert Campaign.get_by_id(campaign.id).status is status
    assert AuditEntry.select().count() == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": 1}, "name"),
        ({"name": None}, "name"),
        ({"name": "a\r\nb"}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": "x" * 100_000}, "name"),
        ({"audience_kind": "all"}, "audience_kind"),
        ({"audience_id": "1"}, "audience_id"),
        ({"audience_id": 2**40}, "audience_id"),
        ({"from_email": "nobody"}, "from_email"),
        ({"per_hour": 0}, "per_hour"),
        ({"per_hour": 1.5}, "per_hour"),
        ({"ramp": [0]}, "ramp.0"),
        ({"ramp": [True]}, "ramp.0"),
        ({"send_at": "2027-03-01T09:30:00Z"}, "send_at"),
        ({"send_at": 1_800_000_000}, "send_at"),
        ({"send_at": "2027-02-30T09:30"}, "send_at"),
        ({"send_at": "2027-03-28T02:30", "time_zone": "Europe/Vienna"}, "send_at"),
        ({"time_zone": "🕰"}, "time_zone"),
        ({"test_percent": 50}, "test_percent"),
        ({"status": "sending"}, "status"),
        ({"starts_at": "2027-03-01T09:30:00Z"}, "starts_at"),
    ],
    ids=str,
)
def test_a_bad_field_is_named(api, refused, body, field):
    document = refused(api("POST", "/v1/campaigns", json={**LEAST, **body}), 422, "invalid_fields")
    assert field in {one["field"] for one in document["errors"]}
    campaign = make_campaign(status=CampaignStatus.DRAFT)
    document = refused(
        api("POST", f"/v1/campaigns/{campaign.id}", json=body), 422, "invalid_fields"
    )
    assert field in {one["field"] for one in document["errors"]}


def test_a_lone_surrogate_is_refused(api, refused):
    response = api(
        "POST",
        "/v1/campaigns",
        data='{"name": "\\ud800", "audience_kind": "everyone", "from_email": "a@example.com"}',
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code in {400, 422}
    assert Campaign.select().count() == 0


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/campaigns", {"status": "running"}),
        ("/v1/campaigns", {"cursor": "x"}),
        ("/v1/campaigns", {"limit": 0}),
        ("/v1/campaigns/recipients", {}),
        ("/v1/campaigns/recipients", {"campaign_id": 1, "status": "lost"}),
        ("/v1/campaigns/recipients", {"campaign_id": 1, "did": "slept"}),
        ("/v1/campaigns/report", {"campaign_id": "x"}),
    ],
    ids=str,
)
def test_a_bad_query_is_400(api, refused, path, query):
    refused(api("GET", path, query=query), 400, "invalid_request")


def test_no_id_is_too_large(api, refused, do, database):
    for number in (0, 2**31, 10**30):
        refused(api("GET", f"/v1/campaigns/{number}"), 404, "not_found")
        refused(do(number, "submit"), 404, "not_found")


def test_a_test_goes_to_members_alone(api, create, do, refused, make_person):
    campaign_tests.forget()
    make_contacts(1)
    make_person("kim@a.example", Role.OPERATOR)
    row = create()
    tested = do(row["id"], "test", to=["kim@a.example"]).get_json()
    [outcome] = tested["outcomes"]
    assert (outcome["status"], outcome["error"]) == ("queued", None)
    message = api("GET", f"/v1/messages/{outcome['message_id']}").get_json()
    assert message["subject"].startswith("[Test] ")
    refused(do(row["id"], "test", to=["ann1@example.net"]), 422, "invalid_fields")
    refused(do(row["id"], "test", to=[]), 422, "invalid_fields")


def test_viewers_read_and_senders_do_neither(api, refused, viewer_a, sender_key_a, database):
    campaign = make_campaign(status=CampaignStatus.DRAFT)
    one = f"/v1/campaigns/{campaign.id}"
    for path in (one, f"{one}/checks", f"{one}/preview", "/v1/campaigns/settings"):
        assert api("GET", path, key=viewer_a).status_code == 200, path
        refused(api("GET", path, key=sender_key_a), 403, "forbidden")
    for key in (viewer_a, sender_key_a):
        refused(api("POST", one, json={"name": "x"}, key=key), 403, "forbidden")
        refused(api("POST", f"{one}/schedule", json={}, key=key), 403, "forbidden")
    settings = {"needs_second_person": True}
    refused(api("POST", "/v1/campaigns/settings", json=settings, key="operator"), 403, "forbidden")

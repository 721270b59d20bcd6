"""/v1/incidents and /v1/deployments: reading incidents, and doing something about them."""

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.incident import EntryKind
from maild.models import AuditEntry, Incident, IncidentEntry
from maild.services import incidents
from tests.conftest import ADMIN_KEY, OPERATOR_KEY
from tests.services.troubling import look, make_trouble


@pytest.fixture
def incident(accept, lease):
    make_trouble(accept, lease, 12)
    [found] = look()
    return found


def do(api, incident, verb, **body):
    return api("POST", f"/v1/incidents/{incident.id}/{verb}", key=OPERATOR_KEY, json=body)


def test_it_lists_and_tells_all_of_one(api, incident, make_person):
    page = api("GET", "/v1/incidents", key=OPERATOR_KEY).get_json()
    assert [one["id"] for one in page["incidents"]] == [incident.id]
    one = api("GET", f"/v1/incidents/{incident.id}", key=OPERATOR_KEY).get_json()
    assert one["kind"] == "provider"
    assert (one["message_count"], one["messages_by_status"]) == (12, {"queued": 12})
    assert "System is not available" in one["replies"][0]["text"]
    assert one["advice"]["suggested_action"]
    assert one["signals"][0]["smtp_account"] == "primary"
    assert one["timeline"][0]["kind"] == "opened"
    first = api("GET", f"/v1/incidents/{incident.id}/messages?limit=10", key=OPERATOR_KEY)
    cursor = first.get_json()["next_cursor"]
    path = f"/v1/incidents/{incident.id}/messages?limit=10&cursor={cursor}"
    assert api("GET", path, key=OPERATOR_KEY).get_json()["count"] == 2


def test_its_life_through_the_api(api, incident, make_person):
    make_person("ann@example.com", "operator")
    assert do(api, incident, "acknowledge").get_json()["status"] == "acknowledged"
    assert do(api, incident, "assign", to="Ann@Example.com").get_json()["assigned_to"] == (
        "ann@example.com"
    )
    assert do(api, incident, "note", text="Called them.\nThey know.").status_code == 200
    assert do(api, incident, "severity", severity="critical").get_json()["is_severity_set"]
    resolved = do(api, incident, "resolve", cause="Their disk was full.").get_json()
    assert (resolved["status"], resolved["cause"]) == ("resolved", "Their disk was full.")
    back = do(api, incident, "reopen", reason="It goes on.").get_json()
    assert (back["status"], back["assigned_to"]) == ("open", "ann@example.com")
    assert back["version"] == 7
    kinds = [row.kind for row in IncidentEntry.select().order_by(IncidentEntry.id)]
    assert kinds == [
        EntryKind.OPENED,
        EntryKind.ACKNOWLEDGED,
        EntryKind.ASSIGNED,
        EntryKind.NOTE,
        EntryKind.SEVERITY_SET,
        EntryKind.RESOLVED,
        EntryKind.REOPENED,
    ]
    actions = [row.action for row in AuditEntry.select().order_by(AuditEntry.seq)]
    assert actions[-6:] == [
        "incident.acknowledged",
        "incident.assigned",
        "incident.noted",
        "incident.severity_set",
        "incident.resolved",
        "incident.reopened",
    ]


def test_a_stale_version_is_refused_and_changes_nothing(api, refused, incident):
    assert do(api, incident, "acknowledge", version=1).get_json()["version"] == 2
    refused(do(api, incident, "resolve", cause="Over.", version=1), 409, "conflict")
    assert Incident.get_by_id(incident.id).resolved_at is None


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("note", {"text": " "}),
        ("note", {"text": "x" * 4001}),
        ("resolve", {"cause": ""}),
        ("resolve", {"cause": "two\nlines"}),
        ("reopen", {"reason": "x" * 501}),
        ("assign", {"to": "nobody@example.com"}),
        ("severity", {"severity": "awful"}),
    ],
)
def test_bad_texts_are_refused(api, refused, incident, verb, body):
    refused(do(api, incident, verb, **body), 422, "invalid_fields")


def test_what_cannot_be_is_a_conflict(api, refused, incident, accept):
    other = incidents.open_by_hand(1, accept().id, by=SYSTEM)
    refused(do(api, incident, "reopen", reason="r"), 409, "conflict")
    refused(do(api, incident, "merge", into_id=incident.id), 409, "conflict")
    refused(do(api, incident, "merge", into_id=999_999), 404, "not_found")
    merged = do(api, incident, "merge", into_id=other.id).get_json()
    assert (merged["id"], merged["message_count"]) == (other.id, 13)
    refused(do(api, incident, "reopen", reason="r"), 409, "conflict")
    refused(do(api, incident, "acknowledge"), 409, "conflict")
    assert Incident.get_by_id(incident.id).merged_into_id == other.id


def test_opening_one_by_hand_twice_is_once(api, accept):
    body = {"message_id": str(accept().id), "note": "A customer called."}
    first = api("POST", "/v1/incidents", key=OPERATOR_KEY, json=body)
    assert first.status_code == 201
    assert first.get_json()["kind"] == "manual"
    again = api("POST", "/v1/incidents", key=OPERATOR_KEY, json=body)
    assert again.get_json()["id"] == first.get_json()["id"]


@pytest.mark.parametrize("id_", ["999999", "99999999999999999999"])
def test_no_such_incident(api, refused, database, id_):
    refused(api("GET", f"/v1/incidents/{id_}", key=ADMIN_KEY), 404, "not_found")


def test_a_deployment_is_on_the_timeline(api, refused, incident):
    body = {"name": "shop", "version": "2026.11", "url": "https://ci.example.com/7"}
    answer = api("POST", "/v1/deployments", key=OPERATOR_KEY, json=body)
    assert answer.status_code == 201
    timeline = api("GET", f"/v1/incidents/{incident.id}", key=OPERATOR_KEY).get_json()["timeline"]
    [told] = [one for one in timeline if one["kind"] == "deployment.recorded"]
    assert told["data"]["version"] == "2026.11"
    urls = [{"url": "javascript:alert(1)"}, {"url": "https://ann:secret@ci.example.com/7"}]
    for bad in (*urls, {"name": "a\nb"}, {"version": ""}):
        answer = api("POST", "/v1/deployments", key=OPERATOR_KEY, json={**body, **bad})
        refused(answer, 422, "invalid_fields")

"""/v1/audiences: lists of contacts, and who is on them."""

import pytest

from maild.domain.actor import SYSTEM
from maild.models import AudienceMember, AuditEntry, Contact, Suppression
from maild.services import audiences, contacts, suppressions
from maild.services.contact_fields import ContactFields
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/audiences"
MEMBERS = f"{PATH}/members"


@pytest.fixture
def staff(database):
    return audiences.create(WORKSPACE_A, name="Staff", by=SYSTEM)


def test_a_list_is_made_changed_deleted_and_brought_back(api, refused):
    made = api("POST", PATH, key="operator", json={"name": " Staff  of ours ", "description": "x"})
    assert made.status_code == 201
    id_ = made.get_json()["id"]
    assert made.get_json()["name"] == "Staff of ours"
    refused(api("POST", PATH, json={"name": "STAFF of ours"}), 409, "conflict")
    body = {"audience_id": id_, "name": "Crew"}
    changed = api("POST", f"{PATH}/change", key="operator", json=body).get_json()
    assert (changed["name"], changed["description"]) == ("Crew", "x")
    api("POST", MEMBERS, json={"audience_id": id_, "emails": ["ann@example.org"]})
    [listed] = api("GET", PATH).get_json()["audiences"]
    assert (listed["name"], listed["contact_count"], listed["has_more"]) == ("Crew", 1, False)
    assert api("DELETE", PATH, json={"audience_id": id_}).get_json()["status"] == "deleted"
    assert api("GET", PATH).get_json()["audiences"] == []
    refused(api("GET", f"{PATH}/{id_}"), 404, "not_found")
    refused(api("GET", MEMBERS, query={"audience_id": id_}), 404, "not_found")
    back = api("POST", f"{PATH}/restore", key="operator", json={"audience_id": id_})
    assert back.get_json()["name"] == "Crew"
    assert api("GET", f"{PATH}/{id_}").get_json()["contact_count"] == 1
    actions = [entry.action for entry in AuditEntry.select().order_by(AuditEntry.seq)]
    assert [one for one in actions if one.startswith("audience.")] == [
        "audience.created", "audience.changed", "audience.members_added", "audience.deleted",
        "audience.restored",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": ""}, {"name": " "}, {"name": "x" * 101}, {"name": "a\0"},
        {"name": 7}, {"name": "x", "description": "y" * 501}, {"name": "x", "kind": "y"},
    ],
)  # fmt: skip
def test_a_bad_list_is_422(api, refused, body):
    refused(api("POST", PATH, json=body), 422, "invalid_fields")


def test_members_come_by_address_and_by_id_and_each_is_told(api, staff):
    bob = contacts.upsert(WORKSPACE_A, "bob@example.org", ContactFields(), by=SYSTEM).contact
    other = contacts.upsert(WORKSPACE_B, "b@example.org", ContactFields(), by=SYSTEM).contact
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="r", source="api")
    emails = ["Ann@example.org", "nobody", "ann@EXAMPLE.org", "eve@example.org"]
    body = {"audience_id": staff.id, "emails": emails}
    answer = api("POST", MEMBERS, key="operator", json=body).get_json()
    assert [one["outcome"] for one in answer["results"]] == ["added", "rejected", "known", "added"]
    assert (answer["done"], answer["rejected"]) == (2, 1)
    assert Suppression.get().removed_at is None
    body = {"audience_id": staff.id, "contact_ids": [bob.id, other.id, 2**62]}
    answer = api("POST", MEMBERS, json=body).get_json()
    assert [one["outcome"] for one in answer["results"]] == ["added", "rejected", "rejected"]
    page = api("GET", MEMBERS, query={"audience_id": staff.id, "limit": 2}).get_json()
    assert [one["email"] for one in page["contacts"]] == ["eve@example.org", "ann@example.org"]
    assert [one["standing"]["state"] for one in page["contacts"]] == ["open", "suppressed"]
    rest = api(
        "GET", MEMBERS, query={"audience_id": staff.id, "cursor": page["next_cursor"]}
    ).get_json()
    assert [one["email"] for one in rest["contacts"]] == ["bob@example.org"]
    gone = api(
        "DELETE", MEMBERS,
        json={"audience_id": staff.id, "emails": ["ann@example.org", "zoe@example.org", "x"]},
    ).get_json()  # fmt: skip
    assert [one["outcome"] for one in gone["results"]] == ["removed", "absent", "rejected"]
    gone = api(
        "DELETE", MEMBERS, json={"audience_id": staff.id, "contact_ids": [bob.id, bob.id, other.id]}
    ).get_json()
    assert [one["outcome"] for one in gone["results"]] == ["removed", "rejected"]
    assert AudienceMember.select().count() == 1
    assert Contact.select().where(Contact.workspace_id == WORKSPACE_A).count() == 3


def test_members_are_given_in_one_of_two_ways(api, refused, staff):
    for more in (
        {}, {"emails": ["a@x.org"], "contact_ids": [1]}, {"emails": []}, {"contact_ids": []},
        {"emails": ["a@x.org"] * 1_001}, {"contact_ids": [0]}, {"contact_ids": ["1"]},
        {"contact_ids": [2**63]}, {"emails": [7]},
    ):  # fmt: skip
        body = {"audience_id": staff.id, **more}
        refused(api("POST", MEMBERS, json=body), 422, "invalid_fields")


def test_what_belongs_to_another_workspace_is_not_there(api, refused):
    other = audiences.create(WORKSPACE_B, name="Staff", by=SYSTEM)
    ref = {"audience_id": other.id}
    refused(api("GET", f"{PATH}/{other.id}"), 404, "not_found")
    refused(api("GET", f"{PATH}/{2**31}"), 404, "not_found")
    for method, path, body in (
        ("POST", f"{PATH}/change", {**ref, "name": "x"}),
        ("POST", f"{PATH}/restore", ref),
        ("DELETE", PATH, ref),
        ("POST", MEMBERS, {**ref, "emails": ["a@x.org"]}),
        ("DELETE", MEMBERS, {**ref, "emails": ["a@x.org"]}),
        ("POST", MEMBERS, {**ref, "contact_ids": [1]}),
        ("DELETE", MEMBERS, {**ref, "contact_ids": [1]}),
    ):
        refused(api(method, path, json=body), 404, "not_found")
    assert audiences.get(WORKSPACE_B, other.id).name == "Staff"
    assert Contact.select().count() == 0

"""/v1/contacts: lists, one contact, erasing one, files, and attributes."""

import csv
import io

import pytest

from maild.domain.actor import SYSTEM
from maild.models import AuditEntry, Contact, ContactAttribute, Suppression
from maild.services import (
    audience_members,
    audiences,
    contacts,
    job_steps,
    suppressions,
    unsubscribes,
)
from maild.services.contact_fields import ContactFields
from tests.conftest import WORKSPACE_A, WORKSPACE_B

PATH = "/v1/contacts"
ATTRIBUTES = f"{PATH}/attributes"


@pytest.fixture
def make(database):
    def make_one(email="ann@example.org", workspace_id=WORKSPACE_A, **fields):
        saved = contacts.upsert(workspace_id, email, ContactFields(**fields), by=SYSTEM)
        return saved.contact

    return make_one


def emails(response):
    assert response.status_code == 200, response.text
    return [one["email"].partition("@")[0] for one in response.get_json()["contacts"]]


def test_pages_follow_each_other_newest_first(api, make):
    for n in range(5):
        make(f"u{n}@example.org")
    make("b@example.org", WORKSPACE_B)
    seen, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        response = api("GET", PATH, query=query)
        seen += emails(response)
        cursor = response.get_json()["next_cursor"]
        if cursor is None:
            break
    assert seen == ["u4", "u3", "u2", "u1", "u0"]


def test_each_filter_finds_its_own(api, make):
    ann = make(topics=["news"])
    make("anna@other.example")
    make("bob@example.org")
    staff = audiences.create(WORKSPACE_A, name="Staff", by=SYSTEM)
    audience_members.add(WORKSPACE_A, staff.id, [ann.id], by=SYSTEM)
    suppressions.add(WORKSPACE_A, "bob@example.org", reason="r", source="api")
    unsubscribes.add(WORKSPACE_A, "anna@other.example", source="api", by=SYSTEM)

    def found(**query):
        return emails(api("GET", PATH, query=query))

    assert found(email="ANN@example.org") == ["ann"]
    assert found(email_start="Ann") == ["anna", "ann"]
    assert found(domain="EXAMPLE.org") == ["bob", "ann"]
    assert found(audience_id=staff.id) == ["ann"]
    assert found(topic="News") == ["ann"]
    assert found(standing="suppressed") == ["bob"]
    assert found(standing="unsubscribed") == ["anna"]
    assert found(standing="open") == ["ann"]
    assert found(standing="pending") == found(status="pending") == []
    assert found(status="active", domain="example.org", standing="open") == ["ann"]


@pytest.mark.parametrize(
    "query",
    [
        {"email": "ann"}, {"domain": "a b"}, {"standing": "fine"}, {"status": "x"},
        {"cursor": "x"}, {"limit": 0}, {"limit": 201}, {"audience_id": "x"}, {"audience_id": 2**31},
        {"topic": ""}, {"email_start": "a\0"}, {"colour": "red"}, {"domain": "a\0.org"},
        {"topic": "a\0"},
    ],
)  # fmt: skip
def test_a_bad_value_is_400_and_never_ignored(api, refused, query):
    refused(api("GET", PATH, query=query), 400, "invalid_request")


def test_a_list_of_another_workspace_is_404(api, refused):
    other = audiences.create(WORKSPACE_B, name="Staff", by=SYSTEM)
    refused(api("GET", PATH, query={"audience_id": other.id}), 404, "not_found")


def test_one_contact_tells_its_lists(api, refused, make):
    ann = make(name="Ann")
    staff = audiences.create(WORKSPACE_A, name="Staff", by=SYSTEM)
    gone = audiences.create(WORKSPACE_A, name="Gone", by=SYSTEM)
    for row in (staff, gone):
        audience_members.add(WORKSPACE_A, row.id, [ann.id], by=SYSTEM)
    audiences.delete(WORKSPACE_A, gone.id, by=SYSTEM)
    answer = api("GET", f"{PATH}/{ann.id}").get_json()
    assert (answer["name"], answer["audiences"]) == ("Ann", [{"id": staff.id, "name": "Staff"}])
    for id_ in (ann.id + 1, 2**63, 10**30):
        refused(api("GET", f"{PATH}/{id_}"), 404, "not_found")
    refused(api("GET", f"{PATH}/{ann.id}", query={"workspace_id": 2}), 404, "not_found")


def test_erasing_is_by_address_or_id_and_leaves_the_suppression(api, refused, make):
    ann, bob = make(), make("bob@example.org")
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="r", source="api")
    done = api("DELETE", PATH, key="operator", json={"email": "ANN@example.org"})
    assert done.get_json() == {
        "workspace_id": 1, "id": ann.id, "email": "ann@example.org", "status": "deleted",
    }  # fmt: skip
    assert api("DELETE", PATH, json={"id": bob.id}).status_code == 200
    assert Contact.select().count() == 0
    assert Suppression.get().removed_at is None
    for body in ({"id": bob.id}, {"email": "bob@example.org"}, {"email": "no"}):
        refused(api("DELETE", PATH, json=body), 404, "not_found")
    for body in ({}, {"id": 1, "email": "a@x.org"}, {"id": 0}, {"id": 2**63}, {"id": "1"}):
        refused(api("DELETE", PATH, json=body), 422, "invalid_fields")


def test_a_file_has_the_attributes_and_the_standing_and_no_formula(api, make):
    make(name="=cmd|x", attributes={"plan": "pro", "is_vip": True}, topics=["a", "b"])
    make("bob@example.org")
    suppressions.add(WORKSPACE_A, "bob@example.org", reason="r", source="api")
    response = api("GET", f"{PATH}/export", query={"domain": "example.org"})
    assert response.headers["Content-Type"].startswith("text/csv")
    ann, bob = csv.DictReader(io.StringIO(response.get_data(as_text=True)))
    assert (ann["email"], ann["attributes.plan"], ann["attributes.is_vip"]) == (
        "ann@example.org", "pro", "true",
    )  # fmt: skip
    assert ann["name"] == "'=cmd\\|x"
    assert (ann["topics"], ann["standing"], bob["standing"]) == ("a, b", "open", "suppressed")
    assert AuditEntry.select().order_by(AuditEntry.seq.desc()).first().action == (
        "contacts.exported"
    )


def test_attributes_are_declared_listed_and_deleted(api, refused, make):
    body = {"name": "born", "kind": "date"}
    assert api("POST", ATTRIBUTES, key="operator", json=body).status_code == 201
    again = api("POST", ATTRIBUTES, json=body)
    assert (again.status_code, again.get_json()["kind"]) == (200, "date")
    refused(api("POST", ATTRIBUTES, json={**body, "kind": "text"}), 409, "conflict")
    for wrong in ({"name": "Born", "kind": "text"}, {"name": "x", "kind": "colour"}, {"name": "x"}):
        refused(api("POST", ATTRIBUTES, json=wrong), 422, "invalid_fields")
    ann = make(attributes={"born": "1990-01-31", "plan": "pro"})
    listed = api("GET", ATTRIBUTES).get_json()
    assert [(one["name"], one["kind"]) for one in listed["attributes"]] == [
        ("born", "date"), ("plan", "text"),
    ]  # fmt: skip
    gone = api("DELETE", ATTRIBUTES, key="operator", json={"name": "born"})
    assert (gone.status_code, gone.get_json()["status"]) == (202, "deleting")
    for name in ("born", "unheard_of", "a\u0000", "No name", ""):
        refused(api("DELETE", ATTRIBUTES, json={"name": name}), 404, "not_found")
    refused(api("POST", ATTRIBUTES, json=body), 409, "conflict")
    refused(
        api("POST", PATH, json={"email": "x@x.org", "attributes": {"born": "1990-01-01"}}),
        422,
        "invalid_fields",
    )
    job_steps.drain()
    assert contacts.get(WORKSPACE_A, ann.id).attributes == {"plan": "pro"}
    assert [row.name for row in ContactAttribute.select()] == ["plan"]
    assert api("POST", ATTRIBUTES, json={**body, "kind": "text"}).status_code == 201

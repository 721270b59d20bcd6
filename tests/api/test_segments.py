"""/v1/segments: making, changing and deleting segments, and whom they mean."""

import json

import pytest

from maild.domain.actor import SYSTEM
from maild.domain.states import Stream
from maild.models import AuditEntry, Segment
from maild.services import audiences, suppressions, unsubscribes

PATH = "/v1/segments"
PRO = {"field": "attributes.plan", "op": "equals", "value": "pro"}


@pytest.fixture
def people(api, admin_a):
    """Ann, Bob and Eve have the plan pro; mail to Bob is suppressed, and Eve has left marketing."""
    entries = [
        {"email": f"{name}@example.org", "attributes": {"plan": plan}}
        for name, plan in (("ann", "pro"), ("bob", "PRO"), ("eve", "pro"), ("fred", "free"))
    ]
    assert (
        api("POST", "/v1/contacts/batch", key=admin_a, json={"contacts": entries}).status_code
        == 200
    )
    suppressions.add(1, "bob@example.org", reason="r", source="api", by=SYSTEM)
    unsubscribes.add(1, "eve@example.org", stream=Stream.MARKETING, source="api", by=SYSTEM)
    unsubscribes.add(1, "ann@example.org", topic="news", source="api", by=SYSTEM)


@pytest.fixture
def make(api, people):
    def create(name="Pros", rules=PRO, **fields):
        answer = api("POST", PATH, json={"name": name, "rules": rules, **fields})
        assert answer.status_code == 201, answer.text
        return answer.get_json()

    return create


def emails(answer, name="contacts"):
    return [one["email"].partition("@")[0] for one in answer.get_json()[name]]


def test_it_makes_a_segment(api, make, operator_a):
    made = make("  Pros   of ours ")
    assert (made["name"], made["rules"], made["version"]) == ("Pros of ours", PRO, 1)
    assert (made["sentence"], made["problems"]) == ("plan is pro", [])
    assert api("GET", f"{PATH}/{made['id']}", key=operator_a).get_json() == made
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).first()
    assert (entry.action, entry.target) == ("segment.created", "segment Pros of ours")
    assert entry.after == {"id": made["id"], "name": "Pros of ours", "rules": "plan is pro"}


def test_it_lists_them_newest_first_in_pages(api, make):
    for name in ("a", "b", "c"):
        make(name)
    page = api("GET", PATH, query={"limit": 2}).get_json()
    assert [one["name"] for one in page["segments"]] == ["c", "b"]
    rest = api("GET", PATH, query={"limit": 2, "cursor": page["next_cursor"]}).get_json()
    assert [one["name"] for one in rest["segments"]] == ["a"]
    assert rest["next_cursor"] is None


def test_it_changes_the_name_or_the_rules(api, make, refused):
    made = make()
    body = {"segment_id": made["id"], "name": "Free", "version": 1}
    renamed = api("POST", f"{PATH}/change", json=body).get_json()
    assert (renamed["name"], renamed["rules"], renamed["version"]) == ("Free", PRO, 2)
    document = refused(api("POST", f"{PATH}/change", json=body), 409, "conflict")
    assert "version 2" in document["detail"]
    body = {"segment_id": made["id"], "rules": {"not": PRO}}
    changed = api("POST", f"{PATH}/change", json=body).get_json()
    assert (changed["sentence"], changed["version"]) == ("not (plan is pro)", 3)
    assert api("POST", f"{PATH}/change", json=body).get_json()["version"] == 3


def test_it_deletes_and_brings_back(api, make, refused):
    made = make()
    ref = {"segment_id": made["id"]}
    assert api("DELETE", PATH, json=ref).get_json()["status"] == "deleted"
    refused(api("GET", f"{PATH}/{made['id']}"), 404, "not_found")
    refused(api("DELETE", PATH, json=ref), 404, "not_found")
    assert api("POST", f"{PATH}/restore", json=ref).get_json()["id"] == made["id"]
    assert api("GET", f"{PATH}/{made['id']}").status_code == 200


def test_a_name_is_taken_once_whatever_its_case(api, make, refused):
    first = make()
    refused(api("POST", PATH, json={"name": "PROS", "rules": PRO}), 409, "conflict")
    api("DELETE", PATH, json={"segment_id": first["id"]})
    make("PROS")
    refused(api("POST", f"{PATH}/restore", json={"segment_id": first["id"]}), 409, "conflict")


def test_a_preview_tells_whom_the_rules_mean(api, people):
    answer = api("POST", f"{PATH}/preview", json={"rules": PRO})
    told = answer.get_json()
    assert (told["count"], told["mailable_count"], told["sentence"]) == (3, 1, "plan is pro")
    assert emails(answer, "sample") == ["eve", "bob", "ann"]
    standings = [one["standing"]["state"] for one in told["sample"]]
    assert standings == ["unsubscribed", "suppressed", "open"]
    assert Segment.select().count() == 0


def test_members_come_in_pages(api, make):
    made = make()
    query = {"segment_id": made["id"], "limit": 2}
    answer = api("GET", f"{PATH}/members", query=query)
    assert emails(answer) == ["eve", "bob"]
    query["cursor"] = answer.get_json()["next_cursor"]
    answer = api("GET", f"{PATH}/members", query=query)
    assert (emails(answer), answer.get_json()["next_cursor"]) == (["ann"], None)


def test_a_segment_whose_list_was_deleted_is_told_and_asked_for_nobody(api, make, refused):
    staff = audiences.create(1, name="Staff", by=SYSTEM)
    made = make("Staff", {"field": "list", "op": "in", "value": staff.id})
    audiences.delete(1, staff.id, by=SYSTEM)
    told = api("GET", f"{PATH}/{made['id']}").get_json()
    assert told["problems"] == [
        {"field": "rules.value", "message": "there is no such list, or it was deleted"}
    ]
    answer = api("GET", f"{PATH}/members", query={"segment_id": made["id"]})
    assert "was deleted" in refused(answer, 409, "conflict")["detail"]
    body = {"segment_id": made["id"], "name": "Still ours"}
    assert api("POST", f"{PATH}/change", json=body).status_code == 200


@pytest.mark.parametrize(
    ("rules", "fields"),
    [
        (None, ["rules"]),
        ("plan is pro", ["rules"]),
        ({}, ["rules"]),
        ({"all": []}, ["rules.all"]),
        ({"all": [{"field": "email", "op": "like", "value": 5}]}, ["rules.all.0.op"]),
        ({"any": [PRO, {**PRO, "value": 5}]}, ["rules.any.1.value"]),
        ({**PRO, "value": "a\0b"}, ["rules.value"]),
        ({**PRO, "field": "attributes.gone"}, ["rules.field"]),
        ({"not": {"field": "list", "op": "in", "value": 99}}, ["rules.not.value"]),
    ],
    ids=json.dumps,
)
def test_it_says_what_is_wrong_with_rules_and_where(api, people, refused, rules, fields):
    for path in (PATH, f"{PATH}/preview"):
        body = {"rules": rules} if path != PATH else {"rules": rules, "name": "n"}
        refused(api("POST", path, json=body), 422, "invalid_fields", *fields)


def test_it_tells_of_the_name_and_the_rules_at_once(api, people, refused):
    body = {"name": " ", "rules": {"all": [{**PRO, "op": "x"}]}}
    refused(api("POST", PATH, json=body), 422, "invalid_fields", "name", "rules.all.0.op")


@pytest.mark.parametrize(
    "value", ['"\\ud800"', "1e999", '"' + "x" * 40_000 + '"', "[" * 150 + "]" * 150, "NaN"]
)
def test_hostile_values_are_refused(api, people, value):
    data = '{"rules": {"field": "attributes.plan", "op": "equals", "value": ' + value + "}}"
    answer = api("POST", f"{PATH}/preview", data=data)
    assert answer.status_code in {400, 422}, answer.text


def test_emoji_and_sql_are_values_like_others(api, people):
    for value in ("😀", "'; DROP TABLE contacts; --", "%s", "100%", "\\"):
        answer = api("POST", f"{PATH}/preview", json={"rules": {**PRO, "value": value}})
        assert answer.get_json()["count"] == 0


def test_rules_nested_without_end_are_refused(api, people, refused):
    rules = PRO
    for _ in range(60):
        rules = {"all": [rules]}
    answer = api("POST", f"{PATH}/preview", json={"rules": rules})
    assert answer.status_code == 422
    assert "more than 5 groups deep" in answer.get_json(force=True)["detail"]


def test_a_sender_may_not_read_them_and_a_viewer_may_not_write(api, make, sender_key_a, viewer_a):
    made = make()
    assert api("GET", PATH, key=sender_key_a).status_code == 403
    assert api("GET", PATH, key=viewer_a).status_code == 200
    assert api("POST", f"{PATH}/preview", key=viewer_a, json={"rules": PRO}).status_code == 200
    ref = {"segment_id": made["id"]}
    for method, path, body in (
        ("POST", PATH, {"name": "n", "rules": PRO}),
        ("POST", f"{PATH}/change", {**ref, "name": "n"}),
        ("DELETE", PATH, ref),
        ("POST", f"{PATH}/restore", ref),
    ):
        assert api(method, path, key=viewer_a, json=body).status_code == 403


def test_another_workspaces_is_not_there(api, make, admin_b, refused):
    made = make()
    ref = {"segment_id": made["id"]}
    refused(api("GET", f"{PATH}/{made['id']}", key=admin_b), 404, "not_found")
    refused(api("GET", f"{PATH}/members", key=admin_b, query=ref), 404, "not_found")
    refused(api("DELETE", PATH, key=admin_b, json=ref), 404, "not_found")
    rules = {"field": "email", "op": "contains", "value": "@"}
    answer = api("POST", f"{PATH}/preview", key=admin_b, json={"rules": rules})
    assert answer.get_json()["count"] == 0


def test_an_id_that_is_too_large_is_none(api, refused, people):
    refused(api("GET", f"{PATH}/{2**40}"), 404, "not_found")

"""POST /v1/contacts and /v1/contacts/batch: who a program says that its people are."""

import pytest

from maild.models import AuditEntry, Contact, Suppression, Unsubscribe
from maild.services import suppressions
from tests.conftest import WORKSPACE_A

PATH = "/v1/contacts"
BATCH = f"{PATH}/batch"
ANN = {"email": "Ann@Example.org"}


def test_a_new_contact_is_201_and_a_known_one_200(api):
    body = {
        **ANN,
        "name": "Ann",
        "attributes": {"plan": "pro", "seats": 3, "is_vip": True, "ratio": 0.5},
        "topics": ["News"],
        "consent": {"source": "form", "at": "2026-01-31T09:30:00+01:00", "proof": "/join"},
    }
    response = api("POST", PATH, key="operator", json=body)
    assert response.status_code == 201
    answer = response.get_json()
    expected = {
        "workspace_id": 1,
        "email": "ann@example.org",
        "name": "Ann",
        "attributes": body["attributes"],
        "topics": ["news"],
        "status": "active",
        "consent": {"source": "form", "at": "2026-01-31T08:30:00Z", "proof": "/join"},
        "version": 1,
        "created_by": "operator key",
        "outcome": "created",
    }
    assert expected.items() <= answer.items()
    assert answer["standing"] == {
        "state": "open",
        "can_be_mailed": True,
        "suppressed": False,
        "unsubscribed": False,
        "left_topics": [],
        "because": [],
    }
    again = api("POST", PATH, json={**ANN, "attributes": {"plan": None}, "name": None})
    assert again.status_code == 200
    changed = again.get_json()
    assert (changed["outcome"], changed["name"], changed["version"]) == ("updated", None, 2)
    assert changed["attributes"] == {"seats": 3, "is_vip": True, "ratio": 0.5}
    assert changed["topics"] == ["news"]
    same = api("POST", PATH, json=ANN)
    assert (same.status_code, same.get_json()["outcome"]) == (200, "unchanged")
    assert [entry.action for entry in AuditEntry.select()] == ["contact.created", "contact.changed"]


@pytest.mark.proves("I13")
def test_saving_subscribes_nobody_again_and_says_why_they_cannot_be_mailed(api):
    row = suppressions.add(WORKSPACE_A, "ann@example.org", reason="r", source="api")
    left = api("POST", "/v1/unsubscribes", json={"email": "bob@example.org", "topic": "news"})
    assert left.status_code == 201
    ann = api("POST", PATH, json={**ANN, "topics": ["news"]}).get_json()
    assert ann["standing"]["state"] == "suppressed"
    assert ann["standing"]["can_be_mailed"] is False
    assert [(bar["kind"], bar["id"]) for bar in ann["standing"]["because"]] == [
        ("suppression", row.id)
    ]
    bob = api("POST", PATH, json={"email": "bob@example.org", "topics": ["news"]}).get_json()
    assert (bob["standing"]["state"], bob["standing"]["left_topics"]) == ("open", ["news"])
    assert Suppression.get().removed_at is None
    assert Unsubscribe.get().removed_at is None


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["email"]),
        ({"email": None}, ["email"]),
        ({"email": 7}, ["email"]),
        ({"email": "ann"}, ["email"]),
        ({"email": "ann@example.org\r\nBcc: x@x.org"}, ["email"]),
        ({**ANN, "name": ["x"]}, ["name"]),
        ({**ANN, "name": "a\u0000"}, ["name", "name"]),
        ({**ANN, "attributes": []}, ["attributes"]),
        ({**ANN, "attributes": {"plan": {"a": 1}}}, ["attributes.plan"]),
        ({**ANN, "attributes": {"plan": []}}, ["attributes.plan"]),
        ({**ANN, "attributes": {"Plan!": "x"}}, ["attributes.Plan!"]),
        ({**ANN, "attributes": {"consent": "x"}}, ["attributes.consent"]),
        ({**ANN, "attributes": {"n": 10**400}}, ["attributes.n"]),
        ({**ANN, "topics": "news"}, ["topics"]),
        ({**ANN, "topics": [""]}, ["topics.0"]),
        ({**ANN, "topics": ["t"] * 51}, ["topics"]),
        ({**ANN, "consent": {"source": "f"}}, ["consent.at"]),
        ({**ANN, "consent": {"source": "f", "at": 5}}, ["consent.at"]),
        ({**ANN, "consent": {"source": "f", "at": "2999-01-01T00:00:00Z"}}, ["consent.at"]),
        ({**ANN, "status": "active"}, ["status"]),
    ],
)
def test_what_is_wrong_is_422_with_the_field(api, refused, body, fields):
    document = refused(api("POST", PATH, json=body), 422, "invalid_fields")
    assert [error["field"] for error in document["errors"]] == fields
    assert Contact.select().count() == 0


def test_what_is_no_json_is_refused(api, refused):
    refused(api("POST", PATH, data=b'{"email": '), 400, "malformed_json")
    lone = api("POST", PATH, data=rb'{"email": "a@x.org", "name": "\ud800"}')
    assert lone.status_code in {400, 422}
    assert Contact.select().count() == 0


def test_a_viewer_and_a_sender_may_not(api, refused, viewer_a, sender_key_a):
    for key in (viewer_a, sender_key_a):
        refused(api("POST", PATH, key=key, json=ANN), 403, "forbidden")
        refused(api("POST", BATCH, key=key, json={"contacts": [ANN]}), 403, "forbidden")


def test_a_batch_tells_of_each(api):
    api("POST", PATH, json={"email": "known@example.org", "attributes": {"seats": 1}})
    body = {
        "contacts": [
            {"email": "new@example.org", "attributes": {"seats": 2}},
            {"email": "nobody"},
            {"email": "known@example.org", "attributes": {"seats": 1}},
            {"email": "bad@example.org", "attributes": {"seats": "two"}},
            {"name": "no address"},
            {"email": "worse@example.org", "colour": "red"},
            "no object",
            {"email": "KNOWN@example.org", "name": "Known"},
        ]
    }
    response = api("POST", BATCH, key="operator", json=body)
    assert response.status_code == 200
    answer = response.get_json()
    counts = {name: answer[name] for name in ("created", "updated", "unchanged", "rejected")}
    # Of one address that comes twice, both tell what became of the contact in the end.
    assert counts == {"created": 1, "updated": 2, "unchanged": 0, "rejected": 5}
    told = [one.get("outcome") or one["errors"][0]["field"] for one in answer["results"]]
    assert told == [
        "created", "email", "updated", "attributes.seats", "email", "colour", "body", "updated",
    ]  # fmt: skip
    assert [one["index"] for one in answer["results"]] == list(range(8))
    assert Contact.select().count() == 2


def test_a_batch_has_a_thousand_at_most(api, refused):
    many = [{"email": f"u{n}@example.org"} for n in range(1_001)]
    refused(api("POST", BATCH, json={"contacts": many}), 422, "invalid_fields")
    refused(api("POST", BATCH, json={"contacts": []}), 422, "invalid_fields")
    answer = api("POST", BATCH, json={"contacts": many[:1_000]}).get_json()
    assert answer["created"] == 1_000

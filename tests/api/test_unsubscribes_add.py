"""POST /v1/unsubscribes: somebody opted out, and told the sender."""

import pytest

from maild.models import AuditEntry, Unsubscribe

PATH = "/v1/unsubscribes"


def test_it_records_an_opt_out_of_everything(api):
    response = api("POST", PATH, key="operator", json={"email": "Ann@Example.org"})
    assert response.status_code == 201
    answer = response.get_json()
    expected = {
        "workspace_id": 1,
        "email": "ann@example.org",
        "topic": None,
        "stream": None,
        "reason": None,
        "status": "unsubscribed",
        "state": "in_force",
        "source": "api",
        "created_by": "operator key",
    }
    assert expected.items() <= answer.items()
    assert AuditEntry.get().actor == "operator key"


def test_it_narrows_it_to_a_topic_and_a_stream(api):
    body = {
        "email": "ann@example.org",
        "topic": " News",
        "stream": "marketing",
        "reason": "she called",
        "workspace_id": 2,
    }
    answer = api("POST", PATH, json=body).get_json()
    assert (answer["topic"], answer["stream"]) == ("news", "marketing")
    assert (answer["reason"], answer["workspace_id"]) == ("she called", 2)


def test_again_is_the_same(api):
    first, second = (api("POST", PATH, json={"email": "ann@example.org"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json()
    assert Unsubscribe.select().count() == 1


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["email"]),
        ({"email": None}, ["email"]),
        ({"email": "ann"}, ["email"]),
        ({"email": "ann@example.org, bob@example.org"}, ["email"]),
        ({"email": "ann@example.org", "topic": ""}, ["topic"]),
        ({"email": "ann@example.org", "topic": "x" * 101}, ["topic"]),
        ({"email": "ann@example.org", "stream": "both"}, ["stream"]),
        ({"email": "ann@example.org", "reason": "a\nb"}, ["reason"]),
        ({"email": "ann@example.org", "topics": ["a"]}, ["topics"]),
        ({"email": "x", "topic": " ", "reason": " "}, ["email", "topic", "reason"]),
    ],
)
def test_it_refuses_by_name(api, refused, body, fields):
    refused(api("POST", PATH, json=body), 422, "invalid_fields", *fields)
    assert Unsubscribe.select().count() == 0

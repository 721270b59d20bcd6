"""/v1/topics: what a workspace mails about."""

import pytest

from maild.models import AuditEntry, Topic, Unsubscribe

PATH = "/v1/topics"


def test_one_is_declared_and_changed(api):
    body = {"name": " News", "label": "Our newsletter", "description": "Once a month."}
    answer = api("POST", PATH, key="operator", json=body).get_json()
    expected = {
        "workspace_id": 1, "name": "news", "label": "Our newsletter",
        "description": "Once a month.", "is_public": True, "status": "declared",
        "created_by": "operator key",
    }  # fmt: skip
    assert expected.items() <= answer.items()
    again = api("POST", PATH, json={"name": "NEWS", "is_public": False}).get_json()
    assert (again["status"], again["label"], again["is_public"]) == ("saved", "NEWS", False)
    assert Topic.select().count() == 1


def test_they_are_listed_by_what_people_read(api):
    for name, label in (("a", "Offers"), ("b", "jobs")):
        api("POST", PATH, json={"name": name, "label": label})
    api("POST", PATH, json={"name": "theirs", "workspace_id": 2})
    answer = api("GET", PATH).get_json()
    assert (answer["count"], [one["name"] for one in answer["topics"]]) == (2, ["b", "a"])


def test_deleting_one_lets_nobody_back(api, refused):
    api("POST", PATH, json={"name": "news"})
    api("POST", "/v1/unsubscribes", json={"email": "ann@example.org", "topic": "news"})
    answer = api("DELETE", PATH, json={"name": "News"}).get_json()
    assert (answer["name"], answer["status"]) == ("news", "deleted")
    assert Unsubscribe.get().removed_at is None
    refused(api("DELETE", PATH, json={"name": "news"}), 404, "not_found")
    assert AuditEntry.select().where(AuditEntry.action == "topic.deleted").count() == 1


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name"]),
        ({"name": None}, ["name"]),
        ({"name": ["news"]}, ["name"]),
        ({"name": " "}, ["name"]),
        ({"name": "a\r\nb"}, ["name"]),
        ({"name": "a\0b"}, ["name"]),
        ({"name": "x" * 100_000}, ["name"]),
        ({"name": "news", "label": ""}, ["label"]),
        ({"name": "news", "label": "a\nb", "description": "c\0d"}, ["label", "description"]),
        ({"name": "news", "is_public": "yes"}, ["is_public"]),
        ({"name": "news", "colour": "red"}, ["colour"]),
    ],
    ids=range(11),
)
def test_it_refuses_by_name(api, refused, body, fields):
    refused(api("POST", PATH, json=body), 422, "invalid_fields", *fields)
    assert Topic.select().count() == 0


def test_a_lone_surrogate_is_refused(api, refused):
    response = api("POST", PATH, data=b'{"name": "\\ud800"}')
    assert response.status_code in {400, 422}
    assert Topic.select().count() == 0

"""DELETE /v1/unsubscribes: the person has asked for this mail again."""

import pytest

from maild.models import AuditEntry, Unsubscribe

PATH = "/v1/unsubscribes"
ANN = {"email": "ann@example.org"}


@pytest.fixture(autouse=True)
def _unsubscribed(api):
    api("POST", PATH, json={**ANN, "topic": "news", "stream": "marketing"})
    api("POST", PATH, json=ANN)


def test_it_ends_this_one_and_tells_of_the_others(api):
    body = {**ANN, "topic": "NEWS", "stream": "marketing", "reason": "asked by mail on Monday"}
    response = api("DELETE", PATH, json=body)
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["status"], answer["state"]) == ("removed", "removed")
    assert (answer["topic"], answer["stream"]) == ("news", "marketing")
    assert answer["removed_by"] == "admin key"
    assert answer["removal_reason"] == "asked by mail on Monday"
    assert (answer["blocked_count"], answer["has_more_blocked"], answer["blocked_ids"]) == (
        0,
        False,
        [],
    )
    assert [(row["topic"], row["stream"]) for row in answer["remaining"]] == [(None, None)]
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).get()
    assert (entry.action, entry.reason) == ("unsubscribe.removed", "asked by mail on Monday")


def test_what_is_not_in_force_is_not_found(api, refused):
    refused(api("DELETE", PATH, json={**ANN, "topic": "x", "reason": "r"}), 404, "not_found")
    refused(api("DELETE", PATH, json={**ANN, "reason": "r", "workspace_id": 2}), 404, "not_found")
    assert api("DELETE", PATH, json={**ANN, "reason": "r"}).status_code == 200
    refused(api("DELETE", PATH, json={**ANN, "reason": "r"}), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (ANN, "reason"), ({**ANN, "reason": None}, "reason"), ({**ANN, "reason": ""}, "reason"),
        ({**ANN, "reason": "a\nb"}, "reason"), ({"reason": "r"}, "email"),
        ({"email": "ann", "reason": "r"}, "email"),
    ],
)  # fmt: skip
def test_it_refuses_by_name(api, refused, body, field):
    refused(api("DELETE", PATH, json=body), 422, "invalid_fields", field)
    assert Unsubscribe.select().where(Unsubscribe.removed_at.is_null()).count() == 2


def test_an_operator_may_not(api, refused):
    body = {**ANN, "reason": "r"}
    refused(api("DELETE", PATH, key="operator", json=body), 403, "forbidden")

"""POST /v1/webhooks/dismiss."""

import pytest

from tests.services.reporting import report

PATH = "/v1/webhooks/dismiss"


def test_it_lets_a_dead_letter_be(api):
    [event] = report(b"nonsense")
    response = api("POST", PATH, key="operator", json={"event_ids": [event.id], "reason": "a test"})
    assert response.status_code == 200
    assert response.get_json() == {
        "workspace_id": 1,
        "requested": 1,
        "dismissed": 1,
        "skipped": 0,
        "failed": 0,
        "outcomes": [{"event_id": str(event.id), "status": "dismissed", "error": None}],
    }
    logs = api("GET", "/v1/webhooks/logs", query={"status": "dead_letter"}).get_json()
    assert logs["count"] == 0


def test_it_tells_what_it_did_not_dismiss(api):
    [event] = report({"type": "spam", "email": "ann@example.org"})
    answer = api("POST", PATH, json={"event_ids": [event.id, "x"], "reason": "r"}).get_json()
    assert (answer["skipped"], answer["failed"]) == (1, 1)
    assert answer["outcomes"][0]["error"] == "it is applied, and not a dead letter"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"event_ids": [1]}, {"event_ids": [], "reason": "r"}, {"event_ids": [1], "reason": " "},
        {"event_ids": [1], "reason": "x" * 501}, {"event_ids": [1], "reason": "r", "all": True},
    ],
)  # fmt: skip
def test_it_refuses_what_it_does_not_understand(api, refused, body):
    refused(api("POST", PATH, json=body), 422, "invalid_fields")

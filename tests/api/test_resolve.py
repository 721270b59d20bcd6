"""POST /v1/messages/resolve."""

import pytest

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
BODY = {"outcome": "sent", "reason": "seen in their log"}


def call(api, *ids, key="operator", **fields):
    body = {"message_ids": ids, **BODY, **fields}
    body = {name: value for name, value in body.items() if value is not ...}
    return api("POST", "/v1/messages/resolve", json=body, key=key)


@pytest.mark.parametrize(("outcome", "expected"), [("sent", "sent"), ("not_sent", "queued")])
def test_it_ends_the_doubt(api, put, statuses, outcome, expected):
    ids = [put("unknown"), put("failed"), UNKNOWN]
    answer = call(api, *ids, outcome=outcome).get_json()
    assert [(o["status"], o["error"]) for o in answer["outcomes"]] == [
        ("resolved", None),
        ("skipped", "is failed: only an unknown outcome can be resolved"),
        ("failed", "not found"),
    ]
    assert statuses(*ids[:2]) == [expected, "failed"]
    events = api("GET", "/v1/messages/timeline", query={"message_id": ids[0]}).get_json()["events"]
    assert events[-1]["data"] == {"by": "operator key", "reason": "seen in their log"}


def test_another_workspaces_message_is_not_found(api, put, statuses):
    foreign = put("unknown", workspace_id=2)
    [outcome] = call(api, foreign).get_json()["outcomes"]
    assert (outcome["status"], outcome["error"]) == ("failed", "not found")
    assert statuses(foreign) == ["unknown"]
    assert call(api, foreign, workspace_id=2).get_json()["done"] == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"message_ids": ...}, "message_ids"),
        ({"message_ids": []}, "message_ids"),
        ({"message_ids": "x"}, "message_ids"),
        ({"message_ids": [5]}, "message_ids.0"),
        ({"message_ids": [UNKNOWN] * 501}, "message_ids"),
        ({"reason": " "}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"reason": 5}, "reason"),
        ({"surplus": 1}, "surplus"),
        ({"reason": ...}, "reason"),
        ({"outcome": ...}, "outcome"),
        ({"outcome": "maybe"}, "outcome"),
    ],
)
def test_it_refuses_what_makes_no_sense(api, refused, put, statuses, fields, field):
    message_id = put("unknown")
    refused(call(api, message_id, **fields), 422, "invalid_fields", field)
    assert statuses(message_id) == ["unknown"]

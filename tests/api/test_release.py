"""POST /v1/messages/release."""

import pytest

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
BODY = {}


def call(api, *ids, key="operator", **fields):
    body = {"message_ids": ids, **BODY, **fields}
    body = {name: value for name, value in body.items() if value is not ...}
    return api("POST", "/v1/messages/release", json=body, key=key)


def test_it_lets_go_what_is_held(api, put, statuses):
    ids = [put("held"), put("queued"), UNKNOWN]
    answer = call(api, *ids).get_json()
    assert [(o["status"], o["error"]) for o in answer["outcomes"]] == [
        ("released", None),
        ("skipped", "is queued, not held"),
        ("failed", "not found"),
    ]
    assert statuses(ids[0]) == ["queued"]
    message = api("GET", f"/v1/messages/{ids[0]}").get_json()
    assert message["hold_reason"] is None
    assert message["next_attempt_at"] is not None


def test_another_workspaces_message_is_not_found(api, put, statuses):
    foreign = put("held", workspace_id=2)
    [outcome] = call(api, foreign).get_json()["outcomes"]
    assert (outcome["status"], outcome["error"]) == ("failed", "not found")
    assert statuses(foreign) == ["held"]
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
    ],
)
def test_it_refuses_what_makes_no_sense(api, refused, put, statuses, fields, field):
    message_id = put("held")
    refused(call(api, message_id, **fields), 422, "invalid_fields", field)
    assert statuses(message_id) == ["held"]

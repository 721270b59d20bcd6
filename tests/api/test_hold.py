"""POST /v1/messages/hold."""

import pytest

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
BODY = {"reason": "wrong price"}


def call(api, *ids, key="operator", **fields):
    body = {"message_ids": ids, **BODY, **fields}
    body = {name: value for name, value in body.items() if value is not ...}
    return api("POST", "/v1/messages/hold", json=body, key=key)


def test_it_keeps_back_what_waits(api, put, statuses):
    ids = [put("queued"), put("sending"), UNKNOWN]
    answer = call(api, *ids).get_json()
    assert [(o["status"], o["error"]) for o in answer["outcomes"]] == [
        ("held", None),
        ("skipped", "is being sent right now"),
        ("failed", "not found"),
    ]
    assert statuses(*ids[:2]) == ["held", "sending"]
    message = api("GET", f"/v1/messages/{ids[0]}").get_json()
    assert (message["hold_reason"], message["next_attempt_at"]) == ("wrong price", None)


def test_another_workspaces_message_is_not_found(api, put, statuses):
    foreign = put("queued", workspace_id=2)
    [outcome] = call(api, foreign).get_json()["outcomes"]
    assert (outcome["status"], outcome["error"]) == ("failed", "not found")
    assert statuses(foreign) == ["queued"]
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
    ],
)
def test_it_refuses_what_makes_no_sense(api, refused, put, statuses, fields, field):
    message_id = put("queued")
    refused(call(api, message_id, **fields), 422, "invalid_fields", field)
    assert statuses(message_id) == ["queued"]

"""POST /v1/messages/cancel."""

import pytest

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
BODY = {}


def call(api, *ids, key="operator", **fields):
    body = {"message_ids": ids, **BODY, **fields}
    body = {name: value for name, value in body.items() if value is not ...}
    return api("POST", "/v1/messages/cancel", json=body, key=key)


def test_it_withdraws_what_waits(api, put, statuses):
    ids = [put("queued"), put("held"), put("sending"), put("sent"), UNKNOWN]
    response = call(api, *ids, reason="a mistake")
    assert response.status_code == 200
    assert response.get_json() == {
        "workspace_id": 1,
        "requested": 5,
        "done": 2,
        "skipped": 2,
        "failed": 1,
        "outcomes": [
            {"message_id": ids[0], "status": "cancelled", "error": None},
            {"message_id": ids[1], "status": "cancelled", "error": None},
            {"message_id": ids[2], "status": "skipped", "error": "is being sent right now"},
            {"message_id": ids[3], "status": "skipped", "error": "is sent already"},
            {"message_id": ids[4], "status": "failed", "error": "not found"},
        ],
    }
    assert statuses(*ids[:4]) == ["cancelled", "cancelled", "sending", "sent"]


def test_it_needs_no_reason(api, put):
    assert call(api, put("queued")).get_json()["done"] == 1


def test_a_cancelled_message_stays_so(api, put):
    message_id = put("queued")
    call(api, message_id)
    [outcome] = call(api, message_id).get_json()["outcomes"]
    assert outcome["error"] == "is cancelled already"


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
    ],
)
def test_it_refuses_what_makes_no_sense(api, refused, put, statuses, fields, field):
    message_id = put("queued")
    refused(call(api, message_id, **fields), 422, "invalid_fields", field)
    assert statuses(message_id) == ["queued"]

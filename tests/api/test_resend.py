"""POST /v1/messages/resend."""

import pytest

PATH = "/v1/messages/resend"
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_it_sends_copies_of_what_has_ended(api, put, statuses):
    ids = [put("suppressed"), put("queued"), put("failed", workspace_id=2), UNKNOWN]
    response = api("POST", PATH, key="operator", json={"message_ids": ids, "reason": "it works"})
    assert response.status_code == 200
    answer = response.get_json()
    new_id = answer["outcomes"][0]["new_message_id"]
    none = {"new_message_id": None, "new_status": None}
    not_found = {"status": "failed", "error": "not found", **none}
    assert answer == {
        "workspace_id": 1,
        "requested": 4,
        "resent": 1,
        "skipped": 1,
        "failed": 2,
        "outcomes": [
            {
                "message_id": ids[0],
                "status": "resent",
                "new_message_id": new_id,
                "new_status": "queued",
                "error": None,
            },
            {"message_id": ids[1], "status": "skipped", "error": "is still queued", **none},
            {"message_id": ids[2], **not_found},
            {"message_id": ids[3], **not_found},
        ],
    }
    assert statuses(ids[0], new_id) == ["suppressed", "queued"]
    for message_id, told in (
        (ids[0], {"new_message_id": new_id}),
        (new_id, {"old_message_id": ids[0]}),
    ):
        events = api("GET", "/v1/messages/timeline", query={"message_id": message_id}).get_json()
        data = events["events"][-1]["data"]
        assert data == {**told, "by": "operator key", "reason": "it works"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message_ids"),
        ({"message_ids": []}, "message_ids"),
        ({"message_ids": ["x"] * 101}, "message_ids"),
        ({"message_ids": "x"}, "message_ids"),
        ({"message_ids": ["x"], "reason": ""}, "reason"),
        ({"message_ids": ["x"], "reason": "a\nb"}, "reason"),
        ({"message_ids": ["x"], "filter": {}}, "filter"),
    ],
)
def test_it_names_what_it_does_not_take(api, refused, body, field):
    refused(api("POST", PATH, json=body), 422, "invalid_fields", field)

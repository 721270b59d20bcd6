"""POST /v1/messages/retry."""

import pytest

from maild.domain.suppression import SuppressionClass
from maild.models import Event, Suppression

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


def retry(api, key="operator", **body):
    return api("POST", "/v1/messages/retry", json=body, key=key)


def test_it_retries_messages_by_their_ids(api, put, statuses):
    ids = [put("failed"), put("unknown"), put("sent"), put("failed", workspace_id=2), UNKNOWN]
    response = retry(api, message_ids=ids, reason="mended")
    assert response.status_code == 200
    not_found = {"status": "failed", "error": "not found"}
    sent = {
        "status": "skipped",
        "error": "is sent: only failed and unknown messages can be retried",
    }
    assert response.get_json() == {
        "workspace_id": 1,
        "requested": 5,
        "retried": 2,
        "skipped": 1,
        "failed": 2,
        "replay_source": "ids",
        "dry_run": False,
        "truncated": False,
        "outcomes": [
            {"message_id": ids[0], "status": "retried", "error": None},
            {"message_id": ids[1], "status": "retried", "error": None},
            {"message_id": ids[2], **sent},
            {"message_id": ids[3], **not_found},
            {"message_id": ids[4], **not_found},
        ],
    }
    assert statuses(*ids[:4]) == ["queued", "queued", "sent", "failed"]
    events = api("GET", "/v1/messages/timeline", query={"message_id": ids[0]}).get_json()["events"]
    assert events[-1]["type"] == "message.retried"
    assert events[-1]["data"] == {"by": "operator key", "reason": "mended"}


def test_it_retries_the_newest_failed_ones(api, put, statuses):
    ids = [put("failed") for _ in range(3)]
    answer = retry(api, limit=2).get_json()
    assert (answer["replay_source"], answer["requested"], answer["retried"]) == (
        "latest_failed", 2, 2,
    )  # fmt: skip
    assert [o["message_id"] for o in answer["outcomes"]] == [ids[2], ids[1]]
    assert statuses(*ids) == ["failed", "queued", "queued"]


def test_it_retries_what_a_filter_finds(api, put, statuses):
    ids = [
        put("failed", to_email="bob@example.org"),
        put("unknown", to_email="bob@example.org"),
        put("failed"),
        put("failed", to_email="bob@example.org", workspace_id=2),
    ]
    dry = retry(api, filter={"to_email": "bob@EXAMPLE.org"}, dry_run=True).get_json()
    assert (dry["retried"], dry["dry_run"], dry["replay_source"]) == (2, True, "filter")
    assert statuses(*ids) == ["failed", "unknown", "failed", "failed"]
    real = retry(api, filter={"to_email": "bob@EXAMPLE.org"}).get_json()
    assert (real["retried"], real["dry_run"]) == (2, False)
    assert real["outcomes"] == dry["outcomes"]
    assert statuses(*ids) == ["queued", "queued", "failed", "failed"]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 2),
        ({"status": "unknown"}, 1),
        ({"stream": "marketing"}, 1),
        ({"subject": "PARCEL"}, 1),
        ({"q": "parcel"}, 1),
        ({"tag": "weekly"}, 1),
        ({"from_email": "shop@example.com"}, 2),
        ({"smtp_account": "eu"}, 0),
        ({"error_class": "auth"}, 0),
        ({"from": "2020-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z"}, 0),
    ],
)
def test_it_knows_the_filters_of_the_log(api, put, asked, count):
    put("failed", subject="Your parcel", tags=("weekly",))
    put("unknown", stream="marketing")
    assert retry(api, filter=asked, dry_run=True).get_json()["retried"] == count


def test_it_says_how_many_a_filter_finds_and_shows_some(api, put):
    for _ in range(12):
        put("failed")
    answer = retry(api, filter={}, dry_run=True).get_json()
    assert (answer["requested"], len(answer["outcomes"])) == (12, 10)


def test_it_mails_nobody_who_is_suppressed(api, put, statuses):
    message_id = put("failed")
    Suppression.insert(
        class_=SuppressionClass.MANUAL,
        created_by="me",
        workspace=1,
        email="ann@example.org",
        reason="complained",
        source="test",
    ).execute()
    [outcome] = retry(api, limit=5).get_json()["outcomes"]
    assert (outcome["status"], outcome["error"]) == (
        "skipped", "the recipient is suppressed: complained",
    )  # fmt: skip
    assert statuses(message_id) == ["failed"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message_ids"),
        ({"message_ids": [UNKNOWN], "limit": 1}, "message_ids"),
        ({"limit": 1, "filter": {}}, "message_ids"),
        ({"message_ids": []}, "message_ids"),
        ({"message_ids": [UNKNOWN] * 501}, "message_ids"),
        ({"message_ids": [5]}, "message_ids.0"),
        ({"message_ids": UNKNOWN}, "message_ids"),
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"limit": "5"}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": 1, "dry_run": "no"}, "dry_run"),
        ({"limit": 1, "reason": ""}, "reason"),
        ({"limit": 1, "surplus": 1}, "surplus"),
        ({"filter": {"status": "sent"}}, "filter.status"),
        ({"filter": {"stream": "news"}}, "filter.stream"),
        ({"filter": {"to_email": "nobody"}}, "filter.to_email"),
        ({"filter": {"q": "\0"}}, "filter.q"),
        ({"filter": {"form": "x"}}, "filter.form"),
        ({"filter": {"from": 5}}, "filter.from"),
        ({"filter": {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}}, "filter.to"),
    ],
)
def test_it_refuses_what_makes_no_sense(api, refused, put, statuses, body, field):
    message_id = put("failed")
    refused(retry(api, **body), 422, "invalid_fields", field)
    assert statuses(message_id) == ["failed"]


def test_text_that_is_no_id_is_not_found(api, database):
    outcomes = retry(api, message_ids=["nonsense", "\0", "' OR 1=1 --"]).get_json()["outcomes"]
    assert {(o["status"], o["error"]) for o in outcomes} == {("failed", "not found")}


def test_a_dry_run_tells_no_event(api, put):
    before = put("failed") and Event.select().count()
    retry(api, limit=1, dry_run=True)
    assert Event.select().count() == before

"""GET /v1/webhooks/logs."""

import json

import pytest

from tests.conftest import WORKSPACE_B
from tests.services.helpers import Accept
from tests.services.reporting import about, report, send_all

PATH = "/v1/webhooks/logs"


def events(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()["events"]


def test_it_lists_them_newest_first_in_pages(api):
    report(*({"type": "spam", "email": f"u{n}@example.org"} for n in range(3)))
    report({"type": "spam", "email": "b@example.org"}, workspace_id=WORKSPACE_B)
    first = api("GET", PATH, key="operator", query={"limit": 2})
    found = {event["email"] for event in events(first)}
    page = first.get_json()
    assert (page["workspace_id"], page["count"], page["status"]) == (1, 2, None)
    assert (page["from"], page["to"]) == (None, None)
    last = api("GET", PATH, query={"limit": 2, "cursor": page["next_cursor"]})
    found |= {event["email"] for event in events(last)}
    assert found == {"u0@example.org", "u1@example.org", "u2@example.org"}
    assert last.get_json()["next_cursor"] is None


def test_each_tells_what_came_and_what_it_did(api, accept: Accept, lease):
    message = accept()
    send_all(lease)
    entry = about(message, "hard_bounce", reason="550 5.1.1 No such user", timestamp=1_700_000_000)
    report(entry)
    [event] = events(api("GET", PATH))
    expected = {
        "workspace_id": 1,
        "provider": "generic",
        "event_type": "bounced",
        "email": "ann@example.org",
        "reason": "550 5.1.1 No such user",
        "reject_reason": "bounced",
        "status": "applied",
        "attempt_count": 1,
        "last_error": None,
        "message_id": str(message.id),
        "provider_message_id": message.message_id_header,
        "provider_event_id": entry["event_id"],
        "occurred_at": "2023-11-14T22:13:20Z",
        "effects": {
            "message_id": str(message.id),
            "message_status": "bounced",
            "message_moved_from": "sent",
            "suppression": "added",
            "suppression_class": "hard_bounce",
            "suppressed_email": "ann@example.org",
        },
    }
    assert expected.items() <= event.items()
    assert json.loads(event["raw_payload"]) == entry


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "applied"}, ["spam"]),
        ({"status": "ignored"}, ["delivered"]),
        ({"status": "dead_letter"}, ["nonsense"]),
        ({"status": "duplicate"}, []),
        ({"type": "complained"}, ["spam"]),
        ({"provider": "generic"}, ["nonsense", "delivered", "spam"]),
        ({"provider": "ses"}, []),
        ({"email": "ann@EXAMPLE.org"}, ["spam"]),
        ({"linked": "true"}, []),
        ({"linked": "false"}, ["nonsense", "delivered", "spam"]),
        ({"from": "2020-01-01T00:00:00Z"}, ["nonsense", "delivered", "spam"]),
        ({"to": "2020-01-01T00:00:00Z"}, []),
    ],
)
def test_it_filters(api, query, found):
    report({"type": "spam", "email": "ann@example.org"})
    report({"type": "delivered", "email": "bob@example.org"})
    report({"type": "nonsense", "email": "cid@example.org"})
    listed = [json.loads(e["raw_payload"])["type"] for e in events(api("GET", PATH, query=query))]
    assert listed == found


@pytest.mark.parametrize(
    "query",
    [
        {"status": "new"}, {"type": "vanished"}, {"limit": "0"}, {"limit": "201"}, {"cursor": "x"},
        {"from": "yesterday"}, {"linked": "perhaps"}, {"email": "ann"}, {"colour": "red"},
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_it_refuses_what_it_does_not_know(api, refused, query):
    refused(api("GET", PATH, query=query), 400, "invalid_request")


def test_a_payload_that_is_no_text_is_shown_all_the_same(api):
    report(b"\xff\xfe\0nonsense")
    [event] = events(api("GET", PATH))
    assert "nonsense" in event["raw_payload"]
    assert (event["event_type"], event["status"]) == (None, "dead_letter")

"""POST /v1/webhooks/events: maild's own format."""

import dataclasses
import json
import time

import pytest

from maild import config
from maild.models import ProviderEvent, Suppression, WebhookPayload, WebhookTally
from maild.services import intake, payloads
from tests.api.reporting import COMPLAINT, EVENTS, SECRET, count_stored, post, read, sign


@pytest.fixture(autouse=True)
def switched_on(database, use_settings):
    webhooks = dataclasses.replace(config.current().webhooks, enabled=True, signing_secret=SECRET)
    return use_settings(webhooks=webhooks)


def test_it_accepts_one_event(api):
    response = post(api, COMPLAINT)
    assert response.status_code == 202
    expected = {
        "status": "accepted",
        "outcome": "processed",
        "workspace_id": 1,
        "type": "complained",
        "email": "ann@example.org",
        "processed_count": 1,
        "total_count": 1,
    }
    assert expected.items() <= response.get_json().items()
    [event] = read()
    assert event.status.value == "applied"
    assert Suppression.get().email == "ann@example.org"


def test_it_says_of_one_event_that_it_came_before(api):
    post(api, COMPLAINT)
    told = post(api, COMPLAINT).get_json()
    assert (told["status"], told["outcome"]) == ("accepted", "duplicate")
    assert (told["processed_count"], told["duplicate_count"]) == (0, 1)


def test_it_answers_with_the_word_that_it_was_given(api):
    answer = post(api, {"type": "Hard-Bounce", "email": "ann@example.org"}).get_json()
    assert (answer["type"], answer["event_type"]) == ("Hard-Bounce", "bounced")


def test_it_counts_what_became_of_many(api):
    post(api, COMPLAINT)
    response = post(
        api,
        [
            COMPLAINT,  # once more
            {"type": "delivered", "email": "bob@example.org"},
            {"type": "delivered"},  # to whom?
            {"type": "vanished", "email": "bob@example.org"},
            {"type": "delivered", "email": "bob@example.org", "workspace_id": 999},
            {"type": "delivered", "email": "bob@example.org", "workspace_id": 2},
        ],
    )
    assert response.status_code == 202
    answer = response.get_json()
    refused = {each["index"]: each["error"] for each in answer.pop("errors")}
    assert answer == {
        "status": "accepted",
        "processed_count": 2,
        "rejected_count": 1,
        "dead_lettered_count": 2,
        "duplicate_count": 1,
        "total_count": 6,
    }
    assert list(refused) == [2, 3, 4]
    assert "email" in refused[2]
    assert "vanished" in refused[3]
    assert "999" in refused[4]


def test_each_workspace_has_its_own_entries_and_no_others(api):
    post(
        api,
        [
            {"type": "spam", "email": "ann@example.org"},
            {"type": "spam", "email": "bob@example.org", "workspace_id": 2},
        ],
    )
    read()
    found = {row.workspace_id: bytes(row.body) for row in WebhookPayload.select()}
    assert b"bob" not in found[1]
    assert b"ann" not in found[2]
    assert {(s.workspace_id, s.email) for s in Suppression.select()} == {
        (1, "ann@example.org"), (2, "bob@example.org"),
    }  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 10_000])
def test_what_cannot_be_read_is_kept(api, body):
    response = post(api, body)
    assert response.status_code == 202
    assert response.get_json()["dead_lettered_count"] == 1
    told = response.get_json()
    assert (told["status"], told["outcome"]) == ("accepted", "dead_letter")
    assert bytes(WebhookPayload.get().body) == body


def test_it_takes_a_providers_shape(api):
    bounce = {
        "RecordType": "Bounce",
        "ID": 42,
        "Type": "HardBounce",
        "Email": "ann@example.org",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Details": "smtp;550 5.1.1 unknown",
        "BouncedAt": "2026-01-01T00:00:00Z",
    }
    assert post(api, bounce).get_json()["event_type"] == "bounced"
    [event] = read()
    assert (event.provider, event.effects["suppression"]) == ("postmark", "added")


@pytest.mark.proves("I9")
@pytest.mark.parametrize(
    "change",
    [
        {"X-Webhook-Signature": "v1=" + "0" * 64},
        {"X-Webhook-Signature": ""},
        {"X-Webhook-Signature": "v2=" + "0" * 64},
        {"X-Webhook-Timestamp": ""},
        {"X-Webhook-Timestamp": "yesterday"},
        {"X-Webhook-Timestamp": str(int(time.time()) + 100)},
        {"X-Webhook-Timestamp": "９" * 10},
    ],
)
def test_a_bad_signature_changes_nothing_but_a_counter(api, refused, change):
    body = json.dumps(COMPLAINT).encode()
    response = api("POST", EVENTS, key="admin", data=body, headers=sign(body) | change)
    refused(response, 401, "bad_signature")
    assert count_stored() == 0
    assert not ProviderEvent.select().exists()
    tally = WebhookTally.get()
    assert (tally.endpoint_id, tally.refused_count) == (0, 1)


@pytest.mark.proves("feedback-signatures")
def test_a_signature_is_of_the_raw_bytes(api, refused):
    body = json.dumps(COMPLAINT).encode()
    response = api("POST", EVENTS, key=None, data=body + b" ", headers=sign(body))
    refused(response, 401, "bad_signature")


@pytest.mark.parametrize("seconds", [-400, 400])
def test_an_old_signature_is_refused(api, refused, seconds):
    refused(post(api, COMPLAINT, at=time.time() + seconds), 401, "bad_signature")


def test_one_of_several_signatures_is_enough(api):
    body = json.dumps(COMPLAINT).encode()
    headers = sign(body)
    headers["X-Webhook-Signature"] = f"v1={'0' * 64}, {headers['X-Webhook-Signature']}"
    assert api("POST", EVENTS, key=None, data=body, headers=headers).status_code == 202


def test_another_secret_is_refused(api, refused):
    refused(post(api, COMPLAINT, secret="change-me-webhook"), 401, "bad_signature")


def test_it_is_not_there_where_it_is_switched_off(api, refused, use_settings):
    webhooks = dataclasses.replace(config.current().webhooks, enabled=False)
    use_settings(webhooks=webhooks)
    document = refused(post(api, COMPLAINT), 404, "not_found")
    assert "WEBHOOKS_ENABLED" in document["detail"]


def test_it_refuses_a_body_that_is_too_large(api, refused):
    body = b" " * (intake.BODY_MAX_BYTES + 1)
    refused(post(api, body), 413, "payload_too_large")
    assert count_stored() == 0


def test_too_many_entries_are_kept_and_not_read(api):
    response = post(api, [COMPLAINT] * 1001)
    assert response.get_json()["dead_lettered_count"] == 1
    assert "1000" in response.get_json()["errors"][0]["error"]


def test_it_answers_503_without_postgres(api, refused, postgres_away):
    response = post(api, COMPLAINT)
    refused(response, 503, "unavailable")
    assert response.headers["Retry-After"]


def test_what_is_stored_survives_where_reading_fails(api, monkeypatch):
    """The process dies after it has stored the event: a worker reads it."""
    monkeypatch.setattr(payloads, "read", lambda rows: 1 / 0)
    monkeypatch.setattr(api.client.application, "testing", False)
    assert post(api, COMPLAINT).status_code == 500
    monkeypatch.undo()
    WebhookPayload.update(next_attempt_at=WebhookPayload.created_at).execute()
    [event] = read()
    assert event.status.value == "applied"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_it_refuses_other_methods(api, refused, method):
    refused(api(method, EVENTS, key=None), 405, "method_not_allowed")


@pytest.mark.parametrize("named", [3_000_000_000, 0, -1, "2", 2.5, True, [1]])
def test_an_entry_that_names_what_is_no_workspace_belongs_to_nobody(api, refused, named):
    """Nothing of the request was taken, and its sender must know."""
    document = refused(post(api, {**COMPLAINT, "workspace_id": named}), 422, "invalid_fields", "0")
    assert "workspace_id" in document["detail"]
    assert count_stored() == 0


@pytest.mark.parametrize("entry", ["text", 3, None, True])
def test_an_entry_that_is_no_object_is_told_so(api, entry):
    answer = post(api, [COMPLAINT, entry]).get_json()
    assert answer["errors"] == [{"index": 1, "error": "an entry is not an object"}]


def test_an_entry_that_tells_of_nothing_counts_all_the_same(api):
    confirmed = {"Type": "Notification", "Message": "Successfully validated SNS topic", "x": 1}
    answer = post(api, confirmed).get_json()
    assert answer["total_count"] == 1

"""GET /v1/messages/timeline."""

import uuid
from datetime import datetime

import pytest

from maild.domain.states import Status
from maild.models import Event, Message

ATTEMPT_FIELDS = {
    "attempt_no", "status", "smtp_account", "remote", "started_at", "finished_at", "duration_ms",
    "success", "excused", "stage", "smtp_code", "enhanced_code", "response", "error_class",
    "timings",
}  # fmt: skip


def get(api, message, **query):
    return api("GET", "/v1/messages/timeline", query={"message_id": str(message.id), **query})


def test_it_tells_of_a_message_that_waits(api, accept):
    message = accept()
    response = get(api, message)
    assert response.status_code == 200
    answer = response.get_json()
    assert answer["message"] == api("GET", f"/v1/messages/{message.id}").get_json()
    assert answer["attempts"] == []
    [event] = answer["events"]
    assert set(event) == {"id", "type", "data", "created_at"}
    assert event["type"] == "message.accepted"
    assert event["created_at"].endswith("Z")


@pytest.mark.proves("explain-timeline")
def test_it_tells_of_an_attempt(api, accept, inbox, deliver):
    message = accept()
    assert deliver() == 1
    answer = get(api, message).get_json()
    assert (answer["message"]["status"], answer["message"]["attempt_count"]) == ("sent", 1)
    [attempt] = answer["attempts"]
    assert set(attempt) >= ATTEMPT_FIELDS
    assert (attempt["attempt_no"], attempt["success"], attempt["status"]) == (1, True, "sent")
    assert (attempt["smtp_code"], attempt["error_class"]) == (250, None)
    assert attempt["remote"] == str(inbox.smtp)
    started, finished = (
        datetime.fromisoformat(attempt[name]) for name in ("started_at", "finished_at")
    )
    assert started <= finished
    assert attempt["started_at"].endswith("Z")
    assert attempt["duration_ms"] >= 0
    assert [event["type"] for event in answer["events"]] == ["message.accepted", "message.sent"]


def test_it_tells_why_a_message_failed(api, accept, inbox, deliver):
    message = accept(to_email="permfail@example.org")
    deliver()
    answer = get(api, message).get_json()
    assert answer["message"]["status"] == "failed"
    [attempt] = answer["attempts"]
    assert not attempt["success"]
    assert 500 <= attempt["smtp_code"] < 600
    assert attempt["response"]
    assert attempt["error_class"] == answer["message"]["error_class"]
    assert [event["type"] for event in answer["events"]] == ["message.accepted", "message.failed"]


def test_it_tells_of_a_deferred_message(api, accept, inbox, deliver):
    message = accept(to_email="tempfail@example.org")
    deliver()
    answer = get(api, message).get_json()
    assert answer["message"]["status"] == "queued"
    assert answer["message"]["next_attempt_at"] > answer["message"]["created_at"]
    assert 400 <= answer["attempts"][0]["smtp_code"] < 500
    assert [e["type"] for e in answer["events"]] == ["message.accepted", "message.deferred"]


def test_it_tells_of_the_attempt_under_way(api, accept):
    message = accept()
    Message.update(
        status=Status.SENDING,
        worker_id=uuid.uuid4(),
        next_attempt_at=None,
        attempt_count=1,
        smtp_account_name="eu",
    ).where(Message.id == message.id).execute()
    [attempt] = get(api, message).get_json()["attempts"]
    assert (attempt["attempt_no"], attempt["status"], attempt["smtp_account"]) == (
        1, "started", "eu",
    )  # fmt: skip
    assert (attempt["success"], attempt["excused"], attempt["finished_at"]) == (
        False, False, None,
    )  # fmt: skip


@pytest.mark.proves("explain-timeline")
def test_it_tells_what_happened_to_providers_meanwhile(api, accept):
    message = accept()
    for workspace_id in (1, 2):
        Event.insert(
            workspace=workspace_id,
            type="provider.failed_over",
            data={"smtp_account": f"of {workspace_id}", "to": "us"},
        ).execute()
    events = get(api, message).get_json()["events"]
    assert [e["type"] for e in events] == ["message.accepted", "provider.failed_over"]
    assert events[1]["data"] == {"smtp_account": "of 1", "to": "us"}


def test_it_tells_of_this_message_alone(api, accept):
    first, _second = accept(), accept()
    assert len(get(api, first).get_json()["events"]) == 1


def test_another_workspaces_message_is_404(api, refused, accept):
    foreign = accept(workspace_id=2)
    refused(get(api, foreign), 404, "not_found")
    refused(get(api, foreign, workspace_id=1), 404, "not_found")
    assert get(api, foreign, workspace_id=2).status_code == 200


@pytest.mark.parametrize("text", ["1", "nonsense", "\0", "' OR 1=1 --"])
def test_what_is_no_id_is_404(api, refused, text):
    response = api("GET", "/v1/messages/timeline", query={"message_id": text})
    refused(response, 404, "not_found")


def test_it_needs_a_message_id(api, refused):
    refused(api("GET", "/v1/messages/timeline"), 400, "invalid_request", "message_id")


def test_it_refuses_an_unknown_parameter(api, refused, accept):
    refused(get(api, accept(), limit=5), 400, "invalid_request", "limit")

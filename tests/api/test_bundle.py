"""GET /v1/incidents/bundle."""

import pytest

from maild.domain.actor import Actor
from maild.domain.states import Status
from maild.models import ProviderEvent, WebhookPayload
from maild.services import interventions
from tests.counting import count_statements

PATH = "/v1/incidents/bundle"
KEYS = {
    "workspace_id", "message_id", "generated_at", "webhook_window_from", "webhook_window_to",
    "message", "attempts", "webhook_outcomes", "summary", "decision", "events", "policy",
    "provider_states", "audit",
}  # fmt: skip


def get(api, message_id, **more):
    key = more.pop("key", "admin")
    return api("GET", PATH, query={"message_id": str(message_id), **more}, key=key)


@pytest.fixture
def report(database):
    """Write what a provider has reported."""

    def write(**fields):
        payload = WebhookPayload.create(
            workspace=1, provider="generic", endpoint_id=None, content_type="application/json",
            headers={}, body=b"{}", status="read",
        )  # fmt: skip
        return ProviderEvent.create(
            workspace=1, payload=payload, provider="generic", position=0, report={"a": 1},
            **{"status": "applied", "event_type": "delivered", **fields},
        )  # fmt: skip

    return write


def test_it_holds_all_of_a_message_that_was_sent(api, accept, inbox, deliver):
    message = accept(metadata={"order": 7})
    assert deliver() == 1
    response = get(api, message.id)
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert f'filename="message-{message.id}.json"' in response.headers["Content-Disposition"]
    bundle = response.get_json()
    assert set(bundle) == KEYS
    assert bundle["message_id"] == bundle["message"]["id"] == str(message.id)
    assert bundle["message"]["status"] == "sent"
    assert bundle["message"]["metadata"] == {"order": 7}
    [attempt] = bundle["attempts"]
    assert (attempt["smtp_code"], attempt["success"]) == (250, True)
    assert attempt["timings"]["final_dot"] >= 0
    assert [event["type"] for event in bundle["events"]] == ["message.accepted", "message.sent"]
    assert [record["stage"] for record in bundle["decision"]] == ["accept", "send"]
    assert bundle["summary"] == {
        "attempted_sends": 1,
        "failed_attempts": 0,
        "related_webhook_outcomes": 0,
        "dead_letter_webhooks": 0,
    }
    assert bundle["policy"]["version_in_force"] == 0
    [account] = bundle["provider_states"]
    assert (account["smtp_account"], account["breaker"]["state"]) == ("default", "closed")
    assert bundle["webhook_window_from"] == bundle["message"]["created_at"]
    assert bundle["webhook_window_to"] == bundle["generated_at"]


def test_it_tells_the_same_as_the_timeline(api, accept, inbox, deliver):
    message = accept()
    deliver()
    bundle = get(api, message.id).get_json()
    timeline = api("GET", "/v1/messages/timeline", query={"message_id": str(message.id)}).get_json()
    for part in ("attempts", "events", "decision"):
        assert bundle[part] == timeline[part], part


def test_it_holds_what_was_reported_of_it_and_unlinked_of_its_recipient(api, accept, report):
    message, other = accept(to_email="Ann@example.org"), accept(to_email="ann@example.org")
    own = report(message_id=message.id, email="ann@example.org")
    dead = report(email="ann@example.org", status="dead_letter", event_type="returned")
    report(message_id=other.id, email="ann@example.org")
    report(email="bob@example.org")
    bundle = get(api, message.id).get_json()
    assert [one["id"] for one in bundle["webhook_outcomes"]] == [own.id, dead.id]
    assert bundle["summary"]["related_webhook_outcomes"] == 2
    assert bundle["summary"]["dead_letter_webhooks"] == 1


def test_it_tells_what_people_did_to_it_and_not_from_where(api, accept):
    message, other = accept(), accept()
    olaf = Actor("olaf@a.example", ip="192.0.2.77")
    interventions.hold(1, [str(message.id)], by=olaf, reason="wrong price")
    interventions.hold(1, [str(other.id)], by=olaf, reason="another")
    response = get(api, message.id)
    [entry] = response.get_json()["audit"]
    assert (entry["actor"], entry["action"], entry["reason"]) == (
        "olaf@a.example",
        "messages.held",
        "wrong price",
    )
    assert "192.0.2.77" not in response.text


def test_it_holds_neither_the_content_nor_credentials(api, accept):
    account = {
        "name": "eu", "host": "smtp.example.com", "port": 587, "from_email": "shop@example.com",
        "security": "starttls", "username": "mailer", "password": "hunter2 hunter2",
    }  # fmt: skip
    assert api("POST", "/v1/smtp-accounts", json=account).status_code == 201
    message = accept(body_text="Your code is 4711-0815.")
    text = get(api, message.id).text
    assert '"smtp_account":"eu"' in text
    for secret in ("4711-0815", "hunter2", "mailer"):
        assert secret not in text


@pytest.mark.parametrize(
    "message_id", ["00000000-0000-7000-8000-000000000000", "nothing", "x" * 300]
)
def test_it_knows_no_such_message(api, message_id):
    assert get(api, message_id).status_code == 404


def test_another_workspaces_message_is_not_there(api, accept, make_key):
    message = accept()
    assert get(api, message.id, key=make_key("admin", workspace_id=2)).status_code == 404
    assert get(api, message.id, workspace_id=2).status_code == 404


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 200), ("operator", 200), ("admin", 200), ("sender", 403)]
)
def test_who_may_read_it(api, accept, make_key, role, status):
    assert get(api, accept().id, key=make_key(role)).status_code == status


def test_it_wants_a_message_id_and_nothing_else(api, accept):
    assert api("GET", PATH).status_code == 400
    assert get(api, accept().id, colour="red").status_code == 400


def test_it_asks_no_more_often_for_more_events(api, accept, move_on):
    few, many = accept(), accept()
    move_on(many)
    get(api, few.id)
    assert count_statements(lambda: get(api, many.id)) <= count_statements(lambda: get(api, few.id))


@pytest.fixture
def move_on(database):
    """Hold and release a message a few times."""

    def do(message):
        olaf = Actor("olaf@a.example")
        for _ in range(3):
            interventions.hold(1, [str(message.id)], by=olaf, reason="x")
            interventions.release(1, [str(message.id)], by=olaf)
        message = type(message).get_by_id(message.id)
        assert message.status is Status.QUEUED

    return do

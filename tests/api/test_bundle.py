"""GET /v1/incidents/bundle."""

import email
import email.policy
import hashlib
import io
import zipfile

import pytest

from maild import __version__, clock
from maild.api import schemas
from maild.domain import bundle_check
from maild.domain.actor import Actor
from maild.domain.incident import IncidentKind, Severity
from maild.domain.mime import Attachment
from maild.domain.smtp_reply import Stage
from maild.domain.states import Status, Stream
from maild.models import (
    Breaker,
    Event,
    IncidentMessage,
    IncidentSignal,
    ProviderEvent,
    WebhookPayload,
)
from maild.services import incident_signals, incidents, interventions
from tests.counting import count_statements

PATH = "/v1/incidents/bundle"
KEYS = {
    "workspace_id", "message_id", "generated_at", "webhook_window_from", "webhook_window_to",
    "message", "attempts", "webhook_outcomes", "summary", "decision", "events", "policy",
    "provider_states", "audit", "format", "generated_by", "incident_id", "dialogues", "raw",
    "policies", "caps", "left_out", "removed", "sha256",
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


def test_it_holds_the_mail_and_no_credentials(api, accept):
    account = {
        "name": "eu", "host": "smtp.example.com", "port": 587, "from_email": "shop@example.com",
        "security": "starttls", "username": "mailer", "password": "hunter2 hunter2",
    }  # fmt: skip
    assert api("POST", "/v1/smtp-accounts", json=account).status_code == 201
    link = f"https://m.example/reset/{'Ab3-_' * 8}xyz"
    message = accept(
        body_text=f"Grüße! Your code is 4711. {link}",
        stream=Stream.MARKETING,
        metadata={"api_key": "abc", "note": f"see {link}"},
    )
    response = get(api, message.id)
    bundle, raw = response.get_json(), response.get_json()["raw"]
    assert "Your code is 4711" in parse(raw).get_content()
    assert "/reset/[removed]" in parse(raw).get_content()
    assert "/u/not-shown>" in raw["content"]
    assert raw["sha256"] == hashlib.sha256(raw["content"].encode()).hexdigest()
    assert raw["removed"] == ["one_time_links", "unsubscribe_tokens"]
    assert bundle["message"]["metadata"]["api_key"] == "[removed]"
    assert len(bundle["removed"]) == 3
    assert [one["smtp_account"] for one in bundle["provider_states"]] == ["default", "eu"]
    for secret in ("hunter2", "mailer", "Ab3-_Ab3-_"):
        assert secret not in response.text


def parse(raw):
    return email.message_from_string(raw["content"], policy=email.policy.default)


@pytest.mark.proves("explain-bundle")
def test_it_is_sealed_and_checked_offline_in_both_forms(api, accept, inbox, deliver):
    message = accept(attachments=(Attachment("a.txt", "text/plain", b"x" * 100),))
    deliver()
    for form, media in (("json", "application/json"), ("zip", "application/zip")):
        response = get(api, message.id, format=form)
        assert (response.status_code, response.mimetype) == (200, media)
        verdict = bundle_check.check(response.data, version=__version__)
        assert verdict.is_genuine, verdict.problems
        assert verdict.about == f"message {message.id} of workspace 1"
    schemas.BundleOut.model_validate(get(api, message.id).get_json())
    tampered = get(api, message.id).data.replace(b'"status": "sent"', b'"status": "lost"', 1)
    assert not bundle_check.check(tampered).is_genuine


def test_it_tells_the_dialogue_and_the_policies_of_each_decision(api, accept, inbox, deliver):
    change = {"rate_limit_domain_per_hour": 500, "reason": "more room"}
    first = accept()
    assert api("POST", "/v1/workspaces/policy", json=change).status_code in {200, 201}
    deliver()
    bundle = get(api, first.id).get_json()
    [dialogue] = bundle["dialogues"]
    steps = {one["step"]: one for one in dialogue["steps"]}
    assert list(steps) == [s.value for s in Stage if s.value in steps], "in their order"
    assert steps["final_dot"]["smtp_code"] == 250
    assert steps["final_dot"]["reply"].startswith("250 2.0.0 ")
    assert steps["mail_from"]["ms"] >= 0
    assert [one["version"] for one in bundle["policies"]] == [0, 1]
    assert bundle["policies"][1]["rules"]["rate_limit_domain_per_hour"] == 500


def test_a_large_mail_comes_without_its_attachments(api, accept):
    big = Attachment("a.bin", "application/octet-stream", b"x" * 1_100_000)
    raw = get(api, accept(attachments=(big,)).id).get_json()["raw"]
    assert raw["has_attachments_left_out"] is True
    assert raw["is_cut"] is False
    assert 'filename="a.bin"' in raw["content"]
    assert "Hello Ann." in raw["content"]
    raw = get(api, accept(body_text="long line\n" * 200_000).id).get_json()["raw"]
    assert raw["is_cut"] is True
    assert raw["size_bytes"] <= 1024 * 1024


def test_of_the_instances_account_it_tells_no_words_of_a_server(api, accept, database):
    message = accept()
    said = "550 bob@elsewhere.example is unknown"
    told = {"smtp_account": "default", "error_class": "auth", "reason": said, "tries": 9}
    Event.insert(workspace=None, type="provider.breaker_opened", data=told).execute()
    Breaker.insert(
        account_id=0, state="open", reason=said, error_class="auth", opened_at=clock.now(),
        retry_at=clock.now(),
    ).execute()  # fmt: skip
    response = get(api, message.id)
    assert said not in response.text
    [event] = [e for e in response.get_json()["events"] if e["type"].startswith("provider.")]
    assert event["data"] == {"smtp_account": "default", "error_class": "auth"}
    assert response.get_json()["provider_states"][0]["breaker"]["error_class"] == "auth"


# Of an incident


@pytest.fixture
def incident(accept, inbox, deliver):
    """One of two messages, opened by hand, with a note."""
    messages = [accept(subject=f"Parcel {n}") for n in range(2)]
    deliver()
    olaf = Actor("olaf@a.example", ip="192.0.2.77")
    opened = incidents.open_by_hand(1, messages[0].id, title="Odd replies", by=olaf)
    incidents.note(1, opened.id, text="Ask the provider.", by=olaf)
    [signal] = IncidentSignal.select().where(IncidentSignal.incident == opened.id)
    IncidentMessage.insert(signal=signal.id, message=messages[1].id).execute()
    return incidents.get(1, opened.id)


def of_incident(api, incident_id, **more):
    key = more.pop("key", "admin")
    return api("GET", PATH, query={"incident_id": str(incident_id), **more}, key=key)


def test_it_holds_all_of_an_incident(api, incident):
    response = of_incident(api, incident.id)
    assert response.status_code == 200
    assert f'filename="incident-{incident.id}.json"' in response.headers["Content-Disposition"]
    bundle = response.get_json()
    schemas.IncidentBundleOut.model_validate(bundle)
    assert (bundle["incident_id"], bundle["message_id"]) == (incident.id, None)
    assert bundle["incident"]["title"] == "Odd replies"
    assert {"opened", "note"} <= {entry["kind"] for entry in bundle["timeline"]}
    assert [one["action"] for one in bundle["audit"]] == ["incident.opened", "incident.noted"]
    subjects = [one["message"]["subject"] for one in bundle["messages"]]
    assert subjects == ["Parcel 1", "Parcel 0"]
    for one in bundle["messages"]:
        assert one["attempts"][0]["smtp_code"] == 250
        assert [event["type"] for event in one["events"]] == ["message.accepted", "message.sent"]
        assert "Hello Ann." in one["raw"]["content"]
    assert bundle["messages_by_status"] == {"sent": 2}
    assert bundle["summary"]["attempted_sends"] == 2
    assert "192.0.2.77" not in response.text


def test_an_incidents_zip_reads_like_a_story(api, incident):
    content = of_incident(api, incident.id, format="zip").data
    assert bundle_check.check(content).about == f"incident {incident.id} of workspace 1"
    assert bundle_check.check(content, version=__version__).is_genuine
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names, readme = archive.namelist(), archive.read("README.txt").decode()
    assert sum(name.endswith(".eml") for name in names) == 2
    for words in ("Odd replies", "Ask the provider.", "Likely cause:"):
        assert words in readme


def test_of_the_instances_account_an_incident_tells_no_words_of_a_server(api):
    said = "550 bob@elsewhere.example is unknown"
    for key in ("breaker 0", "another"):
        opened = incident_signals.raise_state(
            1, kind=IncidentKind.PROVIDER, key=key, title="“default” fails",
            severity=Severity.MAJOR, detail={"error_class": "auth", "reason": said},
            smtp_account="default",
        )  # fmt: skip
    response = of_incident(api, opened.id)
    assert [one["kind"] for one in response.get_json()["timeline"]] == ["opened", "signal_joined"]
    assert said not in response.text


def test_more_messages_of_an_incident_take_no_more_statements(api, accept, incident):
    few = count_statements(lambda: of_incident(api, incident.id))
    signal = IncidentSignal.get(IncidentSignal.incident == incident.id)
    for _ in range(30):
        IncidentMessage.insert(signal=signal.id, message=accept().id).execute()
    assert count_statements(lambda: of_incident(api, incident.id)) <= few
    assert len(of_incident(api, incident.id).get_json()["messages"]) == 20


@pytest.mark.parametrize("incident_id", ["0", "2147483647", "99999999999999", "x", "-1", "\u0661"])
def test_it_knows_no_such_incident(api, incident, incident_id):
    assert of_incident(api, incident_id).status_code == 404


def test_another_workspaces_incident_is_not_there(api, incident, make_key):
    foreign = of_incident(api, incident.id, key=make_key("admin", workspace_id=2))
    unknown = of_incident(api, 2147483647, key=make_key("admin", workspace_id=2))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.get_json()["detail"] == unknown.get_json()["detail"]


def test_it_wants_one_of_the_two(api, accept, incident):
    both = {"message_id": str(accept().id), "incident_id": str(incident.id)}
    assert api("GET", PATH, query=both).status_code == 400
    assert of_incident(api, incident.id, format="pdf").status_code == 400


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

"""POST /v1/webhooks/providers/...: each provider's own format and signature, by its own address."""

import hashlib
import hmac
import json
import time

import pytest

from maild import log
from maild.domain.actor import SYSTEM
from maild.models import Suppression, WebhookEndpoint, WebhookPayload, WebhookTally
from maild.services import intake, webhook_endpoints, webhook_secrets
from maild.transports.webhooks import PROVIDERS
from tests.api.reporting import basic, count_stored, endpoint, path_of, read

DELIVERY = {
    "RecordType": "Delivery",
    "Recipient": "ann@example.org",
    "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
    "DeliveredAt": "2026-01-01T00:00:00Z",
}


def send(api, row: WebhookEndpoint, body=DELIVERY, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    all_headers = {"Content-Type": "application/json", **headers}
    return api("POST", path_of(row), key=None, data=data, headers=all_headers)


def mailersend(body: bytes, secret: str) -> dict[str, str]:
    return {"Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def test_it_stores_what_came_and_answers_202(api):
    row = endpoint("postmark")
    response = send(api, row)
    assert (response.status_code, response.get_json()) == (202, {"status": "accepted"})
    payload = WebhookPayload.get()
    assert json.loads(bytes(payload.body)) == DELIVERY
    assert (payload.workspace_id, payload.endpoint_id) == (1, row.id)
    [event] = read()
    assert (event.provider, event.event_type, event.smtp_account_name) == (
        "postmark", "delivered", "default",
    )  # fmt: skip


def test_its_workspace_is_the_endpoints(api):
    send(api, endpoint("postmark", workspace_id=2))
    [event] = read()
    assert event.workspace_id == 2


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_an_unsigned_request_to_a_provider_that_signs_is_refused(api, refused, provider):
    topic = {"topic_arn": "arn:aws:sns:eu-west-1:123456789012:mail"} if provider == "ses" else {}
    row = endpoint(provider, **topic)
    response = send(api, row, [])
    if PROVIDERS[provider].SIGNS:
        refused(response, 401, "bad_signature")
        assert count_stored() == 0
        tally = WebhookTally.get()
        assert (tally.endpoint_id, tally.refused_count) == (row.id, 1)
        assert WebhookEndpoint.get().last_refusal
    else:
        assert response.status_code == 202


@pytest.mark.proves("feedback-signatures")
def test_a_signature_is_checked_on_the_raw_bytes(api, refused):
    row = endpoint("mailersend", signing_secret="the-secret")
    body = b'{"type": "activity.sent",  "data": {}}'
    assert send(api, row, body, **mailersend(body, "the-secret")).status_code == 202
    refused(send(api, row, body + b" ", **mailersend(body, "the-secret")), 401, "bad_signature")


@pytest.mark.proves("feedback-signatures")
def test_two_secrets_are_valid_during_a_rotation(api, refused):
    row = endpoint("mailersend", signing_secret="old-secret")
    webhook_secrets.add(1, row.id, kind="signing", value="new-secret", by=SYSTEM)
    for secret in ("old-secret", "new-secret"):
        body = json.dumps({"type": "activity.sent", "data": {"id": secret}}).encode()
        assert send(api, row, body, **mailersend(body, secret)).status_code == 202
    webhook_secrets.add(1, row.id, kind="signing", value="newest", old_valid_seconds=0, by=SYSTEM)
    refused(send(api, row, body, **mailersend(body, "new-secret")), 401, "bad_signature")


def test_basic_authentication_is_checked_where_it_is_set(api, refused):
    row = endpoint("postmark", basic_auth=("mail", "secret"))
    refused(send(api, row), 401, "bad_signature")
    refused(send(api, row, **basic("mail", "wrong")), 401, "bad_signature")
    assert send(api, row, **basic("mail", "secret")).status_code == 202


def test_mandrill_signs_the_address_that_it_was_given(api, refused):
    import base64
    from urllib.parse import urlencode

    row = endpoint("mandrill", signing_secret="key")
    events = json.dumps([{"event": "send", "_id": "1", "msg": {"email": "ann@example.org"}}])
    signed = webhook_endpoints.url_of(row) + "mandrill_events" + events
    digest = hmac.new(b"key", signed.encode(), hashlib.sha1).digest()
    headers = {
        "X-Mandrill-Signature": base64.b64encode(digest).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = urlencode({"mandrill_events": events}).encode()
    assert send(api, row, body, **headers).status_code == 202
    [event] = read()
    assert event.event_type == "sent"


def test_what_the_event_is_known_by_may_be_in_a_header(api):
    row = endpoint("resend", basic_auth=("u", "p"))
    body = {"type": "email.delivered", "data": {"email_id": "x", "to": ["ann@example.org"]}}
    for _ in range(2):
        send(api, row, body, **{"svix-id": "msg_1", **basic("u", "p")})
    assert [event.status.value for event in read()] == ["ignored", "duplicate"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_provider_may_ask_whether_it_is_there(api, refused, method):
    row = endpoint("mandrill")
    assert api(method, path_of(row), key=None).status_code == 200
    assert api(method, path_of(row)[:-3] + "abc", key=None).status_code == 404


@pytest.mark.parametrize("token", ["x", "A" * 43, "😀" * 10, "..%2f"])
def test_a_wrong_token_is_404(api, refused, database, token):
    response = api("POST", f"/v1/webhooks/providers/postmark/{token}", key=None, data=b"{}")
    refused(response, 404, "not_found")
    assert count_stored() == 0


def test_the_token_of_another_provider_is_404(api, refused):
    path = path_of(endpoint("postmark")).replace("/postmark/", "/sendgrid/")
    refused(api("POST", path, key=None, data=b"{}"), 404, "not_found")


def test_the_token_of_a_deleted_endpoint_is_404(api, refused):
    row = endpoint("postmark")
    path = path_of(row)
    webhook_endpoints.delete(1, row.id, by=SYSTEM)
    refused(api("POST", path, key=None, data=b"{}"), 404, "not_found")


def test_what_came_is_kept_when_its_endpoint_is_deleted(api):
    row = endpoint("postmark")
    send(api, row)
    webhook_endpoints.delete(1, row.id, by=SYSTEM)
    [event] = read()
    assert event.event_type == "delivered"


def test_a_body_that_is_too_large_is_refused(api, refused):
    row = endpoint("postmark")
    response = send(api, row, b" " * (intake.BODY_MAX_BYTES + 1))
    refused(response, 413, "payload_too_large")
    assert count_stored() == 0


@pytest.mark.proves("bad-webhooks")
@pytest.mark.parametrize("body", [b"", b"nonsense", b"\xff\0", b"{}", b"[[[["])
def test_nonsense_is_kept_and_harms_nobody(api, body):
    row = endpoint("postmark")
    assert send(api, row, body).status_code == 202
    assert len(read()) <= 1
    assert send(api, row).status_code == 202
    assert read()[-1].event_type == "delivered"


def test_tokens_stay_out_of_the_log(api, capsys, logging_as_before):
    log.configure("DEBUG", fmt="json")
    row = endpoint("postmark")
    path = path_of(row)
    send(api, row)
    printed = "".join(capsys.readouterr())
    assert "/v1/webhooks/providers/..." in printed
    assert path.rpartition("/")[2] not in printed


def test_it_answers_503_without_postgres(api, refused, postgres_away):
    response = api("POST", f"/v1/webhooks/providers/postmark/{'A' * 43}", key=None, data=b"{}")
    refused(response, 503, "unavailable")


def test_a_mailgun_signature_of_long_ago_is_refused(api, refused):
    row = endpoint("mailgun", signing_secret="key")

    def body(at: float) -> dict:
        timestamp, token = str(int(at)), "t" * 50
        digest = hmac.new(b"key", f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
        signature = {"timestamp": timestamp, "token": token, "signature": digest}
        return {"signature": signature, "event-data": {"event": "delivered", "id": "1"}}

    assert send(api, row, body(time.time())).status_code == 202
    refused(send(api, row, body(time.time() - 200_000)), 401, "bad_signature")


def test_a_mailgun_signature_that_was_seen_cannot_say_something_else(api):
    row = endpoint("mailgun", signing_secret="key")
    timestamp, token = str(int(time.time())), "t" * 50
    digest = hmac.new(b"key", f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    signature = {"timestamp": timestamp, "token": token, "signature": digest}

    def body(event: str, recipient: str) -> dict:
        data = {"event": event, "id": event, "recipient": recipient}
        return {"signature": signature, "event-data": data}

    assert send(api, row, body("delivered", "ann@example.org")).status_code == 202
    assert send(api, row, body("complained", "victim@example.org")).status_code == 202
    assert [event.status.value for event in read()] == ["ignored", "duplicate"]
    assert not Suppression.select().exists()

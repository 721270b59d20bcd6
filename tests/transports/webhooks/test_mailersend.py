"""MailerSend: its signature, its test request, and both versions of its payload."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import mailersend
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
BODY = b'{"type": "activity.sent", "data": {"type": "sent"}}'
PING = b'{"type": "webhook.test", "message": "hello", "created_at": "2026-11-28T09:00:00Z"}'


def signed(body=BODY, *, secret="secret", signed_body=None):
    digest = hmac.new(
        secret.encode(), body if signed_body is None else signed_body, hashlib.sha256
    ).hexdigest()
    return Request(body=body, headers={"signature": digest}, received_at=NOW)


def parse(record):
    return mailersend.parse(Request(body=json.dumps(record).encode(), received_at=NOW))


def version_1(kind, **data):
    return {
        "type": f"activity.{kind}",
        "created_at": "2026-11-28T09:59:59Z",
        "data": {
            "id": "activity-1",
            "type": kind,
            "created_at": "2026-11-28T10:00:00.250000Z",
            "email": {
                "message": {"id": "message-1"},
                "recipient": {"email": "ann@example.com"},
                "tags": ["news"],
            },
            **data,
        },
    }


def version_2(kind, **data):
    return {
        "type": f"activity.{kind}",
        "created_at": "2026-11-28T10:00:00.250000Z",
        "data": {
            "id": "activity-1",
            "message_id": "message-1",
            "type": kind,
            "email": "ann@example.com",
            "tags": ["news"],
            "meta": [],
            **data,
        },
    }


def test_a_signed_request_passes_with_any_secret_of_a_rotation():
    mailersend.verify(signed(), Keys(signing=("secret",)))
    mailersend.verify(signed(), Keys(signing=("newer", "secret")))


@pytest.mark.parametrize(
    "request_",
    [
        signed(secret="wrong"),
        signed(signed_body=b"{}"),
        Request(body=BODY, received_at=NOW),
        Request(body=BODY, headers={"signature": "ключ"}, received_at=NOW),
        signed(secret=mailersend.PING_SECRET),
    ],
    ids=["key", "body", "missing", "letters", "the public secret"],
)
def test_what_is_not_signed_with_the_secret_is_refused(request_):
    with pytest.raises(BadSignature, match="signature"):
        mailersend.verify(request_, Keys(signing=("secret", "")))


def test_without_any_secret_everything_is_refused():
    with pytest.raises(BadSignature, match="no secret is set"):
        mailersend.verify(signed(), Keys())


def test_basic_authentication_counts_beside_a_signature():
    with pytest.raises(BadSignature, match="basic"):
        mailersend.verify(signed(), Keys(signing=("secret",), basic_auth=("ann:pw",)))


def test_the_test_request_passes_before_there_is_a_secret_and_holds_no_event():
    request = signed(PING, secret=mailersend.PING_SECRET)
    mailersend.verify(request, Keys())
    mailersend.verify(request, Keys(signing=("secret",)))
    assert mailersend.parse(request) == []
    mailersend.verify(signed(PING), Keys(signing=("secret",)))
    with pytest.raises(BadSignature):
        mailersend.verify(signed(PING, secret="wrong"), Keys(signing=("secret",)))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"type": ["webhook.test"]}', b"\xff"])
def test_the_public_secret_proves_nothing_else(body):
    with pytest.raises(BadSignature):
        mailersend.verify(signed(body, secret=mailersend.PING_SECRET), Keys(signing=("secret",)))


@pytest.mark.parametrize("version", [version_1, version_2])
@pytest.mark.parametrize(
    ("kind", "event_type", "reason", "is_hard"),
    [
        ("sent", ProviderEventType.SENT, None, None),
        ("delivered", ProviderEventType.DELIVERED, None, None),
        ("deferred", ProviderEventType.DEFERRED, None, None),
        ("soft_bounced", ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
        ("hard_bounced", ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
        ("suppressed", ProviderEventType.REJECTED, RejectReason.BLOCKED, None),
        ("spam_complaint", ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
        ("unsubscribed", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
        ("opened", ProviderEventType.OPENED, None, None),
        ("opened_unique", ProviderEventType.OPENED, None, None),
        ("clicked", ProviderEventType.CLICKED, None, None),
        ("clicked_unique", ProviderEventType.CLICKED, None, None),
        ("survey_submitted", ProviderEventType.UNKNOWN, None, None),
    ],
)
def test_each_event_means_the_same_in_both_versions(version, kind, event_type, reason, is_hard):
    record = version(kind)
    [event] = parse(record)
    assert (event.event_type, event.reject_reason, event.is_hard) == (event_type, reason, is_hard)
    assert event.recipient == "ann@example.com"
    assert event.event_id == "activity-1"
    assert event.message_id == "message-1"
    assert event.timestamp == datetime(2026, 11, 28, 10, 0, 0, 250_000, tzinfo=UTC)
    assert event.tags == ("news",)
    assert event.raw == record


def test_the_details_of_both_versions_are_told():
    [event] = parse(version_1("hard_bounced", morph={"reason": "no such host"}))
    assert event.description == "no such host"
    [event] = parse(version_1("unsubscribed", morph={"reason": "2", "readable_reason": "too many"}))
    assert event.description == "too many"
    [event] = parse(version_2("clicked", meta={"url": "https://example.com", "user_agent": "B/1"}))
    assert (event.click_url, event.user_agent) == ("https://example.com", "B/1")


def test_a_recipient_field_of_version_2_may_be_plain_text():
    record = version_2("delivered", email=None, recipient="bob@example.com")
    assert parse(record)[0].recipient == "bob@example.com"


@pytest.mark.parametrize("kind", ["maintenance.start", "recipient.on_hold_added", "sms.sent"])
def test_other_families_of_events_are_unknown(kind):
    [event] = parse({"type": kind, "data": {"type": "sent", "email": "ann@example.com"}})
    assert event.event_type is ProviderEventType.UNKNOWN


def test_incoming_mail_is_refused_with_advice():
    with pytest.raises(UnreadablePayload, match="incoming mail"):
        parse({"type": "inbound.message", "data": {}})


def test_a_body_that_is_no_object_is_unreadable():
    with pytest.raises(UnreadablePayload, match="not a JSON object"):
        parse([])

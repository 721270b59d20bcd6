"""Mailtrap: its optional signature, JSON and JSON Lines, and what its events mean."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import mailtrap
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
BODY = b'{"events": []}'


def signed(body=BODY, *, secret="secret", signed_body=None):
    digest = hmac.new(secret.encode(), signed_body or body, hashlib.sha256).hexdigest()
    return Request(body=body, headers={"mailtrap-signature": digest}, received_at=NOW)


def parse(body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return mailtrap.parse(Request(body=body, received_at=NOW))


def event_of(kind, **fields):
    [event] = parse({"events": [{"event": kind, "email": "ann@example.com", **fields}]})
    return event


def test_a_request_passes_without_any_secret():
    mailtrap.verify(Request(body=BODY, received_at=NOW), Keys())


def test_a_signed_request_passes_with_any_secret_of_a_rotation():
    mailtrap.verify(signed(), Keys(signing=("newer", "secret")))


@pytest.mark.parametrize(
    "request_",
    [
        signed(secret="wrong"),
        signed(signed_body=b"{}"),
        Request(body=BODY, received_at=NOW),
        Request(body=BODY, headers={"mailtrap-signature": "ключ"}, received_at=NOW),
    ],
    ids=["key", "body", "missing", "letters"],
)
def test_a_signature_counts_where_a_secret_is_set(request_):
    with pytest.raises(BadSignature, match="signature"):
        mailtrap.verify(request_, Keys(signing=("secret", "")))


def test_basic_authentication_counts_where_it_is_set():
    with pytest.raises(BadSignature, match="basic"):
        mailtrap.verify(signed(), Keys(signing=("secret",), basic_auth=("ann:pw",)))


@pytest.mark.parametrize(
    ("kind", "event_type", "reason", "is_hard"),
    [
        ("delivery", ProviderEventType.DELIVERED, None, None),
        ("soft_bounce", ProviderEventType.DEFERRED, RejectReason.BOUNCED, None),
        ("suspension", ProviderEventType.DEFERRED, RejectReason.BLOCKED, None),
        ("bounce", ProviderEventType.BOUNCED, RejectReason.BOUNCED, None),
        ("reject", ProviderEventType.REJECTED, RejectReason.BLOCKED, None),
        ("spam", ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
        ("spam_complaint", ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
        ("unsubscribe", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
        ("open", ProviderEventType.OPENED, None, None),
        ("click", ProviderEventType.CLICKED, None, None),
        ("activity_log.user.updated", ProviderEventType.UNKNOWN, None, None),
    ],
)
def test_each_event_has_its_meaning(kind, event_type, reason, is_hard):
    event = event_of(kind)
    assert (event.event_type, event.reject_reason, event.is_hard) == (event_type, reason, is_hard)
    assert event.recipient == "ann@example.com"


@pytest.mark.parametrize(
    ("category", "reason", "is_hard"),
    [
        ("badrecipient", RejectReason.BOUNCED, True),
        ("overquota", RejectReason.BOUNCED, False),
        ("timeout", RejectReason.TIMED_OUT, False),
        ("spam", RejectReason.SPAM, False),
        ("content", RejectReason.SPAM, False),
        ("block", RejectReason.BLOCKED, False),
        ("serverpolicy", RejectReason.BLOCKED, False),
        ("dnsFail", RejectReason.BOUNCED, False),
        ("invented tomorrow", RejectReason.BOUNCED, False),
    ],
)
def test_only_a_bad_recipient_is_a_hard_bounce(category, reason, is_hard):
    event = event_of("bounce", bounce_category=category)
    assert (event.reject_reason, event.is_hard) == (reason, is_hard)


def test_an_event_holds_what_mailtrap_tells():
    record = {
        "event": "click",
        "timestamp": 1795860000,
        "message_id": "message-1",
        "event_id": "event-1",
        "email": "ann@example.com",
        "category": "news",
        "custom_variables": {"order": 7},
        "url": "https://example.com/a",
        "user_agent": "Browser/1",
    }
    [event] = parse({"events": [record]})
    assert event.event_id == "event-1"
    assert event.message_id == "message-1"
    assert event.timestamp == datetime.fromtimestamp(1795860000, UTC)
    assert event.tags == ("news",)
    assert event.metadata == {"order": 7}
    assert event.click_url == "https://example.com/a"
    assert event.user_agent == "Browser/1"
    assert event.raw == record


def test_the_words_of_the_server_and_of_mailtrap_are_told():
    event = event_of("bounce", response="550 5.1.1 unknown", response_code=550)
    assert event.mta_response == "550 5.1.1 unknown"
    assert (
        event_of("reject", reason="Domain is not verified").description == "Domain is not verified"
    )
    assert event_of("reject", reason="unknown").description is None


def test_json_lines_are_read_line_by_line():
    events = parse(b'{"event": "open", "email": "a@x.example"}\n\n{"event": "click"}\r\n')
    assert [each.event_type for each in events] == [
        ProviderEventType.OPENED,
        ProviderEventType.CLICKED,
    ]
    [event] = parse(b'{"event": "open"}\n')
    assert event.event_type is ProviderEventType.OPENED


@pytest.mark.parametrize("body", [{}, {"events": []}, []])
def test_a_body_may_hold_no_events(body):
    assert parse(body) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"1", b'{"events": 1}', b'{"events": [1]}', b"[1]", b'{"event": "open"}\n{', b"\n\n"],
)
def test_what_holds_no_objects_is_unreadable(body):
    with pytest.raises(UnreadablePayload):
        parse(body)


def test_incoming_mail_is_refused_with_advice():
    with pytest.raises(UnreadablePayload, match="incoming mail"):
        event_of("receive")

"""Mandrill: its signature over the address and the form, and what its events mean."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import mandrill
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
URL = "https://mail.example/v1/webhooks/providers/mandrill/token"
USER = "Basic " + base64.b64encode(b"ann:pw").decode()


def request_of(events, *, url=URL, headers=None, **more):
    text = events if isinstance(events, str) else json.dumps(events)
    return Request(
        body=urlencode({"mandrill_events": text, **more}).encode(),
        content_type="application/x-www-form-urlencoded",
        headers=headers or {},
        url=url,
        received_at=NOW,
    )


def signed(events=(), *, key="key", signed_url=URL, authorization=None, **more):
    text = events if isinstance(events, str) else json.dumps(events or [{"event": "send"}])
    fields = {"mandrill_events": text, **more}
    content = signed_url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.new(key.encode(), content.encode(), hashlib.sha1).digest()
    headers = {"x-mandrill-signature": base64.b64encode(digest).decode()}
    if authorization:
        headers["authorization"] = authorization
    return request_of(text, headers=headers, **more)


def event_of(kind, msg=None, **fields):
    message = {"email": "ann@example.com", **(msg or {})}
    [event] = mandrill.parse(request_of([{"event": kind, "msg": message, **fields}]))
    return event


def test_a_signed_form_passes_with_any_key_of_a_rotation():
    mandrill.verify(signed(), Keys(signing=("key",)))
    mandrill.verify(signed(), Keys(signing=("newer", "key")))


def test_all_fields_are_signed_by_their_names_in_order():
    mandrill.verify(signed(zulu="1", alpha="2"), Keys(signing=("key",)))


def test_a_multipart_form_passes_too():
    text = '[{"event": "send"}]'
    digest = hmac.new(b"key", f"{URL}mandrill_events{text}".encode(), hashlib.sha1).digest()
    body = (
        '--limit\r\nContent-Disposition: form-data; name="mandrill_events"\r\n\r\n'
        f"{text}\r\n--limit--\r\n"
    )
    request = Request(
        body=body.encode(),
        content_type="multipart/form-data; boundary=limit",
        headers={"x-mandrill-signature": base64.b64encode(digest).decode()},
        url=URL,
        received_at=NOW,
    )
    mandrill.verify(request, Keys(signing=("key",)))
    [event] = mandrill.parse(request)
    assert event.event_type is ProviderEventType.SENT


def test_the_address_may_be_signed_with_the_user_that_mandrill_sends_along():
    url = URL.replace("https://", "https://ann:pw@")
    keys = Keys(signing=("key",), basic_auth=("ann:pw",))
    mandrill.verify(signed(signed_url=url, authorization=USER), keys)
    mandrill.verify(signed(authorization=USER), keys)
    with pytest.raises(BadSignature, match="basic"):
        mandrill.verify(signed(signed_url=url), keys)


@pytest.mark.parametrize(
    "request_",
    [
        signed(key="wrong"),
        signed(signed_url=URL + "/"),
        request_of([{"event": "send"}]),
        request_of([{"event": "spam"}], headers=signed().headers),
        request_of([{"event": "send"}], headers=signed().headers, extra="1"),
        request_of([{"event": "send"}], headers={"x-mandrill-signature": "ключ"}),
        Request(body=b"{}", content_type="application/json", url=URL, received_at=NOW),
        signed(key="test-webhook"),
    ],
    ids=["key", "address", "missing", "events", "field", "letters", "no form", "test key"],
)
def test_what_is_not_signed_with_the_key_is_refused(request_):
    with pytest.raises(BadSignature, match="signature"):
        mandrill.verify(request_, Keys(signing=("key", "")))


def test_an_odd_authorization_is_refused_without_harm():
    for odd in ("Basic ***", "Basic /w==", "Basic"):
        with pytest.raises(BadSignature):
            mandrill.verify(signed(key="wrong", authorization=odd), Keys(signing=("key",)))


def test_without_any_secret_everything_is_refused():
    with pytest.raises(BadSignature, match="no secret is set"):
        mandrill.verify(signed(), Keys())


def test_the_test_without_events_passes_before_there_is_a_key():
    request = signed("[]", key="test-webhook")
    mandrill.verify(request, Keys())
    mandrill.verify(request, Keys(signing=("key",)))
    assert mandrill.parse(request) == []


@pytest.mark.parametrize(
    ("kind", "event_type", "reason", "is_hard"),
    [
        ("send", ProviderEventType.SENT, None, None),
        ("delivered", ProviderEventType.DELIVERED, None, None),
        ("deferral", ProviderEventType.DEFERRED, None, None),
        ("soft_bounce", ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
        ("hard_bounce", ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
        ("reject", ProviderEventType.REJECTED, RejectReason.BLOCKED, None),
        ("spam", ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
        ("unsub", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
        ("open", ProviderEventType.OPENED, None, None),
        ("click", ProviderEventType.CLICKED, None, None),
        ("invented_tomorrow", ProviderEventType.UNKNOWN, None, None),
    ],
)
def test_each_event_has_its_meaning(kind, event_type, reason, is_hard):
    event = event_of(kind)
    assert (event.event_type, event.reject_reason, event.is_hard) == (event_type, reason, is_hard)
    assert event.recipient == "ann@example.com"


def test_a_bounce_is_described():
    assert (
        event_of("hard_bounce", {"bounce_description": "bad_mailbox"}).description == "bad_mailbox"
    )


@pytest.mark.parametrize(
    ("told", "reason", "is_hard"),
    [
        ("hard-bounce", RejectReason.BOUNCED, True),
        ("soft-bounce", RejectReason.BOUNCED, False),
        ("invalid", RejectReason.INVALID, True),
        ("spam", RejectReason.SPAM, False),
        ("unsub", RejectReason.UNSUBSCRIBED, False),
        ("rule", RejectReason.BLOCKED, False),
        ("invalid-sender", RejectReason.OTHER, False),
        ("invented-tomorrow", RejectReason.BLOCKED, None),
    ],
)
def test_a_rejection_says_why(told, reason, is_hard):
    for event in (
        event_of("reject", {"reject": {"reason": told}}),
        event_of("reject", reject={"reason": told}),
        event_of("reject", {"reject": None, "reject_reason": told}),
    ):
        assert (event.reject_reason, event.is_hard) == (reason, is_hard)
        assert event.description == told


def test_an_event_holds_what_mandrill_tells():
    record = {
        "event": "click",
        "_id": "message-1",
        "ts": 1795860000,
        "url": "https://example.com/a",
        "user_agent": "Browser/1",
        "msg": {
            "_id": "message-1",
            "email": "ann@example.com",
            "tags": ["news"],
            "metadata": {"order": 7},
            "smtp_events": [{"diag": "451 later"}, {"diag": "250 OK"}],
        },
    }
    [event] = mandrill.parse(request_of([record]))
    assert event.message_id == "message-1"
    assert event.timestamp == datetime.fromtimestamp(1795860000, UTC)
    assert event.click_url == "https://example.com/a"
    assert event.user_agent == "Browser/1"
    assert event.tags == ("news",)
    assert event.metadata == {"order": 7}
    assert event.mta_response == "250 OK"
    assert event.raw == record


def test_the_diagnosis_of_a_bounce_is_what_the_server_said():
    event = event_of("hard_bounce", {"diag": "smtp;550 5.1.1 unknown", "smtp_events": []})
    assert event.mta_response == "smtp;550 5.1.1 unknown"


@pytest.mark.parametrize("kind", ["blacklist", "whitelist", "allowlist"])
@pytest.mark.parametrize("field", ["reject", "entry"])
def test_a_change_of_mandrills_lists_is_kept_without_effect(kind, field):
    record = {
        "type": kind,
        "action": "add",
        field: {"email": "ann@example.com", "reason": "by hand"},
    }
    [event] = mandrill.parse(request_of([record]))
    assert event.event_type is ProviderEventType.UNKNOWN
    assert (event.recipient, event.description) == ("ann@example.com", "by hand")


def test_incoming_mail_is_refused_with_advice():
    with pytest.raises(UnreadablePayload, match="incoming mail"):
        mandrill.parse(request_of([{"event": "inbound", "msg": {}}]))


@pytest.mark.parametrize("events", ["", "{", "1", "[1]", "NaN"])
def test_events_that_are_no_objects_are_unreadable(events):
    with pytest.raises(UnreadablePayload):
        mandrill.parse(request_of(events))


def test_a_form_without_events_is_unreadable():
    request = Request(
        body=b"a=b", content_type="application/x-www-form-urlencoded", url=URL, received_at=NOW
    )
    with pytest.raises(UnreadablePayload, match="mandrill_events"):
        mandrill.parse(request)

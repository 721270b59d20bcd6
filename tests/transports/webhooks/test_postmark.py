"""Postmark's events."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import postmark
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload
from tests.transports.webhooks.builders import JSON, NOW

FIELDS = (
    *("RecordType", "Type", "SuppressSending", "SuppressionReason", "Email", "Recipient", "ID"),
    *("MessageID", "DeliveredAt", "BouncedAt", "Details", "Description", "Tag", "Metadata"),
)


def request(payload, **headers):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Request(body=body, headers=headers, received_at=NOW)


def event(**record):
    (found,) = postmark.parse(request(record))
    return found


def test_it_asks_for_nothing_where_nothing_is_set():
    postmark.verify(request({}), Keys())


def test_it_wants_basic_authentication_where_that_is_set():
    keys = Keys(basic_auth=("user:old", "user:new"))
    for secret in (b"user:old", b"user:new"):
        given = f"Basic {base64.b64encode(secret).decode()}"
        postmark.verify(request({}, authorization=given), keys)
    for headers in ({}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer user:old"}):
        with pytest.raises(BadSignature):
            postmark.verify(request({}, **headers), keys)


def test_it_reads_a_bounce_whole():
    record = {
        "RecordType": "Bounce",
        "Type": "HardBounce",
        "ID": 42,
        "MessageID": "883953f4",
        "Email": "ann@example.org",
        "Details": "smtp;550 5.1.1 no such user",
        "Description": "The server refused it.",
        "BouncedAt": "2026-11-28T08:00:00.0000000-04:00",
        "Tag": "welcome",
        "Metadata": {"order": "77"},
    }
    found = event(**record)
    assert found.event_type is ProviderEventType.BOUNCED
    assert (found.reject_reason, found.is_hard) == (RejectReason.BOUNCED, True)
    assert (found.event_id, found.message_id) == ("42", "883953f4")
    assert (found.recipient, found.timestamp) == ("ann@example.org", NOW)
    assert found.mta_response == "smtp;550 5.1.1 no such user"
    assert found.description == "The server refused it."
    assert (found.tags, found.metadata) == (("welcome",), {"order": "77"})
    assert found.raw == record


@pytest.mark.parametrize(
    ("kind", "event_type", "reason", "is_hard"),
    [
        ("HardBounce", ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
        ("SoftBounce", ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
        ("Blocked", ProviderEventType.BOUNCED, RejectReason.BLOCKED, False),
        ("SpamNotification", ProviderEventType.BOUNCED, RejectReason.SPAM, False),
        ("BadEmailAddress", ProviderEventType.REJECTED, RejectReason.INVALID, True),
        ("ManuallyDeactivated", ProviderEventType.REJECTED, RejectReason.BLOCKED, False),
        ("DMARCPolicy", ProviderEventType.REJECTED, RejectReason.BLOCKED, False),
        ("Transient", ProviderEventType.DEFERRED, None, None),
        ("DnsError", ProviderEventType.DEFERRED, None, None),
        ("SpamComplaint", ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
        ("Unsubscribe", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
        ("Subscribe", ProviderEventType.SUBSCRIBED, None, None),
        ("AutoResponder", ProviderEventType.AUTORESPONDED, None, None),
        ("AddressChange", ProviderEventType.AUTORESPONDED, None, None),
        ("SMTPApiError", ProviderEventType.FAILED, RejectReason.OTHER, None),
        ("Unknown", ProviderEventType.UNKNOWN, None, None),
        ("NewInNextVersion", ProviderEventType.UNKNOWN, None, None),
        ([], ProviderEventType.UNKNOWN, None, None),
    ],
)
def test_it_knows_each_type_of_bounce(kind, event_type, reason, is_hard):
    found = event(RecordType="Bounce", Type=kind)
    assert (found.event_type, found.reject_reason, found.is_hard) == (event_type, reason, is_hard)


@pytest.mark.parametrize(
    ("record", "event_type", "reason", "is_hard"),
    [
        ({"RecordType": "Delivery"}, ProviderEventType.DELIVERED, None, None),
        ({"RecordType": "Open"}, ProviderEventType.OPENED, None, None),
        ({"RecordType": "Click"}, ProviderEventType.CLICKED, None, None),
        ({"RecordType": "SpamComplaint"}, ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
        (
            {"RecordType": "SubscriptionChange", "SuppressSending": False},
            *(ProviderEventType.SUBSCRIBED, None, None),
        ),
        (
            {
                "RecordType": "SubscriptionChange",
                "SuppressSending": True,
                "SuppressionReason": "ManualSuppression",
            },
            *(ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
        ),
        (
            {
                "RecordType": "SubscriptionChange",
                "SuppressSending": True,
                "SuppressionReason": "HardBounce",
            },
            *(ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
        ),
        (
            {
                "RecordType": "SubscriptionChange",
                "SuppressSending": True,
                "SuppressionReason": "SpamComplaint",
            },
            *(ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
        ),
        ({"RecordType": "SubscriptionChange"}, ProviderEventType.UNKNOWN, None, None),
        ({"DeliveredAt": "2026-11-28T12:00:00Z"}, ProviderEventType.DELIVERED, None, None),
        ({"FirstOpen": True}, ProviderEventType.OPENED, None, None),
        (
            {"BouncedAt": "2026-11-28T12:00:00Z", "Type": "SoftBounce"},
            *(ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
        ),
        ({}, ProviderEventType.UNKNOWN, None, None),
    ],
)
def test_it_knows_each_record(record, event_type, reason, is_hard):
    found = event(**record)
    assert (found.event_type, found.reject_reason, found.is_hard) == (event_type, reason, is_hard)


def test_it_reads_a_click():
    found = event(
        RecordType="Click",
        Recipient="ann@example.org",
        OriginalLink="https://example.com/",
        UserAgent="Browser/1.0",
        ReceivedAt="2026-11-28T12:00:00Z",
    )
    assert (found.recipient, found.timestamp) == ("ann@example.org", NOW)
    assert (found.click_url, found.user_agent) == ("https://example.com/", "Browser/1.0")


@pytest.mark.parametrize("record", [{"RecordType": "Inbound"}, {"RawEmail": ""}, {"FromFull": {}}])
def test_mail_that_was_received_is_not_for_us(record):
    with pytest.raises(UnreadablePayload, match="a mail received by Postmark"):
        postmark.parse(request(record))


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"\xff"])
def test_another_body_is_unreadable(body):
    with pytest.raises(UnreadablePayload):
        postmark.parse(request(body))


def test_it_knows_its_records():
    assert postmark.is_record({"RecordType": "Open", "MessageID": "x"})
    assert not postmark.is_record({"RecordType": "Open"})
    assert not postmark.is_record({"RecordType": "Inbound", "MessageID": "x"})
    assert not postmark.is_record({"RecordType": ["Open"], "MessageID": "x"})


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises_anything_else(body):
    with contextlib.suppress(UnreadablePayload):
        postmark.parse(request(body))


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.sampled_from(["Bounce", "Open"]))
def test_no_field_of_a_wrong_type_costs_the_event(record, kind):
    assert len(postmark.parse_record(record | {"RecordType": kind})) == 1
    postmark.is_record(record)

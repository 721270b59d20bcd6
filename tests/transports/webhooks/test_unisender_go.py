"""Unisender Go: the signature inside of the body, and what its statuses mean."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import unisender_go
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
KEY = "api-key-1"
RECORD = {
    "event_name": "transactional_email_status",
    "job_id": "job-1",
    "email": "ann@example.com",
    "status": "sent",
}


def signed(payload, *, key=KEY, **how):
    """The body with the API key as `auth`, and then its MD5 in that place."""
    text = json.dumps(payload, **how)
    digest = hashlib.md5(text.replace("AUTH", key).encode()).hexdigest()
    return Request(body=text.replace("AUTH", digest).encode(), received_at=NOW)


def parse(payload):
    return unisender_go.parse(Request(body=json.dumps(payload).encode(), received_at=NOW))


def event_of(status, **fields):
    [event] = parse({**RECORD, "status": status, **fields})
    return event


@pytest.mark.parametrize(
    "how",
    [{}, {"indent": 2}, {"separators": (",", ":")}, {"sort_keys": True}, {"ensure_ascii": False}],
)
def test_a_signed_body_passes_however_it_is_spelled(how):
    payload = {**RECORD, "metadata": {"name": "Зоя"}, "auth": "AUTH"}
    unisender_go.verify(signed(payload, **how), Keys(signing=(KEY,)))


def test_every_key_of_a_rotation_is_tried():
    unisender_go.verify(signed({"auth": "AUTH"}), Keys(signing=("newer", KEY)))


def test_a_field_of_the_senders_with_the_same_name_does_not_confuse():
    payload = {"metadata": {"auth": "0" * 32}, "auth": "AUTH", "more": {"auth": "1" * 32}}
    unisender_go.verify(signed(payload), Keys(signing=(KEY,)))


@pytest.mark.parametrize(
    "request_",
    [
        signed({"auth": "AUTH"}, key="wrong"),
        signed(RECORD),
        Request(
            body=signed({**RECORD, "auth": "AUTH"}).body.replace(b"sent", b"spam"), received_at=NOW
        ),
        Request(body=signed({"auth": "AUTH"}).body + b" ", received_at=NOW),
        Request(body=b'{"auth": "short"}', received_at=NOW),
        Request(body=b'{"auth": ["' + b"0" * 32 + b'"]}', received_at=NOW),
        Request(body=b"\xff", received_at=NOW),
        Request(body=b"", received_at=NOW),
    ],
    ids=["key", "missing", "status", "space", "short", "list", "garbage", "empty"],
)
def test_what_is_not_signed_with_the_key_is_refused(request_):
    with pytest.raises(BadSignature, match="auth"):
        unisender_go.verify(request_, Keys(signing=(KEY, "")))


def test_without_any_secret_everything_is_refused():
    with pytest.raises(BadSignature, match="no secret is set"):
        unisender_go.verify(signed({"auth": "AUTH"}), Keys())


def test_basic_authentication_counts_beside_a_signature():
    with pytest.raises(BadSignature, match="basic"):
        unisender_go.verify(signed({"auth": "AUTH"}), Keys(signing=(KEY,), basic_auth=("ann:pw",)))


@pytest.mark.parametrize(
    ("status", "event_type", "reason"),
    [
        ("sent", ProviderEventType.SENT, None),
        ("delivered", ProviderEventType.DELIVERED, None),
        ("soft_bounced", ProviderEventType.DEFERRED, RejectReason.BOUNCED),
        ("hard_bounced", ProviderEventType.BOUNCED, RejectReason.BOUNCED),
        ("spam", ProviderEventType.COMPLAINED, RejectReason.SPAM),
        ("unsubscribed", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED),
        ("subscribed", ProviderEventType.SUBSCRIBED, None),
        ("opened", ProviderEventType.OPENED, None),
        ("clicked", ProviderEventType.CLICKED, None),
        ("invented_tomorrow", ProviderEventType.UNKNOWN, None),
    ],
)
def test_each_status_has_its_meaning(status, event_type, reason):
    event = event_of(status)
    assert (event.event_type, event.reject_reason, event.is_hard) == (event_type, reason, None)
    assert event.recipient == "ann@example.com"


@pytest.mark.parametrize(
    ("told", "reason", "is_hard"),
    [
        ("err_user_unknown", RejectReason.BOUNCED, True),
        ("err_user_inactive", RejectReason.BOUNCED, True),
        ("err_mailbox_discarded", RejectReason.BOUNCED, True),
        ("err_unreachable", RejectReason.BOUNCED, True),
        ("err_domain_inactive", RejectReason.BOUNCED, None),
        ("err_mailbox_full", RejectReason.BOUNCED, False),
        ("err_spam_rejected", RejectReason.SPAM, False),
        ("err_blacklisted", RejectReason.BLOCKED, False),
        ("err_unsubscribed", RejectReason.UNSUBSCRIBED, False),
        ("err_lost", RejectReason.OTHER, False),
        ("err_delivery_failed", RejectReason.OTHER, None),
        ("err_invented_tomorrow", RejectReason.BOUNCED, None),
    ],
)
def test_a_hard_bounce_is_hard_only_where_the_address_is_at_fault(told, reason, is_hard):
    event = event_of("hard_bounced", delivery_info={"delivery_status": told})
    assert (event.reject_reason, event.is_hard) == (reason, is_hard)
    assert event.description == told


def test_a_deferral_says_nothing_of_the_address():
    event = event_of("soft_bounced", delivery_info={"delivery_status": "err_user_unknown"})
    assert (event.event_type, event.is_hard) == (ProviderEventType.DEFERRED, None)


def test_an_event_holds_what_unisender_go_tells():
    record = {
        **RECORD,
        "status": "clicked",
        "event_time": "2026-11-28 10:00:00",
        "url": "https://example.com/a",
        "metadata": {"order": 7},
        "delivery_info": {"user_agent": "Browser/1", "destination_response": "250 OK"},
    }
    [event] = parse(record)
    assert event.message_id == "job-1"
    assert event.timestamp == datetime(2026, 11, 28, 10, 0, tzinfo=UTC)
    assert event.click_url == "https://example.com/a"
    assert event.metadata == {"order": 7}
    assert event.user_agent == "Browser/1"
    assert event.mta_response == "250 OK"
    assert event.raw == record


def test_grouped_events_are_all_read():
    def grouped(email):
        data = {"job_id": "job-1", "email": email, "status": "delivered"}
        return {"event_name": "transactional_email_status", "event_data": data}

    payload = {
        "events_by_user": [
            {"user_id": 1, "events": [grouped("ann@example.com"), grouped("bob@example.com")]},
            {"user_id": 2, "events": [grouped("cat@example.com")]},
        ]
    }
    events = parse(payload)
    assert [each.recipient[:3] for each in events] == ["ann", "bob", "cat"]
    assert events[2].raw == payload["events_by_user"][1]["events"][0]


def test_what_is_about_no_message_is_unknown():
    record = {"event_name": "transactional_spam_block", "event_data": {"status": "sent"}}
    [event] = parse({"events_by_user": [{"events": [record]}]})
    assert (event.event_type, event.recipient) == (ProviderEventType.UNKNOWN, None)


@pytest.mark.parametrize(
    "payload",
    [
        [],
        1,
        {"events_by_user": 1},
        {"events_by_user": [1]},
        {"events_by_user": [{"events": 1}]},
        {"events_by_user": [{"events": [1]}]},
    ],
)
def test_what_holds_no_objects_is_unreadable(payload):
    with pytest.raises(UnreadablePayload):
        parse(payload)

"""Mailjet: told by basic authentication, and what its events and errors mean."""

import json
from datetime import UTC, datetime

import pytest

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import mailjet
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def parse(payload):
    return mailjet.parse(Request(body=json.dumps(payload).encode(), received_at=NOW))


def event_of(kind, **fields):
    [event] = parse({"event": kind, "email": "ann@example.com", **fields})
    return event


def test_a_request_passes_without_any_secret_and_not_without_one_that_is_set():
    request = Request(body=b"[]", received_at=NOW)
    mailjet.verify(request, Keys())
    with pytest.raises(BadSignature):
        mailjet.verify(request, Keys(basic_auth=("ann:pw",)))


@pytest.mark.parametrize(
    ("kind", "event_type"),
    [
        ("sent", ProviderEventType.DELIVERED),
        ("bounce", ProviderEventType.BOUNCED),
        ("blocked", ProviderEventType.REJECTED),
        ("spam", ProviderEventType.COMPLAINED),
        ("unsub", ProviderEventType.UNSUBSCRIBED),
        ("open", ProviderEventType.OPENED),
        ("click", ProviderEventType.CLICKED),
        ("typofix", ProviderEventType.UNKNOWN),
        ("invented_tomorrow", ProviderEventType.UNKNOWN),
    ],
)
def test_each_event_has_its_type(kind, event_type):
    event = event_of(kind)
    assert (event.event_type, event.recipient) == (event_type, "ann@example.com")


@pytest.mark.parametrize("kind", ["bounce", "blocked"])
@pytest.mark.parametrize(
    ("error", "reason", "is_hard"),
    [
        ("user unknown", RejectReason.BOUNCED, True),
        ("mailbox inactive", RejectReason.BOUNCED, True),
        ("quota exceeded", RejectReason.BOUNCED, False),
        ("invalid domain", RejectReason.BOUNCED, True),
        ("no mail host", RejectReason.BOUNCED, True),
        ("relay/access denied", RejectReason.BLOCKED, False),
        ("greylisted", RejectReason.TIMED_OUT, False),
        ("sender blocked", RejectReason.BLOCKED, False),
        ("content blocked", RejectReason.SPAM, False),
        ("policy issue", RejectReason.BLOCKED, False),
        ("system issue", RejectReason.OTHER, False),
        ("preblocked", RejectReason.BLOCKED, None),
        ("duplicate in campaign", RejectReason.OTHER, False),
    ],
)
def test_an_error_says_what_is_wrong_with_the_address(kind, error, reason, is_hard):
    event = event_of(kind, hard_bounce=True, error_related_to="somebody", error=error)
    assert (event.reject_reason, event.is_hard) == (reason, is_hard)
    assert event.description == f"somebody: {error}"


@pytest.mark.parametrize(
    ("fields", "is_hard"),
    [
        ({"hard_bounce": True}, True),
        ({"hard_bounce": False}, False),
        ({"hard_bounce": False, "error": "user unknown"}, False),
        ({"hard_bounce": "yes"}, None),
        ({"hard_bounce": True, "error": "invented tomorrow"}, None),
        ({}, None),
    ],
)
def test_a_bounce_that_is_not_permanent_is_not_hard(fields, is_hard):
    event = event_of("bounce", **fields)
    assert (event.reject_reason, event.is_hard) == (RejectReason.BOUNCED, is_hard)


def test_an_event_holds_what_mailjet_tells():
    record = {
        "event": "click",
        "time": 1795860000,
        "MessageID": 98765432109876543,
        "email": "ann@example.com",
        "customcampaign": "spring",
        "CustomID": "order-7",
        "Payload": '{"plan": "pro"}',
        "url": "https://example.com/a",
        "agent": "Browser/1",
    }
    [event] = parse(record)
    assert event.message_id == "98765432109876543"
    assert event.timestamp == datetime.fromtimestamp(1795860000, UTC)
    assert event.tags == ("spring",)
    assert event.metadata == {"plan": "pro", "CustomID": "order-7"}
    assert event.click_url == "https://example.com/a"
    assert event.user_agent == "Browser/1"
    assert event.raw == record


def test_the_words_of_the_server_are_told():
    assert event_of("sent", smtp_reply="sent (250 OK)").mta_response == "sent (250 OK)"
    assert event_of("bounce", comment="550 no such user").mta_response == "550 no such user"


def test_a_payload_that_is_no_object_is_no_metadata():
    assert event_of("open", Payload="plain", CustomID="").metadata == {}


def test_a_group_of_events_is_read_in_its_order():
    events = parse(
        [{"event": "sent", "email": "a@x.example"}, {"event": "open", "email": "b@x.example"}]
    )
    assert [each.recipient for each in events] == ["a@x.example", "b@x.example"]
    assert parse([]) == []


@pytest.mark.parametrize("payload", [[1], "text", None, 7, [{}, []]])
def test_what_is_no_object_is_unreadable(payload):
    with pytest.raises(UnreadablePayload):
        parse(payload)


def test_incoming_mail_is_refused_with_advice():
    with pytest.raises(UnreadablePayload, match="incoming mail"):
        parse({"Sender": "ann@example.com", "Headers": {}, "Parts": []})

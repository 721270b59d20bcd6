"""Brevo: told by basic authentication, and what its events mean."""

import base64
import json
from datetime import UTC, datetime

import pytest

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import brevo
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def parse(payload):
    return brevo.parse(Request(body=json.dumps(payload).encode(), received_at=NOW))


def event_of(kind, **fields):
    [event] = parse({"event": kind, "email": "ann@example.com", **fields})
    return event


def test_a_request_passes_without_any_secret():
    brevo.verify(Request(body=b"", received_at=NOW), Keys())


@pytest.mark.parametrize(
    ("given", "passes"), [(b"ann:pw", True), (b"ann:newer", True), (b"ann:wrong", False)]
)
def test_basic_authentication_counts_where_it_is_set(given, passes):
    headers = {"authorization": "Basic " + base64.b64encode(given).decode()}
    request = Request(body=b"", headers=headers, received_at=NOW)
    keys = Keys(basic_auth=("ann:pw", "ann:newer"))
    if passes:
        brevo.verify(request, keys)
    else:
        with pytest.raises(BadSignature):
            brevo.verify(request, keys)


@pytest.mark.parametrize(
    ("kind", "event_type", "reason", "is_hard"),
    [
        ("request", ProviderEventType.QUEUED, None, None),
        ("sent", ProviderEventType.SENT, None, None),
        ("delivered", ProviderEventType.DELIVERED, None, None),
        ("deferred", ProviderEventType.DEFERRED, None, None),
        ("soft_bounce", ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
        ("hard_bounce", ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
        ("invalid_email", ProviderEventType.BOUNCED, RejectReason.INVALID, True),
        ("blocked", ProviderEventType.REJECTED, RejectReason.BLOCKED, False),
        ("error", ProviderEventType.FAILED, None, None),
        ("spam", ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
        ("complaint", ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
        ("unsubscribe", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
        ("unsubscribed", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
        ("opened", ProviderEventType.OPENED, None, None),
        ("unique_opened", ProviderEventType.OPENED, None, None),
        ("proxy_open", ProviderEventType.OPENED, None, None),
        ("unique_proxy_open", ProviderEventType.OPENED, None, None),
        ("loaded_by_proxy", ProviderEventType.OPENED, None, None),
        ("click", ProviderEventType.CLICKED, None, None),
        # Whoever puts a contact on a list does not take back an opt-out.
        ("list_addition", ProviderEventType.UNKNOWN, None, None),
        ("invented_tomorrow", ProviderEventType.UNKNOWN, None, None),
    ],
)
def test_each_event_has_its_meaning(kind, event_type, reason, is_hard):
    event = event_of(kind)
    assert (event.event_type, event.reject_reason, event.is_hard) == (event_type, reason, is_hard)
    assert event.recipient == "ann@example.com"


def test_an_event_holds_what_brevo_tells():
    record = {
        "event": "click",
        "email": "ann@example.com",
        "message-id": "<1@relay.example>",
        "ts": 1795860000,
        "ts_event": 1795860000,
        "ts_epoch": 1795860000500,
        "tags": ["news", "spring"],
        "tag": "older",
        "X-Mailin-custom": '{"order": 7}',
        "link": "https://example.com/a",
        "user_agent": "Browser/1",
    }
    [event] = parse(record)
    assert event.message_id == event.message_id_header == "<1@relay.example>"
    assert event.timestamp == datetime.fromtimestamp(1795860000.5, UTC)
    assert event.tags == ("news", "spring")
    assert event.metadata == {"order": 7}
    assert event.click_url == "https://example.com/a"
    assert event.user_agent == "Browser/1"
    assert event.raw == record


def test_a_reason_is_what_the_server_said():
    assert event_of("soft_bounce", reason="452 4.2.2 full").mta_response == "452 4.2.2 full"


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"ts_epoch": 1795860000000, "ts_event": 1}, 1795860000),
        ({"ts_epoch": 1795860000, "ts_event": 1}, 1795860000),
        ({"ts_event": 1795860000, "ts": 1}, 1795860000),
        ({"ts_epoch": "soon", "ts_event": 1795860000}, 1795860000),
    ],
)
def test_the_time_is_told_in_milliseconds_or_seconds_of_utc(fields, seconds):
    assert event_of("opened", **fields).timestamp == datetime.fromtimestamp(seconds, UTC)


def test_the_time_in_the_accounts_own_zone_is_left_alone():
    assert event_of("opened", ts=1795860000, date="2026-11-28 10:00:00").timestamp is None


@pytest.mark.parametrize("tag", [["one", "two"], '["one", "two"]'])
def test_the_older_field_for_tags_is_read(tag):
    assert event_of("opened", tag=tag).tags == ("one", "two")


@pytest.mark.parametrize("tag", ["[one", "one"])
def test_a_tag_stands_for_itself(tag):
    assert event_of("opened", tag=tag).tags == (tag,)


def test_several_events_and_several_recipients_are_all_told():
    events = parse(
        [
            {"event": "delivered", "email": "ann@example.com"},
            {"event": "contact_deleted", "email": ["bob@example.com", "cat@example.com"]},
        ]
    )
    assert [each.recipient for each in events] == [
        "ann@example.com",
        "bob@example.com",
        "cat@example.com",
    ]


def test_a_record_without_an_event_is_kept_without_effect():
    [event] = parse({})
    assert (event.event_type, event.recipient) == (ProviderEventType.UNKNOWN, None)


def test_incoming_mail_is_refused_with_advice():
    with pytest.raises(UnreadablePayload, match="incoming mail"):
        parse({"items": [{"From": {"Address": "ann@example.com"}}]})

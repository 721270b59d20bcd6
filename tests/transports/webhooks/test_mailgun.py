"""Mailgun's signature and events, in today's form and in that of before 2018."""

import base64
import contextlib
import hashlib
import hmac
import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import mailgun
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload
from tests.transports.webhooks.builders import JSON, NOW

KEYS = Keys(signing=("key-1",))
TOKEN = "e0123456789abcdef0123456789abcdef0123456789abcdef0"


def block(key="key-1", at=NOW, token=TOKEN, **changes):
    timestamp = str(int(at.timestamp()))
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": timestamp, "token": token, "signature": signature, **changes}


def request(payload, **headers):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Request(body=body, content_type="application/json", headers=headers, received_at=NOW)


def form(**fields):
    return Request(
        body=urlencode(fields, doseq=True).encode(),
        content_type="application/x-www-form-urlencoded",
        received_at=NOW,
    )


def event(**data):
    (found,) = mailgun.parse(request({"signature": block(), "event-data": data}))
    return found


def legacy(**fields):
    (found,) = mailgun.parse(form(**{**block(), **fields}))
    return found


@pytest.mark.parametrize("keys", [("key-1",), ("old", "key-1"), (" key-1\n",)])
@pytest.mark.parametrize(
    "given_request",
    [
        request({"signature": block(), "event-data": {"event": "opened"}}),
        request({"signature": block(at=NOW - timedelta(hours=9)), "event-data": {}}),
        form(event="opened", **block()),
        # A sender's variable of the same name comes before.
        form(event="opened", **{name: ["mine", value] for name, value in block().items()}),
    ],
)
def test_it_accepts_its_signature(given_request, keys):
    mailgun.verify(given_request, Keys(signing=keys))


def with_block(signature):
    return request({"signature": signature, "event-data": {"event": "opened"}})


@pytest.mark.parametrize(
    ("given_request", "keys"),
    [
        (with_block(block(key="another")), KEYS),
        (with_block(block()), Keys()),
        (with_block(block()), Keys(signing=("", "ö"))),
        (with_block(block(token="0" + TOKEN[1:], signature=block()["signature"])), KEYS),
        (with_block(block(at=NOW - timedelta(hours=25))), KEYS),
        (with_block(block(at=NOW + timedelta(hours=25))), KEYS),
        (with_block(block(signature=None)), KEYS),
        (with_block(block(signature="ö")), KEYS),
        (with_block(block(signature=["x"])), KEYS),
        (with_block(block(token={})), KEYS),
        (with_block(None), KEYS),
        (with_block("x"), KEYS),
        # Nothing but the one place is looked at, so that the token that counts is the signed one.
        (request({**block(), "event-data": {"event": "opened", "id": "new"}}), KEYS),
        (request(b"\xff"), KEYS),
        (request(b"[]"), KEYS),
        (form(event="opened"), KEYS),
    ],
)
def test_it_refuses_any_other(given_request, keys):
    with pytest.raises(BadSignature):
        mailgun.verify(given_request, keys)


@pytest.mark.parametrize("moved", [1, 2])
def test_a_token_cannot_be_made_another_by_moving_its_start_to_the_timestamp(moved):
    right = block()
    shifted = right | {"timestamp": right["timestamp"] + TOKEN[:moved], "token": TOKEN[moved:]}
    with pytest.raises(BadSignature):
        mailgun.verify(with_block(shifted), KEYS)


def test_it_wants_basic_authentication_too_where_that_is_set():
    keys = Keys(signing=("key-1",), basic_auth=("user:secret",))
    right = f"Basic {base64.b64encode(b'user:secret').decode()}"
    payload = {"signature": block(), "event-data": {"event": "opened"}}
    mailgun.verify(request(payload, authorization=right), keys)
    with pytest.raises(BadSignature):
        mailgun.verify(request(payload), keys)
    with pytest.raises(BadSignature):
        mailgun.verify(request({}, authorization=right), keys)


def test_it_reads_an_event_whole():
    payload = {
        "signature": block(),
        "event-data": {
            "event": "failed",
            "severity": "permanent",
            "reason": "bounce",
            "id": "unique-for-a-day",
            "timestamp": 1795867200.5,
            "recipient": "ann@example.org",
            "message": {"headers": {"message-id": "1@example.com"}},
            "delivery-status": {
                "code": 550,
                "message": "5.1.1 no such user",
                "description": "Not there",
            },
            "client-info": {"user-agent": "B/1"},
            "url": "https://example.com/",
            "tags": ["welcome"],
            "user-variables": {"order": 77},
        },
    }
    (found,) = mailgun.parse(request(payload))
    assert found.event_type is ProviderEventType.BOUNCED
    assert (found.reject_reason, found.is_hard) == (RejectReason.BOUNCED, True)
    assert (found.event_id, found.recipient) == (TOKEN, "ann@example.org")
    assert found.message_id == found.message_id_header == "<1@example.com>"
    assert found.timestamp == NOW.replace(microsecond=500_000)
    assert (found.mta_response, found.description) == ("5.1.1 no such user", "Not there")
    assert (found.click_url, found.user_agent) == ("https://example.com/", "B/1")
    assert (found.tags, found.metadata) == (("welcome",), {"order": 77})
    assert found.raw == payload


def test_without_a_signature_the_id_is_mailguns():
    (found,) = mailgun.parse_record({"event-data": {"event": "opened", "id": "x"}})
    assert found.event_id == "x"


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("accepted", ProviderEventType.QUEUED),
        ("delivered", ProviderEventType.DELIVERED),
        ("opened", ProviderEventType.OPENED),
        ("clicked", ProviderEventType.CLICKED),
        ("unsubscribed", ProviderEventType.UNSUBSCRIBED),
        ("complained", ProviderEventType.COMPLAINED),
        ("stored", ProviderEventType.UNKNOWN),
        (7, ProviderEventType.UNKNOWN),
    ],
)
def test_it_knows_each_event(name, event_type):
    found = event(event=name)
    assert (found.event_type, found.reject_reason, found.is_hard) == (event_type, None, None)


@pytest.mark.parametrize(
    ("reason", "status", "reject_reason", "is_hard"),
    [
        ("bounce", {}, RejectReason.BOUNCED, True),
        ("bounce", {"enhanced-code": "5.7.1"}, RejectReason.BOUNCED, False),
        ("bounce", {"message": "5.2.2 mailbox full"}, RejectReason.BOUNCED, False),
        ("bounce", {"bounce-type": "soft"}, RejectReason.BOUNCED, False),
        ("suppress-bounce", {"code": 605}, RejectReason.BOUNCED, True),
        ("delayed-bounce", {}, RejectReason.BOUNCED, None),
        ("generic", {"code": 550}, RejectReason.OTHER, None),
        ("generic", {"code": 606}, RejectReason.UNSUBSCRIBED, None),
        ("suppress-complaint", {}, RejectReason.SPAM, False),
        ("suppress-unsubscribe", {}, RejectReason.UNSUBSCRIBED, False),
        ("espblock", {}, RejectReason.BLOCKED, False),
        ("old", {}, RejectReason.TIMED_OUT, False),
        (None, {}, None, None),
    ],
)
def test_a_failure_is_hard_for_a_bad_address_only(reason, status, reject_reason, is_hard):
    data = {"event": "failed", "severity": "permanent", "delivery-status": status}
    found = event(**data, **({"reason": reason} if reason else {}))
    assert found.event_type is ProviderEventType.BOUNCED
    assert (found.reject_reason, found.is_hard) == (reject_reason, is_hard)


def test_a_temporary_failure_is_a_deferral():
    found = event(event="failed", severity="temporary", reason="bounce")
    assert (found.event_type, found.is_hard) == (ProviderEventType.DEFERRED, None)


def test_a_rejection_says_why():
    found = event(event="rejected", reject={"reason": "Sandbox only", "description": ""})
    assert found.event_type is ProviderEventType.REJECTED
    assert (found.reject_reason, found.is_hard) == (RejectReason.OTHER, False)
    assert found.description == "Sandbox only"


@pytest.mark.parametrize(
    ("fields", "event_type", "reason", "is_hard"),
    [
        ({"event": "delivered"}, ProviderEventType.DELIVERED, None, None),
        ({"event": "complained"}, ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
        (
            {"event": "unsubscribed"},
            *(ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
        ),
        ({"event": "opened"}, ProviderEventType.OPENED, None, None),
        (
            {"event": "bounced", "code": "550"},
            *(ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
        ),
        (
            {"event": "bounced", "code": "550", "error": "5.7.1 policy"},
            *(ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
        ),
        (
            {"event": "dropped", "code": "605", "reason": "hardfail"},
            *(ProviderEventType.REJECTED, RejectReason.BOUNCED, True),
        ),
        (
            {"event": "dropped", "code": "607", "reason": "hardfail"},
            *(ProviderEventType.REJECTED, RejectReason.SPAM, False),
        ),
        (
            {"event": "dropped", "code": "498", "reason": "old"},
            *(ProviderEventType.REJECTED, RejectReason.TIMED_OUT, False),
        ),
        (
            {"event": "dropped", "code": "550", "reason": "hardfail"},
            *(ProviderEventType.REJECTED, RejectReason.BOUNCED, None),
        ),
        (
            {"event": "dropped", "code": "625"},
            *(ProviderEventType.REJECTED, RejectReason.OTHER, None),
        ),
    ],
)
def test_it_knows_each_legacy_event(fields, event_type, reason, is_hard):
    found = legacy(**fields)
    assert (found.event_type, found.reject_reason, found.is_hard) == (event_type, reason, is_hard)


def test_it_reads_a_legacy_bounce_whole():
    headers = [
        ["Message-Id", "<1@example.com>"],
        ["X-Mailgun-Variables", '{"order": 77}'],
        ["X-Mailgun-Variables", '{"cart": {"a": 1}}'],
        ["Content-Type", ["text/plain", {}]],
        "odd",
    ]
    found = legacy(
        event="bounced",
        recipient="ann@example.org",
        code="550",
        error="5.1.1 no such user",
        **{"message-headers": json.dumps(headers), "X-Mailgun-Sid": "x", "tag": ["a", "b"]},
    )
    assert found.recipient == "ann@example.org"
    assert found.message_id == "<1@example.com>"
    assert (found.event_id, found.timestamp) == (TOKEN, NOW)
    assert found.mta_response == "5.1.1 no such user"
    assert (found.tags, found.metadata) == (("a", "b"), {"order": 77, "cart": {"a": 1}})


def test_the_unknown_fields_of_a_legacy_click_are_the_senders():
    found = legacy(
        event="clicked",
        url="https://example.com/",
        order="77",
        **{"user-agent": "B/1", "message-id": "1@example.com", "X-Mailgun-Tag": "a"},
    )
    assert (found.click_url, found.user_agent) == ("https://example.com/", "B/1")
    assert (found.message_id, found.tags) == ("<1@example.com>", ("a",))
    assert found.metadata == {"order": "77"}


def test_a_legacy_event_may_come_as_json_too():
    record = {"event": "opened", "recipient": "ann@example.org", **block()}
    assert mailgun.is_record(record)
    (found,) = mailgun.parse_record(record)
    assert (found.recipient, found.event_id) == ("ann@example.org", TOKEN)


@pytest.mark.parametrize(
    "given_request",
    [
        form(sender="a@example.com", **{"body-plain": "Hello"}, **block()),
        request(b""),
        request(b"[]"),
        request(b"{}"),
        request({"event-data": []}),
    ],
)
def test_another_body_is_unreadable(given_request):
    with pytest.raises(UnreadablePayload):
        mailgun.parse(given_request)


def test_it_knows_its_records():
    assert mailgun.is_record({"event-data": {"event": "opened"}})
    assert not mailgun.is_record({"event-data": {}})
    assert not mailgun.is_record({"event": "open", "sg_event_id": "x"})
    assert not mailgun.is_record({"event": "opened"})


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises_anything_else(body):
    with contextlib.suppress(UnreadablePayload):
        mailgun.parse(request(body))
    with contextlib.suppress(BadSignature):
        mailgun.verify(request(body), KEYS)


@given(
    st.dictionaries(
        st.sampled_from(["signature", "token", "message-headers", "tag", "code", "order"]), JSON
    ),
    st.dictionaries(
        st.sampled_from(["delivery-status", "message", "reject", "reason", "tags", "severity"]),
        JSON,
    ),
)
def test_no_field_of_a_wrong_type_costs_the_event(fields, data):
    assert len(mailgun.parse_record({"event": "bounced", **fields})) == 1
    assert len(mailgun.parse_record({**fields, "event-data": {"event": "failed", **data}})) == 1
    mailgun.is_record({"event": "bounced", **fields})

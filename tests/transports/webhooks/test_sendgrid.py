"""SendGrid's signature and events."""

import base64
import contextlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import sendgrid
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload
from tests.transports.webhooks.builders import JSON, NOW

BODY = b'[{"event":"open"}]\r\n'


def spelled(key, encoding=Encoding.DER):
    written = key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    return written.decode() if encoding is Encoding.PEM else base64.b64encode(written).decode()


KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)


def signed(body=BODY, *, key=KEY, timestamp="1795867200", signed_body=None, **changes):
    signature = key.sign(timestamp.encode() + (signed_body or body), ec.ECDSA(SHA256()))
    headers = {
        sendgrid.SIGNATURE: base64.b64encode(signature).decode(),
        sendgrid.TIMESTAMP: timestamp,
    }
    headers |= changes.get("headers", {})
    return Request(body=body, headers=headers, received_at=NOW)


def request(payload):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Request(body=body, received_at=NOW)


def event(**record):
    (found,) = sendgrid.parse(request([record]))
    return found


@pytest.mark.parametrize(
    "keys",
    [
        (spelled(KEY),),
        (spelled(OTHER_KEY), spelled(KEY)),
        ("garbage", spelled(KEY)),
        (spelled(KEY, Encoding.PEM),),
        (f"{spelled(KEY)[:64]}\n{spelled(KEY)[64:]}\n",),
    ],
)
def test_it_accepts_its_signature(keys):
    sendgrid.verify(signed(), Keys(signing=keys))


@pytest.mark.parametrize(
    ("given_request", "keys"),
    [
        (signed(), (spelled(OTHER_KEY),)),
        (signed(), ("",)),
        (signed(), ("garbage",)),
        (signed(), ("ö",)),
        (signed(), ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",)),
        (signed(), (spelled(RSA_KEY),)),
        (signed(key=OTHER_KEY), (spelled(KEY),)),
        (signed(BODY.rstrip(), signed_body=BODY), (spelled(KEY),)),
        (signed(headers={sendgrid.TIMESTAMP: "1795867201"}), (spelled(KEY),)),
        (signed(headers={sendgrid.TIMESTAMP: ""}), (spelled(KEY),)),
        (signed(headers={sendgrid.SIGNATURE: ""}), (spelled(KEY),)),
        (signed(headers={sendgrid.SIGNATURE: "ö"}), (spelled(KEY),)),
        (signed(headers={sendgrid.SIGNATURE: "AAAA"}), (spelled(KEY),)),
        (request(BODY), (spelled(KEY),)),
        (signed(), ()),
    ],
)
def test_it_refuses_any_other(given_request, keys):
    with pytest.raises(BadSignature):
        sendgrid.verify(given_request, Keys(signing=keys))


@pytest.mark.parametrize(
    ("given_request", "keys", "words"),
    [
        (request(BODY), (spelled(KEY),), "missing"),
        (signed(headers={sendgrid.SIGNATURE: " "}), (spelled(KEY),), "missing"),
        (signed(headers={sendgrid.SIGNATURE: "?"}), (spelled(KEY),), "is not base64"),
        (signed(), ("garbage", spelled(RSA_KEY)), "the saved verification key is no public key"),
        (signed(), ("garbage", spelled(OTHER_KEY)), "the signature does not fit"),
    ],
)
def test_it_says_what_is_wrong(given_request, keys, words):
    with pytest.raises(BadSignature, match=words):
        sendgrid.verify(given_request, Keys(signing=keys))


def test_a_secret_is_a_public_key_of_a_curve():
    for right in (spelled(KEY), spelled(KEY, Encoding.PEM), f" {spelled(KEY)}\n"):
        sendgrid.check_secret(right)
    # What the message shows, so that a person can compare.
    assert spelled(KEY).startswith("MFkwEwYH")
    for wrong in ("", "garbage", "ö", "AAAA", spelled(KEY)[:-8], spelled(RSA_KEY), "SG.api.key"):
        with pytest.raises(ValueError, match="verification key that SendGrid shows"):
            sendgrid.check_secret(wrong)


def test_it_wants_basic_authentication_too_where_that_is_set():
    keys = Keys(signing=(spelled(KEY),), basic_auth=("user:secret", "next:secret"))
    right = {"authorization": f"Basic {base64.b64encode(b'next:secret').decode()}"}
    sendgrid.verify(signed(headers=right), keys)
    for wrong in ({}, {"authorization": "Basic dXNlcjp4"}, {"authorization": "Basic ö"}):
        with pytest.raises(BadSignature):
            sendgrid.verify(signed(headers=wrong), keys)
    with pytest.raises(BadSignature):
        sendgrid.verify(Request(body=BODY, headers=right, received_at=NOW), keys)


def test_it_reads_an_event_whole():
    record = {
        "event": "click",
        "email": "Ann@example.org",
        "timestamp": 1795867200,
        "sg_event_id": "event-1",
        "sg_message_id": "abc.filter1",
        "url": "https://example.com/?a=b",
        "useragent": "Browser/1.0",
        "ip": "192.0.2.1",
        "category": ["welcome", "new"],
        "unique_args": {"nested": "1"},
        "order": 77,
    }
    found = event(**record)
    assert found.event_type is ProviderEventType.CLICKED
    assert (found.recipient, found.event_id) == ("Ann@example.org", "event-1")
    assert (found.message_id, found.message_id_header) == ("abc.filter1", None)
    assert found.timestamp == NOW
    assert found.click_url == "https://example.com/?a=b"
    assert found.user_agent == "Browser/1.0"
    assert found.tags == ("welcome", "new")
    assert found.metadata == {"nested": "1", "order": 77}
    assert found.raw == record


def test_it_takes_the_message_id_header_for_the_message_id():
    found = event(event="processed", **{"smtp-id": "<1@example.com>", "sg_message_id": "abc"})
    assert found.message_id == found.message_id_header == "<1@example.com>"


@pytest.mark.parametrize(
    ("name", "event_type", "reason"),
    [
        ("processed", ProviderEventType.QUEUED, None),
        ("delivered", ProviderEventType.DELIVERED, None),
        ("deferred", ProviderEventType.DEFERRED, None),
        ("open", ProviderEventType.OPENED, None),
        ("click", ProviderEventType.CLICKED, None),
        ("spamreport", ProviderEventType.COMPLAINED, RejectReason.SPAM),
        ("unsubscribe", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED),
        ("group_unsubscribe", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED),
        ("group_resubscribe", ProviderEventType.SUBSCRIBED, None),
        ("account_status_change", ProviderEventType.UNKNOWN, None),
        ("", ProviderEventType.UNKNOWN, None),
        (["open"], ProviderEventType.UNKNOWN, None),
    ],
)
def test_it_knows_each_event(name, event_type, reason):
    found = event(event=name)
    assert (found.event_type, found.reject_reason, found.is_hard) == (event_type, reason, None)


@pytest.mark.parametrize(
    ("record", "reason", "is_hard"),
    [
        ({"type": "bounce"}, RejectReason.BOUNCED, True),
        ({"type": "bounce", "status": "5.1.1"}, RejectReason.BOUNCED, True),
        ({"type": "bounce", "status": "5.2.2"}, RejectReason.BOUNCED, False),
        ({"type": "bounce", "status": "5.7.1"}, RejectReason.BOUNCED, False),
        (
            {"type": "bounce", "bounce_classification": "Invalid Address"},
            RejectReason.BOUNCED,
            True,
        ),
        ({"type": "bounce", "bounce_classification": "Reputation"}, RejectReason.BOUNCED, False),
        ({"type": "bounce", "bounce_classification": "Unclassified"}, RejectReason.BOUNCED, None),
        ({"type": "blocked"}, RejectReason.BLOCKED, False),
        (
            {"type": "blocked", "bounce_classification": "Invalid Address"},
            RejectReason.BLOCKED,
            False,
        ),
        ({"type": "expired"}, RejectReason.TIMED_OUT, False),
        ({}, RejectReason.BOUNCED, True),
    ],
)
def test_a_bounce_is_hard_for_a_bad_address_only(record, reason, is_hard):
    found = event(event="bounce", reason="550 no", **record)
    assert found.event_type is ProviderEventType.BOUNCED
    assert (found.reject_reason, found.is_hard) == (reason, is_hard)
    assert (found.mta_response, found.description) == ("550 no", None)


@pytest.mark.parametrize(
    ("reason", "reject_reason", "is_hard"),
    [
        ("Bounced Address", RejectReason.BOUNCED, None),
        ("Invalid", RejectReason.INVALID, True),
        ("Unsubscribed Address", RejectReason.UNSUBSCRIBED, False),
        ("Spam Reporting Address", RejectReason.SPAM, False),
        ("Spam Content (if Spam Checker app enabled)", RejectReason.SPAM, False),
        ("Recipient List over Package Quota", RejectReason.OTHER, False),
        (None, RejectReason.OTHER, False),
    ],
)
def test_a_drop_never_met_a_server(reason, reject_reason, is_hard):
    found = event(event="dropped", reason=reason)
    assert found.event_type is ProviderEventType.REJECTED
    assert (found.reject_reason, found.is_hard) == (reject_reason, is_hard)
    assert found.mta_response is None
    assert found.description == (reason if reject_reason is RejectReason.OTHER else None)


def test_an_odd_field_does_not_cost_the_event():
    found = sendgrid.parse(request([{"event": "open", "timestamp": {}, "category": 5}]))
    assert [each.event_type for each in found] == [ProviderEventType.OPENED]
    assert (found[0].timestamp, found[0].tags) == (None, ("5",))


def test_an_empty_batch_has_no_events():
    assert sendgrid.parse(request([])) == []


@pytest.mark.parametrize("body", [b"", b"\xff", b"7", b"[7]", b"[" * 100_000, b'"a"'])
def test_another_body_is_unreadable(body):
    with pytest.raises(UnreadablePayload):
        sendgrid.parse(request(body))


def test_it_knows_its_records():
    assert sendgrid.is_record({"event": "open", "sg_event_id": "x"})
    assert not sendgrid.is_record({"event": "open"})
    assert not sendgrid.is_record({"sg_event_id": "x"})
    assert not sendgrid.is_record({})


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises_anything_else(body):
    with contextlib.suppress(UnreadablePayload):
        sendgrid.parse(request(body))


@given(st.dictionaries(st.sampled_from(sorted(sendgrid.OWN_FIELDS)), JSON))
def test_no_field_of_a_wrong_type_costs_the_event(record):
    assert len(sendgrid.parse_record(record | {"event": "bounce"})) == 1
    sendgrid.is_record(record)

"""Postal's signatures and events."""

import base64
import contextlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import postal
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload
from tests.transports.webhooks.builders import JSON, NOW

BODY = b'{"event": "MessageSent"}'
KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))
NEW, OLD = "x-postal-signature-256", "x-postal-signature"


def spelled(key):
    written = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(written).decode()


def signature(key, body, algorithm):
    return base64.b64encode(key.sign(body, padding.PKCS1v15(), algorithm)).decode()


def signed(*names, key=KEY, body=BODY, **others):
    headers = {name: signature(key, body, SHA256() if name == NEW else SHA1()) for name in names}
    return Request(body=BODY, headers=headers | others, received_at=NOW)


def request(payload):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Request(body=body, received_at=NOW)


def event(name, payload=None, **record):
    (found,) = postal.parse(request({"event": name, "payload": payload or {}, **record}))
    return found


@pytest.mark.parametrize("names", [(OLD,), (NEW,), (OLD, NEW)])
def test_it_accepts_either_signature(names):
    postal.verify(signed(*names), Keys(signing=(spelled(OTHER_KEY), spelled(KEY))))


@pytest.mark.parametrize(
    ("given_request", "keys"),
    [
        (signed(), (spelled(KEY),)),
        (signed(OLD), ()),
        (signed(OLD), ("garbage",)),
        (signed(OLD), (spelled(OTHER_KEY),)),
        (signed(OLD), (spelled(ec.generate_private_key(ec.SECP256R1())),)),
        (signed(OLD, NEW, key=OTHER_KEY), (spelled(KEY),)),
        (signed(OLD, body=b"{}"), (spelled(KEY),)),
        (signed(NEW, body=b"{}"), (spelled(KEY),)),
        # The better signature counts where both are there.
        (signed(OLD, **{NEW: "AAAA"}), (spelled(KEY),)),
        (signed(**{OLD: "ö"}), (spelled(KEY),)),
        (signed(**{NEW: signature(KEY, BODY, SHA1())}), (spelled(KEY),)),
    ],
)
def test_it_refuses_any_other(given_request, keys):
    with pytest.raises(BadSignature):
        postal.verify(given_request, Keys(signing=keys))


@pytest.mark.parametrize(
    ("given_request", "keys", "words"),
    [
        (signed(), (spelled(KEY),), "missing"),
        (signed(**{OLD: " "}), (spelled(KEY),), "missing"),
        (signed(**{NEW: "?"}), (spelled(KEY),), "is not base64"),
        (signed(OLD), ("garbage",), "the saved key is no public RSA key"),
        (signed(OLD), ("garbage", spelled(OTHER_KEY)), "the signature does not fit"),
    ],
)
def test_it_says_what_is_wrong(given_request, keys, words):
    with pytest.raises(BadSignature, match=words):
        postal.verify(given_request, Keys(signing=keys))


def test_a_secret_is_a_public_rsa_key():
    postal.check_secret(spelled(KEY))
    curve = spelled(ec.generate_private_key(ec.SECP256R1()))
    for wrong in ("", "garbage", "ö", curve, f"v=DKIM1; t=s; h=sha256; p={spelled(KEY)};"):
        with pytest.raises(ValueError, match="between p= and ;"):
            postal.check_secret(wrong)


def test_it_wants_basic_authentication_where_that_is_set():
    keys = Keys(basic_auth=("user:secret",))
    right = f"Basic {base64.b64encode(b'user:secret').decode()}"
    postal.verify(signed(authorization=right), keys)
    with pytest.raises(BadSignature):
        postal.verify(signed(OLD), keys)


MESSAGE = {
    "id": 12,
    "message_id": "abc@rp.example.com",
    "to": "ann@example.org",
    "tag": "welcome",
}


@pytest.mark.parametrize(
    ("name", "event_type", "reason"),
    [
        ("MessageSent", ProviderEventType.DELIVERED, None),
        ("MessageDelayed", ProviderEventType.DEFERRED, None),
        ("MessageDeliveryFailed", ProviderEventType.BOUNCED, RejectReason.BOUNCED),
        ("MessageHeld", ProviderEventType.QUEUED, None),
    ],
)
def test_it_reads_a_delivery_whole(name, event_type, reason):
    payload = {"message": MESSAGE, "details": "about it", "output": "250 ok", "status": "x"}
    found = event(name, payload, timestamp=1795867200.25, uuid="u-1")
    assert (found.event_type, found.reject_reason, found.is_hard) == (event_type, reason, None)
    assert (found.event_id, found.message_id) == ("u-1", "12")
    assert (found.message_id_header, found.recipient) == ("abc@rp.example.com", "ann@example.org")
    assert found.timestamp == NOW.replace(microsecond=250_000)
    assert (found.mta_response, found.description) == ("250 ok", "about it")
    assert found.tags == ("welcome",)
    assert found.raw["uuid"] == "u-1"


def test_a_bounce_is_about_the_message_that_it_answers():
    bounce = {"id": 99, "to": "postmaster@example.com"}
    found = event("MessageBounced", {"original_message": MESSAGE, "bounce": bounce})
    assert found.event_type is ProviderEventType.BOUNCED
    assert (found.message_id, found.recipient) == ("12", "ann@example.org")


def test_it_reads_opens_and_clicks():
    details = {"message": MESSAGE, "url": "https://example.com/", "user_agent": "B/1"}
    found = event("MessageLinkClicked", details)
    assert found.event_type is ProviderEventType.CLICKED
    assert (found.click_url, found.user_agent) == ("https://example.com/", "B/1")
    assert event("MessageLoaded", details).event_type is ProviderEventType.OPENED


@pytest.mark.parametrize("name", ["DomainDNSError", "SendLimitExceeded", "Later"])
def test_an_event_about_no_message_has_no_effect(name):
    found = event(name, {"domain": "example.com"})
    assert (found.event_type, found.recipient) == (ProviderEventType.UNKNOWN, None)


def test_mail_that_was_received_is_not_for_us():
    with pytest.raises(UnreadablePayload, match="a mail received by Postal"):
        postal.parse(request({"rcpt_to": "a@example.org", "message": "..."}))


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{}", b'{"event": []}', b"\xff"])
def test_another_body_is_unreadable(body):
    with pytest.raises(UnreadablePayload):
        postal.parse(request(body))


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises_anything_else(body):
    with contextlib.suppress(UnreadablePayload):
        postal.parse(request(body))


@given(st.dictionaries(st.sampled_from(["payload", "uuid", "timestamp"]), JSON), JSON)
def test_no_field_of_a_wrong_type_costs_the_event(record, message):
    for payload in ({"payload": {"message": message}}, record):
        assert len(postal.parse(request({"event": "MessageSent", **payload}))) == 1

"""maild's own webhook format: its signature, its words, and the records of providers in it."""

import contextlib
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import generic
from maild.transports.webhooks.base import BadSignature, Request, UnreadablePayload

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
BODY = b'{"type": "delivered", "email": "ann@example.com"}'
TIMESTAMP, SIGNATURE = "X-Webhook-Timestamp", "X-Webhook-Signature"


def sign(body=BODY, *, secret="secret", timestamp=None):
    timestamp = str(int(NOW.timestamp()) if timestamp is None else timestamp)
    content = timestamp.encode() + b"." + body
    return f"v1={hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()}"


def verify(*secrets, body=BODY, timestamp=None, signature=None, **headers):
    timestamp = str(int(NOW.timestamp()) if timestamp is None else timestamp)
    headers = {
        TIMESTAMP.lower(): timestamp,
        SIGNATURE.lower(): sign(timestamp=timestamp) if signature is None else signature,
        **headers,
    }
    generic.verify(
        Request(body=body, headers=headers, received_at=NOW),
        secrets,
        timestamp_header=TIMESTAMP,
        signature_header=SIGNATURE,
        max_skew_seconds=300,
    )


def event_of(kind, **fields):
    entry = generic.parse_entry({"type": kind, "email": "ann@example.com", **fields})
    assert entry.provider == "generic"
    [event] = entry.events
    return event


def test_a_signed_request_passes():
    verify("secret")


def test_every_secret_and_every_signature_of_a_rotation_is_tried():
    verify("newer", "", "secret")
    verify("secret", signature=f"v0=abc, v1=abc ,{sign()}")
    verify("secret", signature=sign().upper().replace("V1", "v1"))


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "v1=",
        sign(secret="wrong"),
        sign(b"{}"),
        sign().removeprefix("v1="),
        sign().replace("v1", "v2"),
        "v1=ключ",
    ],
    ids=["missing", "empty", "key", "body", "bare", "version", "letters"],
)
def test_what_is_not_signed_with_the_secret_is_refused(signature):
    with pytest.raises(BadSignature, match=SIGNATURE):
        verify("secret", signature=signature)


@pytest.mark.parametrize("timestamp", ["", "soon", "1.5", "-1", "٣", "9" * 13])
def test_an_odd_time_is_refused(timestamp):
    with pytest.raises(BadSignature, match=TIMESTAMP):
        verify("secret", timestamp=timestamp)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_or_future_time_is_refused(seconds):
    verify("secret", timestamp=int(NOW.timestamp()) + seconds * 300 // 301)
    with pytest.raises(BadSignature, match="300 seconds off"):
        verify("secret", timestamp=int(NOW.timestamp()) + seconds)


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_everything_is_refused(secrets):
    with pytest.raises(BadSignature, match="no secret is set"):
        verify(*secrets, signature=sign(secret=""))


def test_the_raw_bytes_are_signed():
    with pytest.raises(BadSignature):
        verify("secret", body=BODY + b"\n")


def test_a_body_is_an_entry_or_an_array_of_them():
    assert generic.split(b'{"a": 1}') == [{"a": 1}]
    assert generic.split(b'[{"a": 1}, 2]') == [{"a": 1}, 2]
    assert len(generic.split(json.dumps([{}] * 1000).encode())) == 1000


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"null", b'"x"', b"{", b"\xff", b"[" * 100_000])
def test_another_body_is_unreadable(body):
    with pytest.raises(UnreadablePayload):
        generic.split(body)


def test_more_than_a_thousand_entries_are_refused():
    with pytest.raises(UnreadablePayload, match="1001 entries; 1000 are the most"):
        generic.split(json.dumps([{}] * 1001).encode())


@pytest.mark.parametrize(
    ("words", "event_type", "reason", "is_hard"),
    [
        ("queued accepted processed", ProviderEventType.QUEUED, None, None),
        ("sent", ProviderEventType.SENT, None, None),
        ("delivered delivery", ProviderEventType.DELIVERED, None, None),
        ("deferred delayed delivery_delayed", ProviderEventType.DEFERRED, None, None),
        ("bounce bounced", ProviderEventType.BOUNCED, RejectReason.BOUNCED, None),
        (
            "hard_bounce hard_bounced bounce.hard HardBounce hard-bounce",
            ProviderEventType.BOUNCED,
            RejectReason.BOUNCED,
            True,
        ),
        (
            "soft_bounce soft_bounced bounce.soft quota over_quota mailbox_full",
            ProviderEventType.BOUNCED,
            RejectReason.BOUNCED,
            False,
        ),
        ("blocked", ProviderEventType.BOUNCED, RejectReason.BLOCKED, False),
        ("expired", ProviderEventType.BOUNCED, RejectReason.TIMED_OUT, False),
        ("invalid", ProviderEventType.BOUNCED, RejectReason.INVALID, True),
        ("dropped rejected", ProviderEventType.REJECTED, RejectReason.BLOCKED, False),
        ("failed", ProviderEventType.FAILED, None, None),
        (
            "complaint complained spam spam_report SpamComplaint",
            ProviderEventType.COMPLAINED,
            RejectReason.SPAM,
            None,
        ),
        (
            "unsubscribe unsubscribed",
            ProviderEventType.UNSUBSCRIBED,
            RejectReason.UNSUBSCRIBED,
            None,
        ),
        ("subscribed", ProviderEventType.SUBSCRIBED, None, None),
        ("open opened", ProviderEventType.OPENED, None, None),
        ("click clicked", ProviderEventType.CLICKED, None, None),
        ("autoresponded", ProviderEventType.AUTORESPONDED, None, None),
    ],
)
def test_each_word_has_its_meaning_in_any_case_and_with_a_prefix(
    words, event_type, reason, is_hard
):
    for word in words.split():
        for spelled in (word, word.upper(), f" message.{word}", f"api.email.{word}"):
            event = event_of(spelled)
            told = (event.event_type, event.reject_reason, event.is_hard)
            assert told == (event_type, reason, is_hard), spelled


@pytest.mark.parametrize("field", ["bounce_type", "severity"])
@pytest.mark.parametrize(
    ("word", "is_hard"),
    [
        ("hard", True),
        ("Permanent", True),
        ("soft", False),
        ("Transient", False),
        ("temporary", False),
        ("undetermined", None),
        (7, None),
    ],
)
def test_a_plain_bounce_may_say_beside_whether_it_is_for_good(field, word, is_hard):
    assert event_of("bounced", **{field: word}).is_hard is is_hard
    assert event_of("delivered", **{field: word}).is_hard is None


def test_the_word_of_the_event_counts_more_than_the_field_beside_it():
    assert event_of("soft_bounce", bounce_type="hard").is_hard is False
    assert event_of("blocked", severity="permanent").is_hard is False


def test_an_entry_holds_what_it_tells():
    given_ = {
        "workspace_id": 7,
        "type": "clicked",
        "email": " ann@example.com ",
        "reason": "550 5.1.1 unknown",
        "message_id": 12,
        "event_id": "event-1",
        "timestamp": "2026-11-28T12:00:00+02:00",
        "metadata": {"order": 7},
        "url": "https://example.com/a",
        "more": [1],
    }
    entry = generic.parse_entry(given_)
    assert (entry.provider, entry.workspace_id) == ("generic", 7)
    [event] = entry.events
    assert event.recipient == "ann@example.com"
    assert event.message_id == "12"
    assert event.event_id == "event-1"
    assert event.timestamp == datetime(2026, 11, 28, 10, 0, tzinfo=UTC)
    assert event.mta_response == event.description == "550 5.1.1 unknown"
    assert event.metadata == {"order": 7}
    assert event.click_url == "https://example.com/a"
    assert event.raw == given_


@pytest.mark.parametrize("reason", ["no such person", "tried 450 times", "code 5501"])
def test_a_reason_in_plain_words_is_not_taken_for_the_servers(reason):
    event = event_of("bounced", reason=reason)
    assert (event.mta_response, event.description) == (None, reason)


@pytest.mark.parametrize("reason", ["550 no", "smtp; 550-5.1.1 no", "host said: 421 later"])
def test_a_reason_that_holds_a_reply_is_what_the_server_said(reason):
    assert event_of("bounced", reason=reason).mta_response == reason


@pytest.mark.parametrize("given_", [1795860000, "1795860000", "2026-11-28T10:00:00Z"])
def test_a_time_is_rfc_3339_or_unix_seconds(given_):
    assert event_of("sent", timestamp=given_).timestamp == datetime.fromtimestamp(1795860000, UTC)


def test_optional_fields_of_another_type_are_left_out():
    event = event_of(
        "sent", timestamp=[], message_id={}, event_id=[], reason=[], metadata=1, url={}
    )
    assert event.timestamp is event.message_id is event.event_id is event.description is None
    assert event.metadata == {}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"email": "a@x.example"}, "type: missing"),
        ({"type": 7, "email": "a@x.example"}, "type: missing"),
        ({"type": " ", "email": "a@x.example"}, "type: missing"),
        ({"type": "melted", "email": "a@x.example"}, "type: 'melted' is not known"),
        ({"type": "...", "email": "a@x.example"}, "type: '...' is not known"),
        ({"type": "sent"}, "email: missing"),
        ({"type": "sent", "email": ["a@x.example"]}, "email: missing"),
        ({"type": "sent", "email": ""}, "email: missing"),
        ({"type": "sent", "email": "ann"}, "email: not an address"),
        ({"type": "sent", "email": "a@x.example\nb"}, "email: not an address"),
        ({"type": "sent", "email": "a" * 500 + "@x.example"}, "email: not an address"),
        ({"type": "sent", "email": "a@x.example", "workspace_id": 0}, "workspace_id: not"),
        ({"type": "sent", "email": "a@x.example", "workspace_id": "1"}, "workspace_id: not"),
        ({"type": "sent", "email": "a@x.example", "workspace_id": True}, "workspace_id: not"),
        ([], "not an object"),
        (None, "not an object"),
    ],
)
def test_what_is_wrong_is_named(entry, message):
    with pytest.raises(UnreadablePayload, match=message):
        generic.parse_entry(entry)


@pytest.mark.parametrize(
    ("record", "provider", "event_type"),
    [
        (
            {"event": "bounce", "type": "bounce", "email": "a@x.example", "sg_event_id": "e-1"},
            "sendgrid",
            ProviderEventType.BOUNCED,
        ),
        (
            {"event-data": {"event": "delivered", "recipient": "a@x.example"}},
            "mailgun",
            ProviderEventType.DELIVERED,
        ),
        (
            {"RecordType": "Open", "MessageID": "m-1", "Recipient": "a@x.example"},
            "postmark",
            ProviderEventType.OPENED,
        ),
        (
            {
                "eventType": "Complaint",
                "mail": {"messageId": "m-1", "destination": ["a@x.example"]},
                "complaint": {"complainedRecipients": [{"emailAddress": "a@x.example"}]},
            },
            "ses",
            ProviderEventType.COMPLAINED,
        ),
    ],
)
def test_the_records_of_providers_are_known_by_their_looks(record, provider, event_type):
    entry = generic.parse_entry({**record, "workspace_id": 3})
    assert (entry.provider, entry.workspace_id) == (provider, 3)
    [event] = entry.events
    assert (event.event_type, event.recipient) == (event_type, "a@x.example")


def test_an_envelope_of_sns_is_opened():
    message = {
        "notificationType": "Delivery",
        "mail": {"messageId": "m-1", "destination": ["a@x.example"]},
        "delivery": {"recipients": ["a@x.example"]},
    }
    envelope = {
        "Type": "Notification",
        "MessageId": "n-1",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:mail",
        "Message": json.dumps(message),
    }
    entry = generic.parse_entry(envelope)
    assert entry.provider == "ses"
    assert [each.event_type for each in entry.events] == [ProviderEventType.DELIVERED]


def test_a_stored_entry_is_read_again_as_a_body():
    provider, [event] = generic.parse_body(BODY)
    assert (provider, event.event_type) == ("generic", ProviderEventType.DELIVERED)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = [
    "type",
    "email",
    "reason",
    "message_id",
    "event_id",
    "timestamp",
    "metadata",
    "workspace_id",
    "bounce_type",
    "Type",
    "Message",
    "event",
    "sg_event_id",
    "event-data",
    "signature",
    "RecordType",
    "MessageID",
    "eventType",
    "notificationType",
    "mail",
]


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from(FIELDS), json_values) | json_values)
def test_any_entry_is_read_or_unreadable(entry):
    try:
        found = generic.parse_entry(entry)
    except UnreadablePayload:
        return
    assert found.provider in {"generic", *generic.FOREIGN}


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_body_is_split_or_unreadable(body):
    with contextlib.suppress(UnreadablePayload):
        assert generic.split(body)

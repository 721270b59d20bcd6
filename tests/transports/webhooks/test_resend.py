"""Resend: Standard Webhooks signatures, and what its events mean."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import resend
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"a secret of this test").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret").decode()
BODY = b'{"type": "email.sent"}'


def signed(
    body=BODY, *, secret=SECRET, timestamp=None, message_id="msg_1", prefix="svix", signature=None
):
    timestamp = str(int(NOW.timestamp()) if timestamp is None else timestamp)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    headers = {
        f"{prefix}-id": message_id,
        f"{prefix}-timestamp": timestamp,
        f"{prefix}-signature": signature or f"v1,{digest}",
    }
    return Request(body=body, headers=headers, received_at=NOW)


def request_of(record, *, event_id="msg_1"):
    return Request(body=json.dumps(record).encode(), headers={"svix-id": event_id}, received_at=NOW)


def event_of(kind, **data):
    [event] = resend.parse(request_of({"type": kind, "data": {"to": ["ann@example.com"], **data}}))
    return event


@pytest.mark.parametrize("prefix", ["svix", "webhook"])
def test_a_signed_request_passes_under_either_name_of_the_headers(prefix):
    resend.verify(signed(prefix=prefix), Keys(signing=(SECRET,)))


def test_every_secret_and_every_signature_of_a_rotation_is_tried():
    resend.verify(signed(secret=OTHER_SECRET), Keys(signing=(SECRET, OTHER_SECRET)))
    right = signed().headers["svix-signature"]
    resend.verify(signed(signature=f"v1a,xyz v1,AAAA {right}"), Keys(signing=(SECRET,)))


def test_a_garbage_secret_beside_a_good_one_does_not_matter():
    resend.verify(signed(), Keys(signing=("whsec_***", "", SECRET)))


@pytest.mark.parametrize("secret", ["whsec_***", "", "whsec_", "ключ", "whsec_a"])
def test_a_garbage_secret_refuses(secret):
    with pytest.raises(BadSignature, match="not whsec_ and base64"):
        resend.verify(signed(), Keys(signing=(secret,)))


@pytest.mark.parametrize("secret", ["whsec_***", "", "whsec_", "ключ", "whsec_a", "re_a_key"])
def test_a_garbage_secret_can_be_told_before(secret):
    with pytest.raises(ValueError, match="signing secret that Resend shows"):
        resend.check_secret(secret)


def test_a_secret_is_base64_with_or_without_its_prefix():
    resend.check_secret(SECRET)
    resend.check_secret(f" {SECRET.removeprefix('whsec_')}\n")


@pytest.mark.parametrize(
    "request_",
    [
        signed(secret=OTHER_SECRET),
        signed(signature="v1,AAAA"),
        signed(signature="v1,"),
        signed(signature="v2," + signed().headers["svix-signature"][3:]),
        signed(signature="ключ"),
        Request(body=BODY + b" ", headers=signed().headers, received_at=NOW),
        Request(body=BODY, headers={**signed().headers, "svix-id": "msg_2"}, received_at=NOW),
    ],
    ids=["key", "digest", "empty", "version", "letters", "body", "id"],
)
def test_what_is_not_signed_with_the_secret_is_refused(request_):
    with pytest.raises(BadSignature, match="no signature fits"):
        resend.verify(request_, Keys(signing=(SECRET,)))


@pytest.mark.parametrize("missing", ["id", "timestamp", "signature"])
def test_missing_headers_are_refused(missing):
    headers = {name: value for name, value in signed().headers.items() if missing not in name}
    with pytest.raises(BadSignature):
        resend.verify(Request(body=BODY, headers=headers, received_at=NOW), Keys(signing=(SECRET,)))


@pytest.mark.parametrize("timestamp", ["now", "nan", "1e400", ""])
def test_an_odd_time_is_refused(timestamp):
    with pytest.raises(BadSignature):
        resend.verify(signed(timestamp=timestamp), Keys(signing=(SECRET,)))


@pytest.mark.parametrize(
    ("seconds", "passes"), [(-300, True), (300, True), (-301, False), (301, False)]
)
def test_a_signed_time_may_be_off_by_the_skew_and_no_more(seconds, passes):
    request = signed(timestamp=int(NOW.timestamp()) + seconds)
    if passes:
        resend.verify(request, Keys(signing=(SECRET,)))
    else:
        with pytest.raises(BadSignature, match="300 seconds off"):
            resend.verify(request, Keys(signing=(SECRET,)))


def test_without_any_secret_everything_is_refused():
    with pytest.raises(BadSignature, match="no secret is set"):
        resend.verify(signed(), Keys())


def test_basic_authentication_alone_will_do_and_counts_beside_a_signature():
    given = {"authorization": "Basic " + base64.b64encode(b"ann:pw").decode()}
    plain = Request(body=BODY, headers=given, received_at=NOW)
    resend.verify(plain, Keys(basic_auth=("ann:pw",)))
    with pytest.raises(BadSignature):
        resend.verify(plain, Keys(basic_auth=("ann:pw",), signing=(SECRET,)))
    with pytest.raises(BadSignature, match="basic"):
        resend.verify(signed(), Keys(basic_auth=("ann:pw",), signing=(SECRET,)))


@pytest.mark.parametrize(
    ("kind", "event_type"),
    [
        ("email.scheduled", ProviderEventType.QUEUED),
        ("email.sent", ProviderEventType.SENT),
        ("email.delivered", ProviderEventType.DELIVERED),
        ("email.delivery_delayed", ProviderEventType.DEFERRED),
        ("email.bounced", ProviderEventType.BOUNCED),
        ("email.suppressed", ProviderEventType.REJECTED),
        ("email.failed", ProviderEventType.FAILED),
        ("email.complained", ProviderEventType.COMPLAINED),
        ("email.opened", ProviderEventType.OPENED),
        ("email.clicked", ProviderEventType.CLICKED),
        ("email.invented_tomorrow", ProviderEventType.UNKNOWN),
    ],
)
def test_each_event_has_its_type_and_recipient(kind, event_type):
    event = event_of(kind)
    assert (event.event_type, event.recipient) == (event_type, "ann@example.com")


@pytest.mark.parametrize(
    ("bounce", "reason", "is_hard"),
    [
        ({"type": "Permanent", "subType": "General"}, RejectReason.BOUNCED, True),
        ({"type": "Permanent", "subType": "NoEmail"}, RejectReason.BOUNCED, True),
        ({"type": "Permanent", "subType": "Suppressed"}, RejectReason.BLOCKED, True),
        ({"type": "Permanent", "subType": "OnAccountSuppressionList"}, RejectReason.BLOCKED, None),
        ({"type": "Transient", "subType": "MailboxFull"}, RejectReason.BOUNCED, False),
        ({"type": "Transient", "subType": "ContentRejected"}, RejectReason.BLOCKED, False),
        ({"type": "Undetermined", "subType": "Undetermined"}, RejectReason.BOUNCED, None),
        ({"message": "We have suppressed this address"}, RejectReason.BLOCKED, None),
        ({}, RejectReason.BOUNCED, None),
    ],
)
def test_a_bounce_says_whether_it_is_for_good(bounce, reason, is_hard):
    event = event_of("email.bounced", bounce=bounce)
    assert (event.reject_reason, event.is_hard) == (reason, is_hard)


def test_an_event_holds_what_resend_tells():
    record = {
        "type": "email.clicked",
        "created_at": "2026-11-28T10:00:01.500Z",
        "data": {
            "created_at": "2026-11-28T09:00:00Z",
            "email_id": "mail-7",
            "to": ["ann@example.com"],
            "headers": [{"name": "X-A", "value": "b"}, {"name": "Message-Id", "value": "<m@x>"}],
            "tags": [{"name": "plan", "value": "pro"}],
            "click": {"link": "https://example.com/a", "userAgent": "Browser/1"},
        },
    }
    [event] = resend.parse(request_of(record, event_id="msg_9"))
    assert event.event_id == "msg_9"
    assert event.message_id == "mail-7"
    assert event.message_id_header == "<m@x>"
    assert event.timestamp == datetime(2026, 11, 28, 10, 0, 1, 500_000, tzinfo=UTC)
    assert event.click_url == "https://example.com/a"
    assert event.user_agent == "Browser/1"
    assert event.metadata == {"plan": "pro"}
    assert event.raw == record


def test_a_bounce_holds_the_words_of_resend_and_of_the_server():
    bounce = {"message": "It came back.", "diagnosticCode": ["smtp; 550 5.1.1 no such user"]}
    event = event_of("email.bounced", bounce=bounce)
    assert event.description == "It came back."
    assert event.mta_response == "smtp; 550 5.1.1 no such user"
    assert event_of("email.failed", failed={"reason": "quota"}).description == "quota"
    assert event_of("email.suppressed", suppressed={"message": "listed"}).description == "listed"


def test_several_recipients_are_several_events_with_one_id():
    record = {"type": "email.delivered", "data": {"to": ["ann@example.com", "bob@example.com"]}}
    events = resend.parse(request_of(record))
    assert [each.recipient for each in events] == ["ann@example.com", "bob@example.com"]
    assert {each.event_id for each in events} == {"msg_1"}


@pytest.mark.parametrize("kind", ["contact.created", "domain.updated", "suppression.added"])
def test_what_is_about_no_message_has_no_recipient(kind):
    [event] = resend.parse(
        request_of({"type": kind, "data": {"email": "a@b.example", "to": ["x@y"]}})
    )
    assert (event.event_type, event.recipient) == (ProviderEventType.UNKNOWN, None)


def test_incoming_mail_is_refused_with_advice():
    with pytest.raises(UnreadablePayload, match="incoming mail"):
        resend.parse(request_of({"type": "email.received", "data": {}}))


def test_a_body_that_is_no_object_is_unreadable():
    with pytest.raises(UnreadablePayload, match="not a JSON object"):
        resend.parse(request_of([]))

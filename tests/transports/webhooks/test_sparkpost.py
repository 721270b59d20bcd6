"""SparkPost's events."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import sparkpost
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload
from tests.transports.webhooks.builders import JSON, NOW

FIELDS = (
    *("type", "bounce_class", "raw_rcpt_to", "rcpt_to", "event_id", "transmission_id"),
    *("timestamp", "raw_reason", "reason", "target_link_url", "campaign_id", "rcpt_meta"),
)


def request(payload, **headers):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Request(body=body, headers=headers, received_at=NOW)


def event(group="message_event", **record):
    (found,) = sparkpost.parse(request([{"msys": {group: record}}]))
    return found


def test_it_wants_basic_authentication_where_that_is_set():
    sparkpost.verify(request([]), Keys())
    keys = Keys(basic_auth=("user:secret",))
    right = f"Basic {base64.b64encode(b'user:secret').decode()}"
    sparkpost.verify(request([], authorization=right), keys)
    with pytest.raises(BadSignature):
        sparkpost.verify(request([]), keys)


def test_it_reads_a_bounce_whole():
    record = {
        "type": "bounce",
        "bounce_class": "10",
        "event_id": "9",
        "transmission_id": "6",
        "rcpt_to": "ann@example.org",
        "raw_rcpt_to": "Ann@example.org",
        "timestamp": "1795867200",
        "raw_reason": "550 5.1.1 no such user",
        "reason": "550 5.1.1 ...@...",
        "campaign_id": "welcome",
        "rcpt_meta": {"order": "77"},
    }
    found = event(**record)
    assert found.event_type is ProviderEventType.BOUNCED
    assert (found.reject_reason, found.is_hard) == (RejectReason.INVALID, True)
    assert (found.event_id, found.message_id) == ("9", "6")
    assert (found.recipient, found.timestamp) == ("Ann@example.org", NOW)
    assert found.mta_response == "550 5.1.1 no such user"
    assert found.description == "550 5.1.1 ...@..."
    assert (found.tags, found.metadata) == (("welcome",), {"order": "77"})
    assert found.raw == record


@pytest.mark.parametrize(
    ("name", "event_type", "reason"),
    [
        ("injection", ProviderEventType.QUEUED, None),
        ("delivery", ProviderEventType.DELIVERED, None),
        ("delay", ProviderEventType.DEFERRED, None),
        ("spam_complaint", ProviderEventType.COMPLAINED, RejectReason.SPAM),
        ("list_unsubscribe", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED),
        ("link_unsubscribe", ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED),
        ("generation_failure", ProviderEventType.FAILED, None),
        ("open", ProviderEventType.OPENED, None),
        ("amp_open", ProviderEventType.OPENED, None),
        ("initial_open", ProviderEventType.UNKNOWN, None),
        ("click", ProviderEventType.CLICKED, None),
        ("amp_click", ProviderEventType.CLICKED, None),
        ("ab_test_completed", ProviderEventType.UNKNOWN, None),
        (None, ProviderEventType.UNKNOWN, None),
    ],
)
def test_it_knows_each_event(name, event_type, reason):
    found = event(type=name)
    assert (found.event_type, found.reject_reason, found.is_hard) == (event_type, reason, None)


@pytest.mark.parametrize("name", ["policy_rejection", "generation_rejection"])
def test_a_rejection_is_a_policy(name):
    found = event(type=name)
    assert found.event_type is ProviderEventType.REJECTED
    assert (found.reject_reason, found.is_hard) == (RejectReason.BLOCKED, False)


@pytest.mark.parametrize("name", ["bounce", "out_of_band"])
@pytest.mark.parametrize(
    ("bounce_class", "event_type", "reason", "is_hard"),
    [
        (1, ProviderEventType.BOUNCED, RejectReason.OTHER, None),
        (10, ProviderEventType.BOUNCED, RejectReason.INVALID, True),
        (20, ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
        (22, ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
        (24, ProviderEventType.BOUNCED, RejectReason.TIMED_OUT, False),
        (25, ProviderEventType.BOUNCED, RejectReason.BLOCKED, False),
        (30, ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
        (40, ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
        (51, ProviderEventType.BOUNCED, RejectReason.SPAM, False),
        (60, ProviderEventType.AUTORESPONDED, RejectReason.OTHER, None),
        (80, ProviderEventType.SUBSCRIBED, RejectReason.OTHER, None),
        (90, ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
        (100, ProviderEventType.AUTORESPONDED, RejectReason.OTHER, None),
        (999, ProviderEventType.BOUNCED, RejectReason.BOUNCED, None),
        (None, ProviderEventType.BOUNCED, RejectReason.BOUNCED, None),
    ],
)
def test_it_knows_each_class_of_bounce(name, bounce_class, event_type, reason, is_hard):
    for value in (bounce_class, bounce_class and str(bounce_class)):
        found = event(type=name, bounce_class=value)
        assert (found.event_type, found.reject_reason) == (event_type, reason)
        assert found.is_hard is is_hard


def test_a_delay_is_no_bounce_whatever_its_class():
    found = event(type="delay", bounce_class="10")
    assert (found.reject_reason, found.is_hard) == (None, None)


def test_it_reads_a_click():
    found = event(
        "track_event", type="click", target_link_url="https://example.com/", user_agent="B/1"
    )
    assert (found.click_url, found.user_agent) == ("https://example.com/", "B/1")


def test_a_batch_keeps_its_order_and_a_ping_has_no_events():
    batch = [{"msys": {"track_event": {"type": name}}} for name in ("open", "click")]
    types = [each.event_type for each in sparkpost.parse(request([*batch, {"msys": {}}]))]
    assert types == [ProviderEventType.OPENED, ProviderEventType.CLICKED]
    assert sparkpost.parse(request([{"msys": {}}])) == sparkpost.parse(request([])) == []


def test_mail_that_was_received_is_not_for_us():
    with pytest.raises(UnreadablePayload, match="a mail received by SparkPost"):
        sparkpost.parse(request([{"msys": {"relay_message": {"rcpt_to": "a@example.org"}}}]))


@pytest.mark.parametrize("body", [b"", b"{}", b"[7]", b'[{"msys": 7}]', b'[{"a": {}}]', b"\xff"])
def test_another_body_is_unreadable(body):
    with pytest.raises(UnreadablePayload):
        sparkpost.parse(request(body))


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises_anything_else(body):
    with contextlib.suppress(UnreadablePayload):
        sparkpost.parse(request(body))


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_field_of_a_wrong_type_costs_the_event(record):
    assert len(sparkpost.parse(request([{"msys": {"message_event": record}}]))) == 1

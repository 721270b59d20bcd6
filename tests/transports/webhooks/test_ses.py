"""Amazon SES's notifications and events."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.provider_event import ProviderEventType, RejectReason
from maild.transports.webhooks import ses
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload
from tests.transports.webhooks.builders import NOW

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
MAIL = {
    "messageId": "ses-1",
    "timestamp": "2026-11-28T11:00:00.000Z",
    "destination": ["ann@example.org", "bob@example.org"],
    "commonHeaders": {"messageId": "<1@example.com>"},
    "headers": [
        {"name": "Message-ID", "value": "<2@example.com>"},
        {"name": "X-Tag", "value": "welcome"},
        {"name": "x-tag", "value": "new"},
        {"name": "X-Metadata", "value": '{"order": 77}'},
        "odd",
    ],
    "tags": {"ses:configuration-set": ["main"], "team": ["a"], "teams": ["a", "b"]},
}


def envelope(message, **changes):
    text = message if isinstance(message, str) else json.dumps(message)
    return {
        "Type": "Notification",
        "MessageId": "sns-1",
        "Message": text,
        "Timestamp": "2026-11-28T12:00:00.000Z",
    } | changes


def request(payload, **headers):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Request(body=body, headers=headers, received_at=NOW)


def events(kind, details=None, *, name="eventType", mail=None, **changes):
    part = ses.DETAILS.get(kind, "other")
    message = {name: kind, "mail": MAIL if mail is None else mail, part: details or {}}
    return ses.parse(request(envelope(message, **changes)))


def test_it_wants_a_topic_and_basic_authentication_where_that_is_set():
    keys = Keys(basic_auth=("user:secret",), topic_arn="arn")
    right = f"Basic {base64.b64encode(b'user:secret').decode()}"
    with pytest.raises(BadSignature, match="basic"):
        ses.verify(request(envelope({})), keys)
    with pytest.raises(BadSignature, match="topic"):
        ses.verify(request(envelope({}), authorization=right), keys)
    with pytest.raises(BadSignature, match="no topic is set"):
        ses.verify(request(envelope({})), Keys())


@pytest.mark.parametrize("name", ["notificationType", "eventType"])
def test_it_reads_a_bounce_of_several_recipients_whole(name):
    details = {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "timestamp": "2026-11-28T09:00:00.000Z",
        "bouncedRecipients": [
            {"emailAddress": "ann@example.org", "diagnosticCode": "smtp; 550 5.1.1 no such user"},
            {"emailAddress": "bob@example.org", "status": "5.7.1"},
        ],
    }
    first, second = events("Bounce", details, name=name)
    assert first.event_type is second.event_type is ProviderEventType.BOUNCED
    assert (first.recipient, second.recipient) == ("ann@example.org", "bob@example.org")
    assert first.mta_response == "smtp; 550 5.1.1 no such user"
    assert (first.is_hard, second.is_hard) == (True, False)
    assert first.reject_reason is RejectReason.BOUNCED
    assert first.description == "Permanent: General"
    assert (first.event_id, first.message_id) == ("sns-1", "ses-1")
    assert first.message_id_header == "<1@example.com>"
    assert first.timestamp == NOW
    assert first.tags == ("welcome", "new")
    assert first.metadata == {"team": "a", "teams": ["a", "b"], "order": 77}
    assert first.raw["MessageId"] == "sns-1"


@pytest.mark.parametrize(
    ("kind", "subtype", "reason", "is_hard"),
    [
        ("Permanent", "General", RejectReason.BOUNCED, True),
        ("Permanent", "NoEmail", RejectReason.BOUNCED, True),
        ("Permanent", "Suppressed", RejectReason.BOUNCED, True),
        ("Permanent", "OnAccountSuppressionList", RejectReason.BOUNCED, True),
        ("Permanent", "UnsubscribedRecipient", RejectReason.UNSUBSCRIBED, False),
        ("Permanent", "NewInNextVersion", RejectReason.BOUNCED, False),
        ("Transient", "General", RejectReason.BOUNCED, False),
        ("Transient", "MailboxFull", RejectReason.BOUNCED, False),
        ("Transient", "ContentRejected", RejectReason.BOUNCED, False),
        ("Undetermined", "Undetermined", RejectReason.BOUNCED, None),
        (None, None, RejectReason.BOUNCED, None),
        ([], {}, RejectReason.BOUNCED, None),
    ],
)
def test_a_bounce_is_hard_for_a_bad_address_only(kind, subtype, reason, is_hard):
    recipients = [{"emailAddress": "ann@example.org"}]
    details = {"bounceType": kind, "bounceSubType": subtype, "bouncedRecipients": recipients}
    (found,) = events("Bounce", details)
    assert (found.reject_reason, found.is_hard) == (reason, is_hard)


def test_a_bounce_without_a_recipient_is_one_event_still():
    (found,) = events("Bounce")
    assert (found.event_type, found.recipient) == (ProviderEventType.BOUNCED, None)


@pytest.mark.parametrize(
    ("feedback", "event_type", "reason"),
    [
        ("abuse", ProviderEventType.COMPLAINED, RejectReason.SPAM),
        (None, ProviderEventType.COMPLAINED, RejectReason.SPAM),
        ("not-spam", ProviderEventType.UNKNOWN, None),
    ],
)
def test_it_reads_a_complaint(feedback, event_type, reason):
    details = {
        "complainedRecipients": [{"emailAddress": "ann@example.org"}],
        "complaintFeedbackType": feedback,
        "userAgent": "Loop/1",
    }
    (found,) = events("Complaint", details)
    assert (found.event_type, found.reject_reason) == (event_type, reason)
    assert (found.recipient, found.description) == ("ann@example.org", feedback)
    assert (found.user_agent, found.is_hard) == ("Loop/1", None)


def test_it_reads_a_delivery_for_whom_it_was_delivered_to():
    details = {"recipients": ["bob@example.org"], "smtpResponse": "250 ok"}
    (found,) = events("Delivery", details)
    assert found.event_type is ProviderEventType.DELIVERED
    assert (found.recipient, found.mta_response) == ("bob@example.org", "250 ok")


def test_it_reads_a_delay():
    details = {
        "delayType": "MailboxFull",
        "delayedRecipients": [{"emailAddress": "bob@example.org", "diagnosticCode": "452 full"}],
    }
    (found,) = events("DeliveryDelay", details)
    assert (found.event_type, found.is_hard) == (ProviderEventType.DEFERRED, None)
    assert (found.recipient, found.mta_response) == ("bob@example.org", "452 full")
    assert found.description == "MailboxFull"


@pytest.mark.parametrize(
    ("kind", "details", "event_type", "reason", "description"),
    [
        ("Send", {}, ProviderEventType.QUEUED, None, None),
        (
            "Reject",
            {"reason": "Bad content"},
            *(ProviderEventType.REJECTED, RejectReason.BLOCKED, "Bad content"),
        ),
        (
            "Rendering Failure",
            {"errorMessage": "no such name"},
            *(ProviderEventType.FAILED, None, "no such name"),
        ),
        ("Open", {}, ProviderEventType.OPENED, None, None),
        ("Click", {}, ProviderEventType.CLICKED, None, None),
        ("NewInNextVersion", {}, ProviderEventType.UNKNOWN, None, None),
    ],
)
def test_other_events_are_about_all_recipients(kind, details, event_type, reason, description):
    found = events(kind, details)
    assert [each.recipient for each in found] == MAIL["destination"]
    assert {each.event_type for each in found} == {event_type}
    assert {each.reject_reason for each in found} == {reason}
    assert {each.description for each in found} == {description}


def test_it_reads_a_click():
    found, _ = events("Click", {"link": "https://example.com/", "userAgent": "B/1"})
    assert (found.click_url, found.user_agent) == ("https://example.com/", "B/1")


def preferences(everything, **topics):
    statuses = [
        {"topicName": name, "subscriptionStatus": status} for name, status in topics.items()
    ]
    return {"unsubscribeAll": everything, "topicSubscriptionStatus": statuses}


@pytest.mark.parametrize(
    ("old", "new", "event_type", "description"),
    [
        (
            preferences(False, news="OptIn"),
            preferences(True, news="OptIn"),
            *(ProviderEventType.UNSUBSCRIBED, "list"),
        ),
        (
            preferences(False, news="OptIn"),
            preferences(False, news="OptOut"),
            *(ProviderEventType.UNSUBSCRIBED, "list: news"),
        ),
        (
            preferences(True, news="OptIn"),
            preferences(False, news="OptIn"),
            *(ProviderEventType.SUBSCRIBED, "list"),
        ),
        (
            preferences(False, news="OptOut"),
            preferences(False, news="OptIn"),
            *(ProviderEventType.SUBSCRIBED, "list: news"),
        ),
        (preferences(False), preferences(False), ProviderEventType.UNKNOWN, "list"),
        (None, None, ProviderEventType.UNKNOWN, "list"),
    ],
)
def test_it_reads_what_a_recipient_subscribes_to(old, new, event_type, description):
    details = {"contactList": "list", "oldTopicPreferences": old, "newTopicPreferences": new}
    found, _ = events("Subscription", details)
    assert (found.event_type, found.description) == (event_type, description)
    is_out = event_type is ProviderEventType.UNSUBSCRIBED
    assert found.reject_reason is (RejectReason.UNSUBSCRIBED if is_out else None)


def test_the_message_id_header_may_be_among_the_headers_only():
    (found, *_) = events("Open", mail=without(MAIL, "commonHeaders"))
    assert found.message_id_header == "<2@example.com>"


def without(mapping, name):
    return {key: value for key, value in mapping.items() if key != name}


@pytest.mark.parametrize(
    ("details", "timestamp"),
    [
        ({"timestamp": "2026-11-28T12:00:00Z"}, NOW),
        ({}, NOW.replace(hour=11)),
    ],
)
def test_a_bare_event_has_the_time_that_is_in_it(details, timestamp):
    record = {"eventType": "Open", "mail": MAIL, "open": details}
    assert ses.is_record(record)
    found, _ = ses.parse_record(record)
    assert (found.timestamp, found.event_id) == (timestamp, None)
    assert found.raw == record


@pytest.mark.parametrize(
    "record",
    [
        envelope("x", Type="SubscriptionConfirmation"),
        envelope("x", Type="UnsubscribeConfirmation"),
        envelope("Successfully validated SNS topic for Amazon SES event publishing."),
        envelope({"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "..."}),
        envelope({}),
    ],
)
def test_what_sns_says_about_itself_is_no_event(record):
    assert ses.parse(request(record)) == []


def test_mail_that_was_received_is_not_for_us():
    message = {"notificationType": "Received", "mail": MAIL, "content": "..."}
    with pytest.raises(UnreadablePayload, match="a mail received by SES"):
        ses.parse(request(envelope(message)))


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"\xff", b"[]", b"7", b"{}", {"eventType": "Open"}, {"mail": {}}),
        *(envelope("hello"), envelope("[]"), envelope("[" * 100_000), envelope("", Message=7)),
        *(envelope({"eventType": "Open"}), envelope({"mail": {}})),
    ],
)
def test_another_body_is_unreadable(payload):
    with pytest.raises(UnreadablePayload):
        ses.parse(request(payload))


def test_it_knows_its_records():
    assert ses.is_record({"notificationType": "Bounce", "mail": {}})
    assert ses.is_record(envelope({"eventType": "Open", "mail": {}}))
    assert not ses.is_record(envelope("hello"))
    assert not ses.is_record({"eventType": "Open"})
    assert not ses.is_record({"eventType": "other", "mail": {}})
    assert not ses.is_record({})


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises_anything_else(body):
    with contextlib.suppress(UnreadablePayload):
        ses.parse(request(body))


@given(
    st.sampled_from(sorted(ses.EVENTS)),
    st.dictionaries(st.sampled_from([*ses.DETAILS.values(), "timestamp"]), JSON),
    st.dictionaries(st.sampled_from(sorted(MAIL)), JSON),
    JSON,
)
def test_no_field_of_a_wrong_type_costs_the_event(kind, fields, mail, part):
    names = ("bouncedRecipients", "newTopicPreferences", "recipients", "reason", "bounceType")
    details = dict.fromkeys(names, part)
    for record in (fields, {ses.DETAILS[kind]: details}):
        assert ses.parse_record({**record, "eventType": kind, "mail": mail})

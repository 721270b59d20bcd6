"""Complaints, opt-outs and vacation replies, and the return path that names a message."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.bounce_mail import ReportKind, read, verp
from maild.domain.provider_event import RejectReason
from tests.domain.bounce_mail.builders import ORIGINAL, dsn, failed, kinds, plain

MESSAGE = uuid.UUID("0199a3c2-1111-7222-8333-444455556666")


def feedback(feedback_type: str, more: str = "", original: str = ORIGINAL) -> bytes:
    text = (
        "From: fbl@provider.example\nTo: abuse@shop.example\nSubject: FW: Your order\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=f\n\n"
        "--f\nContent-Type: text/plain\n\nThis is an email abuse report.\n"
        "--f\nContent-Type: message/feedback-report\n\n"
        f"Feedback-Type: {feedback_type}\nUser-Agent: Loop/1.0\nVersion: 1\n{more}"
        f"--f\nContent-Type: message/rfc822\n\n{original}\n--f--\n"
    )
    return text.encode()


@pytest.mark.parametrize(
    ("feedback_type", "event_type", "reason"),
    [
        ("abuse", "complained", RejectReason.SPAM),
        ("Fraud", "complained", RejectReason.SPAM),
        ("virus", "complained", RejectReason.SPAM),
        ("opt-out", "unsubscribed", RejectReason.UNSUBSCRIBED),
        ("opt-out-list", "unsubscribed", RejectReason.UNSUBSCRIBED),
        ("not-spam", "unknown", None),
        ("auth-failure", "unknown", None),
        ("dmarc", "unknown", None),
        ("something-new", "unknown", None),
    ],
)
def test_a_feedback_report_means_what_its_type_says(feedback_type, event_type, reason):
    report = read(feedback(feedback_type, "Original-Rcpt-To: <ann@there.example>\n"))
    assert (report.kind, kinds(report)) == (ReportKind.ABUSE, [event_type])
    (event,) = report.events
    assert (event.recipient, event.reject_reason) == ("ann@there.example", reason)
    assert event.is_hard is None
    assert report.feedback_type == feedback_type.lower()
    assert report.message_ids == (f"{MESSAGE}@shop.example",)


def test_the_recipient_of_a_complaint_is_looked_for_in_the_copy():
    assert read(feedback("abuse")).events[0].recipient == "ann@there.example"
    hidden = ORIGINAL.replace("To: Ann <ann@there.example>", "To: undisclosed-recipients:;")
    assert read(feedback("abuse", original=hidden)).events[0].recipient is None
    removal = "Removal-Recipient: bob@there.example\n"
    assert read(feedback("opt-out", removal)).events[0].recipient == "bob@there.example"


def test_a_junk_mail_report_without_a_report_is_a_complaint():
    raw = (
        "From: staff@provider.example\nSubject: complaint about message from 192.0.2.10\n"
        "Content-Type: multipart/mixed; boundary=j\n\n--j\nContent-Type: message/rfc822\n\n"
        f"X-HmXmrOriginalRecipient: ann@there.example\n{ORIGINAL}\n--j--\n"
    )
    report = read(raw.encode())
    assert (report.kind, kinds(report)) == (ReportKind.ABUSE, ["complained"])
    assert report.events[0].recipient == "ann@there.example"


def test_the_mail_of_an_unsubscribe_button_opts_out():
    report = read(plain("", sender="Ann <ann@there.example>", subject="Unsubscribe"))
    assert kinds(report) == ["unsubscribed"]
    assert report.events[0].recipient == "ann@there.example"


@pytest.mark.parametrize(
    ("header", "subject"),
    [
        ("Auto-Submitted: auto-replied\n", "Re: Your order"),
        ('Auto-Submitted: auto-replied (vacation); owner="x"\n', "Re: Your order"),
        ("X-Autoreply: yes\n", "Re: Your order"),
        ("Precedence: auto_reply\n", "Re: Your order"),
        ("", "Automatic reply: Your order"),
        ("", "Out of Office: Your order"),
        ("", "=?utf-8?q?Abwesenheitsnotiz?="),
    ],
)
def test_a_vacation_reply_says_nothing_against_the_address(header, subject):
    body = "I am away. My old account does not exist any more; write to bob@there.example."
    header += "In-Reply-To: <i@shop.example>\n"
    report = read(plain(body, sender="Ann <ann@there.example>", subject=subject, header=header))
    assert (report.kind, kinds(report)) == (ReportKind.AUTOREPLY, ["autoresponded"])
    (event,) = report.events
    assert (event.recipient, event.is_hard) == ("ann@there.example", None)
    assert report.message_ids == ("i@shop.example",)


def test_a_bounce_that_says_auto_replied_stays_a_bounce():
    body = "<ann@there.example>: 550 5.1.1 user unknown"
    report = read(plain(body, header="Auto-Submitted: auto-replied\n"))
    assert report.kind is ReportKind.BOUNCE


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_notification_of_amazon_ses_by_mail_is_read(is_wrapped):
    recipients = [{"emailAddress": "ann@there.example", "action": "failed", "status": "5.1.1",
                   "diagnosticCode": "smtp; 550 5.1.1 user unknown"}]  # fmt: skip
    record = {
        "notificationType": "Bounce",
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": recipients},
        "mail": {"commonHeaders": {"messageId": f"<{MESSAGE}@shop.example>"}},
    }
    text = json.dumps(record)
    if is_wrapped:
        text = json.dumps({"Type": "Notification", "Message": text}, indent=2)
    raw = plain(text + "\n--\nUnsubscribe here\n", sender="no-reply@sns.example", subject="Notice")
    report = read(raw)
    assert report.kind is ReportKind.BOUNCE
    (event,) = report.events
    assert (event.recipient, event.is_hard) == ("ann@there.example", True)
    assert event.message_id_header == f"{MESSAGE}@shop.example"


@pytest.mark.parametrize("name", ["Bounce", "Complaint", "Delivery"])
def test_a_notification_of_a_wrong_shape_is_harmless(name):
    for details in (None, [], "x", {"recipients": [None, 1, {"emailAddress": 2}]}):
        record = {"eventType": name, name.lower(): details, "mail": [1]}
        assert all(event.recipient is None for event in read(plain(json.dumps(record))).events)


@given(st.uuids())
def test_a_return_path_names_its_message(message_id):
    address = verp.address("bounces@shop.example", message_id)
    local, _, domain = address.partition("@")
    assert len(local) <= 64
    assert (local.partition("+")[0], domain) == ("bounces", "shop.example")
    assert verp.find(address) == message_id
    assert verp.find(address.upper()) == message_id
    assert verp.find(f"SRS0=Hx1=AB=shop.example={local}@forward.example") == message_id
    assert verp.find(f"prvs=1234567890={address}") == message_id


@given(st.text())
def test_no_text_breaks_the_search_for_a_name(text):
    verp.find(text)


@pytest.mark.parametrize(
    "address",
    ["bounces@shop.example", "bounces+news@shop.example", "", "bounces+" + "a" * 25 + "@x.example",
     "bounces+" + "a" * 25 + "b@x.example", "bounces+" + "a" * 27 + "@x.example"],
)  # fmt: skip
def test_another_address_names_nothing(address):
    assert verp.find(address) is None


@pytest.mark.parametrize("base", ["", "bounces", "@shop.example", "b@", "b" * 38 + "@shop.example"])
def test_a_base_that_leaves_no_room_is_refused(base):
    with pytest.raises(ValueError, match=r"address|longer"):
        verp.address(base, MESSAGE)


def test_the_longest_base_fits():
    local = verp.address("b" * 37 + "@shop.example", MESSAGE).partition("@")[0]
    assert len(local) == 64


@pytest.mark.parametrize("name", ["To", "Delivered-To", "X-Original-To", "Envelope-To"])
def test_the_message_is_found_by_the_address_that_the_report_came_to(name):
    address = verp.address("bounces@shop.example", MESSAGE)
    report = read(dsn(failed(), header=f"{name}: <{address}>\n"))
    assert report.verp_id == MESSAGE


def test_the_message_is_found_by_the_originals_return_path():
    address = verp.address("bounces@shop.example", MESSAGE)
    original = ORIGINAL.replace("bounces@shop.example", address)
    assert read(dsn(failed(), original=original)).verp_id == MESSAGE
    assert read(dsn(failed())).verp_id is None


@pytest.mark.parametrize(
    "original_type", ["text/rfc822-headers", "message/global", "message/rfc822"]
)
def test_the_originals_message_id_comes_before_those_that_the_report_answers(original_type):
    header = "In-Reply-To: <b@shop.example>\nReferences: <a@shop.example> <b@shop.example>\n"
    report = read(dsn(failed(), header=header, original_type=original_type))
    assert report.message_ids == (f"{MESSAGE}@shop.example", "b@shop.example", "a@shop.example")


def test_a_feedback_report_that_lost_its_part_still_complains():
    raw = feedback("abuse").replace(b"message/feedback-report", b"text/x-lost")
    report = read(raw)
    assert (report.kind, kinds(report)) == (ReportKind.ABUSE, ["complained"])
    assert report.events[0].recipient == "ann@there.example"


def test_a_complaint_by_amazon_ses_names_spam_and_takes_bare_addresses():
    record = {
        "eventType": "Complaint",
        "complaint": {"complainedRecipients": ["ann@there.example"]},
        "mail": {"headers": [{"name": "Message-ID", "value": "<m@shop.example>"}]},
    }
    report = read(plain(json.dumps(record), sender="no-reply@sns.example", subject="Notice"))
    (event,) = report.events
    assert (event.recipient, event.reject_reason) == ("ann@there.example", RejectReason.SPAM)
    assert (event.message_id_header, event.description) == ("m@shop.example", "abuse")

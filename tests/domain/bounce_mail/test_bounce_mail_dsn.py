"""Delivery status notifications: the machine-readable part, RFC 3464."""

import base64
from datetime import UTC, datetime

import pytest

from maild.domain.bounce_mail import ReportKind, read
from maild.domain.provider_event import ProviderEventType, RejectReason
from tests.domain.bounce_mail.builders import dsn, failed, kinds, verdicts

NO_SUCH_USER = "550 5.1.1 <ann@there.example>: Recipient address rejected: User unknown"


def test_a_dead_address_is_a_hard_bounce_with_all_that_the_report_tells():
    report = read(dsn(failed(diagnostic=NO_SUCH_USER)))
    assert report.kind is ReportKind.BOUNCE
    (event,) = report.events
    assert event.event_type is ProviderEventType.BOUNCED
    assert (event.recipient, event.is_hard) == ("ann@there.example", True)
    assert event.reject_reason is RejectReason.BOUNCED
    assert event.mta_response == NO_SUCH_USER
    assert event.description == "invalid_recipient"
    assert event.timestamp == datetime(2026, 11, 2, 11, tzinfo=UTC)
    assert event.message_id_header == "0199a3c2-1111-7222-8333-444455556666@shop.example"
    assert event.raw["status"] == "5.1.1"
    assert report.message_ids == ("0199a3c2-1111-7222-8333-444455556666@shop.example",)
    assert report.original_recipients == ("ann@there.example",)
    assert report.reporting_mta == "dns; out.shop.example"


@pytest.mark.parametrize(
    ("diagnostic", "status"),
    [
        ("552 5.2.2 <ann@there.example>: mailbox over quota", "5.1.1"),
        ("550 5.7.1 Message rejected as spam by content scanner", "5.1.1"),
        ("554 5.7.1 Service unavailable; client host blocked using dnsbl.example", "5.0.0"),
        ("550 5.7.26 Unauthenticated mail from shop.example is not accepted, DMARC", "5.7.26"),
        ("550 Rejected", "5.0.0"),
        ("421 4.7.0 Try again later", "4.7.0"),
        ("553 5.1.8 <bounces@shop.example>: domain of sender address does not exist", "5.1.8"),
        ("550 5.2.1 This account has been disabled", "5.2.1"),
        ("451 4.4.1 Connection timed out", "4.4.7"),
    ],
)
def test_what_is_not_about_a_dead_address_is_not_hard(diagnostic, status):
    assert verdicts(dsn(failed(status=status, diagnostic=diagnostic))) == [
        ("ann@there.example", False)
    ]


@pytest.mark.parametrize(
    ("status", "is_hard"),
    [("5.1.1", True), ("5.1.2", True), ("5.1.3", True), ("5.1.6", True), ("5.1.10", True),
     ("5.0.0", False), ("5.2.2", False), ("5.7.1", False), ("5.4.4", False), ("4.4.7", False),
     ("5.1.1 (unknown mailbox)", True), ("", False)],
)  # fmt: skip
def test_without_a_diagnostic_the_status_decides(status, is_hard):
    assert verdicts(dsn(failed(status=status)))[0][1] is is_hard


def test_a_report_says_more_than_a_status_that_contradicts_it():
    words = "<ann@there.example>: 552 5.2.2 the mailbox is full"
    assert verdicts(dsn(failed(status="5.1.1"), words=words)) == [("ann@there.example", False)]


def test_where_the_diagnostic_is_missing_the_text_tells_why():
    words = (
        "A message that you sent could not be delivered. The following address(es) failed:\n\n"
        "  ann@there.example\n    Unrouteable address\n"
    )
    assert verdicts(dsn(failed(status="5.0.0"), words=words)) == [("ann@there.example", True)]


def test_the_command_that_the_text_names_counts():
    diagnostic = "550 no such user"
    words = "<ann@there.example>: host mx said: 550 no such user (in reply to MAIL FROM command)"
    assert verdicts(dsn(failed(status="5.0.0", diagnostic=diagnostic), words=words))[0][1] is False
    words = words.replace("MAIL FROM", "RCPT TO")
    assert verdicts(dsn(failed(status="5.0.0", diagnostic=diagnostic), words=words))[0][1] is True


def test_each_recipient_has_an_event_of_its_own():
    fields = "\n".join(
        [
            failed("ann@there.example", diagnostic=NO_SUCH_USER),
            failed("bob@there.example", "5.2.2", "552 5.2.2 mailbox full"),
            "Final-Recipient: rfc822; cy@there.example\nAction: delayed\nStatus: 4.4.1\n",
            "Final-Recipient: rfc822; di@there.example\nAction: delivered\nStatus: 2.0.0\n",
            "Final-Recipient: rfc822; ed@there.example\nAction: relayed\nStatus: 2.0.0\n",
            "Final-Recipient: rfc822; list@there.example\nAction: expanded\nStatus: 2.0.0\n",
        ]
    )
    report = read(dsn(fields))
    assert report.kind is ReportKind.BOUNCE
    assert kinds(report) == ["bounced", "bounced", "deferred", "delivered", "sent", "sent"]
    assert [event.is_hard for event in report.events] == [True, False, None, None, None, None]


def test_a_delay_is_no_bounce():
    fields = (
        "Final-Recipient: rfc822; ann@there.example\nAction: delayed\nStatus: 4.4.1\n"
        "Last-Attempt-Date: Mon, 2 Nov 2026 10:30:00 +0000\n"
        "Will-Retry-Until: Sat, 7 Nov 2026 10:00:00 +0000\n"
    )
    report = read(dsn(fields))
    assert (report.kind, kinds(report)) == (ReportKind.DELAYED, ["deferred"])
    assert report.events[0].timestamp == datetime(2026, 11, 2, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize("action", ["delivered", "relayed (to a server without DSN)", "Expanded"])
def test_success_is_told_from_failure(action):
    fields = f"Final-Recipient: rfc822; ann@there.example\nAction: {action}\nStatus: 2.1.5\n"
    assert read(dsn(fields)).kind is ReportKind.DELIVERED


def test_without_an_action_the_class_of_the_status_counts():
    fields = "Final-Recipient: rfc822; ann@there.example\nStatus: {}\n"
    assert kinds(read(dsn(fields.format("4.2.0")))) == ["deferred"]
    assert kinds(read(dsn(fields.format("2.0.0")))) == ["delivered"]
    assert kinds(read(dsn(fields.format("5.1.1")))) == ["bounced"]


@pytest.mark.parametrize(
    ("fields", "recipient"),
    [
        ("Original-Recipient: rfc822;ann@here.example\nFinal-Recipient: rfc822; a@b.example",
         "ann@here.example"),
        ("Original-Recipient: rfc822;ann+2Bnews@here.example\nFinal-Recipient: rfc822; x@b.example",
         "ann+news@here.example"),
        ("Original-Recipient: rfc822;ann+2B@b.example\nFinal-Recipient: rfc822;ann+2B@b.example",
         "ann+2B@b.example"),
        ("Original-Recipient: rfc822;ann+21@here.example", "ann+21@here.example"),
        ("Final-Recipient: rfc822; <Ann@B.example>", "Ann@B.example"),
        ("Final-Recipient: RFC822;ann@b.example (Ann)", "ann@b.example"),
        ("Final-Recipient: ann@b.example", "ann@b.example"),
        ("Final-Recipient: utf-8; j\\x{F6}rg@b.example", "jörg@b.example"),
        ('Final-Recipient: rfc822; "ann b"@b.example', '"ann b"@b.example'),
        ("Original-Recipient: unknown\nFinal-Recipient: rfc822;ann@b.example", "ann@b.example"),
    ],
)  # fmt: skip
def test_the_address_that_was_written_to_is_found(fields, recipient):
    (event,) = read(dsn(f"{fields}\nAction: failed\nStatus: 5.1.1\n")).events
    assert event.recipient == recipient


def test_a_recipient_that_is_no_address_is_taken_from_elsewhere():
    fields = "Final-Recipient: rfc822;/var/mail/there/ann\nAction: failed\nStatus: 5.0.0\n"
    words = "The following address(es) failed:\n\n  ann@there.example\n    mailbox is full\n"
    assert verdicts(dsn(fields, words=words)) == [("ann@there.example", False)]
    fields = "Final-Recipient: x400; /C=DE/A=POST/S=ANN\nAction: failed\nStatus: 5.1.1\n"
    assert verdicts(dsn(fields)) == [("ann@there.example", True)]


def test_groups_are_told_apart_without_blank_lines():
    fields = failed("a@there.example") + failed("b@there.example", "5.2.2")
    assert verdicts(dsn(fields)) == [("a@there.example", True), ("b@there.example", False)]


def test_blank_lines_inside_a_group_do_not_part_it():
    fields = (
        "Final-Recipient: rfc822; ann@there.example\n\nAction: failed\n\nStatus: 5.0.0\n"
        f"Diagnostic-Code: smtp; {NO_SUCH_USER}\n"
    )
    assert verdicts(dsn(fields)) == [("ann@there.example", True)]


def test_folded_and_repeated_fields_are_joined():
    fields = (
        "Final-Recipient: rfc822;\n ann@there.example\nAction: failed\nStatus: 5.0.0\n"
        "Diagnostic-Code: smtp;\n 550 5.1.1 no\n\tsuch user here\n"
    )
    (event,) = read(dsn(fields)).events
    assert event.mta_response == "550 5.1.1 no such user here"
    assert event.is_hard


def test_several_status_parts_are_read_together():
    raw = dsn(failed("a@there.example"))
    part = b"--=_b\r\nContent-Type: message/delivery-status\r\n\r\n"
    more = part + failed("b@there.example").replace("\n", "\r\n").encode() + b"\r\n"
    raw = raw.replace(
        b"--=_b\r\nContent-Type: message/rfc822", more + b"--=_b\r\nContent-Type: m/x"
    )
    assert [event.recipient for event in read(raw).events] == ["a@there.example", "b@there.example"]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_an_encoded_status_part_is_decoded(encoding):
    fields = "Reporting-MTA: dns; x.example\n\n" + failed(diagnostic=NO_SUCH_USER)
    encoded = fields.replace("5.1.1", "5=2E1.1")
    if encoding == "base64":
        encoded = base64.encodebytes(fields.encode()).decode()
    raw = (
        "From: MAILER-DAEMON@x.example\nContent-Type: multipart/report; boundary=b;"
        " report-type=delivery-status\n\n--b\nContent-Type: message/delivery-status\n"
        f"Content-Transfer-Encoding: {encoding}\n\n{encoded}\n--b--\n"
    )
    assert verdicts(raw.encode()) == [("ann@there.example", True)]


def test_a_status_without_mime_is_found_in_the_text():
    raw = "From: postmaster@x.example\nSubject: Delivery failed\n\nReport:\n\n" + failed()
    assert verdicts(raw.encode()) == [("ann@there.example", True)]


def test_a_status_part_of_an_international_mail_is_read():
    fields = failed("ann@there.example")
    assert verdicts(dsn(fields, status_type="message/global-delivery-status")) == [
        ("ann@there.example", True)
    ]


def test_who_leaves_the_status_out_is_not_believed_on_a_phrase():
    fields = (
        "Final-Recipient: rfc822; ann@there.example\nAction: failed\n"
        "Diagnostic-Code: smtp; 550 no such user\n"
    )
    assert verdicts(dsn(fields)) == [("ann@there.example", False)]


def test_user_unknown_under_5_2_1_counts_where_the_recipient_was_refused():
    fields = failed(status="5.2.1", diagnostic="550 5.2.1 <ann@there.example>... User unknown")
    said = "<ann@there.example>: host mx said: 550 5.2.1 User unknown (in reply to {} command)"
    assert verdicts(dsn(fields))[0][1] is False
    assert verdicts(dsn(fields, words=said.format("RCPT TO")))[0][1] is True
    assert verdicts(dsn(fields, words=said.format("end of DATA")))[0][1] is False


def test_a_status_part_without_recipients_leaves_the_text():
    words = "Delivery to the following recipients failed:\n\n   * ann@there.example\n"
    assert verdicts(dsn("X-Nothing: here", words=words)) == [("ann@there.example", False)]


@pytest.mark.parametrize(
    "diagnostic",
    [
        "Host or domain name not found. Name service error for name=there.example type=A:"
        " Host not found",
        "No such domain.",
        "550 5.1.2 <ann@there.example>: Recipient address rejected: Domain not found",
        "556 5.1.10 Recipient address has null MX",
    ],
)
def test_a_domain_that_takes_no_mail_is_hard(diagnostic):
    assert verdicts(dsn(failed(status="5.4.4", diagnostic=diagnostic)))[0][1] is True


def test_a_diagnostic_that_comes_twice_is_read_as_one():
    fields = failed(status="5.0.0", diagnostic="550 mailbox")
    fields += "Diagnostic-Code: unavailable: 5.1.1 no such user\n"
    (event,) = read(dsn(fields)).events
    assert event.mta_response == "550 mailbox unavailable: 5.1.1 no such user"

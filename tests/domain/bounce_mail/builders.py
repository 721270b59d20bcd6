"""Mails for the tests of this folder, all made up here."""

from maild.domain.bounce_mail import Report, read

ORIGINAL = """\
Return-Path: <bounces@shop.example>
Received: from app.shop.example (app.shop.example [192.0.2.10])
\tby out.shop.example with ESMTPS id 4Zx1; Mon, 2 Nov 2026 10:00:00 +0000
From: Shop <orders@shop.example>
To: Ann <ann@there.example>
Subject: Your order
Message-ID: <0199a3c2-1111-7222-8333-444455556666@shop.example>
Date: Mon, 2 Nov 2026 10:00:00 +0000

Thank you.
"""


def plain(
    body: str, *, sender: str = "MAILER-DAEMON@out.shop.example", header: str = "",
    subject: str = "Undelivered Mail", with_original: str = "",
) -> bytes:  # fmt: skip
    """A mail of plain text."""
    text = (
        f"From: {sender}\nTo: bounces@shop.example\nSubject: {subject}\n"
        f"Date: Mon, 2 Nov 2026 11:00:00 +0000\n{header}\n{body}\n{with_original}"
    )
    return text.replace("\n", "\r\n").encode()


def dsn(
    fields: str, *, words: str = "Your message could not be delivered.", header: str = "",
    original: str = ORIGINAL, status_type: str = "message/delivery-status",
    original_type: str = "message/rfc822",
) -> bytes:  # fmt: skip
    """A multipart/report as RFC 3464 wants it, around these fields of recipients."""
    text = (
        "From: Mail Delivery System <MAILER-DAEMON@mx.there.example>\nTo: bounces@shop.example\n"
        "Subject: Undelivered Mail Returned to Sender\nDate: Mon, 2 Nov 2026 11:00:00 +0000\n"
        f"Auto-Submitted: auto-replied\n{header}MIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="=_b"\n\n'
        f"--=_b\nContent-Type: text/plain\n\n{words}\n"
        f"--=_b\nContent-Type: {status_type}\n\n"
        "Reporting-MTA: dns; out.shop.example\nArrival-Date: Mon, 2 Nov 2026 10:00:01 +0000\n\n"
        f"{fields}\n"
        f"--=_b\nContent-Type: {original_type}\n\n{original}\n--=_b--\n"
    )
    return text.replace("\n", "\r\n").encode()


def failed(
    recipient: str = "ann@there.example", status: str = "5.1.1", diagnostic: str = ""
) -> str:
    """The fields of a recipient that has failed."""
    fields = f"Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: {status}\n"
    return fields + (f"Diagnostic-Code: smtp; {diagnostic}\n" if diagnostic else "")


def verdicts(raw: bytes) -> list[tuple[str | None, bool | None]]:
    """Recipients and whether each is hard."""
    return [(event.recipient, event.is_hard) for event in read(raw).events]


def kinds(report: Report) -> list[str]:
    """The types of the events."""
    return [event.event_type.value for event in report.events]

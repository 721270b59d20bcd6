"""Broken and hostile mails: nothing raises, and nothing takes more than bounded work."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maild.domain.bounce_mail import ReportKind, read
from maild.domain.bounce_mail.charsets import from_base64
from maild.domain.bounce_mail.mail import parse, parts_of, read_fields
from tests.domain.bounce_mail.builders import dsn, failed, plain, verdicts

MILLION = 1_000_000
HEAD = b"From: MAILER-DAEMON@x.example\r\nSubject: failure\r\n"
PIECES = [
    b"From: MAILER-DAEMON@x.example\n", b"To: a@b.example\n", b"Subject: =?utf-8?b?8J+Y?=\n",
    b"Content-Type: multipart/report; boundary=b\n", b"Content-Type: message/delivery-status\n",
    b"Content-Type: message/feedback-report\n", b"Content-Type: text/html; charset=utf-16\n",
    b"Content-Type: text/plain; charset=unicode_escape\n", b"Content-Transfer-Encoding: base64\n",
    b"Content-Transfer-Encoding: quoted-printable\n", b"\n", b"\r\n", b"--b\n", b"--b--\n",
    b"Final-Recipient: rfc822; a@b.example\n", b"Original-Recipient: utf-8;\\x{110000}@b\n",
    b"Action: failed\n", b"Status: 5.1.1\n", b"Diagnostic-Code: smtp; 550-5.1.1 x\n", b" folded\n",
    b"Date: Mon, 99 Foo 99999 99:99:99 +9999\n", b"Last-Attempt-Date: 1\n",
    b"Feedback-Type: abuse\n",
    b"{\"Type\":\"Notification\",\"Message\":\"{}\"}", b"<a@b.example>: 550 5.1.1 no such user\n",
    b"Content-Type: text/plain; charset=utf-7\n", b"+2AA-", b"Subject: =?utf-8?b?AAA=?=\n",
    b"Message-ID: <\n", b"Received: x\n", b"\x00", b"\xff\xfe",
    b"\x1b$B", b">>> RCPT To:<a@b.example>\n",
    b"Content-Type: message/rfc822\n", b"----- Original message -----\n", b"&#xD800;", b"<p>",
]  # fmt: skip


@given(st.binary(max_size=2000))
@example(b"")
@example(b"\r\n\r\n")
def test_no_bytes_raise(raw):
    read(raw)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=40).map(b"".join))
def test_no_mixture_of_what_reports_are_made_of_raises(raw):
    report = read(raw)
    kept = json.dumps([event.raw for event in report.events], ensure_ascii=False)
    (kept + repr(report)).encode("utf-8")
    assert "\\u0000" not in kept


@settings(max_examples=100)
@given(st.data())
def test_a_report_cut_or_changed_anywhere_does_not_raise(data):
    raw = dsn(failed(diagnostic="550 5.1.1 no such user"))
    at = data.draw(st.integers(0, len(raw)))
    read(raw[:at])
    read(raw[:at] + data.draw(st.binary(max_size=20)) + raw[at:])


def nested(depth: int) -> bytes:
    lines = [b"Content-Type: multipart/mixed; boundary=b0\r\n\r\n"]
    for level in range(depth):
        kind = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (level + 1)
        lines.append(b"--b%d\r\n%b" % (level, kind))
    return b"".join(lines)


@pytest.mark.parametrize(
    "raw",
    [
        b"a" * 10 * MILLION,
        b"\n" * 10 * MILLION,
        b"a:" * 5 * MILLION,
        HEAD + b"\r\n" + b"<" * 10 * MILLION,
        HEAD + b"\r\n" + b"a@b.example " * MILLION,
        HEAD + b"\r\n" + b"550 " * 2 * MILLION,
        HEAD + b"\r\n" + b" " * 10 * MILLION,
        HEAD + b"\r\n" + b"-" * 10 * MILLION,
        HEAD + b"\r\n" + b"host a.a.a.a.a.a.a.a.a " * MILLION,
        HEAD + b"\r\n" + b'{"a":' * 2 * MILLION,
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<style" * MILLION,
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<a " * 3 * MILLION,
        HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n" * 2 * MILLION,
        b"Content-Type: " + b"a;" * 5 * MILLION,
        b"Content-Type: " + b"(" * 10 * MILLION,
        b"Subject: " + b"=?utf-8?q?" * MILLION,
        b"To: " + b"a@b, " * 2 * MILLION,
        nested(5000),
    ],
    ids=range(18),
)
def test_ten_megabytes_of_one_thing_are_read_to_the_end(raw):
    assert len(read(raw).events) <= 1


def test_parts_are_read_to_a_fixed_depth_and_number():
    assert len(parts_of(parse(nested(5000)))) <= 1
    many = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\nhello\n" * 10_000
    assert len(parts_of(parse(many))) <= 50


def test_a_report_about_very_many_recipients_is_cut_off():
    fields = "\n".join(failed(f"u{number}@there.example") for number in range(2000))
    assert len(read(dsn(fields)).events) <= 200
    lines = "".join(f"<u{number}@there.example>: 550 5.1.1 unknown\n" for number in range(2000))
    assert len(read(plain(lines)).events) <= 50


def test_what_an_event_keeps_of_a_mail_is_short():
    fields = failed() + "Diagnostic-Code: smtp; 550 " + "x" * 50_000 + "\n"
    (event,) = read(dsn(fields)).events
    assert len(json.dumps(event.raw)) < 10_000
    assert len(event.mta_response) <= 1000
    (event,) = read(plain("<ann@there.example>: 550 no\n" + "y" * 50_000)).events
    assert len(json.dumps(event.raw)) < 10_000


@pytest.mark.parametrize(
    "charset",
    [
        "unicode_escape",
        "punycode",
        "idna",
        "rot13",
        "zlib",
        "undefined",
        "../../x",
        "mbcs",
        "x" * 500,
    ],
)
def test_a_charset_that_is_none_is_read_as_utf_8(charset):
    header = f"Content-Type: text/plain; charset={charset}\n"
    raw = plain("<ann@there.example>: 550 5.1.1 no such user\\x41", header=header)
    assert verdicts(raw) == [("ann@there.example", True)]


def test_line_ends_of_every_kind_are_taken():
    raw = dsn(failed(diagnostic="550 5.1.1 no such user"))
    for line_end in (b"\n", b"\r\n", b"\r"):
        assert verdicts(raw.replace(b"\r\n", line_end)) == [("ann@there.example", True)]


def test_a_boundary_that_never_comes_leaves_the_text():
    header = "Content-Type: multipart/report; report-type=delivery-status; boundary=never\n"
    raw = plain("<ann@there.example>: 550 5.1.1 no such user", header=header)
    assert verdicts(raw) == [("ann@there.example", True)]


def test_a_line_of_a_mailbox_file_before_the_header_is_skipped():
    raw = b"From MAILER-DAEMON Mon Nov  2 11:00:00 2026\n" + dsn(failed())
    assert verdicts(raw) == [("ann@there.example", True)]


def test_a_notice_of_reading_is_no_report():
    raw = (
        b"From: ann@there.example\nSubject: Read: Your order\nContent-Type: multipart/report;"
        b" report-type=disposition-notification; boundary=m\n\n--m\n\nYour message was read.\n"
        b"--m\nContent-Type: message/disposition-notification\n\n"
        b"Final-Recipient: rfc822;ann@there.example\n"
        b"Disposition: manual-action/MDN-sent-manually; displayed\n--m--\n"
    )
    report = read(raw)
    assert (report.kind, report.events) == (ReportKind.OTHER, [])


def test_a_wrong_boundary_before_the_original_does_not_hide_its_message_id():
    raw = dsn(failed()).replace(b"--=_b\r\nContent-Type: message/rfc822", b"--=_c\r\nX-Sent-To: x")
    report = read(raw)
    assert [event.recipient for event in report.events] == ["ann@there.example"]
    assert report.message_ids == ("0199a3c2-1111-7222-8333-444455556666@shop.example",)


def test_an_original_without_a_part_header_is_the_original():
    raw = dsn(failed()).replace(b"\r\nContent-Type: message/rfc822\r\n\r\n", b"\r\n")
    report = read(raw)
    assert report.original_recipients == ("ann@there.example",)
    assert report.message_ids == ("0199a3c2-1111-7222-8333-444455556666@shop.example",)


@pytest.mark.parametrize(
    "date", ["Mon, 1 Jan 1900 00:00:00 +1400", "Fri, 31 Dec 9999 23:59:59 -1200"]
)
def test_an_impossible_date_is_none(date):
    fields = failed() + f"Last-Attempt-Date: {date}\n"
    assert read(dsn(fields)).events[0].timestamp == read(dsn(failed())).date


def test_a_header_folded_without_end_is_kept_short():
    (_, value), after = read_fields("A: x\n" + " more\n" * 5_000 + "B: y\n")
    assert 10_000 <= len(value) < 10_010
    assert after == ("b", "y"), "what comes behind it is read"


@pytest.mark.parametrize("cut_off", [b"SGVsbG8", b"SGVsbG8==", b"SGVs\r\nbG8"])
def test_base64_that_was_cut_off_is_read_as_far_as_it_goes(cut_off):
    assert from_base64(cut_off) == b"Hello"
    assert from_base64(b"SGVsbG8hX") == b"Hello!", "one digit alone is no byte"

"""Reading mail of every kind, broken kinds above all: nothing raises, everything is text."""

import json
from email.message import EmailMessage

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maild.local.inbox_message import Parsed, summarise


def lines(*rows: str | bytes) -> bytes:
    return b"\r\n".join(row.encode() if isinstance(row, str) else row for row in rows)


def read(raw: bytes) -> Parsed:
    """Ask for everything, and check that it is text that can be shown."""
    parsed = Parsed(raw)
    everything = [
        summarise(raw, recipients=["ann@example.com"]),
        parsed.headers,
        parsed.text,
        parsed.html,
        parsed.files(inline=True),
        parsed.files(inline=False),
        parsed.sent_at(),
        [parsed.file(str(number))[0] for number in range(len(parsed.files(inline=False)))],
    ]
    json.dumps(everything, ensure_ascii=False).encode()
    return parsed


def test_it_takes_a_whole_message_apart():
    message = EmailMessage()
    message["From"] = "Zoë Grüße <zoe@example.com>"
    message["To"] = "Ann <ann@example.com>, bob@example.com"
    message["Cc"] = "carl@example.com"
    message["Subject"] = "Grüße"
    message["Date"] = "Sat, 31 Jan 2026 09:15:00 +0100"
    message["Message-ID"] = "<1@example.com>"
    message.set_content("Hello\n\n  Ann")
    message.add_alternative("<p>Hello <b>Ann</b></p>", subtype="html")
    message.get_payload()[1].add_related(b"png", "image", "png", cid="<logo>")
    message.add_attachment(b"pdf!", maintype="application", subtype="pdf", filename="Rëport.pdf")
    recipients = ["ann@example.com", "bob@example.com", "carl@example.com", "dora@example.com"]
    summary = summarise(bytes(message), recipients=recipients)
    assert summary == {
        "MessageID": "1@example.com",
        "From": {"Name": "Zoë Grüße", "Address": "zoe@example.com"},
        "To": [
            {"Name": "Ann", "Address": "ann@example.com"},
            {"Name": "", "Address": "bob@example.com"},
        ],
        "Cc": [{"Name": "", "Address": "carl@example.com"}],
        "Bcc": [{"Name": "", "Address": "dora@example.com"}],
        "ReplyTo": [],
        "Subject": "Grüße",
        "Size": len(bytes(message)),
        "Snippet": "Hello Ann",
        "Attachments": 1,
    }
    parsed = read(bytes(message))
    assert parsed.text.split() == ["Hello", "Ann"]
    assert parsed.html.strip() == "<p>Hello <b>Ann</b></p>"
    assert parsed.sent_at() == "2026-01-31T09:15:00+01:00"
    [attachment] = parsed.files(inline=False)
    assert (attachment["FileName"], attachment["ContentType"]) == ("Rëport.pdf", "application/pdf")
    assert parsed.file(attachment["PartID"]) == ("Rëport.pdf", b"pdf!")
    assert [part["ContentID"] for part in parsed.files(inline=True)] == ["logo"]


def test_html_alone_gives_a_snippet_without_its_style():
    raw = lines(
        "Content-Type: text/html", "", "<style>p{}</style><p>Hello</p><script>x</script> Ann"
    )
    assert summarise(raw, recipients=[])["Snippet"] == "Hello Ann"


def test_raw_utf8_headers_are_read():  # RFC 6532
    parsed = read(lines("From: Zoë <zoë@example.com>", "Subject: Grüße", "", "x"))
    assert parsed.header("Subject") == "Grüße"
    assert parsed.addresses("From") == [{"Name": "Zoë", "Address": "zoë@example.com"}]


def test_a_huge_subject_is_kept():
    subject = "long " * 40_000
    assert read(lines(f"Subject: {subject}", "", "x")).header("Subject").strip() == subject.strip()


NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2000)
)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        b"no header at all",
        lines("Subject: \x00\x01", "", "\x00"),
        lines(b"Subject: \xff\xfe latin1", b"From: \xe9 <\xe9@example.com>", b"", b"\xff"),
        lines("From: <<>>,;:@[", "To: undisclosed-recipients:;", "", ""),
        lines("Subject: =?utf-8?b?!!!?= =?nope?q?x?= =?utf-8?q?=ff?=", "", ""),
        lines("Content-Type: multipart/mixed", "", "no boundary"),
        lines("Content-Type: multipart/mixed; boundary=x", "", "--x", "", "no end"),
        lines("Content-Type: text/plain; charset=nope", "", "x"),
        lines("Content-Type: text/plain; charset=base64", "", "x"),
        lines("Content-Type: text/plain; charset=idna", "", b"\xff" * 70),
        lines("Content-Type: text/plain", "Content-Transfer-Encoding: base64", "", "!!!"),
        lines("Content-Type: ;;;=", "Content-Disposition: ;filename*=x'y'%ff", "", "x"),
        lines("Content-Type: message/rfc822", "", "Subject: inner", "", "x"),
        lines("Content-Type: text/html", "", "<![x", "<!--"),
        lines("Date: Thu, 99 Foo 99999 99:99:99 +9999", "", ""),
        NESTED,
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_odd_mail_is_shown_as_well_as_it_can_be(raw):
    read(raw)


WORDS = st.sampled_from(
    [
        *("From: ", "Content-Type: ", "Content-Disposition: ", "Date: ", "Content-ID: "),
        *(
            "multipart/mixed; ",
            "boundary=x",
            "text/plain; ",
            "charset=",
            "filename*=",
            "attachment",
        ),
        *("--x", "--x--", "\r\n", "\r\n\r\n", "=?utf-8?q?", "?=", "<", ">", "@", '"', ";", "\x00"),
    ]
).map(str.encode)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(WORDS, st.binary(max_size=8)), max_size=40).map(b"".join))
def test_no_mail_makes_it_fail(raw):
    read(raw)

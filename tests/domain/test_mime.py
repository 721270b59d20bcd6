"""The messages that maild builds, read back by the standard library: our oracle."""

import email
import re
from datetime import UTC, datetime, timedelta, timezone
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maild.domain.mime import Attachment, Content, build

DATE = datetime(2026, 3, 1, 9, 5, 7, tzinfo=UTC)


def content(**changes):
    values = {
        "message_id": "<0191d3a2@mail.example.com>",
        "date": DATE,
        "from_email": "ann@example.com",
        "to": ("bob@example.org",),
        "subject": "Hello",
        "body_text": "Hi Bob,\nall is well.\n",
    }
    return Content(**(values | changes))


def parsed(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=policy.default)


def shape(part: EmailMessage):
    """The tree of content types: `("multipart/mixed", [...])`."""
    if part.is_multipart():
        return part.get_content_type(), [shape(child) for child in part.iter_parts()]
    return part.get_content_type()


def body(message: EmailMessage, kind: str) -> str:
    return message.get_body((kind,)).get_content()


def addresses(header) -> tuple[str, ...]:
    return tuple(address.addr_spec for address in header.addresses) if header else ()


def newlines(text: str) -> str:
    """One kind of line break, and none at the end."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def assert_legal(raw: bytes, *, utf8_headers: bool = False) -> None:
    """What holds for every message, whatever is in it (RFC 5322 2.1, 2.3; RFC 5321 2.3.8)."""
    assert raw.endswith(b"\r\n")
    lines = raw.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert max(map(len, lines)) <= 998
    head = raw.partition(b"\r\n\r\n")[0]
    assert utf8_headers or head.isascii()
    assert not any(line.isspace() for line in head.split(b"\r\n"))


def test_it_writes_a_plain_message_to_the_octet():
    assert build(
        content(from_name="Ann", reply_to="help@example.com", cc=("eve@example.net",))
    ) == (
        b"Date: Sun, 01 Mar 2026 09:05:07 +0000\r\n"
        b"From: Ann <ann@example.com>\r\n"
        b"To: bob@example.org\r\n"
        b"Cc: eve@example.net\r\n"
        b"Reply-To: help@example.com\r\n"
        b"Subject: Hello\r\n"
        b"Message-ID: <0191d3a2@mail.example.com>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=us-ascii\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Hi Bob,\r\n"
        b"all is well.\r\n"
    )


def test_it_writes_the_date_in_utc():
    date = datetime(2026, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert b"Date: Fri, 01 Jan 2027 04:30:00 +0000\r\n" in build(content(date=date))


def test_it_gives_the_same_octets_every_time():
    one = content(body_html="<p>Hi</p>", attachments=(Attachment("a.txt", "text/plain", b"a"),))
    assert build(one) == build(one)


FILE = Attachment("a.pdf", "application/pdf", b"%PDF")
LOGO = Attachment("logo.png", "image/png", b"\x89PNG", "logo")
TEXT, HTML, PDF, PNG = "text/plain", "text/html", "application/pdf", "image/png"


@pytest.mark.parametrize(
    ("text", "html", "attachments", "expected"),
    [
        ("t", None, (), TEXT),
        ("", None, (), TEXT),
        (None, "h", (), HTML),
        ("", "h", (), HTML),
        ("t", "h", (), ("multipart/alternative", [TEXT, HTML])),
        ("t", None, (FILE,), ("multipart/mixed", [TEXT, PDF])),
        (None, "h", (LOGO,), ("multipart/related", [HTML, PNG])),
        (
            "t",
            "h",
            (LOGO,),
            ("multipart/alternative", [TEXT, ("multipart/related", [HTML, PNG])]),
        ),
        (
            "t",
            "h",
            (FILE, LOGO),
            (
                "multipart/mixed",
                [("multipart/alternative", [TEXT, ("multipart/related", [HTML, PNG])]), PDF],
            ),
        ),
        # With no HTML to show it, an inline file is a file like any other.
        ("t", None, (LOGO,), ("multipart/mixed", [TEXT, PNG])),
    ],
)
def test_it_shapes_the_tree(text, html, attachments, expected):
    raw = build(content(body_text=text, body_html=html, attachments=attachments))
    assert_legal(raw)
    assert shape(parsed(raw)) == expected


def test_it_describes_attachments():
    message = parsed(build(content(body_html="<img src=cid:logo>", attachments=(FILE, LOGO))))
    (attached,) = message.iter_attachments()
    assert attached.get_content_disposition() == "attachment"
    assert attached.get_filename() == "a.pdf"
    assert attached.get_content() == b"%PDF"
    inline = next(part for part in message.walk() if part.get_content_type() == PNG)
    assert inline.get_content_disposition() == "inline"
    assert inline["Content-ID"] == "<logo>"
    related = next(part for part in message.walk() if part.get_content_subtype() == "related")
    assert related.get_param("type") == HTML


@pytest.mark.parametrize(
    ("given_type", "sent_type"),
    [
        ("image/png", "image/png"),
        ("text/calendar; method=REQUEST; charset=utf-8", "text/calendar"),
        ("message/rfc822", "application/octet-stream"),
        ("Multipart/Mixed", "application/octet-stream"),
        ("png", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("image/png\r\nX-Evil: 1", "application/octet-stream"),
        ("image/" + "x" * 300, "application/octet-stream"),
    ],
)
def test_it_sends_only_content_types_that_base64_may_carry(given_type, sent_type):
    raw = build(content(attachments=(Attachment("a", given_type, b"a"),)))
    assert_legal(raw)
    (attached,) = parsed(raw).iter_attachments()
    assert attached.get_content_type() == sent_type


@pytest.mark.parametrize(
    ("text", "eight_bit", "expected"),
    [
        ("plain", False, "7bit"),
        ("x" * 998, False, "7bit"),
        ("x" * 998 + "\n" + "x" * 998, False, "7bit"),
        ("x" * 999, False, "quoted-printable"),
        ("short\n" + "x" * 999 + "\nshort", False, "quoted-printable"),
        ("nul \0 and some more text", False, "quoted-printable"),
        ("Grüße an alle, die das lesen", False, "quoted-printable"),
        ("Grüße an alle, die das lesen", True, "8bit"),
        ("ü" * 499, True, "8bit"),
        ("ü" * 500, True, "base64"),
        ("nul ü \0 and some more text", True, "quoted-printable"),
        ("Привет, как дела?", False, "base64"),
        ("Привет, как дела?", True, "8bit"),
    ],
)
def test_it_chooses_the_smallest_legal_encoding(text, eight_bit, expected):
    raw = build(content(body_text=text), eight_bit=eight_bit)
    assert_legal(raw)
    assert parsed(raw)["Content-Transfer-Encoding"] == expected
    assert newlines(body(parsed(raw), "plain")) == text


def test_it_marks_every_level_that_holds_8bit_data():
    message = parsed(
        build(content(body_text="ü", body_html="<b>", attachments=(FILE,)), eight_bit=True)
    )
    assert message["Content-Transfer-Encoding"] == "8bit"
    assert next(message.iter_parts())["Content-Transfer-Encoding"] == "8bit"


def test_it_keeps_quoted_printable_lines_within_76_characters():
    raw = build(content(body_text="é" + "a" * 69 + " \n" + "a" * 74 + "\t\n" + "a" * 75 + " \nend"))
    assert max(len(line) for line in raw.partition(b"\r\n\r\n")[2].split(b"\r\n")) <= 76
    assert "a" * 75 + " \nend" in newlines(body(parsed(raw), "plain"))


def test_it_finds_another_boundary_when_a_body_holds_the_first():
    first = build(content(body_html="<p>"))
    (stem,) = set(re.findall(rb"=_[0-9a-f]{32}", first))
    hostile = f"--{stem.decode()}.a--"
    raw = build(content(body_text=hostile, body_html="<p>"))
    message = parsed(raw)
    assert shape(message) == ("multipart/alternative", [TEXT, HTML])
    assert body(message, "plain") == hostile


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"subject": "a\r\nBcc: eve@example.com"}, "Subject"),
        ({"subject": "a\nb"}, "Subject"),
        ({"subject": "a\0b"}, "Subject"),
        ({"subject": "\ud800"}, "Subject"),
        ({"from_name": "Ann\r\nX: y"}, "From"),
        ({"from_name": "\udfff"}, "From"),
        ({"from_email": "ann@example.com\r\nX: y"}, "From"),
        ({"from_email": "ann@example.com, eve@example.com"}, "From"),
        ({"from_email": "änn@example.com"}, "From"),
        ({"from_email": "no-at-sign"}, "From"),
        ({"to": ("bob@example.org>",)}, "To"),
        ({"to": ("x" * 250 + "@example.org",)}, "To"),
        ({"cc": ("bob@exämple.org",)}, "Cc"),
        ({"reply_to": "a b@example.org"}, "Reply-To"),
        ({"message_id": "0191@example.com"}, "message_id"),
        ({"message_id": "<a@b>\r\nX: y"}, "message_id"),
        ({"date": datetime(2026, 1, 1)}, "date"),
        ({"body_text": None}, "body_text"),
        ({"body_text": "\ud800"}, "body_text"),
        ({"body_html": "\ud800"}, "body_html"),
        ({"headers": (("X-A", "a\r\nb"),)}, "X-A"),
        ({"headers": (("X A", "a"),)}, "headers"),
        ({"headers": (("X-A:", "a"),)}, "headers"),
        ({"headers": (("", "a"),)}, "headers"),
        ({"headers": (("BCC", "eve@example.com"),)}, "headers"),
        ({"headers": (("Content-Type", "text/html"),)}, "headers"),
        ({"headers": (("message-id", "<a@b>"),)}, "headers"),
        ({"attachments": (Attachment("a\r\nb", "a/b", b""),)}, "filename"),
        ({"attachments": (Attachment("\ud800", "a/b", b""),)}, "filename"),
        ({"attachments": (Attachment("a", "a/b", b"", "x y"),), "body_html": "h"}, "content_id"),
        ({"attachments": (Attachment("a", "a/b", b"", "x\r\ny"),), "body_html": "h"}, "content_id"),
    ],
)
def test_it_refuses_what_no_message_can_carry(changes, field):
    with pytest.raises(ValueError, match=f"^{field}: "):
        build(content(**changes))


def test_it_writes_international_addresses_where_they_are_allowed():
    one = content(from_email="änn@exämple.com", from_name="Änn", subject="Grüße, Bob")
    assert one.needs_utf8_headers
    raw = build(one, utf8_headers=True)
    assert_legal(raw, utf8_headers=True)
    assert 'From: "Änn" <änn@exämple.com>\r\n'.encode() in raw
    assert "Subject: Grüße, Bob\r\n".encode() in raw


def test_it_asks_for_utf8_headers_only_for_addresses():
    assert not content(from_name="Änn", subject="Grüße", cc=("eve@example.net",)).needs_utf8_headers
    assert content(cc=("ève@example.net",)).needs_utf8_headers
    assert content(reply_to="ève@example.net").needs_utf8_headers


# Any character but surrogates; the body's other properties have tests of their own.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=2000)
LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=300)
LOCAL = st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z0-9]{1,9})?", fullmatch=True)
ADDRESSES = st.builds(lambda local: f"{local}@example.com", LOCAL)
ATTACHMENTS = st.builds(
    Attachment,
    filename=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1),
    content_type=st.sampled_from(["image/png", "application/pdf", "bad", "message/rfc822"]),
    content=st.binary(max_size=300),
    content_id=st.none() | st.just("part1@example.com"),
)


@settings(deadline=None)
@given(
    one=st.builds(
        Content,
        message_id=st.just("<a1@mail.example.com>"),
        date=st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)),
        from_email=ADDRESSES,
        from_name=st.none() | LINES,
        to=st.lists(ADDRESSES, min_size=1, max_size=20).map(tuple),
        cc=st.lists(ADDRESSES, max_size=3).map(tuple),
        reply_to=st.none() | ADDRESSES,
        subject=LINES,
        body_text=TEXTS,
        body_html=st.none() | TEXTS,
        headers=st.lists(st.tuples(st.just("X-Note"), LINES), max_size=3).map(tuple),
        attachments=st.lists(ATTACHMENTS, max_size=3).map(tuple),
    ),
    eight_bit=st.booleans(),
    utf8_headers=st.booleans(),
)
def test_it_is_read_back_as_it_was_written(one, eight_bit, utf8_headers):
    raw = build(one, eight_bit=eight_bit, utf8_headers=utf8_headers)

    assert_legal(raw, utf8_headers=utf8_headers)
    message = parsed(raw)
    assert addresses(message["From"]) == (one.from_email,)
    assert addresses(message["To"]) == one.to
    assert addresses(message["Cc"]) == one.cc
    assert message["Date"].datetime == one.date.replace(microsecond=0)
    assert message["Message-ID"] == one.message_id
    if one.body_text:
        assert newlines(body(message, "plain")) == newlines(one.body_text)
    if one.body_html:
        assert newlines(body(message, "html")) == newlines(one.body_html)
    leaves = [part for part in message.walk() if part.get_content_disposition()]
    assert sorted(part.get_payload(decode=True) for part in leaves) == sorted(
        attachment.content for attachment in one.attachments
    )


def test_a_mail_may_name_only_those_who_get_a_copy():
    message = parsed(build(content(to=(), cc=("carol@example.org",))))
    assert message["To"] is None
    assert addresses(message["Cc"]) == ("carol@example.org",)

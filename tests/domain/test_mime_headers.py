"""Single header fields: read back by the standard library, and to the octet where it matters."""

import email
import re
from email import policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maild.domain import mime_headers

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=400)
# The standard library's reader gives one space for several, and drops controls, even where the
# RFCs keep them: what it is asked to read back has neither.
READABLE = st.lists(
    st.text(st.characters(categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=30),
    max_size=20,
).map(" ".join)


def read(field: str, name: str) -> str:
    message = email.message_from_string(field + "\r\n", policy=policy.default)
    assert len(message.keys()) == 1
    return message[name]


def assert_legal(field: str, *, utf8: bool = False) -> None:
    assert field.endswith("\r\n")
    lines = field[:-2].split("\r\n")
    assert not re.search(r"[\r\n\0]", "".join(lines))
    assert all(line[0] in " \t" and not line.isspace() for line in lines[1:])
    assert max(len(line.encode()) for line in lines) <= 998
    assert utf8 or field.isascii()
    for line in lines:
        words = re.findall(r"=\?utf-8\?[bq]\?[^? ]*\?=", line)
        assert not words or len(line) <= 76  # RFC 2047 2
        assert all(len(word) <= 75 for word in words)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("Hello", "Subject: Hello"),
        ("", "Subject: "),
        ("a  b\tc", "Subject: a  b\tc"),
        ("x" * 69, "Subject: " + "x" * 69),
        ("x" * 900, "Subject: " + "x" * 900),
        ("Grüße aus Hamburg", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_Hamburg?="),
        ("Привет", "Subject: =?utf-8?b?0J/RgNC40LLQtdGC?="),
        (" padded ", "Subject: =?utf-8?q?_padded_?="),
        ("bell \a", "Subject: =?utf-8?q?bell_=07?="),
        ("=?utf-8?q?not_ours?=", "Subject: =?utf-8?b?PT91dGYtOD9xP25vdF9vdXJzPz0=?="),
        ("https://example.com/?a=?b", "Subject: https://example.com/?a=?b"),
    ],
)
def test_it_writes_text_as_plainly_as_it_may(value, line):
    assert mime_headers.unstructured("Subject", value) == line + "\r\n"


def test_it_folds_at_white_space_and_never_before_the_first_word():
    field = mime_headers.unstructured("Subject", "x" * 75 + " " + "word " * 20 + "end")
    lines = field.split("\r\n")
    assert lines[0] == "Subject: " + "x" * 75
    assert lines[1] == " word" * 15
    assert field.replace("\r\n", "") == "Subject: " + "x" * 75 + " " + "word " * 20 + "end"


def test_it_encodes_a_word_that_fits_no_line():
    value = "x" * 2000
    field = mime_headers.unstructured("Subject", value)
    assert_legal(field)
    assert read(field, "Subject") == value


def test_it_starts_a_new_line_after_a_name_that_leaves_no_room():
    name = "X-" + "n" * 74
    field = mime_headers.unstructured(name, "Grüße")
    assert_legal(field)
    assert read(field, name).strip() == "Grüße"


def test_it_never_splits_a_character():
    for prefix in range(8):
        value = "x" * prefix + "😀" * 60
        field = mime_headers.unstructured("Subject", value)
        assert_legal(field)
        for word in re.findall(r"=\?.*?\?=", field):
            assert "�" not in str(make_header(decode_header(word)))
        assert read(field, "Subject") == value


@settings(deadline=None)
@given(value=TEXTS, utf8=st.booleans())
def test_any_text_makes_a_legal_field(value, utf8):
    assert_legal(mime_headers.unstructured("X-Note", value, utf8=utf8), utf8=utf8)
    assert_legal(mime_headers.mailbox("From", value, "a@example.com", utf8=utf8), utf8=utf8)
    assert_legal("X: y" + mime_headers.parameter("filename", value) + "\r\n")


@settings(deadline=None)
@given(value=READABLE, utf8=st.booleans())
@example(value='quote " backslash \\ comma , angle <a@b> =?x?=', utf8=False)
@example(value="=?utf-8?q?a?= =?utf-8?q?b?=", utf8=False)
@example(value="=?utf-8?q?a?= =?utf-8?q?b?=", utf8=True)
def test_any_text_is_read_back(value, utf8):
    subject = mime_headers.unstructured("Subject", value, utf8=utf8)
    assert read(subject, "Subject") == value
    sender = mime_headers.mailbox("From", value, "a@example.com", utf8=utf8)
    # Not `read`: before Python 3.13 it keeps the white space between two encoded words of a name.
    name, address = parseaddr(sender.removeprefix("From: ").replace("\r\n", ""))
    assert (str(make_header(decode_header(name))), address) == (value, "a@example.com")
    field = f"Content-Disposition: attachment{mime_headers.parameter('filename', value)}\r\n"
    assert read(field, "Content-Disposition").params["filename"] == value


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (None, "From: ann@example.com"),
        ("", "From: ann@example.com"),
        ("Ann Lee", "From: Ann Lee <ann@example.com>"),
        ("Lee, Ann", 'From: "Lee, Ann" <ann@example.com>'),
        ('Ann "A" \\ Lee', 'From: "Ann \\"A\\" \\\\ Lee" <ann@example.com>'),
        ("Ann. Lee", 'From: "Ann. Lee" <ann@example.com>'),
        ("Änn", "From: =?utf-8?q?=C3=84nn?= <ann@example.com>"),
        ("x" * 60, "From: " + "x" * 60 + "\r\n <ann@example.com>"),
        ("a@b.example,", 'From: "a@b.example," <ann@example.com>'),
    ],
)
def test_it_writes_a_mailbox(name, field):
    assert mime_headers.mailbox("From", name, "ann@example.com") == field + "\r\n"


def test_it_folds_a_list_of_addresses_after_commas():
    values = [f"person{number}@example.com" for number in range(20)]
    field = mime_headers.addresses("To", values)
    assert max(map(len, field.split("\r\n"))) <= 78
    assert [address.addr_spec for address in read(field, "To").addresses] == values


@pytest.mark.parametrize(
    "address",
    ["a@b.example", "a.b+c@d.example", '"a b"@c.example', "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]"],
)
def test_it_takes_every_form_of_address(address):
    assert mime_headers.addresses("To", [address]) == f"To: {address}\r\n"


@pytest.mark.parametrize(
    "address",
    ["", "a", "a@", "@b", "a b@c", "a@b c", "a@b,c@d", "<a@b>", "a@b>", "a\r\n@b", '"a@b', "a@b@c"],
)
def test_it_takes_nothing_else(address):
    with pytest.raises(ValueError, match="To: "):
        mime_headers.addresses("To", [address])


@pytest.mark.parametrize(
    ("filename", "lines"),
    [
        ("a.pdf", [' filename="a.pdf"']),
        ('a "b".pdf', [' filename="a \\"b\\".pdf"']),
        ("Müll.pdf", [" filename*=utf-8''M%C3%BCll.pdf", ' filename="M_ll.pdf"']),
        (
            "日本語の長い名前です.pdf",
            [
                " filename*0*=utf-8''%E6%97%A5%E6%9C%AC%E8%AA%9E%E3%81%AE%E9%95%B7",
                " filename*1*=%E3%81%84%E5%90%8D%E5%89%8D%E3%81%A7%E3%81%99.pdf",
                ' filename="__________.pdf"',
            ],
        ),
    ],
)
def test_it_writes_a_file_name(filename, lines):
    assert mime_headers.parameter("filename", filename) == "".join(f";\r\n{line}" for line in lines)


@pytest.mark.parametrize(
    "value", ["<https://example.com/u/AQ-_>", "a=b", "x " * 200 + "x", "=?a?q?b?="]
)
def test_a_literal_field_is_written_as_it_is(value):
    assert mime_headers.literal("List-Unsubscribe", value) == f"List-Unsubscribe: {value}\r\n"


def test_a_literal_field_keeps_to_the_limit_of_a_line():
    longest = "<" + "x" * (998 - len("X: <>")) + ">"
    assert mime_headers.literal("X", longest) == f"X: {longest}\r\n"
    with pytest.raises(ValueError, match="X: is too long"):
        mime_headers.literal("X", longest + "x")


@pytest.mark.parametrize("value", ["ü", "a\nb", "a\r\nBcc: b", "a\0", " a", "a ", "\ud800"])
def test_what_cannot_be_literal_is_refused(value):
    with pytest.raises(ValueError, match="X: must be printable ASCII"):
        mime_headers.literal("X", value)

"""What a message may hold; and whatever passes can be written as a mail."""

import email
import email.policy
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain import mime, submission
from maild.domain.mime import Attachment, Content

anything = st.text(st.characters(codec=None, exclude_categories=()))
lines = st.text(min_size=1, max_size=200)


def passes(complaints):
    return not list(complaints)


# Single lines


@given(anything)
def test_no_line_break_nul_or_half_character_passes(text):
    if passes(submission.check_line("subject", text, max_chars=998)):
        assert not set(text) & set("\r\n\0\x0b\x0c\x85\u2028\u2029")
        assert len(text) <= 998
        text.encode()


@given(anything, anything, st.sampled_from("\r\n\0\u2028\u2029\x85\ud800"))
def test_it_finds_a_bad_character_wherever_it_stands(before, after, bad):
    complaints = list(submission.check_line("tag", before + bad + after, max_chars=10**6))
    assert complaints
    assert {field for field, _ in complaints} == {"tag"}


def test_it_counts_characters():
    assert passes(submission.check_line("x", "🎉" * 10, max_chars=10))
    assert not passes(submission.check_line("x", "🎉" * 11, max_chars=10))


# What can be stored


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ("a", []), (None, []), (5, []), (1.5, []), (True, []), ({}, []), ([[[1]]], []),
        ("\ud83c\udf89", ["m"]), ("a\0", ["m"]), ({"a": {"b": "\0"}}, ["m.a.b"]),
        (["", ["\0"]], ["m.1.0"]), ({"\0": 1}, ["m"]),
        ({"a": "\ud800", "b": "\0"}, ["m.a", "m.b"]), ({"a": float("nan")}, ["m.a"]),
        ([float("inf"), float("-inf"), 1e308], ["m.0", "m.1"]),
    ],
)  # fmt: skip
def test_it_names_the_place_of_what_cannot_be_stored(value, fields):
    assert [field for field, _ in submission.check_storable("m", value)] == fields


# Headers


@given(anything, anything)
def test_a_header_that_passes_can_be_written(name, value):
    if passes(submission.check_headers([(name, value)])):
        build_and_read(headers=((name, value),))


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), lines)
def test_a_plausible_header_that_passes_can_be_written(name, value):
    if passes(submission.check_headers([(name, value)])):
        build_and_read(headers=((name, value),))


@pytest.mark.parametrize("name", sorted(submission.RESERVED_HEADERS))
def test_reserved_headers_are_refused_in_any_case(name):
    for text in (name, name.upper(), name.title()):
        [(field, _)] = submission.check_headers([(text, "x")])
        assert field == f"headers.{text}"


def test_it_refuses_too_many_headers():
    def headers(count):
        return [(f"X-{n}", "v") for n in range(count)]

    assert passes(submission.check_headers(headers(100)))
    assert not passes(submission.check_headers(headers(101)))


@pytest.mark.parametrize("name", ["List-Unsubscribe", "list-unsubscribe-post", "LIST-UNSUBSCRIBE"])
def test_marketing_mail_has_no_way_out_of_the_senders_own(name):
    headers = [("X-Mine", "x"), (name, "<https://example.com/out>")]
    assert passes(submission.check_headers(headers))
    [(field, message)] = submission.check_marketing_headers(headers)
    assert field == f"headers.{name}"
    assert "maild" in message


def test_marketing_mail_may_have_other_list_headers():
    headers = [("List-Id", "<news.example.com>"), ("List-Help", "<https://example.com/help>")]
    assert passes(submission.check_marketing_headers(headers))


# Topics


@pytest.mark.parametrize(
    ("topic", "is_good"),
    [
        ("news", True), (" Frühling ", True), ("主題" * 50, True), ("x" * 100 + "  ", True),
        ("", False), (" \t", False), ("a\nb", False), ("a\0b", False), ("x" * 101, False),
        ("\ud800", False),
    ],
)  # fmt: skip
def test_a_topic_is_a_short_line(topic, is_good):
    assert passes(submission.check_topic("topic", topic)) is is_good


# Tags


@pytest.mark.parametrize(
    ("tags", "fields"),
    [
        ([], []), (["a", "ä", "🎉"], []), (["a", "", " "], ["tags.1", "tags.2"]),
        (["a\nb"], ["tags.0"]), (["x" * 101], ["tags.0"]), (["x"] * 51, ["tags"]),
    ],
)  # fmt: skip
def test_it_checks_tags(tags, fields):
    assert [field for field, _ in submission.check_tags(tags)] == fields


# Attachments


@given(anything, st.sampled_from(["text/plain", "text/calendar; method=REQUEST", "message/rfc822",
                                  'a/b; name="x y"']), anything | st.none())  # fmt: skip
def test_an_attachment_that_passes_can_be_written(filename, content_type, content_id):
    complaints = submission.check_attachment(
        "a", filename=filename, content_type=content_type, content_id=content_id
    )
    if passes(complaints):
        attachment = Attachment(filename, content_type, b"abc", content_id)
        mail = build_and_read(attachments=(attachment,), body_html="<p>Hi</p>")
        assert [part.get_content_type() for part in mail.walk()].count("text/plain") >= 1


@given(anything)
def test_a_content_type_that_passes_is_one_line(content_type):
    if passes(
        submission.check_attachment("a", filename="f", content_type=content_type, content_id=None)
    ):
        assert content_type.isascii()
        assert content_type.isprintable()
        assert "/" in content_type


@pytest.mark.parametrize(
    ("content_type", "is_good"),
    [
        ("application/pdf", True),
        ("application/vnd.oasis.opendocument.text", True),
        ("text/calendar; method=REQUEST; charset=utf-8", True),
        ('text/plain;charset="utf-8"', True),
        ("", False), ("pdf", False), ("a/b/c", False), ("a b/c", False), ("text/plain;", False),
        ("text/plain; a", False), ("text/plain; a=b\r\nX: y", False), ('a/b; c="d', False),
        ('a/b; c="d"e"', False), ("a/b; c=" + "d" * 250, False),
    ],
)  # fmt: skip
def test_it_knows_a_content_type(content_type, is_good):
    complaints = submission.check_attachment(
        "a", filename="f", content_type=content_type, content_id=None
    )
    assert passes(complaints) is is_good


# The whole


@given(lines, lines | st.none())
def test_lines_that_pass_can_be_written(subject, from_name):
    if passes(submission.check_line("subject", subject, max_chars=998)) and passes(
        submission.check_line("from_name", from_name or "", max_chars=256)
    ):
        build_and_read(subject=subject, from_name=from_name)


def build_and_read(**fields):
    """Write a mail, and assert that it has the headers that it should have, and no other."""
    values = {
        "message_id": "<1@example.com>",
        "date": datetime(2026, 5, 4, tzinfo=UTC),
        "from_email": "shop@example.com",
        "to": ("ann@example.org",),
        "subject": "Hello",
        "body_text": "Hi",
    }
    content = Content(**{**values, **fields})
    mail = email.message_from_bytes(mime.build(content), policy=email.policy.compat32)
    names = {"date", "from", "to", "subject", "message-id", "mime-version"}
    names |= {name.lower() for name, _ in content.headers}
    assert {name.lower() for name in mail} - {"content-type", "content-transfer-encoding"} == names
    assert not mail.defects
    return mail

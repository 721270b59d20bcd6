"""Reading fields that may be missing or of another type, and forms."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.transports.webhooks import fields
from maild.transports.webhooks.base import Request, UnreadablePayload
from tests.transports.webhooks.builders import NOW

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def form_request(body, content_type):
    return Request(body=body, content_type=content_type, received_at=NOW)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a", "a"),
        ("", None),
        (None, None),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        ([], None),
        (["a"], None),
        ({"a": 1}, None),
        ("a\x00b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_a_text_is_a_scalar_that_a_database_takes(value, found):
    assert fields.text(value) == found


def test_a_number_of_no_end_is_no_text():
    assert fields.text(10**5000) is None


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (["a", "", None, 2, {}], ("a", "2")),
        ("a", ("a",)),
        ("", ()),
        (None, ()),
        ({"a": 1}, ()),
    ],
)
def test_texts_are_a_list_or_one(value, found):
    assert fields.texts(value) == found


def test_texts_may_be_spelled_as_json():
    assert fields.json_texts('["a", "b"]') == ("a", "b")
    assert fields.json_texts("[a") == ("[a",)
    assert fields.json_texts("7") == ("7",)


def test_a_mapping_may_be_spelled_as_json():
    assert fields.json_mapping('{"a": 1}') == {"a": 1}
    assert fields.json_mapping({"a": 1}) == {"a": 1}
    assert fields.json_mapping("[1]") == fields.json_mapping("{") == fields.json_mapping(None) == {}
    assert fields.json_mapping("[" * 100_000) == {}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1461261330, datetime(2016, 4, 21, 17, 55, 30, tzinfo=UTC)),
        ("1461261330", datetime(2016, 4, 21, 17, 55, 30, tzinfo=UTC)),
        (1461261330.5, datetime(2016, 4, 21, 17, 55, 30, 500000, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        *[(value, None) for value in (True, None, "", "soon", [], {}, 1e300, -1e300)],
        *[(value, None) for value in (float("nan"), float("inf"), 10**400, "9" * 400)],
    ],
)
def test_a_unix_time(value, found):
    assert fields.unix_time(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026-11-28T12:00:00Z", NOW),
        ("2026-11-28T12:00:00.0000000Z", NOW),
        ("2026-11-28T07:00:00-05:00", NOW),
        ("2026-11-28 12:00:00 +0000", NOW),
        ("2026-11-28 12:00:00 UTC", NOW),
        ("2026-11-28T12:00:00", NOW),
        ("0001-01-01T00:00:00+23:00", None),
        ("9999-12-31T23:59:59-23:00", None),
        *[(value, None) for value in (None, "", "soon", 7, [], "2026-13-01", "2" * 100)],
    ],
)
def test_an_iso_time(value, found):
    assert fields.iso_time(value) == found


@given(JSON)
def test_no_value_makes_a_reader_raise(value):
    for read in (
        *(fields.text, fields.texts, fields.json_texts, fields.mapping, fields.mappings),
        *(fields.json_mapping, fields.spelled_json, fields.integer, fields.number),
        *(fields.unix_time, fields.iso_time, fields.spares_address),
    ):
        read(value)


@pytest.mark.parametrize(
    ("status", "spares"),
    [
        ("5.1.1", False),
        ("5.1.10", False),
        ("5.0.0", False),
        ("5.2.1", False),
        ("5.4.4", False),
        ("4.2.1", True),
        ("5.2.2", True),
        ("5.2.3", True),
        ("5.3.4", True),
        ("5.6.0", True),
        ("5.7.1", True),
        ("smtp; 550 5.7.515 Access denied", True),
        ("550 from 10.4.7.1", False),
        ("550", False),
        ("", False),
        (None, False),
    ],
)
def test_a_status_code_may_spare_the_address(status, spares):
    assert fields.spares_address(status) is spares


def test_it_reads_an_urlencoded_form():
    request = form_request(
        b"a=1&b=x%20y&a=2&c=", "application/x-www-form-urlencoded; charset=utf-8"
    )
    assert fields.form_lists(request) == {"a": ["1", "2"], "b": ["x y"], "c": [""]}
    assert fields.form(request) == {"a": "2", "b": "x y", "c": ""}


@pytest.mark.parametrize("boundary", ["B0undary", '"B0 und:ary"'])
def test_it_reads_a_multipart_form(boundary):
    line = f"--{boundary.strip(chr(34))}"
    body = "\r\n".join(
        [
            line,
            'Content-Disposition: form-data; name="a"',
            "",
            "ä\r\n--not a boundary",
            line,
            'Content-Disposition: form-data; name="a"',
            "Content-Type: text/plain",
            "",
            "2",
            line,
            'Content-Disposition: form-data; name="file"; filename="name.txt"',
            "",
            "left out",
            f"{line}--",
            'Content-Disposition: form-data; name="after"',
            "",
            "the end",
        ]
    )
    request = form_request(body.encode(), f"multipart/form-data; boundary={boundary}")
    assert fields.form_lists(request) == {"a": ["ä\r\n--not a boundary", "2"]}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a=1", "text/plain"),
        (b"a=1", ""),
        (b"a=1", "multipart/form-data"),
        (b"a=1", "multipart/form-data; boundary=x"),
        (b"&".join([b"a=1"] * 1100), "application/x-www-form-urlencoded"),
        (b"\r\n--x".join([b""] * 1100), "multipart/form-data; boundary=x"),
    ],
)
def test_what_is_no_form_is_unreadable(body, content_type):
    with pytest.raises(UnreadablePayload):
        fields.form(form_request(body, content_type))


@given(st.binary(), st.sampled_from(["urlencoded", "multipart; boundary=--"]))
def test_no_body_makes_the_form_reader_fail(body, kind):
    name = "application/x-www-form-urlencoded" if kind == "urlencoded" else "multipart/form-data"
    with contextlib.suppress(UnreadablePayload):
        fields.form(form_request(b"\r\n----" + body, f"{name}; boundary=--"))

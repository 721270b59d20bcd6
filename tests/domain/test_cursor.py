"""Page marks."""

import base64
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.cursor import Cursor, parse

moments = st.datetimes(timezones=st.just(UTC))
cursors = st.builds(Cursor, moments, st.uuids())


@given(cursors)
def test_it_reads_what_it_writes(cursor):
    text = str(cursor)
    assert parse(text) == cursor
    assert text.isascii()
    assert "=" not in text  # it goes into a URL as it is
    assert not set(text) & set("+/ &?#%")


def assert_canonical_or_refused(text):
    try:
        cursor = parse(text)
    except ValueError:
        return
    assert str(cursor) == text


@given(st.text())
def test_it_reads_nothing_else(text):
    assert_canonical_or_refused(text)


@given(st.binary(min_size=24, max_size=24))
def test_any_24_bytes_are_a_cursor_or_refused(packed):
    text = base64.urlsafe_b64encode(packed).decode()
    assert_canonical_or_refused(text)


@given(cursors, st.integers(0, 31), st.characters())
def test_it_notices_a_character_that_is_none_of_its_own(cursor, place, character):
    text = str(cursor)
    assert_canonical_or_refused(text[:place] + character + text[place + 1 :])


@pytest.mark.parametrize(
    "text", ["", "a", "=", "é" * 32, "A" * 31, "A" * 33, "A" * 36, "A" * 32 + "\n"]
)
def test_it_refuses(text):
    with pytest.raises(ValueError, match="is not a cursor"):
        parse(text)


def test_it_refuses_the_other_base64_alphabet():
    cursor = Cursor(datetime(2026, 5, 4, tzinfo=UTC), uuid.UUID(int=2**128 - 1))
    with pytest.raises(ValueError, match="is not a cursor"):
        parse(str(cursor).replace("_", "/"))


def test_it_keeps_the_microsecond_in_any_zone():
    at = datetime(2026, 5, 4, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    assert parse(str(Cursor(at, uuid.UUID(int=0)))).at == at

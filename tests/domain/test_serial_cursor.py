"""Page marks of lists ordered by a serial id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain import serial_cursor

ids = st.integers(0, 2**63 - 1)


@given(ids)
def test_it_reads_what_it_writes(last_id):
    text = serial_cursor.write(last_id)
    assert serial_cursor.parse(text) == last_id
    assert not set(text) & set("=+/ &?#%")  # it goes into a URL as it is


@given(st.one_of(st.text(), st.text("ABCab01-_+/", min_size=12, max_size=12)))
def test_it_reads_nothing_else(text):
    try:
        last_id = serial_cursor.parse(text)
    except ValueError:
        return
    assert serial_cursor.write(last_id) == text


@pytest.mark.parametrize("text", ["", "12", "A" * 11, "A" * 16, "AP__________", "é" * 12])
def test_it_refuses(text):
    with pytest.raises(ValueError, match="is not a cursor"):
        serial_cursor.parse(text)

"""Message ids."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.ids import message_id_header, new_id, parse_id

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
moments = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))


@given(moments)
def test_it_is_a_uuid_of_version_7_that_tells_its_time(now):
    made = new_id(now)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    milliseconds = made.int >> 80
    told = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert abs(told - now) <= timedelta(milliseconds=1)


@given(moments, st.integers(2, 10**12))
def test_later_ids_sort_later(now, milliseconds):
    later = min(now + timedelta(milliseconds=milliseconds), datetime(9999, 12, 31, tzinfo=UTC))
    assert new_id(now) < new_id(later)
    assert str(new_id(now)) < str(new_id(later))


def test_ids_of_one_moment_differ():
    assert len({new_id(NOW) for _ in range(10_000)}) == 10_000


@given(st.uuids())
def test_it_reads_what_it_writes(value):
    assert parse_id(str(value)) == value
    assert parse_id(str(value).upper()) == value


@given(st.text())
def test_it_reads_nothing_else(text):
    parsed = parse_id(text)
    assert parsed is None or str(parsed) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "01890a5dac96774bbcceb302099a8057", "{01890a5d-ac96-774b-bcce-b302099a8057}",
        "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8057\n",
        " 01890a5d-ac96-774b-bcce-b302099a8057", "01890a5dac96-774b-bcce-b302099a-8057",
        "٠1890a5d-ac96-774b-bcce-b302099a8057",
    ],
)  # fmt: skip
def test_only_the_canonical_form_is_an_id(text):
    assert parse_id(text) is None


def test_the_message_id_is_made_of_the_id_and_the_senders_domain():
    made = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    assert message_id_header(made, "example.com") == f"<{made}@example.com>"

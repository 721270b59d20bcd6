"""What can be stored as JSON in PostgreSQL."""

import math

import pytest

from maild.domain.storable import clean_json, spare_json


def test_it_takes_out_of_texts_what_no_database_keeps():
    value = {"a\x00b": ["x\x00", {"y": "\ud800"}], "n": [1, 2.5, True, None]}
    clean = clean_json(value)
    assert list(clean) == [key for key in clean if "\x00" not in key]
    assert "\x00" not in str(clean)
    clean["n"].append(0)
    assert value["n"] == [1, 2.5, True, None], "it is a copy"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_of_us_and_told_as_text_of_others(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        clean_json({"a": number})
    assert spare_json({"a": (number, 1.5)}) == {"a": [str(number), 1.5]}

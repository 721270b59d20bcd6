"""Values of attributes as people write them in cells and fields."""

import pytest

from maild.domain.contact import AttributeKind, read_cell


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), ("-12", -12), ("0", 0), ("0.5", 0.5), (".5", 0.5), (" 3.50 ", 3.5), ("10", 10)],
)
def test_numbers(text: str, value: float) -> None:
    assert read_cell(AttributeKind.NUMBER, text) == value


@pytest.mark.parametrize("text", ["01067", "+4930123", "007", "-012", "00", "1e5", "1,5", "1" * 16])
def test_what_a_number_would_not_keep_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="012 and"):
        read_cell(AttributeKind.NUMBER, text)

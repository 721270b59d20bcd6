"""Durations as people type them."""

import pytest

from maild.domain import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90 s", 90),
        ("5m", 300),
        ("36 hours", 129_600),
        ("1 day", 86_400),
        (" 1 D, 12 h ", 129_600),
        ("2 d 3 h 4 m 5 s", 183_845),
        ("0 s", 0),
    ],
)
def test_it_reads_them(text, seconds):
    assert durations.parse(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "  ", "5", "d", "1 week", "1 h 2 h", "-1 h", "1.5 h", "1 h x", "٣ h", "9" * 10 + " s"],
)
def test_it_refuses_the_rest_with_an_example(text):
    with pytest.raises(ValueError, match=r"such as .* h"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (90, "1 m 30 s"),
        (172_800, "2 d"),
        (129_600, "1 d 12 h"),
        (86_461, "1 d 1 m 1 s"),
    ],
)
def test_it_writes_them_exactly(seconds, text):
    assert durations.write(seconds) == text
    assert durations.parse(text) == seconds

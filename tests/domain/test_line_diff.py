"""Comparing two texts line by line."""

import pytest

from maild.domain import line_diff
from maild.domain.line_diff import LINE_MAX_CHARS, LINES_MAX, SHOWN_MAX


def told(before, after):
    found = line_diff.compare(before, after)
    return None if found is None else [(one.kind, one.text) for one in found]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", []),
        ("a", "a", []),
        ("a", "b", [("removed", "a"), ("added", "b")]),
        ("", "b", [("removed", ""), ("added", "b")]),
        ("a\nb", "a\nc", [("same", "a"), ("removed", "b"), ("added", "c")]),
        ("a\nb", "a", [("same", "a"), ("removed", "b")]),
        ("a", "a\n", [("same", "a"), ("added", "")]),
    ],
)
def test_what_differs_is_told(before, after, expected):
    assert told(before, after) == expected


def test_what_is_the_same_around_it_is_counted():
    before = [str(number) for number in range(20)]
    after = [*before[:10], "new", *before[11:]]
    assert told("\n".join(before), "\n".join(after)) == [
        ("gap", "7 lines are the same"),
        *(("same", one) for one in ("7", "8", "9")),
        ("removed", "10"),
        ("added", "new"),
        *(("same", one) for one in ("11", "12", "13")),
        ("gap", "6 lines are the same"),
    ]


def test_lines_have_their_numbers():
    found = line_diff.compare("a\nb\nc", "x\na\nc")
    assert [(one.kind, one.number) for one in found] == [
        ("added", 1),
        ("same", 2),
        ("removed", 2),
        ("same", 3),
    ]


def test_what_is_too_long_is_not_compared():
    assert line_diff.compare("a\n" * LINES_MAX, "b") is None
    assert line_diff.compare("a\n" * (LINES_MAX - 1), "a") is not None


def test_an_answer_is_bounded_however_little_is_the_same():
    found = line_diff.compare(
        "\n".join(f"a{n}" for n in range(LINES_MAX)), "\n".join(f"b{n}" for n in range(LINES_MAX))
    )
    assert len(found) == SHOWN_MAX + 1
    assert found[-1].text == f"and {2 * LINES_MAX - SHOWN_MAX:,} lines more"
    [long] = [one for one in line_diff.compare("", "x" * 10_000) if one.kind == "added"]
    assert len(long.text) == LINE_MAX_CHARS + 1


def test_repeated_lines_take_no_long_time():
    before = "\n".join(str(n % 7) for n in range(LINES_MAX))
    after = "\n".join(str(n % 5) for n in range(LINES_MAX))
    assert line_diff.compare(before, after)

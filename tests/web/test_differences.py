"""What an entry of the audit log changed, in words."""

import pytest

from maild.web import differences
from maild.web.differences import Difference


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, None, []),
        ({}, {}, []),
        ({"a": 1}, {"a": 1}, []),
        (None, {"role": "admin"}, [("role", None, "admin")]),
        ({"role": "admin"}, None, [("role", "admin", None)]),
        ({"a_b": True}, {"a_b": False}, [("a b", "yes", "no")]),
        ({"a": None}, {"a": ""}, [("a", "none", "empty")]),
        ({"a": 0}, {"a": False}, [("a", "0", "no")]),
        ({"a": []}, {"a": {}}, [("a", "none", "none")]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [("a, c", "2", "3")]),
        ({"a": {"b": 1}}, {"a": 1}, [("a, b", "1", None), ("a", None, "1")]),
        (None, {"a": list(range(7))}, [("a", None, "0, 1, 2, 3, 4 and 2 more")]),
        (None, {"a": [{"b_c": 1, "d": [2]}]}, [("a", None, "b c 1, d 2")]),
        (None, {"a": "x" * 300}, [("a", None, "x" * 200 + "…")]),
        (
            None,
            {"at": "2026-12-28T13:37:11.170147+00:00"},
            [("at", None, "2026-12-28 13:37:11.170 UTC")],
        ),
        (None, {"at": "2026-99-28T13:37:11Z"}, [("at", None, "2026-99-28T13:37:11Z")]),
        (None, {"at": "0001-01-01T00:00:00+23:59"}, [("at", None, "0001-01-01T00:00:00+23:59")]),
    ],
)
def test_changes_in_words(before, after, told):
    assert differences.tell(before, after) == [Difference(*one) for one in told]

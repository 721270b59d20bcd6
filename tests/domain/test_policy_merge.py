"""Two changes of the same policy: put together, or told as a collision."""

import pytest

from maild.domain.policy_merge import Merged, merge

BASE = {"limit": 5, "blocked": ("a", "b"), "allowed": ("x",)}


def together(theirs=(), yours=(), base=()):
    base = {**BASE, **dict(base)}
    return merge(
        base,
        {**base, **dict(theirs)},
        {**base, **dict(yours)},
        lists=("blocked", "allowed"),
        open_lists=("allowed",),
    )


def test_what_nobody_has_changed_is_not_told():
    assert together() == []


@pytest.mark.parametrize(
    ("theirs", "yours", "value"),
    [({"limit": 6}, {}, 6), ({}, {"limit": None}, None), ({"limit": 7}, {"limit": 7}, 7)],
)
def test_a_rule_that_one_has_changed_or_both_alike_is_settled(theirs, yours, value):
    [one] = together(theirs, yours)
    assert (one.field, one.value, one.is_collision) == ("limit", value, False)


def test_a_rule_that_both_have_changed_otherwise_is_for_a_person():
    assert together({"limit": 6}, {"limit": 7}) == [Merged("limit", 5, 6, 7, 6, True)]


@pytest.mark.parametrize(
    ("theirs", "yours", "value"),
    [
        (("a", "b", "c"), ("a", "b", "d"), ("a", "b", "c", "d")),
        (("a",), ("a", "b", "d"), ("a", "d")),
        (("a",), ("b",), ()),
        ((), ("a", "b", "d"), ("d",)),
        (("a", "b", "c"), ("b", "c"), ("b", "c")),
    ],
)
def test_lists_are_put_together_entry_by_entry(theirs, yours, value):
    [one] = together({"blocked": theirs}, {"blocked": yours})
    assert (one.value, one.is_collision) == (value, False)


@pytest.mark.parametrize(("theirs", "yours"), [((), ("x", "y")), (("x", "y"), ())])
def test_a_list_that_one_opens_to_all_and_the_other_changes_is_a_collision(theirs, yours):
    [one] = together({"allowed": theirs}, {"allowed": yours})
    assert one.is_collision


def test_two_who_each_take_something_away_do_not_let_everything_in():
    [one] = together({"allowed": ("x",)}, {"allowed": ("y",)}, base={"allowed": ("x", "y")})
    assert (one.value, one.is_collision) == (("x",), True)


def test_rules_keep_their_order():
    told = together({"allowed": ("y",), "limit": 1}, {"blocked": ()})
    assert [one.field for one in told] == ["limit", "blocked", "allowed"]

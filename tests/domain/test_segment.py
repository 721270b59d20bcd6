"""The rules of segments: reading them, writing them, and telling them to people."""

import json

import pytest

from maild.domain import segment, segment_reading, segment_words
from maild.domain.contact import AttributeKind
from maild.domain.segment import Group, Join, Kind, Not, Op, Rule

ATTRIBUTES = {
    "plan": AttributeKind.TEXT,
    "country": AttributeKind.TEXT,
    "orders": AttributeKind.NUMBER,
    "vip": AttributeKind.BOOLEAN,
    "birthday": AttributeKind.DATE,
}
LISTS = {7: "Staff", 8: "Friends and family"}
PRO = {"field": "attributes.plan", "op": "equals", "value": "pro"}


def rule(field, op, value=...):
    written = {"field": field, "op": op}
    return written if value is ... else {**written, "value": value}


def country(value):
    return rule("attributes.country", "equals", value)


def read(data, attributes=ATTRIBUTES):
    return segment_reading.read(data, attributes)


def sentence(data, attributes=ATTRIBUTES):
    reading = read(data, attributes)
    assert reading.tree is not None, reading
    return segment_words.tell(reading.tree, LISTS)


BRIEF = {"all": [PRO, {"any": [country("DE"), country("AT")]}, rule("list", "not_in", 7)]}


# -- reading --------------------------------------------------------------------------------------


def test_it_reads_a_tree():
    tree = read(BRIEF).tree
    assert isinstance(tree, Group)
    assert tree.join is Join.ALL
    first, second, third = tree.parts
    assert first == Rule(segment.attribute_field("plan", AttributeKind.TEXT), Op.EQUALS, "pro")
    assert isinstance(second, Group)
    assert second.join is Join.ANY
    assert third == Rule(segment.FIELDS["list"], Op.NOT_IN, 7)
    assert segment.list_ids(tree) == {7}


def test_it_reads_a_rule_alone_and_a_negation():
    assert isinstance(read(PRO).tree, Rule)
    assert isinstance(read({"not": PRO}).tree, Not)
    assert isinstance(read({"not": {"not": {"any": [PRO]}}}).tree, Not)


GOOD = [
    rule("email", "contains", "@"),
    rule("email", "is_one_of", ["a@x.example", "b@x.example"]),
    rule("email_domain", "equals", "example.org"),
    rule("name", "is_not_set"),
    rule("status", "equals", "pending"),
    rule("created_at", "in_last_days", 0),
    rule("created_at", "between", ["2026-01-01", "2026-01-31"]),
    rule("consent.source", "begins_with", "form"),
    rule("consent.at", "anniversary_in_next_days", 365),
    rule("topics", "has_not", "news"),
    rule("list", "in", 2**31 - 1),
    rule("attributes.orders", "between", [1, 2.5]),
    rule("attributes.orders", "equals", -1e15),
    rule("attributes.vip", "is_false"),
    rule("attributes.birthday", "in_next_days", 3650),
    rule("attributes.birthday", "before", "0001-01-01"),
    rule("attributes.birthday", "after", "9999-12-31"),
]


@pytest.mark.parametrize("data", GOOD, ids=json.dumps)
def test_what_it_reads_it_writes_in_the_same_way(data):
    reading = read({"any": [data]})
    assert reading.problems == ()
    assert segment.to_json(reading.tree) == {"any": [data]}
    assert read(segment.to_json(reading.tree)) == reading


def test_it_writes_one_form():
    data = {
        "all": [
            rule("topics", "has", "  News "),
            rule("email", "is_one_of", [" a ", "b", "a"]),
            rule("name", "is_set", None),
        ]
    }
    assert segment.to_json(read(data).tree) == {
        "all": [
            rule("topics", "has", "news"),
            rule("email", "is_one_of", ["a", "b"]),
            rule("name", "is_set"),
        ]
    }


@pytest.mark.parametrize(
    ("data", "path", "words"),
    [
        (None, "rules", "must be a rule"),
        ([], "rules", "must be a rule"),
        ({}, "rules", "must be a rule"),
        ("all", "rules", "must be a rule"),
        ({"every": [PRO]}, "rules", "must be a rule"),
        ({"all": [PRO], "any": [PRO]}, "rules", "must be a rule"),
        ({"all": []}, "rules.all", "at least one rule"),
        ({"all": PRO}, "rules.all", "must be a list"),
        ({"all": "pro"}, "rules.all", "must be a list"),
        ({"not": [PRO]}, "rules.not", "must be a rule"),
        ({"any": [PRO, 5]}, "rules.any.1", "must be a rule"),
        ({"field": "email"}, "rules.op", "must be one of the operators"),
        (rule("email", "like", "a"), "rules.op", "must be one of the operators"),
        (rule("email", 5, "a"), "rules.op", "must be one of the operators"),
        ({"op": "equals", "value": "a"}, "rules.field", "must name a field"),
        (rule("password", "equals", "a"), "rules.field", "must be one of email"),
        (rule("attributes.", "equals", "a"), "rules.field", "is no name of an attribute"),
        (rule("attributes.a'b", "equals", "a"), "rules.field", "is no name of an attribute"),
        (rule("attributes.gone", "equals", "a"), "rules.field", "there is no attribute “gone”"),
        ({**PRO, "case": True}, "rules", "something beside"),
        (rule("email", "is_set"), "rules.op", "must be one of equals"),
        (rule("email", "greater_than", 5), "rules.op", "must be one of equals"),
        (rule("email", "equals"), "rules.value", "must be a text"),
        (rule("email", "equals", " "), "rules.value", "must not be empty"),
        (rule("email", "equals", "x" * 1001), "rules.value", "longer than 1000"),
        (rule("email", "equals", "a\0b"), "rules.value", "NUL"),
        (rule("email", "equals", "a\ud800"), "rules.value", "surrogate"),
        (rule("email", "is_one_of", "a"), "rules.value", "must be a list"),
        (rule("email", "is_one_of", []), "rules.value", "must be a list"),
        (rule("email", "is_one_of", ["a", 5]), "rules.value", "must be a text"),
        (rule("email", "is_one_of", ["a"] * 101), "rules.value", "more than 100"),
        (rule("name", "is_set", "x"), "rules.value", "must be left out"),
        (rule("status", "equals", "gone"), "rules.value", "must be one of pending, active"),
        (rule("status", "equals", ["active"]), "rules.value", "must be one of pending, active"),
        (rule("created_at", "before", "2026-02-30"), "rules.value", "must be a day"),
        (rule("created_at", "before", "20260201"), "rules.value", "must be a day"),
        (rule("created_at", "in_last_days", -1), "rules.value", "whole number from 0 to 3650"),
        (rule("created_at", "in_last_days", 3651), "rules.value", "whole number from 0 to 3650"),
        (rule("created_at", "in_last_days", 1.5), "rules.value", "whole number"),
        (rule("created_at", "in_last_days", True), "rules.value", "whole number"),
        (rule("consent.at", "anniversary_in_next_days", 366), "rules.value", "from 0 to 365"),
        (rule("created_at", "between", ["2026-02-01"]), "rules.value", "a list of two days"),
        (
            rule("created_at", "between", ["2026-02-02", "2026-02-01"]),
            "rules.value",
            "end before it begins",
        ),
        (rule("topics", "has", ""), "rules.value", "must not be empty"),
        (rule("topics", "has", 5), "rules.value", "the name of a topic"),
        (rule("topics", "has", "a\r\nb"), "rules.value", "line break"),
        (rule("name", "is_one_of", ["a", "b\nc"]), "rules.value", "line break"),
        (rule("name", "contains", "b\rc"), "rules.value", "line break"),
        (rule("topics", "has", "x" * 101), "rules.value", "longer than 100"),
        (rule("list", "in", "7"), "rules.value", "the id of a list"),
        (rule("list", "in", True), "rules.value", "the id of a list"),
        (rule("list", "in", 0), "rules.value", "the id of a list"),
        (rule("list", "in", 2**31), "rules.value", "the id of a list"),
        (rule("attributes.orders", "equals", "5"), "rules.value", "must be a number"),
        (rule("attributes.orders", "equals", float("nan")), "rules.value", "finite"),
        (rule("attributes.orders", "equals", 1e16), "rules.value", "must be a number"),
        (rule("attributes.orders", "between", [2, 1]), "rules.value", "end before it begins"),
        (rule("attributes.orders", "contains", "5"), "rules.op", "of the kind number"),
        (rule("attributes.vip", "equals", True), "rules.op", "of the kind boolean"),
        (rule("attributes.birthday", "in_next_days", "7"), "rules.value", "whole number"),
    ],
)
def test_it_says_what_is_wrong_and_where(data, path, words):
    problems = read(data).problems
    assert [problem[0] for problem in problems] == [path]
    assert words in problems[0][1]


def test_it_tells_of_all_that_is_wrong_at_once():
    data = {"all": [rule("email", "like"), {"any": []}, PRO, rule("list", "in", "x")]}
    paths = [path for path, _ in read(data).problems]
    assert paths == ["rules.all.0.op", "rules.all.1.any", "rules.all.3.value"]


def nested(depth, inside=PRO):
    for _ in range(depth):
        inside = {"all": [inside]}
    return inside


def test_it_takes_five_groups_inside_each_other_and_no_more():
    assert read(nested(5)).problems == ()
    assert [path for path, _ in read(nested(6)).problems] == ["rules" + ".all.0" * 5]
    assert read(nested(100_000 // 100)).tree is None


def test_a_negation_of_a_group_is_no_step_deeper():
    assert read(nested(4, {"not": {"any": [PRO]}})).problems == ()
    assert read(nested(5, {"not": PRO})).problems != ()
    assert read({"not": {"not": {"not": {"not": {"not": PRO}}}}}).problems == ()
    assert read({"not": {"not": {"not": {"not": {"not": {"not": PRO}}}}}}).problems != ()


def test_it_takes_fifty_rules_and_no_more():
    halves = [{"any": [PRO] * 25}, {"any": [PRO] * 25}]
    assert read({"all": halves}).problems == ()
    [problem] = read({"all": [*halves, PRO, PRO]}).problems
    assert problem[0] == "rules.all.2"
    assert "more than 50" in problem[1]
    assert read({"all": [PRO] * 51}).problems[0][0] == "rules.all"


def test_it_complains_no_more_than_twenty_times():
    assert len(read({"all": [{"all": [5] * 50}] * 50}).problems) == 20


def test_it_takes_no_more_than_32_kilobytes():
    many = rule("email", "is_one_of", [f"{n:03}" + "x" * 900 for n in range(100)])
    [problem] = read({"all": [many]}).problems
    assert problem[0] == "rules"
    assert "32768" in problem[1]


# -- what is gone ---------------------------------------------------------------------------------


def test_rules_about_an_attribute_that_is_gone_can_still_be_told():
    reading = read(BRIEF, {"country": AttributeKind.TEXT})
    assert reading.complaints == ()
    assert reading.lost == (
        ("rules.all.0.field", "there is no attribute “plan”, or it was deleted"),
    )
    assert segment.to_json(reading.tree) == BRIEF
    assert sentence(BRIEF, {}).startswith("plan is pro and (country is DE")


@pytest.mark.parametrize(
    "data",
    [
        rule("attributes.plan", "greater_than", 5),
        rule("attributes.plan", "is_true"),
        rule("attributes.plan", "in_last_days", 5),
    ],
)
def test_rules_about_an_attribute_of_another_kind_can_still_be_told(data):
    reading = read(data)
    assert reading.complaints == ()
    assert [path for path, _ in reading.lost] == ["rules.op"]
    assert segment.to_json(reading.tree) == data


def test_it_says_which_lists_are_gone():
    data = {"any": [rule("list", "in", 7), {"not": rule("list", "not_in", 9)}, PRO]}
    assert list(segment_reading.unknown_lists(data, LISTS)) == [
        ("rules.any.1.not.value", "there is no such list, or it was deleted")
    ]
    assert sentence(rule("list", "in", 9)) == "in list (deleted)"


# -- telling --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (BRIEF, "plan is pro and (country is DE or country is AT) and not in list Staff"),
        ({"not": {"any": [PRO, country("DE")]}}, "not (plan is pro or country is DE)"),
        ({"not": PRO}, "not (plan is pro)"),
        ({"all": [{"any": [PRO]}]}, "plan is pro"),
        ({"any": [{"not": PRO}, PRO]}, "not (plan is pro) or plan is pro"),
        (rule("list", "in", 8), "in list “Friends and family”"),
        (rule("topics", "has", "News"), "has topic news"),
        (rule("topics", "has_not", "summer sale"), "has not topic “summer sale”"),
        (rule("email_domain", "equals", "gmail.com"), "domain is gmail.com"),
        (rule("name", "is_not_set"), "name is not set"),
        (rule("name", "contains", "or"), "name contains “or”"),
        (rule("status", "equals", "active"), "status is active"),
        (
            rule("email", "is_one_of", list("abcdefg")),
            "address is one of a, b, c, d, e and 2 more",
        ),
        (rule("created_at", "before", "2026-01-31"), "day of adding is before 2026-01-31"),
        (
            rule("consent.at", "between", ["2026-01-01", "2026-01-31"]),
            "day of consent is between 2026-01-01 and 2026-01-31",
        ),
        (rule("created_at", "in_last_days", 30), "day of adding is in the last 30 days"),
        (rule("created_at", "in_last_days", 1), "day of adding is in the last day"),
        (
            rule("attributes.birthday", "anniversary_in_next_days", 7),
            "birthday has its anniversary in the next 7 days",
        ),
        (rule("attributes.orders", "between", [1, 5.0]), "orders is between 1 and 5"),
        (rule("attributes.orders", "greater_than", 2.5), "orders is greater than 2.5"),
        (rule("attributes.vip", "is_true"), "vip is true"),
        (rule("name", "equals", "x" * 100), "name is “" + "x" * 59 + "…”"),
    ],
)
def test_it_tells_rules_as_a_sentence(data, told):
    assert sentence(data) == told


def test_every_kind_has_operators_and_every_operator_has_words():
    assert set(segment.OPS) == set(Kind)
    assert {op for ops in segment.OPS.values() for op in ops} == set(Op)
    assert set(segment_words.OP_WORDS) == set(Op)

"""Reading the rules of a segment: a tree of JSON, or what is wrong with it and where. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from maild.domain.contact import ATTRIBUTE_NAME, AttributeKind, ContactStatus, check_value
from maild.domain.segment import (
    ATTRIBUTE,
    DAYS_MAX,
    DEPTH_MAX,
    FIELDS,
    OCTETS_MAX,
    RULES_MAX,
    TEXT_MAX_CHARS,
    TEXTS_MAX,
    YEAR_DAYS,
    Field,
    Group,
    Join,
    Node,
    Not,
    Op,
    Rule,
    Shape,
    Value,
    attribute_field,
    to_json,
)
from maild.domain.submission import Complaint, check_line, check_storable, check_topic
from maild.domain.suppression import normalise_topic

COMPLAINTS_MAX = 20
"""Whoever sends more than that wrong sends something else."""
ID_MAX = 2**31 - 1
_JOINS = {join.value for join in Join}
_WHAT = (
    'must be a rule {"field": ..., "op": ..., "value": ...} or one of {"all": [...]},'
    ' {"any": [...]}, {"not": {...}}'
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of some JSON.

    `tree` is None where it is no tree at all. `complaints` are about the JSON itself, `lost` about
    attributes that are not there, or not of a kind that the rule fits: there is a tree then, which
    can be told to people, and asks for nothing that could be answered.
    """

    tree: Node | None
    complaints: tuple[Complaint, ...] = ()
    lost: tuple[Complaint, ...] = ()

    @property
    def problems(self) -> tuple[Complaint, ...]:
        """All that keeps the rules from being asked."""
        return self.complaints + self.lost


def read(data: Any, attributes: Mapping[str, AttributeKind], *, at: str = "rules") -> Reading:
    """The tree of some JSON, for a workspace with these attributes. Complaints begin with `at`."""
    reader = _Reader(attributes)
    tree = reader.node(data, at, 0)
    if tree is not None and not reader.complaints:
        size = len(json.dumps(to_json(tree), ensure_ascii=False).encode())
        if size > OCTETS_MAX:
            reader.complain(at, f"are more than {OCTETS_MAX} octets of JSON")
    if reader.complaints:
        return Reading(None, tuple(reader.complaints), tuple(reader.lost))
    return Reading(tree, (), tuple(reader.lost))


def unknown_lists(data: Any, known: Mapping[int, str], *, at: str = "rules") -> Iterator[Complaint]:
    """What is wrong with the lists that a tree, as `to_json` writes it, names: those which are not
    known are not there any more, or are another workspace's.
    """
    if "field" in data:
        if data["field"] == "list" and data["value"] not in known:
            yield f"{at}.value", "there is no such list, or it was deleted"
        return
    [(join, inside)] = data.items()
    parts = enumerate(inside) if isinstance(inside, list) else [(None, inside)]
    for index, part in parts:
        yield from unknown_lists(part, known, at=_below(at, join, index))


@dataclass(slots=True)
class _Reader:
    attributes: Mapping[str, AttributeKind]
    complaints: list[Complaint] = field(default_factory=list)
    lost: list[Complaint] = field(default_factory=list)
    rule_count: int = 0

    def complain(self, at: str, message: str) -> None:
        if len(self.complaints) < COMPLAINTS_MAX:
            self.complaints.append((at, message))

    def node(self, data: Any, at: str, depth: int) -> Node | None:
        """None where it complains; it reads on all the same, so that people hear of the rest."""
        if len(self.complaints) >= COMPLAINTS_MAX:
            return None
        if not isinstance(data, Mapping) or not data:
            self.complain(at, _WHAT)
            return None
        if "field" in data or "op" in data:
            return self.rule(data, at)
        if len(data) != 1 or (word := next(iter(data))) not in _JOINS | {"not"}:
            self.complain(at, _WHAT)
            return None
        if word == "not":
            return self.negation(data[word], at, depth)
        return self.group(Join(word), data[word], at, depth)

    def negation(self, inside: Any, at: str, depth: int) -> Node | None:
        is_group = isinstance(inside, Mapping) and not _JOINS.isdisjoint(inside)
        if not is_group and depth >= DEPTH_MAX:
            self.complain(at, _too_deep())
            return None
        part = self.node(inside, _below(at, "not", None), depth + (not is_group))
        return None if part is None else Not(part)

    def group(self, join: Join, inside: Any, at: str, depth: int) -> Node | None:
        if depth >= DEPTH_MAX:
            self.complain(at, _too_deep())
            return None
        path = _below(at, join, None)
        if not isinstance(inside, Sequence) or isinstance(inside, str):
            self.complain(path, "must be a list of rules and groups")
        elif not inside:
            self.complain(path, "must have at least one rule")
        elif len(inside) > RULES_MAX:
            self.complain(path, f"has more than {RULES_MAX} entries")
        else:
            parts = [
                self.node(one, _below(at, join, index), depth + 1)
                for index, one in enumerate(inside)
            ]
            whole = [part for part in parts if part is not None]
            return Group(join, tuple(whole)) if len(whole) == len(parts) else None
        return None

    def rule(self, data: Mapping[str, Any], at: str) -> Rule | None:
        self.rule_count += 1
        if self.rule_count > RULES_MAX:
            if self.rule_count == RULES_MAX + 1:
                self.complain(at, f"is more than {RULES_MAX} rules: there are too many")
            return None
        before = len(self.complaints)
        for name in data:
            if name not in {"field", "op", "value"}:
                self.complain(at, "has something beside field, op and value")
                break
        op = self.op(data.get("op"), f"{at}.op")
        candidates, problem = self.fields(data.get("field"), f"{at}.field")
        if op is None or not candidates or len(self.complaints) > before:
            return None
        return self.fitting(candidates, op, data, at, problem)

    def op(self, name: Any, at: str) -> Op | None:
        if isinstance(name, str) and name in {op.value for op in Op}:
            return Op(name)
        self.complain(at, "must be one of the operators, such as equals or is_not")
        return None

    def fields(self, name: Any, at: str) -> tuple[list[Field], str]:
        """What the name may mean, and what is wrong with it. An attribute that is not there may
        have been of any kind.
        """
        if not isinstance(name, str) or not name:
            self.complain(at, "must name a field, such as email or attributes.plan")
        elif name in FIELDS:
            return [FIELDS[name]], ""
        elif not name.startswith(ATTRIBUTE):
            names = ", ".join(FIELDS)
            self.complain(at, f"must be one of {names}, or attributes. and a name")
        elif (short := name.removeprefix(ATTRIBUTE)) in self.attributes:
            return [attribute_field(short, self.attributes[short])], ""
        elif problem := _unfit(short):
            self.complain(at, problem)
        else:
            return _any_attribute(short), f"there is no attribute “{short}”, or it was deleted"
        return [], ""

    def fitting(
        self, fields: list[Field], op: Op, data: Mapping[str, Any], at: str, lost: str
    ) -> Rule | None:
        """The rule with the first field that it fits. What an attribute is of another kind for by
        now was right once, and can still be told.
        """
        rule, problem = _first(fields, op, data, at)
        if lost:
            problem = (f"{at}.field", lost)
        elif rule is None and fields[0].attribute is not None:
            rule, _ = _first(_any_attribute(fields[0].attribute), op, data, at)
        if rule is None and problem:
            self.complain(*problem)
        elif problem:
            self.lost.append(problem)
        return rule


def _first(
    fields: list[Field], op: Op, data: Mapping[str, Any], at: str
) -> tuple[Rule | None, Complaint | None]:
    problem = None
    for one in fields:
        value, problem = _read_value(one, op, data, at)
        if problem is None:
            return Rule(one, op, value), None
    return None, problem


def _any_attribute(name: str) -> list[Field]:
    """An attribute of whatever kind."""
    return [attribute_field(name, kind) for kind in AttributeKind]


def _read_value(
    known: Field, op: Op, data: Mapping[str, Any], at: str
) -> tuple[Value, Complaint | None]:
    """The value of a rule about this field, or what is wrong with it."""
    shape = known.ops.get(op)
    if shape is None:
        ops = ", ".join(known.ops)
        why = f"must be one of {ops}: {known.words} is of the kind {known.kind}"
        return None, (f"{at}.op", why)
    value = data.get("value")
    if shape is Shape.NONE:
        problem = None if value is None else "must be left out: the operator takes none"
    else:
        problem = next((message for _, message in check_storable("", value)), None)
        problem = problem or _SHAPES[shape][0](value)
    if problem:
        return None, (f"{at}.value", problem)
    return (None if shape is Shape.NONE else _SHAPES[shape][1](value)), None


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a text"
    if not value.strip():
        return "must not be empty"
    return next((problem for _, problem in check_line("", value, max_chars=TEXT_MAX_CHARS)), None)


def _texts(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return "must be a list with at least one text"
    if len(value) > TEXTS_MAX:
        return f"has more than {TEXTS_MAX} entries"
    return next((problem for one in value if (problem := _text(one))), None)


def _number(value: Any) -> str | None:
    return check_value(AttributeKind.NUMBER, value)


def _day(value: Any) -> str | None:
    return check_value(AttributeKind.DATE, value)


def _two(value: Any, check: Any, words: str) -> str | None:
    if not isinstance(value, list) or len(value) != 2:
        return f"must be a list of two {words}"
    problem: str | None = check(value[0]) or check(value[1])
    if problem:
        return problem
    return "must not end before it begins" if value[0] > value[1] else None


def _count(value: Any, most: int) -> str | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return None if is_whole and 0 <= value <= most else f"must be a whole number from 0 to {most}"


def _topic(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be the name of a topic"
    return next((problem for _, problem in check_topic("", value)), None)


def _status(value: Any) -> str | None:
    names = [status.value for status in ContactStatus]
    is_one = isinstance(value, str) and value in names
    return None if is_one else f"must be one of {', '.join(names)}"


def _list_id(value: Any) -> str | None:
    is_id = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= ID_MAX
    return None if is_id else "must be the id of a list"


_SHAPES: dict[Shape, tuple[Any, Any]] = {
    Shape.TEXT: (_text, str.strip),
    Shape.TEXTS: (_texts, lambda value: tuple(dict.fromkeys(one.strip() for one in value))),
    Shape.NUMBER: (_number, lambda value: value),
    Shape.NUMBERS: (lambda value: _two(value, _number, "numbers"), tuple),
    Shape.DAY: (_day, date.fromisoformat),
    Shape.DAYS: (
        lambda value: _two(value, _day, "days"),
        lambda value: tuple(date.fromisoformat(one) for one in value),
    ),
    Shape.COUNT: (lambda value: _count(value, DAYS_MAX), lambda value: value),
    Shape.YEARLY_COUNT: (lambda value: _count(value, YEAR_DAYS), lambda value: value),
    Shape.STATUS: (_status, str),
    Shape.TOPIC: (_topic, normalise_topic),
    Shape.LIST_ID: (_list_id, lambda value: value),
}
"""Of each shape: what is wrong with a value from JSON, and the value of the rule."""


def _unfit(name: str) -> str | None:
    """What no attribute can be called was none at any time."""
    return None if ATTRIBUTE_NAME.fullmatch(name) else "is no name of an attribute"


def _below(at: str, word: str, index: int | None) -> str:
    return f"{at}.{word}" if index is None else f"{at}.{word}.{index}"


def _too_deep() -> str:
    return f"lies more than {DEPTH_MAX} groups deep"

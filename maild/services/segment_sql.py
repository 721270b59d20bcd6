"""The rules of a segment as a condition in SQL over `contacts c`.

What people have typed, and the names of their attributes, are parameters and never part of the
text. A rule about what is not known is false or NULL, which is the same here: only a negation could
tell them apart, and it says IS NOT TRUE. Nothing in a condition fails, whatever a row holds.

Texts are compared without regard to case; days are those of UTC.
"""

import json
from calendar import isleap
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from maild.domain.segment import ENGAGEMENTS, Group, Join, Kind, Node, Not, Op, Rule

_LOWER = 'lower({} COLLATE "pg_c_utf8")'
_TYPED = _LOWER.format("%s")
_COLUMNS = {
    "email": "c.email",
    "email_domain": "split_part(c.email, '@', 2)",
    "name": _LOWER.format("c.name"),
    "consent.source": _LOWER.format("c.consent_source"),
    "created_at": "c.created_at",
    "consent.at": "c.consent_at",
    "last_mailed_at": "e.mailed_at",
    "last_opened_at": "e.opened_at",
    "last_clicked_at": "e.clicked_at",
}
"""Addresses are in lower case already."""
_TEXT_OF = "(c.attributes->>%s::text)"
_VALUE_OF = "c.attributes->%s::text"
_IS_DAY = "LIKE '____-__-__'"
# `OFFSET 0` and `IS TRUE` keep the planner from joining, or making a table of all members, on a
# guess of how few contacts the rest leaves.
_ON_LIST = """
EXISTS (SELECT FROM audience_members m WHERE m.audience_id = %s AND m.contact_id = c.id OFFSET 0)
"""
_ON_LIST_FOR_ALL = """
(c.id IN (SELECT m.contact_id FROM audience_members m WHERE m.audience_id = %s)) IS TRUE
"""
_ENGAGED = """
EXISTS (SELECT FROM contact_engagements e WHERE e.contact_id = c.id AND {} OFFSET 0)
"""
_NEGATIVE = {
    Op.IS_NOT: Op.EQUALS,
    Op.IS_NOT_SET: Op.IS_SET,
    Op.HAS_NOT: Op.HAS,
    Op.NOT_IN: Op.IN,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL with a `%s` for each of the values. It is NULL or false where a contact is not meant."""

    sql: str
    values: tuple[Any, ...] = ()


def write(node: Node, *, today: date, is_for_all: bool = False) -> Condition:
    """The condition of a tree that was read without a complaint. `today` is the day in UTC.

    `is_for_all` where all contacts of a workspace are looked at: lists are made tables in memory
    then, which needs a `work_mem` for them, and the statement has to be over `contacts c LEFT JOIN
    contact_engagements e ON e.contact_id = c.id`. Where nothing asks of `e`, it is not read.
    """
    match node:
        case Group():
            parts = [write(part, today=today, is_for_all=is_for_all) for part in node.parts]
            word = " AND " if node.join is Join.ALL else " OR "
            sql = word.join(f"({part.sql})" for part in parts)
            return Condition(sql, tuple(value for part in parts for value in part.values))
        case Not():
            return _negate(write(node.part, today=today, is_for_all=is_for_all))
        case Rule() if node.op in _NEGATIVE:
            opposite = replace(node, op=_NEGATIVE[node.op])
            return _negate(write(opposite, today=today, is_for_all=is_for_all))
        case Rule() if node.field.kind is Kind.LIST:
            return Condition(_ON_LIST_FOR_ALL if is_for_all else _ON_LIST, (node.value,))
        case Rule() if node.field.name in ENGAGEMENTS:
            inner = _time(node, today)
            return inner if is_for_all else replace(inner, sql=_ENGAGED.format(inner.sql))
        case Rule():
            return _KINDS[node.field.kind](node, today)


def _negate(one: Condition) -> Condition:
    return Condition(f"({one.sql}) IS NOT TRUE", one.values)


def _text(rule: Rule, _today: date) -> Condition:
    attribute, value = rule.field.attribute, rule.value
    own = () if attribute is None else (attribute,)
    operand = _COLUMNS[rule.field.name] if attribute is None else _LOWER.format(_TEXT_OF)
    if isinstance(value, tuple):
        places = ", ".join([_TYPED] * len(value))
        return Condition(f"{operand} IN ({places})", (*own, *value))
    match rule.op:
        case Op.IS_SET:
            return Condition(f"{operand} <> ''", own)
        case Op.CONTAINS:
            return Condition(f"strpos({operand}, {_TYPED}) > 0", (*own, value))
        case Op.BEGINS_WITH:
            return Condition(f"starts_with({operand}, {_TYPED})", (*own, value))
    return Condition(f"{operand} = {_TYPED}", (*own, value))


def _number(rule: Rule, _today: date) -> Condition:
    """As jsonb, which compares numbers exactly and has no cast that could fail."""
    own = rule.field.attribute
    is_number = f"jsonb_typeof({_VALUE_OF}) = 'number'"
    if isinstance(rule.value, tuple):
        low, high = map(json.dumps, rule.value)
        between = f"{_VALUE_OF} BETWEEN %s::jsonb AND %s::jsonb"
        return Condition(f"{is_number} AND {between}", (own, own, low, high))
    if rule.op is Op.IS_SET:
        return Condition(is_number, (own,))
    sign = {Op.EQUALS: "=", Op.GREATER_THAN: ">", Op.LESS_THAN: "<"}[rule.op]
    return Condition(
        f"{is_number} AND {_VALUE_OF} {sign} %s::jsonb", (own, own, json.dumps(rule.value))
    )


def _boolean(rule: Rule, _today: date) -> Condition:
    own = rule.field.attribute
    if rule.op is Op.IS_SET:
        return Condition(f"jsonb_typeof({_VALUE_OF}) = 'boolean'", (own,))
    return Condition(f"{_VALUE_OF} = %s::jsonb", (own, json.dumps(rule.op is Op.IS_TRUE)))


def _date(rule: Rule, today: date) -> Condition:
    """As text: days in ISO 8601 lie in the order of their letters. What is no day is not known."""
    own = rule.field.attribute
    is_day = Condition(f"{_TEXT_OF} {_IS_DAY}", (own,))
    if rule.op is Op.IS_SET:
        return is_day
    if rule.op is Op.ANNIVERSARY_IN_NEXT_DAYS:
        asked = _anniversary(Condition(f"right({_TEXT_OF}, 5)", (own,)), rule, today)
    else:
        # Texts lie in the order of their code points: "C" has no other.
        operand = Condition(f'{_TEXT_OF} COLLATE "C"', (own,))
        asked = _days(operand, rule, today)
    return Condition(f"{asked.sql} AND {is_day.sql}", (*asked.values, *is_day.values))


_MIDNIGHT = "((%s::date + {})::timestamp AT TIME ZONE 'UTC')"
_MOMENTS = {
    "<": ("<", 0),
    ">=": (">=", 0),
    "<=": ("<", 1),
    ">": (">=", 1),
}
"""What a moment is compared with for its day to be before, from, up to, or after another one: that
midnight, or the next one. So no row's moment has to be made a day.
"""


def _time(rule: Rule, today: date) -> Condition:
    column = _COLUMNS[rule.field.name]
    if rule.op is Op.IS_SET:
        return Condition(f"{column} IS NOT NULL")
    if rule.op is Op.ANNIVERSARY_IN_NEXT_DAYS:
        in_utc = f"to_char({column} AT TIME ZONE 'UTC', 'MM-DD')"
        return _anniversary(Condition(in_utc), rule, today)
    ends = _ends(rule, today)
    if ends[0][0] == "=":
        ends = [(">=", ends[0][1]), ("<=", ends[0][1])]
    asked = ((*_MOMENTS[sign], day) for sign, day in ends)
    parts, days = zip(
        *((f"{column} {sign} {_MIDNIGHT.format(later)}", day) for sign, later, day in asked),
        strict=True,
    )
    return Condition(" AND ".join(parts), days)


def _days(operand: Condition, rule: Rule, today: date) -> Condition:
    ends = _ends(rule, today)
    sql = " AND ".join(f"{operand.sql} {sign} %s" for sign, _ in ends)
    values = tuple(one for _, day in ends for one in (*operand.values, day.isoformat()))
    return Condition(sql, values)


def _ends(rule: Rule, today: date) -> list[tuple[str, date]]:
    """What a day is compared with, and how."""
    value: Any = rule.value
    match rule.op:
        case Op.BEFORE:
            return [("<", value)]
        case Op.AFTER:
            return [(">", value)]
        case Op.BETWEEN:
            return [(">=", value[0]), ("<=", value[1])]
        case Op.IN_LAST_DAYS:
            return [(">=", today - value * _DAY), ("<=", today)]
        case Op.IN_NEXT_DAYS:
            return [(">=", today), ("<=", today + value * _DAY)]
    return [("=", value)]


def _anniversary(operand: Condition, rule: Rule, today: date) -> Condition:
    """By month and day, `MM-DD`: they are a set to look into, however many there are."""
    ahead = [today + number * _DAY for number in range(int(rule.value) + 1)]  # type: ignore[arg-type]
    days = {f"{day:%m-%d}" for day in ahead}
    if any((day.month, day.day) == (2, 28) and not isleap(day.year) for day in ahead):
        days.add("02-29")  # who was born on a leap day is not forgotten in other years
    return Condition(f"{operand.sql} = ANY (%s)", (*operand.values, sorted(days)))


def _status(rule: Rule, _today: date) -> Condition:
    return Condition("c.status = %s", (rule.value,))


def _topics(rule: Rule, _today: date) -> Condition:
    return Condition("%s = ANY (c.topics)", (rule.value,))


_DAY = timedelta(days=1)
_KINDS: dict[Kind, Callable[[Rule, date], Condition]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.STATUS: _status,
    Kind.TOPICS: _topics,
}

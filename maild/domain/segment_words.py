"""The rules of a segment as a sentence: `plan is pro and (country is DE or country is AT)`.

Pure.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from maild.domain.segment import Group, Join, Kind, Node, Not, Op, Rule

TEXTS_SHOWN = 5
"""Values of an `is_one_of` that are told; how many more there are comes after them."""
CHARS_SHOWN = 60
"""Of one value."""
DELETED_LIST = "(deleted)"
OP_WORDS = {
    Op.EQUALS: "is",
    Op.IS_NOT: "is not",
    Op.CONTAINS: "contains",
    Op.BEGINS_WITH: "begins with",
    Op.IS_ONE_OF: "is one of",
    Op.GREATER_THAN: "is greater than",
    Op.LESS_THAN: "is less than",
    Op.BETWEEN: "is between",
    Op.BEFORE: "is before",
    Op.AFTER: "is after",
    Op.IN_LAST_DAYS: "is in the last",
    Op.IN_NEXT_DAYS: "is in the next",
    Op.ANNIVERSARY_IN_NEXT_DAYS: "has its anniversary in the next",
    Op.IS_TRUE: "is true",
    Op.IS_FALSE: "is false",
    Op.IS_SET: "is set",
    Op.IS_NOT_SET: "is not set",
    Op.HAS: "has",
    Op.HAS_NOT: "has not",
    Op.IN: "in",
    Op.NOT_IN: "not in",
}
_OF_DAYS = {Op.IN_LAST_DAYS, Op.IN_NEXT_DAYS, Op.ANNIVERSARY_IN_NEXT_DAYS}
_PLAIN = re.compile(r"[\w.@+-]+")
_LINKING = {"and", "or", "not", "is", "has", "in"}


def tell(node: Node, list_names: Mapping[int, str]) -> str:
    """The sentence of a tree. A list that is not among the names was deleted."""
    match node:
        case Rule():
            return _tell_rule(node, list_names)
        case Not():
            return f"not ({tell(node.part, list_names)})"
        case Group():
            word = " and " if node.join is Join.ALL else " or "
            is_alone = len(node.parts) == 1
            return word.join(_tell_part(part, list_names, is_alone=is_alone) for part in node.parts)


def _tell_part(part: Node, list_names: Mapping[int, str], *, is_alone: bool) -> str:
    told = tell(part, list_names)
    is_several = isinstance(part, Group) and len(part.parts) > 1
    return f"({told})" if is_several and not is_alone else told


def _tell_rule(rule: Rule, list_names: Mapping[int, str]) -> str:
    words, value = OP_WORDS[rule.op], rule.value
    if rule.field.kind is Kind.LIST:
        name = list_names.get(int(value))  # type: ignore[arg-type]
        return f"{words} list {_quote(name) if name else DELETED_LIST}"
    if rule.field.kind is Kind.TOPICS:
        return f"{words} topic {_quote(str(value))}"
    if value is None:
        return f"{rule.field.words} {words}"
    return f"{rule.field.words} {words} {_tell_value(rule.op, value)}"


def _tell_value(op: Op, value: Any) -> str:
    if op in _OF_DAYS:
        return "day" if value == 1 else f"{value} days"
    if op is Op.BETWEEN:
        return f"{_plain(value[0])} and {_plain(value[1])}"
    if not isinstance(value, tuple):
        return _plain(value)
    shown = ", ".join(_plain(one) for one in value[:TEXTS_SHOWN])
    more = len(value) - TEXTS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _plain(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _quote(value) if isinstance(value, str) else str(value)


def _quote(text: str) -> str:
    """What is no single word, or could be taken for one of the sentence's own, stands in quotes."""
    shown = text if len(text) <= CHARS_SHOWN else text[: CHARS_SHOWN - 1] + "…"
    is_plain = _PLAIN.fullmatch(shown) and shown.lower() not in _LINKING
    return shown if is_plain else f"“{shown}”"

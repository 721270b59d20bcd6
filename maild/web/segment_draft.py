"""The rules of a segment while somebody puts them together: a tree of what was typed, right or not.

As a form, each part has fields whose names end with its place: `mode:g` is that of the outermost
group, `field:g.0` belongs to its first part. What may be asked is for `domain/segment` to say.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from maild.domain.contact import AttributeKind, read_cell
from maild.domain.segment import DEPTH_MAX, FIELDS, RULES_MAX, Field, Op, Shape, attribute_field
from maild.domain.submission import Complaint

MODES = {
    "all": "all of these apply",
    "any": "at least one of these applies",
    "none": "none of these applies",
    "not_all": "not all of these apply",
}
TWO = {Shape.NUMBERS, Shape.DAYS}
"""Shapes that are typed into two fields."""
ROOT = "g"
PARTS_MAX = 200
"""Rules and groups of one form that are read at all."""
_TYPED = ("field", "op", "value", "more")
_NAME = re.compile(r"(mode|field|op|value|more):(g(?:\.\d{1,3}){0,9})", re.ASCII)
_ACT = re.compile(r"(rule|group|remove):(g(?:\.\d{1,3}){0,9})", re.ASCII)

Known = Mapping[str, Field]
"""What rules may be about in a workspace, by name."""


@dataclass(slots=True)
class Draft:
    """A rule as it was typed. `errors` are what is wrong with it, and `place` where it stands."""

    field: str = ""
    op: str = ""
    value: str = ""
    more: str = ""
    errors: list[str] = dataclasses.field(default_factory=list)
    place: str = ROOT

    @property
    def is_group(self) -> bool:
        return False


@dataclass(slots=True)
class Box:
    """A group of rules as it was put together."""

    mode: str = "all"
    parts: "list[Draft | Box]" = dataclasses.field(default_factory=list)
    errors: list[str] = dataclasses.field(default_factory=list)
    place: str = ROOT

    @property
    def is_group(self) -> bool:
        return True

    @property
    def depth(self) -> int:
        """1 for the outermost."""
        return self.place.count(".") + 1

    @property
    def can_hold_groups(self) -> bool:
        return self.depth < DEPTH_MAX


def known_fields(attributes: Mapping[str, AttributeKind]) -> dict[str, Field]:
    """All fields that rules may be about, by name: those of every contact, and attributes."""
    own = [attribute_field(name, kind) for name, kind in sorted(attributes.items())]
    return {one.name: one for one in (*FIELDS.values(), *own)}


def blank() -> Box:
    """A group with one empty rule, to begin with."""
    return _placed(Box(parts=[Draft()]))


def from_json(data: Mapping[str, Any]) -> Box:
    """The draft of a tree as `segment.to_json` writes it."""
    made = _made(data)
    return _placed(made if isinstance(made, Box) else Box(parts=[made]))


def from_form(form: Mapping[str, str]) -> Box:
    """The draft that a form holds. What it cannot hold is left out."""
    found: dict[str, dict[str, str]] = {}
    for name, value in form.items():
        match = _NAME.fullmatch(name)
        if match and (len(found) < PARTS_MAX or match[2] in found):
            found.setdefault(match[2], {})[match[1]] = value
    return _placed(_collect(ROOT, found))


def act(draft: Box, words: str) -> Box:
    """The draft after a button: `rule:g.0` and `group:g.0` add to that group, `remove:g.0.1` takes
    that part away. A button of a part that is not there does nothing.
    """
    match = _ACT.fullmatch(words)
    if match is None:
        return draft
    verb, place = match.groups()
    if verb == "remove":
        _remove(draft, place)
    for box in [part for part in _walk(draft) if isinstance(part, Box) and part.place == place]:
        if verb == "rule" and count_rules(draft) < RULES_MAX:
            box.parts.append(Draft())
        elif verb == "group" and box.can_hold_groups and count_rules(draft) < RULES_MAX:
            box.parts.append(Box(mode="any" if box.mode == "all" else "all", parts=[Draft()]))
    return _placed(draft)


def list_rules(draft: Box) -> list[Draft]:
    """The rules of all of its groups, in the order in which they stand on the page."""
    return [part for part in _walk(draft) if isinstance(part, Draft)]


def count_rules(draft: Box) -> int:
    """How many there are."""
    return len(list_rules(draft))


def settle(draft: Box, known: Known) -> None:
    """Let each rule have an operator of its field: whoever chooses another field keeps the operator
    where that has it too.
    """
    for part in _walk(draft):
        if isinstance(part, Draft) and part.field in known:
            ops = known[part.field].ops
            if part.op not in ops:
                part.op = next(iter(ops)).value
                part.value = part.more = ""


def is_complete(draft: Box, known: Known) -> bool:
    """Whether nothing is left to be chosen or typed. It need not be right."""
    return all(
        bool(part.parts) if isinstance(part, Box) else _is_typed(part, known)
        for part in _walk(draft)
    )


def shape_of(part: Draft, known: Known) -> Shape:
    """How the value of a rule is typed."""
    if part.field in known and part.op in known[part.field].ops:
        return known[part.field].ops[Op(part.op)]
    return Shape.TEXT if part.value or part.more else Shape.NONE


def to_json(draft: Box, known: Known) -> dict[str, Any]:
    """The rules as programs write them, with what was typed where that makes no value."""
    return _written(draft, known)


def show(draft: Box, problems: Iterable[Complaint]) -> list[str]:
    """Put each complaint about `to_json(draft)` beside the rule that it is about; returns those
    that are about none.
    """
    paths = dict(_paths(draft, "rules"))
    left: list[str] = []
    for at, message in problems:
        path = at
        while path and path not in paths:
            path = path.rpartition(".")[0]
        part = paths.get(path)
        sentence = f"{message[:1].upper()}{message[1:]}."
        if isinstance(part, Draft) and not part.field:
            sentence = "Choose what the rule is about."
        elif isinstance(part, Draft) and part.op == Op.BETWEEN and not (part.value and part.more):
            sentence = "Fill in both ends."
        errors = left if part is None or part is draft else part.errors
        if sentence not in errors:
            errors.append(sentence)
    return left


def _is_typed(part: Draft, known: Known) -> bool:
    if not part.field or not part.op:
        return False
    shape = shape_of(part, known)
    typed = [part.value, part.more][: 0 if shape is Shape.NONE else 2 if shape in TWO else 1]
    return all(map(str.strip, typed))


def _made(data: Mapping[str, Any]) -> Draft | Box:
    if "field" in data:
        value = data.get("value", "")
        first, second = value, ""
        if isinstance(value, list):
            is_two = data["op"] == Op.BETWEEN
            first, second = value if is_two else ("\n".join(map(str, value)), "")
        return Draft(data["field"], data["op"], _text(first), _text(second))
    [(word, inside)] = data.items()
    if word != "not":
        return Box(word, [_made(one) for one in inside])
    if "any" in inside or "all" in inside:
        [(join, parts)] = inside.items()
        return Box("none" if join == "any" else "not_all", [_made(one) for one in parts])
    return Box("none", [_made(inside)])


def _text(value: Any) -> str:
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)


def _collect(place: str, found: Mapping[str, Mapping[str, str]]) -> Box:
    own = found.get(place, {})
    below = [key for key in found if key.rpartition(".")[0] == place and key != place]
    parts: list[Draft | Box] = []
    for key in sorted(below, key=lambda one: int(one.rpartition(".")[2])):
        fields = found[key]
        if "mode" in fields:
            parts.append(_collect(key, found))
        else:
            field, op, value, more = (fields.get(one, "") for one in _TYPED)
            parts.append(Draft(field, op, value, more))
    mode = own.get("mode", "all")
    return Box(mode if mode in MODES else "all", parts)


def _placed(box: Box, place: str = ROOT) -> Box:
    box.place = place
    for index, part in enumerate(box.parts):
        part.place = f"{place}.{index}"
        if isinstance(part, Box):
            _placed(part, part.place)
    return box


def _walk(box: Box) -> Iterator[Draft | Box]:
    yield box
    for part in box.parts:
        if isinstance(part, Box):
            yield from _walk(part)
        else:
            yield part


def _remove(box: Box, place: str) -> None:
    box.parts = [part for part in box.parts if part.place != place]
    for part in box.parts:
        if isinstance(part, Box):
            _remove(part, place)


def _written(part: Draft | Box, known: Known) -> dict[str, Any]:
    if isinstance(part, Box):
        inside = [_written(one, known) for one in part.parts]
        join = "any" if part.mode in {"any", "none"} else "all"
        return {"not": {join: inside}} if part.mode in {"none", "not_all"} else {join: inside}
    written: dict[str, Any] = {"field": part.field, "op": part.op}
    shape = shape_of(part, known)
    return written if shape is Shape.NONE else {**written, "value": _value(part, shape)}


def _value(part: Draft, shape: Shape) -> Any:
    match shape:
        case Shape.TEXTS:
            return [line.strip() for line in part.value.split("\n") if line.strip()]
        case Shape.NUMBER:
            return _number(part.value)
        case Shape.NUMBERS:
            return [_number(part.value), _number(part.more)]
        case Shape.DAYS:
            return [part.value.strip(), part.more.strip()]
        case Shape.COUNT | Shape.YEARLY_COUNT | Shape.LIST_ID:
            text = part.value.strip()
            return int(text) if re.fullmatch(r"\d{1,10}", text, re.ASCII) else text
    return part.value.strip()


def _number(text: str) -> Any:
    try:
        return read_cell(AttributeKind.NUMBER, text)
    except ValueError:
        return text.strip()


def _paths(part: Draft | Box, at: str) -> Iterator[tuple[str, Draft | Box]]:
    """Where each part stands in `to_json`."""
    yield at, part
    if isinstance(part, Box):
        join = "any" if part.mode in {"any", "none"} else "all"
        inside = f"{at}.not.{join}" if part.mode in {"none", "not_all"} else f"{at}.{join}"
        for index, one in enumerate(part.parts):
            yield from _paths(one, f"{inside}.{index}")

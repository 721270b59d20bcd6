"""The rules of a segment: a tree of conditions on contacts. Pure.

As JSON, a group is `{"all": [...]}`, `{"any": [...]}` or `{"not": {...}}`, and a rule
`{"field": "attributes.plan", "op": "equals", "value": "pro"}`. `segment_reading` makes a tree of
such JSON or says what is wrong with it, `segment_words` tells a tree to people, and
`services/segment_sql` asks the database.

A rule about what is not known of a contact does not apply, and what negates it does: `is_not` and
`not` find those as well of whom it is not known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from maild.domain.contact import AttributeKind

DEPTH_MAX = 5
"""Groups inside each other. A `not` around a group counts with that group."""
RULES_MAX = 50
TEXT_MAX_CHARS = 1_000
TEXTS_MAX = 100
"""Values of one `is_one_of`."""
OCTETS_MAX = 32_768
"""Of all the rules of a segment, as JSON."""
DAYS_MAX = 3_650
YEAR_DAYS = 365
ATTRIBUTE = "attributes."
"""What the names of fields begin with that are a workspace's own."""

Value = str | int | float | date | tuple[Any, ...] | None


class Op(StrEnum):
    """What a rule asks of a field."""

    EQUALS = "equals"
    IS_NOT = "is_not"
    """Also where it is not known."""
    CONTAINS = "contains"
    BEGINS_WITH = "begins_with"
    IS_ONE_OF = "is_one_of"
    GREATER_THAN = "greater_than"
    LESS_THAN = "less_than"
    BETWEEN = "between"
    """Both ends are meant as well."""
    BEFORE = "before"
    AFTER = "after"
    IN_LAST_DAYS = "in_last_days"
    """From so many days ago up to today; 0 is today."""
    IN_NEXT_DAYS = "in_next_days"
    """From today up to so many days ahead; 0 is today."""
    ANNIVERSARY_IN_NEXT_DAYS = "anniversary_in_next_days"
    """The same day of some year. The 29th of February counts as the 28th in other years."""
    IS_TRUE = "is_true"
    IS_FALSE = "is_false"
    IS_SET = "is_set"
    """An empty text is none."""
    IS_NOT_SET = "is_not_set"
    HAS = "has"
    HAS_NOT = "has_not"
    IN = "in"
    NOT_IN = "not_in"


class Shape(StrEnum):
    """What the value of a rule looks like."""

    NONE = "none"
    TEXT = "text"
    TEXTS = "texts"
    NUMBER = "number"
    NUMBERS = "numbers"
    """The two ends."""
    DAY = "day"
    DAYS = "days"
    """The first and the last."""
    COUNT = "count"
    """Of days."""
    YEARLY_COUNT = "yearly_count"
    """Of days, no more than a year has."""
    STATUS = "status"
    TOPIC = "topic"
    LIST_ID = "list_id"


class Kind(StrEnum):
    """Which rules there can be about a field. The first four are those of attributes."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    """A moment, asked for by its day in UTC."""
    STATUS = "status"
    TOPICS = "topics"
    LIST = "list"


_KNOWN = {Op.IS_SET: Shape.NONE, Op.IS_NOT_SET: Shape.NONE}
_DAYS = {
    Op.EQUALS: Shape.DAY,
    Op.BEFORE: Shape.DAY,
    Op.AFTER: Shape.DAY,
    Op.BETWEEN: Shape.DAYS,
    Op.IN_LAST_DAYS: Shape.COUNT,
}
_YEARLY = {Op.ANNIVERSARY_IN_NEXT_DAYS: Shape.YEARLY_COUNT}
OPS: dict[Kind, dict[Op, Shape]] = {
    Kind.TEXT: {
        Op.EQUALS: Shape.TEXT,
        Op.IS_NOT: Shape.TEXT,
        Op.IS_ONE_OF: Shape.TEXTS,
        Op.CONTAINS: Shape.TEXT,
        Op.BEGINS_WITH: Shape.TEXT,
        **_KNOWN,
    },
    Kind.NUMBER: {
        Op.EQUALS: Shape.NUMBER,
        Op.IS_NOT: Shape.NUMBER,
        Op.GREATER_THAN: Shape.NUMBER,
        Op.LESS_THAN: Shape.NUMBER,
        Op.BETWEEN: Shape.NUMBERS,
        **_KNOWN,
    },
    Kind.BOOLEAN: {Op.IS_TRUE: Shape.NONE, Op.IS_FALSE: Shape.NONE, **_KNOWN},
    Kind.DATE: {**_DAYS, Op.IN_NEXT_DAYS: Shape.COUNT, **_YEARLY, **_KNOWN},
    Kind.TIME: {**_DAYS, **_YEARLY, **_KNOWN},
    Kind.STATUS: {Op.EQUALS: Shape.STATUS, Op.IS_NOT: Shape.STATUS},
    Kind.TOPICS: {Op.HAS: Shape.TOPIC, Op.HAS_NOT: Shape.TOPIC},
    Kind.LIST: {Op.IN: Shape.LIST_ID, Op.NOT_IN: Shape.LIST_ID},
}
"""What can be asked of a field of each kind, and what the value is then."""


@dataclass(frozen=True, slots=True)
class Field:
    """What a rule can be about. `words` is what sentences call it."""

    name: str
    kind: Kind
    words: str
    is_always_known: bool = False

    @property
    def attribute(self) -> str | None:
        """Its name among a contact's attributes, where it is one of those."""
        is_one = self.name.startswith(ATTRIBUTE)
        return self.name.removeprefix(ATTRIBUTE) if is_one else None

    @property
    def ops(self) -> dict[Op, Shape]:
        """What can be asked of it."""
        ops = OPS[self.kind]
        return {o: s for o, s in ops.items() if o not in _KNOWN} if self.is_always_known else ops


FIELDS = {
    field.name: field
    for field in (
        Field("email", Kind.TEXT, "address", is_always_known=True),
        Field("email_domain", Kind.TEXT, "domain", is_always_known=True),
        Field("name", Kind.TEXT, "name"),
        Field("status", Kind.STATUS, "status", is_always_known=True),
        Field("created_at", Kind.TIME, "day of adding", is_always_known=True),
        Field("consent.source", Kind.TEXT, "source of consent"),
        Field("consent.at", Kind.TIME, "day of consent"),
        Field("topics", Kind.TOPICS, "topics", is_always_known=True),
        Field("list", Kind.LIST, "list", is_always_known=True),
        Field("last_mailed_at", Kind.TIME, "day of the last campaign"),
        Field("last_opened_at", Kind.TIME, "day of the last open"),
        Field("last_clicked_at", Kind.TIME, "day of the last click"),
    )
}
"""What every contact has. Attributes come on top (`attribute_field`)."""
ENGAGEMENTS = frozenset({"last_mailed_at", "last_opened_at", "last_clicked_at"})
"""Those about what came of campaigns."""


def attribute_field(name: str, kind: AttributeKind) -> Field:
    """An attribute as a field."""
    return Field(ATTRIBUTE + name, Kind(kind.value), name)


class Join(StrEnum):
    """Which of its parts a group needs."""

    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Rule:
    """A leaf. `value` is of the shape that `field.ops[op]` says, a day as a `date`."""

    field: Field
    op: Op
    value: Value = None


@dataclass(frozen=True, slots=True)
class Group:
    """At least one part, of which all or any must apply."""

    join: Join
    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """What its part does not apply to."""

    part: "Node"


Node = Rule | Group | Not


def walk(node: Node) -> Iterator[Rule]:
    """All rules of a tree, in their order."""
    match node:
        case Rule():
            yield node
        case Not():
            yield from walk(node.part)
        case Group():
            for part in node.parts:
                yield from walk(part)


def list_ids(node: Node) -> set[int]:
    """The lists that it names."""
    return {int(rule.value) for rule in walk(node) if rule.field.kind is Kind.LIST}  # type: ignore[arg-type]


def to_json(node: Node) -> dict[str, Any]:
    """The one JSON form of a tree."""
    match node:
        case Group():
            return {node.join.value: [to_json(part) for part in node.parts]}
        case Not():
            return {"not": to_json(node.part)}
        case Rule():
            written: dict[str, Any] = {"field": node.field.name, "op": node.op.value}
            return written if node.value is None else {**written, "value": _plain(node.value)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value

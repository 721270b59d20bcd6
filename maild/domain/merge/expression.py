"""What stands in the tags of a template: paths, literals, filters, conditions. Pure.

An expression is read once, into a function of the data: `contact.name | upcase` becomes a call that
looks up `contact`, then `name`, then calls the filter. What is missing becomes a `Missing`, which
knows its name and goes through all filters but `default`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from maild.domain.merge.filters import DEFAULT, FILTERS, Unfit

TAG_MAX_CHARS = 1_000
OBJECTS = ("contact", "data", "campaign")
"""What has fields: a name begins with one of them."""
PLAIN = ("unsubscribe_url", "preferences_url")
"""What is a value by itself."""
_LEAVE_WHOLE = frozenset({DEFAULT, "append", "prepend", "link"})
"""The filters for a link that is put in when the mail is sent: until then it is only a mark."""
LOOP = "forloop"

METER = ""
"""Under this name, which no tag can say, a scope has what counts the work of a render: a function
that takes steps, and raises where there were too many.
"""
STEP_SIZE, ENTRY_SIZE = 100, 5
"""So many characters of a value cost a step where something is done to it; an entry of a list is
worth as many as that.
"""

Scope = Mapping[str, Any]
Evaluate = Callable[[Scope], Any]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"[^"]*"|'[^']*')
      | (?P<number>-?\d{1,15}(?:\.\d{1,15})?(?![\w.]))
      | (?P<name>[A-Za-z_]\w*)
      | (?P<mark>==|!=|<>|<=|>=|<|>|\.|,|:|\||\[|\])
    )""",
    re.VERBOSE | re.ASCII,
)
_COMPARISONS = frozenset({"==", "!=", "<>", "<", ">", "<=", ">=", "contains"})
_LITERALS: dict[str, Any] = {"true": True, "false": False, "nil": None, "null": None}
_BLANKS = frozenset({"empty", "blank"})
_END = ("end", "")


class Missing:
    """A field that the data does not have, or has no value for."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __bool__(self) -> bool:
        return False


class Blank:
    """What `empty` and `blank` are compared with."""

    def __bool__(self) -> bool:
        return False


BLANK = Blank()


class BadTag(ValueError):
    """A tag that cannot be read; `offset` is where in the tag."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.message, self.offset = message, offset


class Use(NamedTuple):
    """A field that an expression names, and whether it may be missing there."""

    name: str
    is_optional: bool


class Expression(NamedTuple):
    """`evaluate` gives a value or a Missing; `uses` are the fields that it looks up. `weight` is
    how many steps it is, where all values are short.
    """

    evaluate: Evaluate
    uses: tuple[Use, ...]
    weight: int = 1


class Loop(NamedTuple):
    """`{% for name in items limit: most %}`; `origin` is what `items` is called in full."""

    name: str
    items: Expression
    origin: str
    most: int | None


class Reader:
    """The tokens of one tag. `origins` are the names of loops around it, with what they stand for:
    `item` for `data.items[]`.
    """

    def __init__(self, text: str, origins: Mapping[str, str]) -> None:
        self._origins = origins
        self._tokens: list[tuple[str, str]] = []
        self._offsets: list[int] = []
        self._at = 0
        self._uses: list[Use] = []
        self._weight = 1
        if len(text) > TAG_MAX_CHARS:
            raise BadTag(f"a tag has more than {TAG_MAX_CHARS} characters")
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                rest = text[position:].lstrip()
                offset = len(text) - len(rest)
                raise BadTag(f"{rest[:1]!r} cannot stand here", offset)
            kind = match.lastgroup or ""
            self._tokens.append((kind, match[kind]))
            self._offsets.append(match.start(kind))
            position = match.end()
        self._offsets.append(end)

    def output(self) -> Expression:
        """`value | filter: argument, argument | ...`, to the end of the tag."""
        expression = self._filtered()
        self._finish()
        return expression

    def condition(self) -> Expression:
        """`a == b and c`, to the end of the tag. All fields in it may be missing."""
        terms = [self._comparison()]
        joint = None
        while self._peek()[1] in {"and", "or"} and self._peek()[0] == "name":
            word = self._take()[1]
            if joint not in {None, word}:
                raise self._bad("“and” and “or” in one condition: nest two conditions instead")
            joint = word
            terms.append(self._comparison())
            self._weight += 1
        self._finish()
        uses = tuple(Use(use.name, True) for use in self._uses)
        if len(terms) == 1:
            [term] = terms
            return Expression(lambda scope: is_true(term(scope)), uses, self._weight)
        every = all if joint == "and" else any
        return Expression(
            lambda scope: every(is_true(term(scope)) for term in terms), uses, self._weight
        )

    def loop(self) -> Loop:
        """What follows `for`, to the end of the tag."""
        kind, name = self._take()
        if kind != "name" or name in {*OBJECTS, *PLAIN, *_LITERALS, *_BLANKS, LOOP}:
            raise self._bad("for needs a name of its own: {% for item in data.items %}", back=1)
        if self._take() != ("name", "in"):
            raise self._bad("for needs “in”: {% for item in data.items %}", back=1)
        if self._peek()[0] != "name":
            raise self._bad("for goes through a list, such as data.items")
        start = len(self._uses)
        evaluate = self._value()
        if len(self._uses) == start:
            raise self._bad("for goes through a list, such as data.items", back=1)
        origin = self._uses[-1].name
        most = None
        if self._peek() == ("name", "limit"):
            self._take()
            self._expect(":")
            kind, text = self._take()
            if kind != "number" or not text.isdigit():
                raise self._bad("limit needs a number", back=1)
            most = int(text)
        self._finish()
        return Loop(name, Expression(evaluate, tuple(self._uses)), origin, most)

    def nothing(self) -> None:
        """That a tag such as `else` has nothing in it."""
        self._finish()

    def _filtered(self) -> Expression:
        start = len(self._uses)
        evaluate = self._value()
        subject = self._uses[start:]
        del self._uses[start:]
        has_default = False
        while self._peek()[1] == "|":
            self._take()
            kind, name = self._take()
            if kind != "name":
                raise self._bad("a filter is missing after “|”", back=1)
            if subject and subject[0].name in PLAIN and name not in _LEAVE_WHOLE:
                own = subject[0].name
                raise self._bad(f"{own} is another one for each recipient: leave it whole", back=1)
            arguments = self._arguments()
            if name == DEFAULT:
                has_default = True
                evaluate = self._default(evaluate, arguments)
            else:
                evaluate = self._filter(name, evaluate, arguments)
        uses = [Use(use.name, has_default or use.is_optional) for use in subject]
        return Expression(evaluate, (*uses, *self._uses), self._weight)

    def _default(self, evaluate: Evaluate, arguments: list[Evaluate]) -> Evaluate:
        if len(arguments) != 1:
            raise self._bad('default needs one value: | default: "there"')
        [otherwise] = arguments

        def default(scope: Scope) -> Any:
            value = evaluate(scope)
            if isinstance(value, Missing):
                instead = otherwise(scope)
                return value if isinstance(instead, Missing) else instead
            return otherwise(scope) if value is False or value in ("", []) else value

        return default

    def _filter(self, name: str, evaluate: Evaluate, arguments: list[Evaluate]) -> Evaluate:
        known = FILTERS.get(name)
        if known is None:
            raise self._bad(f"there is no filter “{name}”", back=1)
        if not known.least <= len(arguments) <= known.most:
            raise self._bad(f"{name} needs {_count(known.least, known.most)}")
        apply = known.apply
        self._weight += 1
        if not arguments:
            return _filtered_alone(evaluate, apply)

        def filtered(scope: Scope) -> Any:
            value = evaluate(scope)
            if isinstance(value, Missing):
                return value
            given = [argument(scope) for argument in arguments]
            for one in given:
                if isinstance(one, Missing):
                    return one
            if value.__class__ is not str or len(value) >= STEP_SIZE:
                _charge(scope, value)
            return apply(value, *given)

        return filtered

    def _arguments(self) -> list[Evaluate]:
        if self._peek()[1] != ":":
            return []
        self._take()
        arguments = [self._value()]
        while self._peek()[1] == ",":
            self._take()
            arguments.append(self._value())
        return arguments

    def _comparison(self) -> Evaluate:
        left = self._value()
        if self._peek()[1] not in _COMPARISONS or self._peek()[0] == "string":
            return left
        compare = _COMPARE[self._take()[1]]
        self._weight += 1
        right = self._value()

        def compared(scope: Scope) -> bool:
            one, other = left(scope), right(scope)
            _charge(scope, one)
            return compare(one, other)

        return compared

    def _value(self) -> Evaluate:
        kind, text = self._take()
        if kind == "string":
            literal: Any = text[1:-1]
        elif kind == "number":
            literal = float(text) if "." in text else int(text)
        elif kind == "name" and text in _LITERALS:
            literal = _LITERALS[text]
        elif kind == "name" and text in _BLANKS:
            literal = BLANK
        elif kind == "name":
            return self._path(text)
        else:
            raise self._bad("a field or a value is missing here", back=1)
        return lambda scope: literal

    def _path(self, root: str) -> Evaluate:
        start = self._at - 1
        keys: list[str | int] = []
        while self._peek()[1] in {".", "["} and self._peek()[0] == "mark":
            mark, (kind, text) = self._take()[1], self._take()
            if mark == "." and kind == "name":
                keys.append(text)
            elif mark == "[" and kind == "string":
                keys.append(text[1:-1])
            elif mark == "[" and kind == "number" and text.isdigit():
                keys.append(int(text))
            else:
                raise self._bad("a name is missing here: contact.first_name", back=1)
            if mark == "[":
                self._expect("]")
        name = self._name(root, keys, start)
        if root != LOOP:
            self._uses.append(Use(name, False))
        missing = Missing(name)
        if len(keys) == 1 and root in OBJECTS:  # the most usual by far
            return _lookup(root, keys[0], missing)
        return lambda scope: _walk(scope, root, keys, missing)

    def _name(self, root: str, keys: list[str | int], start: int) -> str:
        """What the field is called in full. Raises BadTag where there cannot be one."""
        is_loop = LOOP in self._origins
        if root in PLAIN and keys:
            raise BadTag(f"{root} is a link and has no fields", self._offsets[start])
        if root in OBJECTS and not keys:
            raise BadTag(f"{root} is no field by itself: name one of its", self._offsets[start])
        if root not in {*OBJECTS, *PLAIN, *self._origins} or (root == LOOP and not is_loop):
            raise BadTag(
                f"there is no field “{root}”: names begin with contact., data. or campaign., or are"
                " unsubscribe_url or preferences_url",
                self._offsets[start],
            )
        parts = [self._origins.get(root, root)]
        parts += [f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys]
        return "".join(parts)

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, mark: str) -> None:
        if self._take() != ("mark", mark):
            raise self._bad(f"“{mark}” is missing here", back=1)

    def _finish(self) -> None:
        if self._at < len(self._tokens):
            raise self._bad(f"“{self._peek()[1]}” cannot stand here")

    def _bad(self, message: str, *, back: int = 0) -> BadTag:
        return BadTag(message, self._offsets[min(self._at - back, len(self._offsets) - 1)])


def _count(least: int, most: int) -> str:
    if most == 0:
        return "no value"
    if least == most:
        return "1 value" if most == 1 else f"{most} values"
    return f"{least} to {most} values" if least else f"{most} value at most"


def _filtered_alone(evaluate: Evaluate, apply: Callable[..., Any]) -> Evaluate:
    def filtered(scope: Scope) -> Any:
        value = evaluate(scope)
        if isinstance(value, Missing):
            return value
        if value.__class__ is not str or len(value) >= STEP_SIZE:
            _charge(scope, value)
        return apply(value)

    return filtered


def _charge(scope: Scope, value: Any) -> None:
    """The steps that a value costs by its size. What a filter makes of it costs where the next one
    takes it, and is bounded by itself.
    """
    size = len(value) if isinstance(value, str) else 0
    if isinstance(value, list | dict):
        size = ENTRY_SIZE * len(value)
    if size >= STEP_SIZE:
        scope[METER](size // STEP_SIZE)


def _lookup(root: str, key: str | int, missing: Missing) -> Evaluate:
    def look_up(scope: Scope) -> Any:
        owner = scope.get(root)
        value = owner.get(key) if isinstance(owner, dict) else None
        return missing if value is None else value

    return look_up


def _walk(scope: Scope, root: str, keys: list[str | int], missing: Missing) -> Any:
    value = scope.get(root)
    for key in keys:
        value = _step(value, key)
        if value is None:
            break
    return missing if value is None else value


def _step(value: Any, key: str | int) -> Any:
    if isinstance(value, dict) and key in value:
        return value[key]
    if isinstance(value, list):
        if key == "first":
            key = 0
        elif key == "last":
            key = len(value) - 1
        if isinstance(key, int):
            return value[key] if 0 <= key < len(value) else None
    if key == "size" and isinstance(value, str | list | dict):
        return len(value)
    return None


def is_true(value: Any) -> bool:
    """As Liquid has it: all but what is missing, nil and false."""
    return not (value is None or value is False or isinstance(value, Missing))


def _is_blank(value: Any) -> bool:
    if value is None or value is False or isinstance(value, Missing | Blank):
        return True
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, list | dict) and not value


def _equals(left: Any, right: Any) -> bool:
    if isinstance(left, Blank) or isinstance(right, Blank):
        return _is_blank(left) and _is_blank(right)
    left = None if isinstance(left, Missing) else left
    right = None if isinstance(right, Missing) else right
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    try:
        return bool(left == right)
    except RecursionError:  # lists in lists, deeper than Python looks
        return False


def _is_ordered(left: Any, right: Any) -> bool:
    both = (left, right)
    if any(isinstance(one, bool) for one in both):
        return False
    return all(isinstance(one, int | float) for one in both) or all(
        isinstance(one, str) for one in both
    )


def _contains(left: Any, right: Any) -> bool:
    if isinstance(left, str):
        return isinstance(right, str) and right in left
    return isinstance(left, list) and any(_equals(one, right) for one in left)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equals,
    "!=": lambda a, b: not _equals(a, b),
    "<>": lambda a, b: not _equals(a, b),
    "<": lambda a, b: _is_ordered(a, b) and a < b,
    ">": lambda a, b: _is_ordered(a, b) and a > b,
    "<=": lambda a, b: _is_ordered(a, b) and a <= b,
    ">=": lambda a, b: _is_ordered(a, b) and a >= b,
    "contains": _contains,
}

__all__ = ["BadTag", "Expression", "Loop", "Missing", "Reader", "Unfit", "Use"]

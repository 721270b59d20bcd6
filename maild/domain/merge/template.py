"""A text with merge fields: its tags put together, and what it comes to with data. Pure.

A template is read once and rendered many times. Reading says where a mistake is; rendering never
fails for the data, but says which fields were missing. Either is bounded: see the limits below.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maild.domain.merge.expression import (
    LOOP,
    METER,
    BadTag,
    Expression,
    Loop,
    Missing,
    Reader,
    Use,
)
from maild.domain.merge.filters import Unfit, to_text

TAGS_MAX = 2_000
NESTING_MAX = 20
STEPS_MAX = 50_000
"""Tags, conditions, filters and rounds of loops that one render may go through; what is done to a
long text counts more than once.
"""
OUTPUT_MAX_CHARS = 4_000_000

Escape = Callable[[str], str]

_COMMENT_END = re.compile(r"\{%-?\s*endcomment\s*-?%\}")
_WORD = re.compile(r"\s*([a-z]*)", re.ASCII)


class MergeError(ValueError):
    """A template that cannot be read. `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.message, self.line, self.column = message, line, column


class TooMuch(ValueError):
    """A render that would take too long, or become too large."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a template names. `has_default`: the mail is whole without it. `line` is where
    it stands first.
    """

    name: str
    has_default: bool
    line: int


class _State:
    """One render: what it has come to so far."""

    __slots__ = ("escape", "missing", "out", "room", "steps")

    def __init__(self, escape: Escape) -> None:
        self.escape = escape
        self.out: list[str] = []
        self.missing: dict[str, None] = {}
        self.room = OUTPUT_MAX_CHARS
        self.steps = STEPS_MAX

    def put(self, text: str) -> None:
        self.room -= len(text)
        if self.room < 0:
            raise TooMuch(f"it comes to more than {OUTPUT_MAX_CHARS:,} characters")
        self.out.append(text)

    def step(self, count: int = 1) -> None:
        self.steps -= count
        if self.steps < 0:
            raise TooMuch("its loops go round too often, or its filters have too much to do")


Node = str | Callable[[Mapping[str, Any], _State], None]


@dataclass(frozen=True, slots=True)
class Template:
    """A text that was read. `fields` are in the order in which they are named first."""

    nodes: tuple[Node, ...]
    fields: tuple[Field, ...]

    def render(self, data: Mapping[str, Any], escape: Escape) -> tuple[str, tuple[str, ...]]:
        """The text with its gaps filled, each value through `escape`, and the names of the fields
        that were missing, or of no use there. Raises TooMuch.
        """
        state = _State(escape)
        _run(self.nodes, {**data, METER: state.step}, state)
        return "".join(state.out), tuple(state.missing)


def parse(text: str) -> Template:
    """Read a template. Raises MergeError."""
    return _Parser(text).parse()


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: `kind` is `text`, `{{` or `{%`. `inner` is what stands between the braces
    of a tag, from `start` on; `whole` is all of it, from `at` on.
    """

    kind: str
    whole: str
    at: int
    inner: str = ""
    start: int = 0


def split(text: str) -> Iterator[Piece]:
    """A text in its pieces, which together are all of it. Raises MergeError for a tag without an
    end.
    """
    at = 0
    while True:
        start = _find_tag(text, at)
        if start < 0:
            if at < len(text):
                yield Piece("text", text[at:], at)
            return
        if start > at:
            yield Piece("text", text[at:start], at)
        kind = text[start : start + 2]
        close = "}}" if kind == "{{" else "%}"
        end = text.find(close, start + 2)
        if end < 0:
            raise _error(text, start, f"“{kind}” is not closed with “{close}”")
        begin, stop = start + 2, end
        if text.startswith("-", begin):
            begin += 1
        if stop > begin and text[stop - 1] == "-":
            stop -= 1
        yield Piece(kind, text[start : end + 2], start, text[begin:stop], begin)
        at = end + 2


def _find_tag(text: str, at: int) -> int:
    while True:
        at = text.find("{", at)
        if at < 0 or text[at + 1 : at + 2] in {"{", "%"}:
            return at
        at += 1


def place_of(text: str, at: int) -> tuple[int, int]:
    """The line and the column of an index, from 1."""
    before = text[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1


def _error(text: str, at: int, message: str) -> MergeError:
    return MergeError(message, *place_of(text, at))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces = self._trimmed()
        self._origins: dict[str, str] = {}
        self._fields: dict[str, Field] = {}
        self._line, self._line_at = 1, 0
        self._depth = 0
        self._end: tuple[str, Piece] | None = None
        """The tag at which a block ended."""

    def parse(self) -> Template:
        nodes = self._block(())
        return Template(tuple(nodes), tuple(self._fields.values()))

    def _trimmed(self) -> Iterator[Piece]:
        """The pieces, without comments and the spaces that tags with a hyphen take away."""
        tags = 0
        trims = False
        skip_to = 0
        pieces = list(split(self._text))
        for place, piece in enumerate(pieces):
            if piece.at < skip_to:
                continue
            if piece.kind == "text":
                text = piece.whole.lstrip() if trims else piece.whole
                following = pieces[place + 1] if place + 1 < len(pieces) else None
                if following is not None and following.whole[2] == "-":
                    text = text.rstrip()
                if text:
                    yield Piece("text", text, piece.at)
                continue
            tags += 1
            if tags > TAGS_MAX:
                raise _error(self._text, piece.at, f"there are more than {TAGS_MAX:,} tags")
            trims = piece.whole[-3] == "-"
            if piece.kind == "{%" and piece.inner.split() == ["comment"]:
                end = _COMMENT_END.search(self._text, piece.at)
                if end is None:
                    raise _error(self._text, piece.at, "“comment” is not closed with “endcomment”")
                skip_to = end.end()
                continue
            yield piece

    def _block(self, ends: tuple[str, ...]) -> list[Node]:
        """What stands before one of the tags that end the block, or before the end of the text."""
        nodes: list[Node] = []
        self._depth += 1
        for piece in self._pieces:
            if piece.kind == "text":
                nodes.append(piece.whole)
            elif piece.kind == "{{":
                nodes.append(self._output(piece))
            else:
                word = _WORD.match(piece.inner)
                name = word[1] if word else ""
                if name in ends:
                    self._depth -= 1
                    self._end = name, piece
                    return nodes
                if self._depth > NESTING_MAX:
                    raise self._bad(piece, f"tags are nested more than {NESTING_MAX} deep")
                nodes.append(self._tag(name, piece))
        self._depth -= 1
        self._end = None
        return nodes

    def _output(self, piece: Piece) -> Node:
        expression = self._read(piece, 0, Reader.output)
        self._note(piece, expression.uses)
        return _output_node(expression)

    def _tag(self, name: str, piece: Piece) -> Node:
        match name:
            case "if" | "unless":
                return self._if(name, piece)
            case "for":
                return self._for(piece)
            case "":
                raise self._bad(piece, "the tag is empty")
            case "else" | "elsif" | "endif" | "endunless" | "endfor" | "endcomment":
                raise self._bad(piece, f"“{name}” has nothing that it belongs to")
        raise self._bad(piece, f"there is no tag “{name}”: there are if, unless, for and comment")

    def _if(self, name: str, opening: Piece) -> Node:
        end = f"end{name}"
        branches: list[tuple[Expression | None, list[Node]]] = []
        first = self._condition(opening, len(name))
        condition: Expression | None = _negated(first) if name == "unless" else first
        is_last = False
        while True:
            nodes = self._block((end,) if is_last else ("elsif", "else", end))
            branches.append((condition, nodes))
            if self._end is None:
                raise self._bad(opening, f"“{name}” is not closed with “{end}”")
            word, piece = self._end
            if word == end:
                self._read(piece, len(word), Reader.nothing)
                return _if_node(branches)
            if word == "else":
                self._read(piece, len(word), Reader.nothing)
                condition, is_last = None, True
            else:
                condition = self._condition(piece, len(word))

    def _condition(self, piece: Piece, word_chars: int) -> Expression:
        condition: Expression = self._read(piece, word_chars, Reader.condition)
        self._note(piece, condition.uses)
        return condition

    def _for(self, opening: Piece) -> Node:
        loop = self._read(opening, len("for"), Reader.loop)
        outer = self._origins
        self._origins = {**outer, loop.name: f"{loop.origin}[]", LOOP: LOOP}
        nodes = self._block(("else", "endfor"))
        self._origins = outer
        otherwise: list[Node] | None = None
        if self._end is not None and self._end[0] == "else":
            self._read(self._end[1], len("else"), Reader.nothing)
            otherwise = self._block(("endfor",))
        if self._end is None:
            raise self._bad(opening, "“for” is not closed with “endfor”")
        self._read(self._end[1], len("endfor"), Reader.nothing)
        has_else = otherwise is not None
        self._note(opening, [Use(use.name, has_else) for use in loop.items.uses])
        return _for_node(loop, nodes, otherwise)

    def _read(self, piece: Piece, skipped_chars: int, read: Callable[[Reader], Any]) -> Any:
        """What `read` makes of a tag, after the word that it begins with."""
        spaces = len(piece.inner) - len(piece.inner.lstrip()) if skipped_chars else 0
        skipped = spaces + skipped_chars
        try:
            return read(Reader(piece.inner[skipped:], self._origins))
        except BadTag as error:
            at = piece.start + skipped + error.offset
            raise _error(self._text, min(at, len(self._text)), error.message) from None

    def _note(self, piece: Piece, uses: Sequence[Use]) -> None:
        if not uses:
            return
        # Tags come in their order, but for the `for` that is noted when it ends.
        if piece.at >= self._line_at:
            self._line += self._text.count("\n", self._line_at, piece.at)
            self._line_at = piece.at
            line = self._line
        else:
            line = place_of(self._text, piece.at)[0]
        for name, is_optional in uses:
            known = self._fields.get(name)
            if known is None:
                self._fields[name] = Field(name, is_optional, line)
            elif known.has_default and not is_optional:
                self._fields[name] = Field(name, False, known.line)

    def _bad(self, piece: Piece, message: str) -> MergeError:
        return _error(self._text, piece.at, message)


def _run(nodes: Sequence[Node], scope: Mapping[str, Any], state: _State) -> None:
    for node in nodes:
        if isinstance(node, str):
            state.put(node)
        else:
            node(scope, state)


def _output_node(expression: Expression) -> Node:
    evaluate = expression.evaluate
    weight = expression.weight
    names = [use.name for use in expression.uses[:1]]

    def output(scope: Mapping[str, Any], state: _State) -> None:
        state.step(weight)
        try:
            value = evaluate(scope)
            if isinstance(value, Missing):
                state.missing[value.name] = None
                return
            if value is not None:
                state.put(state.escape(value if isinstance(value, str) else to_text(value)))
        except Unfit:
            state.missing.update(dict.fromkeys(names))

    return output


def _negated(condition: Expression) -> Expression:
    evaluate = condition.evaluate
    return Expression(lambda scope: not evaluate(scope), condition.uses, condition.weight)


def _if_node(branches: list[tuple[Expression | None, list[Node]]]) -> Node:
    def choose(scope: Mapping[str, Any], state: _State) -> None:
        for condition, nodes in branches:
            state.step(condition.weight if condition else 1)
            if condition is None or condition.evaluate(scope):
                _run(nodes, scope, state)
                return

    return choose


def _for_node(loop: Loop, nodes: list[Node], otherwise: list[Node] | None) -> Node:
    def repeat(scope: Mapping[str, Any], state: _State) -> None:
        state.step()
        items = loop.items.evaluate(scope)
        if isinstance(items, Missing) or not isinstance(items, list):
            if otherwise is None:
                state.missing[loop.origin] = None
            items = []
        if loop.most is not None:
            items = items[: loop.most]
        if not items:
            _run(otherwise or (), scope, state)
        for index, item in enumerate(items):
            state.step()
            _run(nodes, {**scope, loop.name: item, LOOP: _forloop(index, len(items))}, state)

    return repeat


def _forloop(index: int, length: int) -> dict[str, Any]:
    return {
        "index": index + 1,
        "index0": index,
        "first": index == 0,
        "last": index == length - 1,
        "length": length,
    }

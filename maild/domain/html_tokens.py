"""HTML in its tokens, as browsers cut it (WHATWG HTML 13.2.5), in time that grows with its length.

In charge of where tags, comments and texts begin and end, and of how deep a source is nested: the
programs that compile it go down as deep as it does, and a stack that is too small ends the process.
It builds no tree, and knows nothing of merge fields.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

DEPTH_MAX = 100
TAGS_MAX = 20_000
FORMATTING_MAX = 20
"""Open tags such as `b` and `a`: a browser opens them anew in each paragraph where they were left
open, so that few of them make a large tree.
"""
ATTRIBUTES_MAX = 200
"""Of one tag."""


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set of names."""
    return frozenset(text.split())


VOID = words("area base br col embed hr img input link meta param source track wbr")  # 13.1.2
_OPTIONAL = words("li dt dd p option tr td th thead tbody tfoot colgroup caption html head body")
"""Their end tag may be left out (13.1.2.4): the next of them ends the one before."""
_FORMATTING = words("a b big code em font i nobr s small strike strong tt u")  # 13.2.4.3
_RAW = words("script style xmp iframe noembed noframes mj-style")
_RAW_TEXT = _RAW | {"title", "textarea"}

_SPACE = r"[ \t\n\f\r]"
_SKIP = re.compile(rf"(?:{_SPACE}|/)*")
_NAME = re.compile(r"[a-zA-Z][^ \t\n\f\r/>]*")
_ATTRIBUTE = re.compile(
    rf"(?P<name>=?[^ \t\n\f\r/>=]*)(?:{_SPACE}*(?P<is>=){_SPACE}*"
    r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^ \t\n\f\r>"'][^ \t\n\f\r>]*))?)?"""
)
_COMMENT_END = re.compile(r"--!?>")


class BadHtml(ValueError):
    """What no program would read as its writer meant it, at the index `at`."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


class Attribute(NamedTuple):
    """An attribute. `raw` is its value as it stands there, from the index `at` on."""

    name: str
    raw: str
    at: int

    @property
    def value(self) -> str:
        return html.unescape(self.raw)


@dataclass(frozen=True)
class Token:
    """`kind` is `start`, `end`, `text`, `raw` (what a `style` or `title` holds), `comment` or
    `other` (a doctype, a processing instruction). `name`: of the tag, in lower case; of a `raw`,
    that of its element.
    """

    kind: str
    at: int
    end: int
    name: str = ""
    attributes: tuple[Attribute, ...] = ()
    is_closed: bool = False
    """Whether a start tag ends in `/>`."""

    @cached_property
    def values(self) -> dict[str, str]:
        """The attributes of a start tag by name; of two the first one counts."""
        return {one.name: one.value for one in reversed(self.attributes)}


def tokens(text: str) -> Iterator[Token]:
    """All of a text, in order. Raises BadHtml for a tag, a comment or a `style` without an end."""
    at = plain_from = 0
    while (at := text.find("<", at)) >= 0:
        token = _markup(text, at)
        if token is None:  # a `<` that is only a letter
            at += 1
            continue
        if at > plain_from:
            yield Token("text", plain_from, at)
        yield token
        at = token.end
        if token.kind == "start" and token.name in _RAW_TEXT and not _is_empty(token):
            at = _end_of_raw(text, token)
            if at > token.end:
                yield Token("raw", token.end, at, token.name)
        plain_from = at
    if plain_from < len(text):
        yield Token("text", plain_from, len(text))


def check_shape(read: list[Token], *, is_xml: bool = False) -> None:
    """That no program is led too deep by it. Raises BadHtml.

    For HTML the depth is never thought smaller than a browser makes it: each name is counted by
    itself, whatever the tags in between. `is_xml`: every tag counts, and has to be closed in order.
    """
    starts = 0
    open_by_name: Counter[str] = Counter()
    stack: list[Token] = []
    depth = formatting = 0
    for token in read:
        if token.kind not in {"start", "end"} or token.name in VOID:
            continue
        if token.kind == "start":
            starts += 1
            if starts > TAGS_MAX:
                raise BadHtml(f"there are more than {TAGS_MAX:,} tags", token.at)
            if is_xml and token.is_closed:
                continue
        if is_xml:
            _balance(stack, token)
            depth = len(stack)
        elif token.name not in _OPTIONAL:
            change = 1 if token.kind == "start" else -(open_by_name[token.name] > 0)
            open_by_name[token.name] += change
            depth += change
            formatting += change if token.name in _FORMATTING else 0
        if depth > DEPTH_MAX:
            raise BadHtml(f"tags are nested more than {DEPTH_MAX} deep", token.at)
        if formatting > FORMATTING_MAX:
            message = f"more than {FORMATTING_MAX} tags such as <b> and <a> are open at once"
            raise BadHtml(f"{message}: close them", token.at)
    if stack:
        raise BadHtml(f"<{stack[-1].name}> is not closed", stack[-1].at)


def _balance(stack: list[Token], token: Token) -> None:
    if token.kind == "start":
        stack.append(token)
    elif not stack:
        raise BadHtml(f"</{token.name}> closes nothing", token.at)
    elif stack.pop().name != token.name:
        raise BadHtml(f"</{token.name}> stands where another tag has to be closed first", token.at)


def _is_empty(token: Token) -> bool:
    """`<mj-style />`, and no other, for HTML knows no empty `style`."""
    return token.is_closed and token.name.startswith("mj-")


def _markup(text: str, at: int) -> Token | None:
    if text.startswith("<!--", at):
        return _comment(text, at)
    if _NAME.match(text, at + 1):
        return _tag(text, at, "start", at + 1)
    if text.startswith("</", at) and _NAME.match(text, at + 2):
        return _tag(text, at, "end", at + 2)
    if text.startswith(("<!", "<?"), at) or (text.startswith("</", at) and at + 2 < len(text)):
        return _until_bracket(text, at)  # nothing but a comment, to a browser
    return None


def _comment(text: str, at: int) -> Token:
    for short in ("<!-->", "<!--->"):
        if text.startswith(short, at):
            return Token("comment", at, at + len(short))
    end = _COMMENT_END.search(text, at + 4)
    if end is None:
        raise BadHtml("this comment is not closed with -->", at)
    return Token("comment", at, end.end())


def _until_bracket(text: str, at: int) -> Token:
    end = text.find(">", at)
    if end < 0:
        raise BadHtml("this is not closed with >", at)
    return Token("other", at, end + 1)


def _tag(text: str, at: int, kind: str, name_at: int) -> Token:
    name = _NAME.match(text, name_at)
    assert name is not None
    attributes: list[Attribute] = []
    position = name.end()
    while True:
        start = position
        position = _skip(text, position)
        following = text[position : position + 1]
        if following == ">":
            # A slash that belongs to a value without quotes is not skipped, and closes nothing.
            is_closed = position > start and text[position - 1] == "/"
            name_, found = name[0].lower(), tuple(attributes)
            return Token(kind, at, position + 1, name_, found, is_closed)
        if not following or len(attributes) >= ATTRIBUTES_MAX:
            what = "has too many attributes" if following else "is not closed with >"
            raise BadHtml(f"the tag <{'/' * (kind == 'end')}{name[0][:30]} {what}", at)
        match = _ATTRIBUTE.match(text, position)
        assert match is not None
        value = next((key for key in ("double", "single", "bare") if match[key] is not None), None)
        if match["is"] and value is None and text[match.end() : match.end() + 1] in {'"', "'"}:
            raise BadHtml(f"the value of {match['name'][:30]} has no closing quote", position)
        raw, raw_at = (match[value], match.start(value)) if value else ("", match.end())
        attributes.append(Attribute(match["name"].lower(), raw, raw_at))
        position = match.end()


def _skip(text: str, position: int) -> int:
    match = _SKIP.match(text, position)
    assert match is not None
    return match.end()


def _end_of_raw(text: str, token: Token) -> int:
    match = _RAW_ENDS[token.name].search(text, token.end)
    if match is None:
        raise BadHtml(f"<{token.name}> is not closed", token.at)
    return match.start()


_RAW_ENDS = {
    name: re.compile(rf"</{name}(?=[ \t\n\f\r/>])", re.IGNORECASE | re.ASCII) for name in _RAW_TEXT
}

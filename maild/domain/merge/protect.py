"""Merge fields on their way through programs that know HTML and not them. Pure.

Each tag of a template is replaced by a word that every program leaves alone, or by a comment where
a word would be moved elsewhere (between the rows of a table). Afterwards the tags are put back,
with what the place that they stand in needs: a link that data fills in must not run anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from maild.domain.html_tokens import BadHtml, Token, tokens
from maild.domain.merge.expression import PLAIN
from maild.domain.merge.template import split

LINK_ATTRIBUTES = frozenset({"href", "src", "action", "background", "background-url", "cite"})
_MJML_TEXTS = LINK_ATTRIBUTES | {"alt", "title", "name", "rel", "id", "css-class", "class", "path"}
"""Attributes of MJML that do not become a style."""


_BLOCKS = frozenset({"if", "unless", "for", "comment"})


@dataclass(frozen=True, slots=True)
class Protected:
    """A source with words in place of its tags. `tags` are what each word stands for in HTML, and
    `written` as its writer has it.
    """

    text: str
    tags: dict[str, str]
    written: dict[str, str]
    word: re.Pattern[str]

    def restore(self, text: str) -> str:
        """HTML with the tags in it again, also for the comments with nothing else in them."""
        return self._as_comments.sub(lambda match: self.tags[match[1] or match[2]], text)

    def restore_text(self, text: str) -> str:
        """A text with the tags in it again: a link runs nothing there either."""
        return self.word.sub(lambda match: self.tags[match[0]], text)

    def restore_comment(self, comment: str) -> str:
        """The tags that a comment holds: of a comment that is itself a tag, that one."""
        return "".join(match[0] for match in self.word.finditer(comment) if self._is_alone(comment))

    def in_source(self, at: int) -> int:
        """The index in the source of one in `text`."""
        grown = 0
        for match in self._as_comments.finditer(self.text, 0, at):
            grown += len(self.written[match[1] or match[2]]) - len(match[0])
        return at + grown

    def find_lost(self, text: str) -> list[str]:
        """The words that are not in a text any more."""
        there = set(self.word.findall(text))
        return [word for word in self.tags if word not in there]

    @property
    def _as_comments(self) -> re.Pattern[str]:
        return re.compile(rf"<!--({self.word.pattern})-->|({self.word.pattern})")

    def _is_alone(self, comment: str) -> bool:
        return bool(re.fullmatch(rf"<!--{self.word.pattern}-->", comment))


def protect(source: str, *, is_mjml: bool = False) -> Protected:
    """The words in place of the tags. Raises MergeError for a tag without an end, and BadHtml where
    a tag stands where it cannot be put back; `at` is an index of `source`.
    """
    prefix = _find_unused(source)
    word = re.compile(rf"{prefix}\d+q")
    whole: dict[str, str] = {}
    parts: list[str] = []
    for piece in split(source):
        if piece.kind == "text":
            parts.append(piece.whole)
        else:
            key = f"{prefix}{len(whole)}q"
            whole[key] = piece.whole
            parts.append(key)
    text = "".join(parts)
    if not whole:
        return Protected(text, {}, {}, word)
    where = _Place(word, whole, text)
    try:
        read = list(tokens(text))
        text = _with_comments(text, read, where, is_mjml=is_mjml)
    except BadHtml as error:
        raise BadHtml(error.message, where.in_source(error.at)) from None
    return Protected(text, where.tags, whole, word)


class _Place:
    """What each word stands for, as it is changed for its place."""

    def __init__(self, word: re.Pattern[str], whole: dict[str, str], text: str) -> None:
        self.word, self.tags, self._text = word, dict(whole), text
        self._whole = whole

    def in_source(self, at: int) -> int:
        """The index in the source of one in the text with words."""
        grown = sum(
            len(self._whole[match[0]]) - len(match[0])
            for match in self.word.finditer(self._text, 0, at)
        )
        return at + grown

    def add_filter(self, word: str, name: str) -> None:
        tag = self._whole[word]
        if tag.startswith("{{") and tag.strip("{}- ") not in PLAIN:
            end = -3 if tag[-3] == "-" else -2
            self.tags[word] = f"{tag[:end].rstrip()} | {name} {tag[end:]}"


def _with_comments(text: str, read: list[Token], place: _Place, *, is_mjml: bool) -> str:
    out: list[str] = []
    for token in read:
        raw = text[token.at : token.end]
        if token.kind == "text":
            out.append(place.word.sub(lambda m: _in_text(m[0], place), raw))
            continue
        out.append(raw)
        if token.kind == "start":
            _look_into(token, place, is_mjml=is_mjml)
        elif token.kind == "raw" and token.name in {"style", "mj-style"}:
            for found in place.word.findall(raw):
                place.add_filter(found, "style")
        elif token.kind in {"end", "other"} and (match := place.word.search(raw)):
            raise BadHtml("a merge field cannot stand in this tag", token.at + match.start())
    return "".join(out)


def _in_text(word: str, place: _Place) -> str:
    return word if place.tags[word].startswith("{{") else f"<!--{word}-->"


def _look_into(token: Token, place: _Place, *, is_mjml: bool) -> None:
    """Raises BadHtml for a merge field that is not within a value."""
    if place.word.search(token.name):
        raise BadHtml("a merge field cannot be in the name of a tag", token.at)
    for attribute in token.attributes:
        if place.word.search(attribute.name):
            raise BadHtml(
                "a merge field can stand within the quotes of a value, and not between attributes",
                attribute.at - len(attribute.name),
            )
        kind = _kind_of(attribute.name, is_mjml=is_mjml)
        if kind == "style":
            for word in place.word.findall(attribute.raw):
                place.add_filter(word, kind)
        elif kind == "link":
            for word in _find_beginnings(attribute.raw, place):
                place.add_filter(word, kind)


def _find_beginnings(raw: str, place: _Place) -> Iterator[str]:
    """The words in a link with which it may begin, whatever conditions leave out and although a
    value before them may be empty.
    """
    is_begun, done = False, 0
    outer: list[_Block] = []
    for match in place.word.finditer(raw):
        is_begun = is_begun or bool(raw[done : match.start()].strip())
        done = match.end()
        tag = place.tags[match[0]]
        if tag.startswith("{{"):
            if not is_begun:
                yield match[0]
            continue
        name = (tag.strip("{}%-").split() or [""])[0]
        if name in _BLOCKS:
            outer.append(_Block(is_begun))
        elif outer and name in {"elsif", "else"}:
            is_begun = outer[-1].next_branch(is_begun, is_last=name == "else")
        elif outer and name.startswith("end"):
            is_begun = outer.pop().end(is_begun)


class _Block:
    """A condition or a loop in a link: whether the link has begun before it, and in all of its
    branches until now.
    """

    def __init__(self, is_begun: bool) -> None:
        self._before = is_begun
        self._in_all, self._has_else = True, False

    def next_branch(self, is_begun: bool, *, is_last: bool) -> bool:
        self._in_all = self._in_all and is_begun
        self._has_else = self._has_else or is_last
        return self._before

    def end(self, is_begun: bool) -> bool:
        """Where no branch applies, it stands as before."""
        return self._before or (self._has_else and self._in_all and is_begun)


def _kind_of(name: str, *, is_mjml: bool) -> str:
    if name in LINK_ATTRIBUTES:
        return "link"
    if name == "style" or (is_mjml and name not in _MJML_TEXTS):
        return "style"
    return "text"


def _find_unused(source: str) -> str:
    """The beginning of a word that the source does not have: letters and digits in lower case."""
    lower, number = source.lower(), 0
    while (prefix := f"mrg{number}x") in lower:
        number += 1
    return prefix

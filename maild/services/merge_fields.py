"""Merge fields: the gaps of a template, read once and filled in for each recipient.

The language is `maild.domain.merge`. Here are the three ways to fill in a text (for HTML, for plain
text, for one line of a header) and the templates that a process has read already.
"""

import html
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from maild.domain.merge import template as language
from maild.domain.merge.template import Field, MergeError, Template, TooMuch
from maild.domain.storable import clean_text

KNOWN_MAX_CHARS = 8_000_000
"""Of templates that are kept as they were read."""

_BREAKS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")


class Escape(StrEnum):
    """Where a value ends up, and so what must not be in it."""

    HTML = "html"
    """Its `<`, `>`, `&` and quotes are only letters."""
    TEXT = "text"
    HEADER = "header"
    """One line, whatever the data holds: no CR, no LF, no NUL."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its gaps filled. `missing` are the fields that the data had no value for, or one
    of no use there; in their place is nothing.
    """

    text: str
    missing: tuple[str, ...]


def parse(text: str) -> tuple[Field, ...]:
    """The fields that a template names, each once. Raises MergeError, which says where."""
    return _read(text).fields


def render(text: str, data: Mapping[str, Any], *, escape: Escape) -> Filled:
    """Fill in a template. `data` holds `contact`, `data` and the like as plain JSON.

    Raises MergeError, and TooMuch where it would become too large or take too long.
    """
    filled, missing = _read(text).render(data, _ESCAPES[escape])
    if escape is Escape.HEADER:
        # RFC 5322 2.2: nothing can begin another line. Also what the template itself has.
        filled = _BREAKS.sub(" ", clean_text(filled)).strip()
    return Filled(filled, missing)


def _escape_html(text: str) -> str:
    # One look is quicker than five that find nothing, as in most values.
    return html.escape(text) if _SPECIAL.search(text) else text


def _as_it_is(text: str) -> str:
    return text


_SPECIAL = re.compile(r"[&<>\"']")
_ESCAPES: dict[Escape, Callable[[str], str]] = {
    Escape.HTML: _escape_html,
    Escape.TEXT: _as_it_is,
    Escape.HEADER: _as_it_is,
}
_known: OrderedDict[str, Template] = OrderedDict()
"""By what was read, so that nothing can be out of date; used last at the end."""
_known_chars = 0
_lock = threading.Lock()


def _read(text: str) -> Template:
    global _known_chars  # noqa: PLW0603 - the size of what is beside it
    with _lock:
        known = _known.get(text)
        if known is not None:
            _known.move_to_end(text)
            return known
    read = language.parse(text)
    with _lock:
        if text not in _known and len(text) <= KNOWN_MAX_CHARS:
            _known[text] = read
            _known_chars += len(text)
            while _known_chars > KNOWN_MAX_CHARS:
                _known_chars -= len(_known.popitem(last=False)[0])
    return read


__all__ = ["Escape", "Field", "Filled", "MergeError", "TooMuch", "parse", "render"]

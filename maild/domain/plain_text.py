"""The text part that an HTML part stands for: what a person reads of it, links spelled out. Pure.

It is made for reading and not for turning back: blocks become lines, cells stand beside each other,
an image is its `alt`, and a link its words with the address behind them in brackets.
"""

import html
import re
from collections.abc import Callable, Iterable

from maild.domain.html_tokens import VOID, Token, tokens, words

_PARAGRAPHS = words(
    "p h1 h2 h3 h4 h5 h6 ul ol dl blockquote pre table section article header footer main"
)
_LINES = words("div tr li dt dd address center figure figcaption caption form fieldset")
_CELLS = frozenset({"td", "th"})
_HIDDEN = re.compile(r"(?:^|;)\s*display\s*:\s*none\b", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\n\f\r]+")
# Soft hyphens, joiners and the like: what holds a preheader's place and says nothing.
_NOTHING = re.compile(r"[\u00ad\u034f\u200b-\u200d\u2060\ufeff]+")
_FOR_LOOKS = frozenset({"presentation", "none"})  # WAI-ARIA 1.2, 5.4
_UNWRITTEN = ("#", "javascript:", "vbscript:", "data:", "cid:")
"""Links that lead nowhere from a text."""


def of_html(text: str, keep: Callable[[str], str]) -> str:
    """The text of a page. `keep` gives what has to stay of a comment: merge fields can be in one.
    Raises BadHtml.
    """
    writer = _Writer()
    for token in _shown(tokens(text)):
        raw = text[token.at : token.end]
        match token.kind:
            case "text":
                writer.text(html.unescape(raw))
            case "comment":
                writer.keep(keep(raw))
            case "start":
                writer.start(token)
            case "end":
                writer.end(token.name)
    return writer.finish()


def _shown(read: Iterable[Token]) -> Iterable[Token]:
    """The tokens outside of what nobody sees."""
    hidden, depth = "", 0
    for token in read:
        if hidden:
            if token.name == hidden and token.kind in {"start", "end"}:
                depth += 1 if token.kind == "start" else -1
                hidden = hidden if depth else ""
            continue
        if token.kind == "start" and token.name not in VOID and _is_hidden(token):
            hidden, depth = token.name, 1
            continue
        yield token


def _is_hidden(token: Token) -> bool:
    return "hidden" in token.values or bool(_HIDDEN.search(token.values.get("style", "")))


class _Writer:
    def __init__(self) -> None:
        self._out: list[str] = []
        self._breaks = 0
        """Line breaks that are due before the next word."""
        self._space = ""
        self._link: tuple[str, int] | None = None
        """The address of the link that is open, and where its words begin."""
        self._lists: list[int] = []
        """The numbers of the lists that are open; 0 for one without numbers."""
        self._pre = 0
        self._has_words = False
        self._tables: list[bool] = []
        """Of each table that is open, whether it is there for the looks alone."""

    def text(self, text: str) -> None:
        if self._pre:
            self._write(text)
            return
        said = _NOTHING.sub("", _SPACES.sub(" ", text))
        if said[:1] == " ":
            self._space = " "
        if stripped := said.strip(" "):
            self._write(stripped)
            self._space = " " if said.endswith(" ") else ""

    def keep(self, text: str) -> None:
        """What takes no room. It stands before the breaks that are due: a condition around a block
        has the breaks of the block in it, and leaves none behind where it does not hold.
        """
        if text:
            self._out.append(text)

    def start(self, token: Token) -> None:
        name = token.name
        if name == "br":
            self._breaks += 1
        elif name == "hr":
            self._break(2)
            self._write("---")
            self._break(2)
        elif name == "img":
            self.text(f" {token.values.get('alt', '')} ")
        elif name == "a":
            self._link = token.values.get("href", "").strip(), len(self._out)
        elif name in {"ul", "ol"}:
            self._break(1 if self._lists else 2)
            self._lists.append(1 if name == "ol" else 0)
        elif name == "li":
            self._item()
        elif name in _CELLS:
            self._cell()
        else:
            self._break(2 if name in _PARAGRAPHS else 1 if name in _LINES else 0)
            self._pre += name == "pre"
            if name == "table":
                self._tables.append(token.values.get("role", "").lower() in _FOR_LOOKS)

    def end(self, name: str) -> None:
        if name == "a":
            self._end_link()
        elif name in {"ul", "ol"}:
            if self._lists:
                self._lists.pop()
            self._break(1 if self._lists else 2)
        elif name in _CELLS:
            self._cell()
        else:
            self._break(2 if name in _PARAGRAPHS else 1 if name in _LINES else 0)
            if name == "pre" and self._pre:
                self._pre -= 1
            if name == "table" and self._tables:
                self._tables.pop()

    def finish(self) -> str:
        lines = "".join(self._out).split("\n")
        text = "\n".join(line.rstrip() for line in lines)
        return re.sub(r"\n{3,}", "\n\n", text).strip("\n")

    def _cell(self) -> None:
        """Cells of data stand beside each other, those of a layout are paragraphs."""
        if self._tables and self._tables[-1]:
            self._break(2)
        else:
            self._space = " "

    def _item(self) -> None:
        self._break(1)
        indent = "  " * max(len(self._lists) - 1, 0)
        if self._lists and self._lists[-1]:
            mark = f"{self._lists[-1]}. "
            self._lists[-1] += 1
        else:
            mark = "- "
        self._write(indent + mark)

    def _end_link(self) -> None:
        if self._link is None:
            return
        (url, start), self._link = self._link, None
        said = "".join(self._out[start:]).strip()
        address = url.partition(":")[2] if url.startswith(("mailto:", "tel:")) else url
        scheme = "".join(url.split()).lower()
        if not address or scheme.startswith(_UNWRITTEN) or said in {address, url}:
            return
        space, self._space = self._space, " " if said else self._space
        self._write(f"({address})" if said else address)
        self._space = space

    def _break(self, count: int) -> None:
        self._breaks = max(self._breaks, count)
        if count:
            self._space = ""

    def _write(self, text: str) -> None:
        if self._breaks:
            if self._has_words:
                self._out.append("\n" * min(self._breaks, 2))
            self._breaks, self._space = 0, ""
        elif self._space and self._out and not self._out[-1].endswith((" ", "\n")):
            self._out.append(self._space)
        self._space, self._has_words = "", True
        self._out.append(text)

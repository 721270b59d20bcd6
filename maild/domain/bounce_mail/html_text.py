"""What a reader sees of HTML.

In charge of tags, entities and line breaks. Not a parser: bounces need words, not structure.
"""

import html
import re

_HIDDEN = ("style", "script", "head", "title")
_BLOCK = re.compile(
    r"<\s{0,4}/?\s{0,4}(?:br|p|div|tr|li|ul|ol|table|h[1-6]|pre|blockquote|hr|dd|dt)\b[^<>]{0,2000}>",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[a-zA-Z/!?][^<>]{0,4000}>")
_BLANKS = re.compile(r"[ \t\xa0]+")


def text_of_html(text: str) -> str:
    """The text, a line for each block."""
    for name in _HIDDEN:
        text = _without(text, name)
    text = _TAG.sub("", _BLOCK.sub("\n", text.replace("\r", "").replace("\n", " ")))
    lines = (_BLANKS.sub(" ", line).strip() for line in html.unescape(text).split("\n"))
    return "\n".join(lines)


def _without(text: str, name: str) -> str:
    """The text without these elements; one that is never closed hides nothing."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter whose lower case is longer: positions would not fit
        return text
    kept: list[str] = []
    position = 0
    while True:
        start = lowered.find(f"<{name}", position)
        end = lowered.find(f"</{name}", start) if start >= 0 else -1
        if end < 0:
            kept.append(text[position:])
            return "".join(kept)
        kept.append(text[position:start])
        position = end

"""The human-readable text of a report: where it ends and the returned mail begins.

In charge of cutting a mail's parts into the report's words and the original. Not in charge of what
the words mean.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maild.domain.bounce_mail.charsets import to_text
from maild.domain.bounce_mail.mail import Fields, Part, read_fields

ORIGINAL_TYPES = frozenset(
    {"message/rfc822", "message/global", "message/global-headers", "text/rfc822-headers",
     "text/rfc822-header", "message/rfc822-headers", "message/partial"}
)  # fmt: skip
_TEXT_LIMIT = 60_000  # characters of all texts together

# The line with which MTAs announce what they return. Words for "the message", then for "here".
_ANNOUNCEMENT = re.compile(
    r"(?:copy of|original|returned|unsent|undelivered|undeliverable|rejected|your|failed|header|"
    r"message text)[^\n]{0,40}?(?:message|mail|header|text|info)"
    r"|message (?:headers?|text|body|header lines?)"
    r"|begin(?:ning)? of (?:the )?(?:original|message)",
    re.IGNORECASE,
)
_HERE = re.compile(r"follow|below|-{3,}|={3,}|:\s*$|\|\s*$|enclosed|attached", re.IGNORECASE)
_ENDING = re.compile(r"follow|copy of|original message|-{3,}", re.IGNORECASE)
_HEADER_LINE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,60}:(?: |$|\t)")
_TRACE_LINE = re.compile(
    r"\s{0,4}>?\s?(?:received|return-path|x-received|dkim-signature|arc-seal|x-originating-ip"
    r"|x-google-[a-z-]{1,30}|delivered-to):\s",
    re.IGNORECASE,
)
_MBOX_LINE = re.compile(r"\s{0,4}>?From \S{1,200} +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[ ,]")
_LOOK_AHEAD = 6


@dataclass(frozen=True, slots=True)
class Texts:
    """A report's words, and the header of the mail that it is about."""

    words: str
    original: Fields


def read_texts(mail: Part, parts: Sequence[Part]) -> Texts:
    """Of a report's parts: the plain text, the HTML where there is no other, and the original."""
    plain: list[str] = []
    marked_up: list[str] = []
    original: Fields = ()
    for part in parts:
        if part.content_type in ORIGINAL_TYPES:
            original = original or _fields_of(part)
        elif part is not mail and part.value("received"):  # returned without a header of its own
            original = original or part.fields
        elif part.content_type == "text/html":
            marked_up.append(part.text)
        elif part.content_type.startswith("text/"):
            is_attached = part.value("content-disposition").lower().startswith("attachment")
            fields = read_fields(part.text) if is_attached or _begins_with_header(part) else ()
            if any(name in {"received", "message-id"} for name, _ in fields):
                original = original or fields
            else:
                plain.append(part.text)
    words = "\n\n".join(text for text in plain if text.strip())
    if len(words.strip()) < 20:
        words = "\n\n".join([words, *marked_up])
    words, rest = cut(words[:_TEXT_LIMIT])
    return Texts(words, original or read_fields(rest))


def cut(text: str) -> tuple[str, str]:
    """The words before a returned mail, and that mail."""
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if index and _is_announcement(lines, index):
            # From the next line that is not empty: what is announced may have dashes around.
            return "\n".join(lines[:index]), "\n".join(_header_lines(lines[index + 1 :]))
        if _TRACE_LINE.match(line) or _MBOX_LINE.match(line):
            following = lines[index + 1 : index + 1 + _LOOK_AHEAD]
            count = sum(bool(_HEADER_LINE.match(other.strip())) for other in following)
            if count >= 1:
                return "\n".join(lines[:index]), "\n".join(_header_lines(lines[index:]))
    return text, ""


def _is_announcement(lines: Sequence[str], index: int) -> bool:
    line = lines[index]
    if len(line) > 120 or "@" in line or not _ANNOUNCEMENT.search(line) or not _HERE.search(line):
        return False
    # An announcement of what stands elsewhere, or of the reason, is not followed by a header.
    following = [other.strip() for other in lines[index + 1 : index + 2 + _LOOK_AHEAD]]
    rest = [other for other in following if other]
    if not rest:
        return True
    rest = [other for other in rest if set(other) - set("=-*|")]
    if not rest:
        return bool(_ENDING.search(line))
    headers = [bool(_HEADER_LINE.match(other) or _MBOX_LINE.match(other)) for other in rest]
    return headers[0] and (sum(headers) >= 2 or bool(_ENDING.search(line)))


def _header_lines(lines: Sequence[str]) -> list[str]:
    """Lines of a returned header, which some MTAs indent as a whole or quote with ">"."""
    kept = list(lines[:400])
    while kept and not kept[0].strip():
        kept.pop(0)
    if not kept:
        return []
    margin = len(kept[0]) - len(kept[0].lstrip(" >"))
    return [line[margin:] if not line[:margin].strip(" >") else line for line in kept]


def _begins_with_header(part: Part) -> bool:
    return bool(_TRACE_LINE.match(part.text.lstrip("\n")[:200]))


def _fields_of(part: Part) -> Fields:
    text = to_text(part.content).replace("\r\n", "\n").replace("\r", "\n")
    return read_fields(text.lstrip("\n"))

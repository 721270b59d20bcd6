"""The parts of a mail, however broken it is.

In charge of headers, MIME structure and text. The standard library's parser keeps every part and
every nesting, and slows down with their number; here a mail is read once, to a fixed depth, count
and size, and mistakes that bounces are known for are forgiven. Not in charge of what it says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from maild.domain.bounce_mail.charsets import decoded, header_text, to_text
from maild.domain.bounce_mail.html_text import text_of_html

_MAIL_LIMIT = 2_000_000  # bytes; what reports say stands before what they return
_HEADER_LIMIT = 100_000
_TEXT_LIMIT = 100_000  # bytes of one part before decoding
_DEPTH_LIMIT = 8
_PART_LIMIT = 50

_FIELD = re.compile(r"([!-9;-~]{1,76})[ \t]{0,8}:[ \t]*(.*)", re.DOTALL)  # RFC 5322 2.2
_PARAMETER = re.compile(
    r";\s{0,20}([\w*-]{1,40})\s{0,8}=\s{0,8}(?:\"([^\"]{0,200})\"|([^;\s]{1,200}))"
)
_COMMENT = re.compile(r"\([^()]{0,200}\)")

Fields = tuple[tuple[str, str], ...]


def read_fields(text: str) -> Fields:
    """Header fields, unfolded (RFC 5322 2.2.3), names in lower case; stops at the first blank line.
    A line that is no field is left out, as the "From " line of a mailbox file."""
    fields: list[tuple[str, str]] = []
    for line in text[:_HEADER_LIMIT].splitlines():
        if not line.strip():
            if fields:
                break
            continue
        if line[0] in " \t" and fields:
            name, value = fields[-1]
            if len(value) < 10_000:
                fields[-1] = (name, f"{value} {line.strip()}")
            continue
        match = _FIELD.fullmatch(line)
        if match:
            fields.append((match[1].lower(), match[2].strip()))
    return tuple(fields)


@dataclass(frozen=True)
class Part:
    """One part of a mail, or the whole of it."""

    fields: Fields
    body: bytes

    def value(self, name: str) -> str:
        """The first field of this name, its encoded words read; empty where there is none."""
        for other, value in self.fields:
            if other == name:
                return header_text(value)
        return ""

    def values(self, name: str) -> list[str]:
        """All fields of this name."""
        return [header_text(value) for other, value in self.fields if other == name]

    @cached_property
    def content_type(self) -> str:
        """As `text/plain`; that is also the answer where nothing is declared (RFC 2045 5.2)."""
        declared = _COMMENT.sub("", self.value("content-type")).partition(";")[0].strip().lower()
        return declared if "/" in declared else "text/plain"

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Of the Content-Type, names in lower case."""
        found = _PARAMETER.findall(f"{self.value('content-type')};")
        return {name.lower(): quoted or plain for name, quoted, plain in found}

    @cached_property
    def content(self) -> bytes:
        """The body, transfer encoding undone, as far as it is looked at."""
        return decoded(self.body[:_TEXT_LIMIT], self.value("content-transfer-encoding"))

    @cached_property
    def text(self) -> str:
        """The body as text with plain line ends; of HTML, what a reader sees."""
        text = to_text(self.content, self.parameters.get("charset", ""))
        if self.content_type == "text/html":
            text = text_of_html(text)
        return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(raw: bytes) -> Part:
    """The whole mail as one part."""
    return _part(raw[:_MAIL_LIMIT])


def parts_of(mail: Part) -> list[Part]:
    """The parts that hold something, in order. A returned mail is one part, not looked into."""
    return list(_leaves(mail, 0, [_PART_LIMIT]))


def _part(data: bytes) -> Part:
    start = len(data) - len(data.lstrip(b"\r\n"))
    match = _HEADER_END.search(data, start)
    head, body = (data[start : match.start()], data[match.end() :]) if match else (data, b"")
    text = to_text(head[:_HEADER_LIMIT]).replace("\r\n", "\n").replace("\r", "\n")
    fields = read_fields(text)
    if not fields:  # no header at all: all of it is the body
        return Part((), data)
    return Part(fields, body)


_HEADER_END = re.compile(rb"\r?\n[ \t]{0,8}\r?\n|\r\r")


def _leaves(part: Part, depth: int, left: list[int]) -> Iterator[Part]:
    boundary = part.parameters.get("boundary", "")
    if boundary and depth < _DEPTH_LIMIT and _is_multipart(part):
        chunks = _split(part.body, boundary)
        for chunk in chunks:
            if left[0] <= 0:
                return
            left[0] -= 1
            yield from _leaves(_child(chunk), depth + 1, left)
        if chunks:
            return
    if part.body.strip():
        # Called multipart, and is not: what there is, is text.
        yield Part((), part.body) if _is_multipart(part) else part


def _is_multipart(part: Part) -> bool:
    return part.content_type.startswith("multipart/")


def _child(chunk: bytes) -> Part:
    # RFC 2046 5.1: a part without fields begins with the blank line.
    if re.match(rb"[ \t]{0,8}\r?\n", chunk):
        return Part((), chunk.lstrip(b"\r\n"))
    return _part(chunk)


def _split(body: bytes, boundary: str) -> list[bytes]:
    """The chunks between boundary lines. Blanks before a line and a missing end are forgiven."""
    mark = re.escape(boundary.strip().encode("utf-8"))
    line = re.compile(rb"(?:^|\r?\n|\r)[ \t]{0,8}--" + mark + rb"(--)?[ \t]{0,80}(?:\r?\n|\r|$)")
    chunks: list[bytes] = []
    start = -1
    position = 0
    while len(chunks) < _PART_LIMIT:
        match = line.search(body, position)
        if not match:
            break
        if start >= 0:
            chunks.append(body[start : match.start()])
        start = match.end()
        if match[1]:
            return chunks
        # The line end belongs to the next boundary as well, where a part is empty.
        position = max(match.end() - 1, match.start() + 1)
    if start >= 0 and len(chunks) < _PART_LIMIT:
        chunks.append(body[start:])
    return chunks

"""Reads a received message for people: its summary, its texts, its attachments.

The names of the fields are those of Mailpit's API. Mail may be broken in any way, and is shown as
well as it can be: nothing here raises. Pure: bytes in, plain values out.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC
from email import message_from_bytes
from email.headerregistry import HeaderRegistry
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import Any

SNIPPET_CHARS = 200
SNIPPET_SOURCE_CHARS = 20_000
HEADER_CHARS = 20_000  # the library's time grows with the square of a header's length
UNSEEN_ELEMENTS = frozenset({"head", "script", "style", "template", "title"})

_BLANK = re.compile(r"[\s\x00-\x1f\u200b-\u200f\u2028-\u202e\ufeff]+")
_registry = HeaderRegistry()


class Parsed:
    """A message taken apart.

    `headers` are (name, decoded text) in their order; `text` and `html` its two bodies, or empty.
    """

    def __init__(self, raw: bytes) -> None:
        message = _parse(raw)
        self._raw_headers = [(name, _unfolded(value)) for name, value in message.raw_items()]
        self.headers = [(name, _decoded(name, value)) for name, value in self._raw_headers]
        self._parts = list(_leaves(message))
        self._text = self._body("text/plain")
        self._html = self._body("text/html")
        self.text = _text_of(self._text)
        self.html = _text_of(self._html)

    def header(self, name: str) -> str:
        """The decoded text of the first header `name`, or an empty text."""
        return _first(self.headers, name) or ""

    def addresses(self, name: str) -> list[dict[str, str]]:
        """The addresses in the first header `name`: `{Name, Address}` each."""
        raw = _first(self._raw_headers, name)
        if raw is None:
            return []
        if len(raw) > HEADER_CHARS:
            return [{"Name": "", "Address": _printable(raw)}]
        try:
            field: Any = _registry(name, raw)
            pairs = [(address.display_name, address.addr_spec) for address in field.addresses]
        except Exception:  # the library fails on odd input in many ways
            pairs = [("", raw)]
        return [{"Name": _printable(n), "Address": _printable(a)} for n, a in pairs]

    def files(self, *, inline: bool) -> list[dict[str, Any]]:
        """The parts beside the two bodies: `{PartID, FileName, ContentType, ContentID, Size}` each.

        Inline parts are those that an HTML body can refer to by their Content-ID.
        """
        return [
            {
                "PartID": str(number),
                "FileName": _file_name(part, number),
                "ContentType": _printable(part.get_content_type()),
                "ContentID": _content_id(part),
                "Size": len(_bytes_of(part)),
            }
            for number, part in enumerate(self._parts)
            if part not in (self._text, self._html) and _is_inline(part) == inline
        ]

    def file(self, part_id: str) -> tuple[str, bytes] | None:
        """The name and the content of one part, or None."""
        for number, part in enumerate(self._parts):
            if str(number) == part_id:
                return _file_name(part, number), _bytes_of(part)
        return None

    def sent_at(self) -> str | None:
        """The Date header as RFC 3339, or None where it has none that can be read."""
        try:
            date = parsedate_to_datetime(self.header("Date"))
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).isoformat()

    def _body(self, content_type: str) -> Message | None:
        for part in self._parts:
            is_body = part.get_content_disposition() != "attachment"
            if is_body and part.get_content_type() == content_type:
                return part
        return None


def summarise(raw: bytes, *, recipients: Iterable[str]) -> dict[str, Any]:
    """What a list shows of a message; `recipients` are those of its envelope."""
    parsed = Parsed(raw)
    sender, to, cc = parsed.addresses("From"), parsed.addresses("To"), parsed.addresses("Cc")
    visible = {address["Address"].lower() for address in [*to, *cc]}
    source = parsed.text[:SNIPPET_SOURCE_CHARS] or _seen(parsed.html[:SNIPPET_SOURCE_CHARS])
    return {
        "MessageID": parsed.header("Message-ID").strip(" <>"),
        "From": sender[0] if sender else {"Name": "", "Address": ""},
        "To": to,
        "Cc": cc,
        "Bcc": [
            {"Name": "", "Address": _printable(recipient)}
            for recipient in recipients
            if recipient.lower() not in visible
        ],
        "ReplyTo": parsed.addresses("Reply-To"),
        "Subject": parsed.header("Subject"),
        "Size": len(raw),
        "Snippet": _BLANK.sub(" ", source).strip()[:SNIPPET_CHARS],
        "Attachments": len(parsed.files(inline=False)),
    }


def _parse(raw: bytes) -> Message:
    # Without a policy the library takes no header apart, and so does not fail on one.
    try:
        return message_from_bytes(raw)
    except RecursionError:  # thousands of parts in parts
        return BytesHeaderParser().parsebytes(raw)


def _leaves(part: Message) -> Iterator[Message]:
    """The parts that are no containers; a message within the message is one file."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for child in part.get_payload():
            if isinstance(child, Message):
                yield from _leaves(child)
    else:
        yield part


def _first(headers: list[tuple[str, str]], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def _unfolded(value: Any) -> str:
    """A header's text as it was sent, without folding; bytes beyond ASCII are UTF-8 (RFC 6532)."""
    raw = "".join(str(value).splitlines()).encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")


def _decoded(name: str, value: str) -> str:
    if len(value) > HEADER_CHARS:
        return _printable(value)
    try:
        return _printable(str(_registry(name, value)))
    except Exception:  # the library fails on odd input in many ways
        return _printable(value)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _bytes_of(part: Message) -> bytes:
    if part.is_multipart():
        return b"".join(c.as_bytes() for c in part.get_payload() if isinstance(c, Message))
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text_of(part: Message | None) -> str:
    if part is None:
        return ""
    charset = str(part.get_content_charset() or "utf-8")
    try:
        return _printable(_bytes_of(part).decode(charset, "replace"))
    except (LookupError, ValueError):
        return _bytes_of(part).decode("utf-8", "replace")


def _file_name(part: Message, number: int) -> str:
    name = part.get_filename()
    if not name:
        return f"part-{number}"
    return _BLANK.sub(" ", _decoded("Subject", name)).strip()


def _content_id(part: Message) -> str:
    return _printable(str(part.get("Content-ID", ""))).strip(" <>")


def _is_inline(part: Message) -> bool:
    return bool(_content_id(part)) and part.get_content_disposition() != "attachment"


class _SeenText(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._unseen: str | None = None

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in UNSEEN_ELEMENTS and self._unseen is None:
            self._unseen = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = None

    def handle_data(self, data: str) -> None:
        if self._unseen is None:
            self.texts.append(data)


def _seen(html: str) -> str:
    """The text of HTML that a reader sees, roughly."""
    parser = _SeenText()
    try:
        parser.feed(html)
    except AssertionError:  # what the library says to a broken declaration
        return " ".join(parser.texts)
    return " ".join(parser.texts)

"""The message as it goes over the wire: RFC 5322 headers around a MIME body.

In charge of which fields and parts a message has, and of how bodies are encoded. Not in charge of
writing a single header field (`mime_headers`), nor of dot-stuffing and SMTP (`transports.smtp`).
Lean on purpose: the standard library's EmailMessage costs some sixty times as much per message, and
serves as the oracle of the tests instead. The same content always gives the same bytes, so that
every attempt at a message sends the same mail.
"""

import re
from binascii import b2a_base64, b2a_qp
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count

from maild.domain import mime_headers

_LINE_LIMIT = 1000  # RFC 5321 4.5.3.1.6: octets of a line, its CRLF included
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,500}@[!-;=?A-~]{1,255}>")  # RFC 5322 3.6.4
_CONTENT_ID = re.compile(r"<?([!-;=?-~]{1,255})>?")  # RFC 2045 7; many senders leave the domain out
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"  # RFC 2045 5.1, token
_CONTENT_TYPE = re.compile(rf'{_WORD}/{_WORD}(?:; ?{_WORD}=(?:{_WORD}|"[ !#-\[\]-~]*"))*')
_CONTENT_TYPE_LIMIT = 255
_QP_LITERAL = bytes(range(0x20, 0x7F)).replace(b"=", b"") + b"\t\n"  # RFC 2045 6.7
_QP_OVERLONG = re.compile(rb"=(?:20|09)(?<=[^\n]{77})$", re.MULTILINE)  # RFC 2045 6.7 (5)
_BASE64_LINE = re.compile(rb".{1,76}")  # RFC 2045 6.8


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels with the message; one with a `content_id` is shown inside the HTML."""

    filename: str
    content_type: str
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the sender wrote: bare addresses, texts with any line breaks, files."""

    message_id: str  # with its angle brackets
    date: datetime  # aware
    from_email: str
    from_name: str | None = None
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    reply_to: str | None = None
    subject: str
    body_text: str | None = None
    body_html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()  # the sender's own, in order
    literal_headers: tuple[tuple[str, str], ...] = ()  # ours, written as they are
    attachments: tuple[Attachment, ...] = ()

    @property
    def needs_utf8_headers(self) -> bool:
        """True where an address is not ASCII: only such a message should ask for SMTPUTF8."""
        addresses = (self.from_email, self.reply_to or "", *self.to, *self.cc)
        return not all(address.isascii() for address in addresses)


@dataclass(frozen=True, slots=True)
class _Part:
    """One MIME entity: its `Content-*` fields, and its body in pieces to be joined once."""

    header: str
    body: list[bytes]
    encoding: str


def build(content: Content, *, eight_bit: bool = False, utf8_headers: bool = False) -> bytes:
    """The whole message: CRLF line ends only, lines of 998 octets at most, not dot-stuffed.

    `eight_bit` allows 8bit bodies (the server offers 8BITMIME, RFC 6152); `utf8_headers` allows
    UTF-8 in headers (SMTPUTF8, RFC 6531 and 6532). Raises ValueError, naming the field, for what no
    message can carry: line breaks or NUL in a header, an address that is none or needs UTF-8
    headers, text with lone surrogates, a naive date, no body at all.
    """
    root = _root(content, eight_bit)
    head = _head(content, utf8_headers) + root.header + "\r\n"
    message = b"".join([head.encode(), *root.body])
    return message if message.endswith(b"\r\n") else message + b"\r\n"


def _head(content: Content, utf8: bool) -> str:
    fields = [
        f"Date: {_date(content.date)}\r\n",
        mime_headers.mailbox("From", content.from_name, content.from_email, utf8=utf8),
    ]
    if content.to:
        fields.append(mime_headers.addresses("To", content.to, utf8=utf8))
    if content.cc:
        fields.append(mime_headers.addresses("Cc", content.cc, utf8=utf8))
    if content.reply_to:
        fields.append(mime_headers.addresses("Reply-To", (content.reply_to,), utf8=utf8))
    fields.append(mime_headers.unstructured("Subject", content.subject, utf8=utf8))
    if not _MESSAGE_ID.fullmatch(content.message_id):
        raise ValueError("message_id: not a message identifier in angle brackets")
    fields.append(f"Message-ID: {content.message_id}\r\n")
    for name, value in content.headers:
        mime_headers.check_own(name, value)
        fields.append(mime_headers.unstructured(name, value, utf8=utf8))
    fields.extend(mime_headers.literal(name, value) for name, value in content.literal_headers)
    fields.append("MIME-Version: 1.0\r\n")
    return "".join(fields)


def _date(date: datetime) -> str:
    """RFC 5322 3.3, in UTC; its names are English whatever the locale, hence no strftime."""
    if date.tzinfo is None:
        raise ValueError("date: has no time zone")
    utc = date if date.tzinfo is UTC else date.astimezone(UTC)
    return (
        f"{_DAYS[utc.weekday()]}, {utc.day:02} {_MONTHS[utc.month - 1]} {utc.year:04} "
        f"{utc.hour:02}:{utc.minute:02}:{utc.second:02} +0000"
    )


def _root(content: Content, eight_bit: bool) -> _Part:
    """The tree: mixed(alternative(text, related(html, inline...)), attachments...), pruned."""
    if content.body_text is None and content.body_html is None:
        raise ValueError("body_text: a message needs a text or an HTML body")
    bodies = []
    # An empty text beside an HTML body is left out: a reader that prefers text would show nothing.
    if content.body_text or not content.body_html:
        bodies.append(_text("body_text", "plain", content.body_text or "", eight_bit))
    if content.body_html:
        bodies.append(_text("body_html", "html", content.body_html, eight_bit))
    if len(bodies) == 1 and not content.attachments:
        return bodies[0]

    boundary = _boundary(content.message_id, bodies)
    inline, attached = [], []
    for attachment in content.attachments:
        if attachment.content_id and content.body_html:
            inline.append(_attachment(attachment, "inline"))
        else:
            attached.append(_attachment(attachment, "attachment"))
    if inline:  # they belong to the HTML, which stands last: RFC 2046 5.1.4
        bodies[-1] = _multipart("related", f"{boundary}.r", [bodies[-1], *inline])
    root = bodies[0] if len(bodies) == 1 else _multipart("alternative", f"{boundary}.a", bodies)
    return _multipart("mixed", f"{boundary}.m", [root, *attached]) if attached else root


def _boundary(message_id: str, bodies: list[_Part]) -> str:
    """The stem of the boundaries: made from the message's identifier, and absent from its bodies.

    Quoted-printable and base64 never hold "=_" (RFC 2045 6.7 (5)); only literal bodies could.
    """
    literal = [part.body[0] for part in bodies if part.encoding in {"7bit", "8bit"}]
    stems = (f"=_{sha256(f'{n}{message_id}'.encode()).hexdigest()[:32]}" for n in count())
    return next(stem for stem in stems if not any(stem.encode() in body for body in literal))


def _multipart(kind: str, boundary: str, parts: list[_Part]) -> _Part:
    body = []
    for part in parts:
        body.append(f"--{boundary}\r\n{part.header}\r\n".encode())
        body.extend(part.body)
        body.append(b"\r\n")  # RFC 2046 5.1.1: belongs to the delimiter, not to the part
    body.append(f"--{boundary}--".encode())
    root_type = ' type="text/html";' if kind == "related" else ""  # RFC 2387 3.1
    header = f'Content-Type: multipart/{kind};{root_type}\r\n boundary="{boundary}"\r\n'
    if all(part.encoding != "8bit" for part in parts):
        return _Part(header, body, "7bit")
    # RFC 2045 6.4: what holds 8bit data must say so itself.
    return _Part(f"{header}Content-Transfer-Encoding: 8bit\r\n", body, "8bit")


def _text(field: str, subtype: str, text: str, eight_bit: bool) -> _Part:
    raw = mime_headers.encode(field, text)
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    body = raw.replace(b"\n", b"\r\n")  # RFC 2046 4.1.1: the canonical line break
    is_ascii = raw.isascii()
    if (is_ascii or eight_bit) and b"\0" not in raw and _lines_fit(body):
        encoding = "7bit" if is_ascii else "8bit"  # RFC 2045 2.7, 2.8
    elif len(raw) < 6 * len(raw.translate(None, _QP_LITERAL)):
        # Base64 adds a third; quoted-printable two octets for every one that it escapes.
        encoding, body = "base64", _base64(body)
    else:
        encoding, body = "quoted-printable", _quoted_printable(raw)
    charset = "us-ascii" if is_ascii else "utf-8"
    header = (
        f"Content-Type: text/{subtype}; charset={charset}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n"
    )
    return _Part(header, [body], encoding)


def _lines_fit(body: bytes) -> bool:
    """True where no line passes the limit; looks at one octet in a thousand, not at each line."""
    start = 0
    while len(body) - start > _LINE_LIMIT - 2:  # what is left may yet get its CRLF
        line_end = body.rfind(b"\n", start, start + _LINE_LIMIT)
        if line_end < 0:
            return False
        start = line_end + 1
    return True


def _quoted_printable(raw: bytes) -> bytes:
    # Fed LF and mended after: given CRLF, b2a_qp writes bare LFs until it has seen the first. And
    # a space that it escapes at the very end of a line may carry that line past 76 characters.
    return _QP_OVERLONG.sub(rb"=\n\g<0>", b2a_qp(raw)).replace(b"\n", b"\r\n")


def _attachment(attachment: Attachment, disposition: str) -> _Part:
    content_type = attachment.content_type
    # RFC 2045 6.4 and RFC 2046 5.2.1 forbid base64 for multipart and message types; any other
    # encoding could alter the file, so it travels as plain octets.
    if (
        len(content_type) > _CONTENT_TYPE_LIMIT
        or not _CONTENT_TYPE.fullmatch(content_type)
        or content_type.lower().startswith(("message/", "multipart/"))
    ):
        content_type = "application/octet-stream"
    header = (
        f"Content-Type: {content_type}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: {disposition}"  # RFC 2183 2.1, 2.2
        f"{mime_headers.parameter('filename', attachment.filename)}\r\n"
    )
    if attachment.content_id:
        content_id = _CONTENT_ID.fullmatch(attachment.content_id)
        if not content_id:
            raise ValueError("content_id: spaces, line breaks and non-ASCII are not allowed")
        header += f"Content-ID: <{content_id[1]}>\r\n"
    return _Part(header, [_base64(attachment.content)], "base64")


def _base64(content: bytes) -> bytes:
    return b"\r\n".join(_BASE64_LINE.findall(b2a_base64(content, newline=False)))

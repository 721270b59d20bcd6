"""How one header field is written: folding, encoded words, addresses and parameters.

In charge of turning one value into its field's text, legal whatever the value holds (RFC 5322,
2047, 2231, and 6532 where UTF-8 is allowed). Not in charge of which fields a message has, nor of
its bodies: that is `mime`. Every function here raises ValueError, naming the field, for a value
that could break out of its field (CR, LF, NUL) or that cannot be written as UTF-8.
"""

import re
from binascii import b2a_base64
from collections.abc import Callable, Sequence

_LINE = 78  # RFC 5322 2.1.1: characters a line should keep to
_LINE_LIMIT = 998  # RFC 5322 2.1.1: octets a line must never pass
_ENCODED_LINE = 76  # RFC 2047 2: characters of a line that holds an encoded word
_ENCODED_WORD = 75  # RFC 2047 2: characters of an encoded word ...
_ENCODED_FRAME = len("=?utf-8?q??=")  # ... of which this many say how it is encoded
_NAME_LIMIT = 46  # a longer field name leaves no useful room for an encoded word on its line
_PHRASE_LIMIT = 60  # a longer display name is written as encoded words, which fold anywhere
_FILENAME_LIMIT = 255  # what file systems allow; a longer one is written in sections
_SECTION = 60  # characters of one section of a long parameter

# RFC 5322 3.6.8. The length is ours: `Name: ` fits a line.
_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")
# White space at either end would be lost in transit, so such a value is not plain.
_PLAIN = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
_LOOKS_ENCODED = re.compile(r"=\?[^?]*\?[bq]\?.*\?=", re.IGNORECASE)
_WORDS = re.compile(r"[ \t]*[^ \t]+")
_UNSAFE = re.compile(r"[\r\n\0]")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"  # RFC 5322 3.2.3
_ATOMS = re.compile(rf"{_ATOM}(?: {_ATOM})*")
_QUOTED_PAIR = re.compile(r'(["\\])')
_NOT_IN_FALLBACK = re.compile(r'[^ -~]|["\\]')
# RFC 5322 3.4.1 as far as it keeps one address from becoming two, or anything else.
_DOTTED = r'[^\s\x00-\x1f\x7f-\x9f<>()\[\],;:\\"@]+'
_ADDRESS = re.compile(rf'(?:{_DOTTED}|"(?:[ !#-\[\]-~]|\\[ -~])+")@(?:{_DOTTED}|\[[!-Z^-~]+\])')
_ADDRESS_LIMIT = 254  # RFC 5321 4.5.3.1.3, less the angle brackets

_LETTERS_AND_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_Q_SAFE = _LETTERS_AND_DIGITS + b"!*+-/ "  # RFC 2047 5 (3): the set that is safe in a phrase, too
_Q = ["_" if octet == 0x20 else chr(octet) if octet in _Q_SAFE else f"={octet:02X}"
      for octet in range(256)]  # fmt: skip
_PERCENT_SAFE = _LETTERS_AND_DIGITS + b"!#$&+-.^_`{|}~"  # RFC 2231 7, attribute-char
_PERCENT = [chr(octet) if octet in _PERCENT_SAFE else f"%{octet:02X}" for octet in range(256)]

# RFC 5322 3.6: once at most, and `mime` writes them. Bcc would tell what must not be told.
_RESERVED = frozenset(
    {"date", "from", "reply-to", "to", "cc", "bcc", "subject", "message-id", "mime-version"}
)


def check_own(name: str, value: str) -> None:
    """Raise ValueError unless a sender may add this field to a message.

    Refused: a name that is no field name or over 76 characters, a reserved one (`Date`,
    `From`, `Content-Type`, ...), CR, LF or NUL in the value, text that is not Unicode.
    """
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError(f"headers: {name[:80]!r} is not a header name")
    folded_name = name.lower()
    if folded_name in _RESERVED or folded_name.startswith("content-"):
        raise ValueError(f"headers: {name} is reserved and cannot be set")
    refuse_unsafe(name, value)


def refuse_unsafe(field: str, value: str) -> None:
    """Raise ValueError, naming the field, for CR, LF, NUL or a lone surrogate."""
    if _UNSAFE.search(value):
        raise ValueError(f"{field}: line breaks and NUL are not allowed")
    encode(field, value)


def encode(field: str, text: str) -> bytes:
    """UTF-8; ValueError, naming the field, where the text is no Unicode (a lone surrogate)."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{field}: a character cannot be written as UTF-8") from None


def unstructured(field: str, value: str, *, utf8: bool = False) -> str:
    """A field of free text (RFC 5322 3.6.5): `Name: value`, folded, with its CRLF.

    Printable ASCII stays as it is, folded at white space. Encoded words (RFC 2047) carry the rest:
    non-ASCII text unless `utf8`, control characters, text that would be mistaken for an encoded
    word, and a word too long for any line.
    """
    if _stays_plain(value, utf8):
        line = f"{field}: {value}"
        if len(line) <= _LINE:
            return line + "\r\n"
        folded = _fold(line)
        if folded is not None:
            return folded
    refuse_unsafe(field, value)
    if len(field) > _NAME_LIMIT:
        return f"{field}:\r\n {_encoded_words(value, column=1)}\r\n"
    return f"{field}: {_encoded_words(value, column=len(field) + 2)}\r\n"


def literal(field: str, value: str) -> str:
    """A structured field that nothing may be changed in, such as a URI in angle brackets (RFC 2369
    2): on one line, with its CRLF, neither folded nor made encoded words (RFC 2047 5).

    Raises ValueError where that cannot be: not printable ASCII, or a line over the limit.
    """
    if not _PLAIN.fullmatch(value):
        raise ValueError(f"{field}: must be printable ASCII")
    line = f"{field}: {value}"
    if len(line) > _LINE_LIMIT:
        raise ValueError(f"{field}: is too long for a line")
    return line + "\r\n"


def mailbox(field: str, display_name: str | None, address: str, *, utf8: bool = False) -> str:
    """A field of one mailbox (RFC 5322 3.4): `From: Ann <a@example.com>`, folded, with its CRLF."""
    spec = _address(field, address, utf8)
    if not display_name:
        return f"{field}: {spec}\r\n"
    if len(display_name) > _PHRASE_LIMIT or not _stays_plain(display_name, utf8):
        refuse_unsafe(field, display_name)
        phrase = _encoded_words(display_name, column=len(field) + 2)
    elif _ATOMS.fullmatch(display_name):
        phrase = display_name
    else:
        phrase = _quoted(display_name)
    line = f"{field}: {phrase} <{spec}>"
    if len(line) - line.rfind("\n") - 1 > _ENCODED_LINE:
        line = f"{field}: {phrase}\r\n <{spec}>"
    return line + "\r\n"


def addresses(field: str, values: Sequence[str], *, utf8: bool = False) -> str:
    """A field of bare addresses (RFC 5322 3.4), folded after commas, with its CRLF."""
    lines = [f"{field}: {_address(field, values[0], utf8)}"]
    for value in values[1:]:
        spec = _address(field, value, utf8)
        lines[-1] += ","
        if len(lines[-1]) + len(spec) < _LINE:
            lines[-1] += f" {spec}"
        else:
            lines.append(f" {spec}")
    return "\r\n".join(lines) + "\r\n"


def parameter(name: str, value: str) -> str:
    """A parameter such as `filename`, to follow a field's value: `;`, CRLF, ` name="value"`.

    What a quoted string cannot carry goes as RFC 2231 extended sections, before a plain fallback
    for readers older than that RFC.
    """
    if len(value) <= _FILENAME_LIMIT and value.isprintable() and _stays_plain(value, utf8=False):
        return f";\r\n {name}={_quoted(value)}"
    refuse_unsafe(name, value)
    sections = ["utf-8''"]  # RFC 2231 4: charset, language (none), value
    for char in value:
        piece = "".join(map(_PERCENT.__getitem__, char.encode()))
        if len(sections[-1]) + len(piece) > _SECTION:
            sections.append("")
        sections[-1] += piece
    if len(sections) == 1:
        extended = f";\r\n {name}*={sections[0]}"
    else:  # RFC 2231 3: one value in numbered sections
        extended = "".join(f";\r\n {name}*{i}*={part}" for i, part in enumerate(sections))
    # The end of a file name says what it is.
    fallback = _NOT_IN_FALLBACK.sub("_", value)[-_FILENAME_LIMIT:]
    return f'{extended};\r\n {name}="{fallback}"'


def _stays_plain(value: str, utf8: bool) -> bool:
    if not _PLAIN.fullmatch(value) and not (
        utf8 and value.isprintable() and value == value.strip()
    ):
        return False
    return "=?" not in value or not _LOOKS_ENCODED.search(value)


def _fold(line: str) -> str | None:
    """The line broken before white space (RFC 5322 2.2.3), or None where a word fits no line."""
    # Never before the first word: a field that begins with an empty line confuses old readers.
    name, first, *words = _WORDS.findall(line)
    lines = [name + first]
    for word in words:
        if len(lines[-1]) + len(word) <= _LINE:
            lines[-1] += word
        else:
            lines.append(word)
    if max(len(part.encode(errors="replace")) for part in lines) > _LINE_LIMIT:
        return None
    return "\r\n".join(lines) + "\r\n"


def _quoted(value: str) -> str:
    return '"' + _QUOTED_PAIR.sub(r"\\\1", value) + '"'  # RFC 5322 3.2.4


def _address(field: str, address: str, utf8: bool) -> str:
    if not utf8 and not address.isascii():
        raise ValueError(f"{field}: a non-ASCII address needs UTF-8 headers")  # RFC 6532 3.2
    if not _ADDRESS.fullmatch(address) or len(encode(field, address)) > _ADDRESS_LIMIT:
        raise ValueError(f"{field}: {address[:80]!r} is not an address")
    return address


def _encoded_words(text: str, *, column: int) -> str:
    """Text as encoded words, one a line, the first beginning at `column`; no character is split."""
    raw = text.encode()
    q_size = len(raw) + 2 * len(raw.translate(None, _Q_SAFE))
    b_size = (len(raw) + 2) // 3 * 4
    is_q = q_size <= b_size
    word: Callable[[str], str] = _q_word if is_q else _b_word
    room = _ENCODED_LINE - column - _ENCODED_FRAME
    if min(q_size, b_size) <= room:
        return word(text)
    words = []
    start = used = 0
    for position, char in enumerate(text):
        # B carries 3 octets in 4 characters, and only whole groups are counted on.
        size = sum(len(_Q[octet]) for octet in char.encode()) if is_q else len(char.encode())
        if used + size > (room if is_q else room // 4 * 3):
            words.append(word(text[start:position]))
            start, used, room = position, 0, _ENCODED_WORD - _ENCODED_FRAME
        used += size
    words.append(word(text[start:]))
    return "\r\n ".join(words)


def _q_word(text: str) -> str:
    return "=?utf-8?q?" + "".join(map(_Q.__getitem__, text.encode())) + "?="  # RFC 2047 4.2


def _b_word(text: str) -> str:
    return "=?utf-8?b?" + b2a_base64(text.encode(), newline=False).decode() + "?="  # RFC 2047 4.1

"""Addresses in headers, DSN fields and running text.

In charge of finding and cleaning them. Not in charge of whether they may be written to
(`domain.address`).
"""

import re

# What a mail system writes, in running text: no quoted local parts there, no slash as of a path.
_ADDRESS = re.compile(
    r"(?<![\w/.+=-])([A-Za-z0-9!#$%&*+=?^_{|}~.\x80-\uffff'-]{1,64}"
    r"@[A-Za-z0-9\x80-\uffff](?:[A-Za-z0-9\x80-\uffff.-]{0,252}[A-Za-z0-9\x80-\uffff])?)"
)
_URL = re.compile(r"\b(?:https?|ftp)://\S{1,2000}")
_HEX_POINT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")  # RFC 6533 3
_XTEXT = re.compile(r"\+(2B|3D|40|20)", re.IGNORECASE)  # RFC 3461 4
_WHOLE = re.compile(r"(?:\"[^\"\r\n]{1,100}\"|[^\s@<>\"(),;:]{1,256})@[^\s@<>\"(),;]{1,255}")
_TYPED = re.compile(r"\s{0,10}([A-Za-z0-9-]{1,20})\s{0,5};\s{0,10}(.*)", re.DOTALL)


def in_text(line: str) -> list[tuple[str, int, int]]:
    """Each address of a line with its start and end; none from inside a URL."""
    if "@" not in line:
        return []
    if "://" in line:
        line = _URL.sub(lambda match: " " * len(match[0]), line)
    found = []
    for match in _ADDRESS.finditer(line):
        address = match[1]
        start = match.start() + len(address) - len(address.lstrip("'.*=-"))
        found.append((address.lstrip("'.*=-").rstrip("'.-"), start, match.end()))
    return [item for item in found if not item[0].startswith("@")]


def of_dsn(value: str) -> str | None:
    """The address in an Original- or Final-Recipient field, None where it holds another kind of
    name: a file, a pipe, an X.400 name (RFC 3464 2.3.1, 2.3.2)."""
    typed = _TYPED.match(value)
    address_type, text = (typed[1].lower(), typed[2]) if typed else ("", value)
    text = text.strip()
    bracketed = re.search(r"<([^<>]{1,400})>", text)
    if bracketed:
        text = bracketed[1].strip()
    if address_type == "utf-8":
        text = _HEX_POINT.sub(_point, text)
    match = _WHOLE.match(text)
    return match[0].rstrip(".") if match else None


def from_xtext(address: str) -> str:
    """The address where an MTA has copied ORCPT without decoding it. Only what xtext must encode
    is decoded, so that `ann+21@example.com` stays what it is."""
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), address)


def of_header(value: str) -> list[str]:
    """The addresses of a To, Delivered-To or Return-Path header."""
    return [address for address, _, _ in in_text(value[:20_000])][:50]


def _point(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    is_character = number < 0x110000 and not 0xD800 <= number < 0xE000
    return chr(number) if is_character and number > 0x1F else ""

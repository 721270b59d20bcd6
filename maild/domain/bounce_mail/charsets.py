"""Bytes of a mail as text: transfer encodings, charsets, encoded words.

In charge of getting readable text out of whatever was declared. Nothing here raises, and nothing
is looked up by a name that the mail made up: Python would try to import it, and remember it.
"""

import binascii
import re
from encodings.aliases import aliases

from maild.domain.storable import clean_text

# Not charsets of mail, and some of them slow or with side effects.
_NO_CHARSETS = frozenset(
    {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec",
     "mbcs", "punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined", "tactis"}
)  # fmt: skip
# What mail programs write, beside Python's own names: "x-unknown" and the like fall through.
_MORE_NAMES = {"unicode_1_1_utf_7": "utf_7", "ks_c_5601_1987": "cp949", "gb2312": "gb18030",
               "x_gbk": "gbk", "x_sjis": "cp932", "cp_850": "cp850"}  # fmt: skip
_CODECS = {
    **{codec: codec for codec in aliases.values() if codec not in _NO_CHARSETS},
    **{name: codec for name, codec in aliases.items() if codec not in _NO_CHARSETS},
    "utf_8_sig": "utf_8_sig",
    **_MORE_NAMES,
}
_NOT_NAME = re.compile(r"[^a-z0-9]+")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
# RFC 2047 2: an encoded word has 75 characters; some are longer.
_ENCODED_WORD = re.compile(r"=\?([\w.:-]{1,40})(?:\*[\w-]{0,20})?\?([BbQq])\?([^?\s]{0,1000})\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s{1,20}(?==\?)")


def to_text(data: bytes, charset: str = "") -> str:
    """The text of these bytes; what cannot be read becomes U+FFFD."""
    codec = _CODECS.get(_NOT_NAME.sub("_", charset[:40].lower()).strip("_"), "utf_8")
    if codec in {"ascii", "latin_1"}:  # declared out of habit, by programs that then send UTF-8
        codec = "utf_8"
    try:
        return clean_text(data.decode(codec))
    except ValueError:
        pass
    if codec == "utf_8":
        return clean_text(data.decode("latin_1"))
    return clean_text(data.decode(codec, errors="replace"))


def decoded(data: bytes, transfer_encoding: str) -> bytes:
    """The bytes that were encoded for the way (RFC 2045 6)."""
    encoding = transfer_encoding.strip().lower()
    if encoding == "base64":
        return from_base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    return data


def from_base64(data: bytes) -> bytes:
    """As much as can be read; line ends, blanks and a missing end do not matter."""
    digits = _NOT_BASE64.sub(b"", data)
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def header_text(value: str) -> str:
    """A header's value with its encoded words read (RFC 2047)."""
    return _ENCODED_WORD.sub(_word, _BETWEEN_WORDS.sub(r"\1", value))


def _word(match: re.Match[str]) -> str:
    charset, encoding, text = match.groups()
    data = text.encode("utf-8")
    if encoding in "Bb":
        return to_text(from_base64(data), charset)
    return to_text(binascii.a2b_qp(data, header=True), charset)

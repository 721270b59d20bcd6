"""In which encoding a file of text is, found while it comes in. Pure.

Every encoding here writes ASCII as ASCII, so that lines and cells can be found before it is known;
UTF-16, which does not, is turned into UTF-8 at once.
"""

import codecs
from collections.abc import Mapping

from maild.domain.csv_table import UnreadableFile, refuse_archive

ENCODINGS: Mapping[str, str] = {
    "utf-8": "UTF-8",
    "cp1252": "Windows-1252 (Western Europe)",
    "iso8859-15": "ISO 8859-15 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
}
"""What a file can be said to be in, and how people call it."""
UTF8, WINDOWS = "utf-8", "cp1252"
HEAD_BYTES = 64 * 1024
"""So much of a file tells whether it is a text."""
_BOM = codecs.BOM_UTF8


def find_utf16(head: bytes) -> str | None:
    """The UTF-16 that a file is in which begins so; None where it is in none."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    half = len(head) // 2
    if half < 2:
        return None
    # What is mostly ASCII has a zero in every second octet.
    if head[1::2].count(0) > half * 0.6 and head[0::2].count(0) < half * 0.1:
        return "utf-16-le"
    if head[0::2].count(0) > half * 0.6 and head[1::2].count(0) < half * 0.1:
        return "utf-16-be"
    return None


def refuse_binary(head: bytes) -> None:
    """Raises UnreadableFile where a file that begins so is no text, nor UTF-16."""
    refuse_archive(head)
    others = sum(map(head.count, range(9))) + sum(map(head.count, range(14, 32)))
    if others > len(head) / 50 + 8:
        raise UnreadableFile("is not a text file: save the table as CSV (UTF-8)")


def decode(content: bytes, encoding: str) -> str:
    """The text, with U+FFFD for what is none, which cannot stand in an address."""
    return content.removeprefix(_BOM).decode(encoding, "replace")


class Sniffer:
    """Sees a file part by part, and says what it is in: UTF-8, or else what Windows writes.

    A few lines that are not UTF-8 in a file that otherwise is are broken lines.
    """

    def __init__(self) -> None:
        self._good_count = 0
        self._bad_count = 0

    def feed(self, part: bytes) -> None:
        """Parts end where lines do."""
        if part.isascii():
            return
        for line in part.splitlines():
            if line.isascii():
                continue
            try:
                line.decode()
                self._good_count += 1
            except UnicodeDecodeError:
                self._bad_count += 1

    @property
    def encoding(self) -> str:
        return WINDOWS if self._bad_count * 10 > self._good_count else UTF8

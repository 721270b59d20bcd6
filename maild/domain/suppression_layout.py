"""How a file of suppressions is laid out: its text out of its bytes, what separates its cells,
whether it has a header, and what each column is. Pure.

`detect` is for programs: it refuses what it does not know for sure. `guess` is for a page on which
a person looks at what was guessed, and mends it.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maild.domain.csv_table import EMAIL_NAMES, UnreadableFile, refuse_archive

__all__ = ["COLUMNS", "DELIMITERS", "Layout", "UnreadableFile"]

COLUMNS = ("email", "reason", "class", "stream", "expires_at")
"""What a column can be, in their order where no header names them."""
COLUMNS_MAX = 50
"""A line with more cells is no line of a table of addresses."""
_OTHER_NAMES: Mapping[str, str] = {
    "address": "email",
    "recipient": "email",
    "mail": "email",
    "to": "email",
    "comment": "reason",
    "description": "reason",
    "diagnostic": "reason",
    "error": "reason",
    "note": "reason",
    "status": "reason",
    "why": "reason",
    "type": "class",
    "expires": "expires_at",
    "expiry": "expires_at",
    "until": "expires_at",
}
"""Names that other programs use: good enough for a guess that a person looks at."""
DELIMITERS = (",", ";", "\t")
_GUESS_LINES = 20
"""So many lines are looked through for the column that has addresses."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Layout:
    """`columns` has for each column what it is, and None for one that is left out."""

    delimiter: str
    has_header: bool
    columns: tuple[str | None, ...]

    def as_json(self) -> dict[str, Any]:
        """What `parse` reads again."""
        return {
            "delimiter": self.delimiter,
            "has_header": self.has_header,
            "columns": list(self.columns),
        }


def parse(stored: Mapping[str, Any]) -> Layout:
    """The layout that `as_json` wrote."""
    return Layout(stored["delimiter"], stored["has_header"], tuple(stored["columns"]))


def decode(data: bytes) -> str:
    """The text of a file. Raises UnreadableFile where it is none, or in another encoding."""
    refuse_archive(data)
    if data.startswith(_UTF16):
        try:
            return _checked(data.decode("utf-16"))
        except UnicodeDecodeError:
            raise UnreadableFile("begins as UTF-16, and is not: save it as CSV (UTF-8)") from None
    try:
        return _checked(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(
            f"line {number} has letters that are not UTF-8: save the file as CSV (UTF-8)"
        ) from None


def _checked(text: str) -> str:
    if "\0" in text:
        number = text.count("\n", 0, text.index("\0")) + 1
        raise UnreadableFile(f"line {number} has a zero byte: this is not a text file")
    return text


def detect(text: str) -> Layout:
    """The layout of a file that says it: by a header that names an email column, or by addresses
    in the first column. Raises UnreadableFile.
    """
    first = first_line(text)
    delimiter = _delimiter(first)
    names = _names(first, delimiter)
    if not EMAIL_NAMES.isdisjoint(names):
        columns = tuple(_column(name) for name in names)
        for column in filter(None, columns):
            if columns.count(column) > 1:
                raise UnreadableFile(f"there are two columns {column}")
        return Layout(delimiter, True, columns)
    if "@" in names[0]:
        return Layout(delimiter, False, COLUMNS)
    raise UnreadableFile("the first line has neither an address nor a column named email")


def guess(text: str) -> Layout:
    """The most likely layout, perhaps without an email column. Raises UnreadableFile where the
    file is empty, or no table at all.
    """
    first = first_line(text)
    delimiter = _delimiter(first)
    names = _names(first, delimiter)
    has_header = not any("@" in name for name in names)
    rows = _first_rows(text, delimiter, _GUESS_LINES)
    width = len(names) if has_header else max(len(names), *(len(row) for row in rows), 0)
    if width > COLUMNS_MAX:
        raise UnreadableFile(f"has more than {COLUMNS_MAX} columns")
    columns: list[str | None] = [None] * width
    if has_header:
        for known in (_column, _OTHER_NAMES.get):
            for place, name in enumerate(names):
                column = known(name)
                if column and columns[place] is None and column not in columns:
                    columns[place] = column
    place_of_addresses = _find_addresses(rows[has_header:], width)
    if "email" not in columns and place_of_addresses is not None:
        columns[place_of_addresses] = "email"
    return Layout(delimiter, has_header, tuple(columns))


def sample(text: str, layout: Layout, *, count: int) -> tuple[list[str], list[list[str]]]:
    """The names in the header (none without one), and the cells of the first lines after it; each
    as long as there are columns.
    """
    rows = _first_rows(text, layout.delimiter, count + layout.has_header)
    width = len(layout.columns)
    padded = [[cell.strip() for cell in row[:width]] + [""] * (width - len(row)) for row in rows]
    return (padded[0] if layout.has_header and padded else []), padded[layout.has_header :]


def first_line(text: str) -> str:
    """The first line with something on it. Raises UnreadableFile."""
    for line in io.StringIO(text.removeprefix("\ufeff"), newline=None):
        if line.strip(" \t,;\r\n"):
            return line.rstrip("\r\n")
    raise UnreadableFile("must not be empty")


def split(line: str, delimiter: str) -> list[str]:
    """The cells of one line; of one that cannot be read, the line as a whole."""
    try:
        [cells] = open_lines([line], delimiter)
    except (csv.Error, ValueError):
        cells = [line]
    return [cell.strip() for cell in cells]


def open_lines(lines: Any, delimiter: str) -> Any:
    """The cells of each line, as every reader here takes them."""
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _first_rows(text: str, delimiter: str, count: int) -> list[list[str]]:
    """The cells of the first lines with something on them, as far as they can be read."""
    rows: list[list[str]] = []
    reader = open_lines(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter)
    while len(rows) < count:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error:
            if reader.line_num > count * 2:
                break
            continue
        if any(cell.strip() for cell in cells):
            rows.append(cells)
    return rows


def _find_addresses(rows: Sequence[Sequence[str]], width: int) -> int | None:
    """The column with the most cells that look like addresses."""
    counts = [sum("@" in row[place] for row in rows if place < len(row)) for place in range(width)]
    most = max(counts, default=0)
    return counts.index(most) if most else None


def _delimiter(first: str) -> str:
    return max(DELIMITERS, key=first.count)


def _names(first: str, delimiter: str) -> list[str]:
    return [cell.lower() for cell in split(first, delimiter)]


def _column(name: str) -> str | None:
    if name in EMAIL_NAMES:
        return "email"
    return name if name in COLUMNS else None

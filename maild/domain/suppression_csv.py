"""Files of suppressions: which column is what, and what each line says. Pure.

In charge of reading lines and cells; not of whether an address is one (`suppression_imports`).
Files come from spreadsheets and from other providers, so much is let pass: a byte order mark,
semicolons, any line break, blank lines, columns that nobody here knows.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from maild.domain.csv_safety import restore
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass

COLUMNS = ("email", "reason", "class", "stream", "expires_at")
"""The order of the columns where no header names them."""
_EMAIL_NAMES = frozenset({"email", "e-mail", "email address", "e-mail address", "email_address"})
_ALL_STREAMS = "all"
_DELIMITERS = (",", ";", "\t")


class UnreadableFile(ValueError):
    """The file as a whole makes no sense; the text says why, and on which line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line with something on it: its cells by column, empty ones left out."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class BadLine:
    number: int
    error: str


class Reader:
    """The lines of a file after its header. Raises UnreadableFile, at once and while reading."""

    def __init__(self, text: str) -> None:
        self._text = text.removeprefix("\ufeff")
        first = _first_line(self._text)
        self._delimiter = max(_DELIMITERS, key=first.count)
        self.ignored_columns: list[str] = []
        self._columns: list[str | None] = []
        self._has_header = False
        self._read_header(first)

    def _read_header(self, first: str) -> None:
        try:
            [cells] = self._open([first])
        except (csv.Error, ValueError):
            cells = [first]
        names = [cell.strip().lower() for cell in cells]
        if not _EMAIL_NAMES.isdisjoint(names):
            self._has_header = True
            self._columns = [_column(name) for name in names]
            known = [column for column in self._columns if column]
            for column in known:
                if known.count(column) > 1:
                    raise UnreadableFile(f"there are two columns {column}")
            self.ignored_columns = [
                cell.strip()
                for cell, column in zip(cells, self._columns, strict=True)
                if column is None and cell.strip()
            ]
        elif "@" in names[0]:
            self._columns = list(COLUMNS)
        else:
            raise UnreadableFile("the first line has neither an address nor a column named email")

    def _open(self, lines: Iterable[str]) -> Any:
        return csv.reader(lines, delimiter=self._delimiter, skipinitialspace=True, strict=True)

    def __iter__(self) -> Iterator[Line | BadLine]:
        # Lines end as Python's csv module reads them: CR, LF or both.
        reader = self._open(io.StringIO(self._text, newline=""))
        is_header = self._has_header
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if reader.line_num != number or "end of data" in str(error):
                    raise UnreadableFile(_unclosed(number)) from None
                yield BadLine(number, f"cannot be read: {error}")
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if is_header:
                is_header = False
                continue
            yield self._line(number, cells)

    def _line(self, number: int, cells: list[str]) -> Line | BadLine:
        if len(cells) > len(self._columns) and any(cells[len(self._columns) :]):
            return BadLine(number, f"has more than {len(self._columns)} cells")
        found = {
            column: restore(cell).strip()
            for column, cell in zip(self._columns, cells, strict=False)
            if column and cell.strip()
        }
        email = found.get("email")
        if email is None:
            return BadLine(number, "email: is missing")
        if "\n" in email or "\r" in email:
            # What looks like one cell has swallowed lines: their addresses would be lost.
            raise UnreadableFile(_unclosed(number))
        return Line(number, found)


def parse_class(text: str) -> SuppressionClass:
    """Raises ValueError with words for whoever wrote the file; so do the two below."""
    try:
        return SuppressionClass(text.lower())
    except ValueError:
        raise ValueError(f"must be one of {', '.join(SuppressionClass)}") from None


def parse_stream(text: str) -> Stream | None:
    """None: all streams."""
    if text.lower() == _ALL_STREAMS:
        return None
    try:
        return Stream(text.lower())
    except ValueError:
        raise ValueError(f"must be one of {', '.join(Stream)}, {_ALL_STREAMS}, or empty") from None


def parse_end(text: str, *, now: datetime) -> datetime:
    """A time (RFC 3339) that is still to come, in UTC."""
    try:
        end = datetime.fromisoformat(text)
        if end.tzinfo is None:
            raise ValueError
        end = end.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time with a zone, such as 2027-01-31T09:30:00Z") from None
    if end <= now:
        raise ValueError("must be in the future")
    return end


def _first_line(text: str) -> str:
    for line in io.StringIO(text, newline=None):
        if line.strip(" \t,;\r\n"):
            return line.rstrip("\r\n")
    raise UnreadableFile("must not be empty")


def _column(name: str) -> str | None:
    if name in _EMAIL_NAMES:
        return "email"
    return name if name in COLUMNS else None


def _unclosed(number: int) -> str:
    return f"line {number}: a quote is opened there and not closed on the same line"

"""Files of suppressions: what each line says. Pure.

In charge of reading lines and cells; not of how the file is laid out (`suppression_layout`), nor of
whether an address is one (`suppression_imports`). Files come from spreadsheets and from other
providers, so much is let pass: a byte order mark, semicolons, any line break, blank lines, columns
that nobody here knows.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from maild.domain import suppression_layout
from maild.domain.csv_safety import restore
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.domain.suppression_layout import COLUMNS, Layout, UnreadableFile

__all__ = ["COLUMNS", "BadLine", "Line", "Reader", "UnreadableFile"]

_ALL_STREAMS = "all"


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

    def __init__(self, text: str, layout: Layout | None = None) -> None:
        """`layout` None: as the file itself says."""
        self._text = text.removeprefix("\ufeff")
        first = suppression_layout.first_line(self._text)
        self._layout = layout or suppression_layout.detect(self._text)
        if "email" not in self._layout.columns:
            raise UnreadableFile("no column is the address")
        self.ignored_columns: list[str] = []
        if self._layout.has_header:
            cells = suppression_layout.split(first, self._layout.delimiter)
            self.ignored_columns = [
                cell
                for cell, column in zip(cells, self._layout.columns, strict=False)
                if column is None and cell
            ]

    def __iter__(self) -> Iterator[Line | BadLine]:
        # Lines end as Python's csv module reads them: CR, LF or both.
        reader = suppression_layout.open_lines(
            io.StringIO(self._text, newline=""), self._layout.delimiter
        )
        is_header = self._layout.has_header
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
        columns = self._layout.columns
        if len(cells) > len(columns) and any(cells[len(columns) :]):
            return BadLine(number, f"has more than {len(columns)} cells")
        found = {
            column: restore(cell).strip()
            for column, cell in zip(columns, cells, strict=False)
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


def _unclosed(number: int) -> str:
    return f"line {number}: a quote is opened there and not closed on the same line"

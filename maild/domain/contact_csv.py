"""Files of contacts as rows of cells, and as parts that can be read one by one. Pure.

A cell in quotes may go over several lines. A quote that nobody closes would swallow what follows:
such a line is a row of its own, which cannot be read, and the next one begins anew. So nothing that
is wrong with a row spoils others, and what a part holds in memory has a bound.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CHUNK_BYTES = 512 * 1024
CHUNK_LINES = 10_000
"""A part has hardly more: a step of a second or so."""
ROW_MAX_LINES = 100
ROW_MAX_CHARS = 64 * 1024
"""Of a row that can be read. Of a line that is far longer only the beginning is kept."""
_MARGIN_BYTES = 512 * 1024
"""Behind a part there is so much more when it is cut, so that its last row is whole."""

GARBLED = "cannot be read: its quotes do not fit together"
TOO_LONG = f"is longer than {ROW_MAX_CHARS:,} characters"


@dataclass(frozen=True, slots=True)
class Row:
    """`place` and `line_count` say on which lines of the part it is, counted from 0. `cells` is
    None where it cannot be read; `problem` then says why.
    """

    place: int
    line_count: int
    cells: list[str] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    content: bytes
    line_count: int


def split_lines(text: str) -> list[str]:
    """The lines with their ends: CR, LF or both, and nothing else."""
    return list(io.StringIO(text, newline=""))


def read_rows(lines: Sequence[str], delimiter: str, *, width: int) -> Iterator[Row]:
    """The rows of a part, blank ones as well. `width` is how many cells a row has."""
    place = 0
    while place < len(lines):
        source = _Lines(lines, place)
        reader = csv.reader(source, delimiter=delimiter, skipinitialspace=True, strict=True)
        begin = place
        try:
            for cells in reader:
                end = begin + reader.line_num
                if problem := _why_not(lines, place, end, delimiter, width):
                    yield Row(place, 1, None, problem)
                    place += 1
                    break
                yield Row(place, end - place, cells)
                place = source.begin = end
        except csv.Error:
            is_long = len(lines[place]) > ROW_MAX_CHARS
            yield Row(place, 1, None, TOO_LONG if is_long else GARBLED)
            place += 1


class _Lines:
    """The lines for a reader of rows, up to where the row that begins at `begin` is longer than any
    may be: what no quote ends is not looked for to the end of the part, line after line.
    """

    def __init__(self, lines: Sequence[str], begin: int) -> None:
        self._lines, self.begin, self._place = lines, begin, begin
        self._chars = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        place = self._place
        if place == self.begin:
            self._chars = 0
        elif place - self.begin > ROW_MAX_LINES or self._chars > ROW_MAX_CHARS:
            raise StopIteration
        if place >= len(self._lines):
            raise StopIteration
        line = self._lines[place]
        self._place = place + 1
        self._chars += len(line)
        return line


def _why_not(lines: Sequence[str], place: int, end: int, delimiter: str, width: int) -> str | None:
    """Why these lines are not one row, whatever their quotes say."""
    if end == place + 1:
        return TOO_LONG if len(lines[place]) > ROW_MAX_CHARS else None
    row = lines[place:end]
    if len(row) > ROW_MAX_LINES or sum(map(len, row)) > ROW_MAX_CHARS:
        return GARBLED
    return GARBLED if _swallows(row, delimiter, width) else None


def _swallows(lines: Sequence[str], delimiter: str, width: int) -> bool:
    """Whether a cell that goes on over these lines has taken in what looks like a whole row."""
    first, *others = lines
    if delimiter not in first:  # the row may have its other cells on the last line
        others.pop()
    return any("@" in line and 1 < width == line.count(delimiter) + 1 for line in others)


class Cutter:
    """Cuts a file into parts while it comes in, each of which ends where a row does."""

    def __init__(self, delimiter: str, *, width: int) -> None:
        self._delimiter = delimiter
        self._width = width
        self._kept = bytearray()
        self._is_skipping = False

    def feed(self, data: bytes) -> Iterator[Part]:
        """Take in more, and give what is complete."""
        self._take(data)
        while len(self._kept) >= CHUNK_BYTES + _MARGIN_BYTES:
            yield self._cut()

    def finish(self) -> Iterator[Part]:
        """What is left."""
        while self._kept:
            yield self._cut()

    def _take(self, data: bytes) -> None:
        """Add to what is kept; of a line without an end only its beginning."""
        if self._is_skipping:
            ends = [place for place in (data.find(b"\n"), data.find(b"\r")) if place >= 0]
            if not ends:
                return
            data = data[min(ends) :]
            self._is_skipping = False
        self._kept += data
        begin = max(self._kept.rfind(b"\n"), self._kept.rfind(b"\r")) + 1
        if len(self._kept) - begin > 4 * ROW_MAX_CHARS:
            del self._kept[begin + 4 * ROW_MAX_CHARS :]
            self._is_skipping = True

    def _cut(self) -> Part:
        lines = self._kept.splitlines(keepends=True)  # of octets: CR, LF or both
        count = self._count_lines(lines)
        size = sum(map(len, lines[:count]))
        part = Part(bytes(self._kept[:size]), count)
        del self._kept[:size]
        return part

    def _count_lines(self, lines: list[bytearray]) -> int:
        """How many of the lines are the next part."""
        size = count = 0
        if b'"' not in self._kept:
            for line in lines:
                if count and (count >= CHUNK_LINES or size + len(line) > CHUNK_BYTES):
                    break
                count, size = count + 1, size + len(line)
            return count
        # Quotes, delimiters and line ends are one octet in every encoding that is read.
        texts = [line.decode("latin-1") for line in lines]
        for row in read_rows(texts, self._delimiter, width=self._width):
            length = sum(map(len, texts[row.place : row.place + row.line_count]))
            if count and (count >= CHUNK_LINES or size + length > CHUNK_BYTES):
                break
            count, size = row.place + row.line_count, size + length
        return count

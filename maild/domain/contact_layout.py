"""How a file of contacts is laid out: what separates its cells, its encoding, whether it has a
header, and what each column is. Pure.

`guess` makes the best of the first lines; a person looks at it, and says what is otherwise.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from maild.domain.contact import RESERVED_NAMES, AttributeKind, read_cell, why_no_name
from maild.domain.contact_csv import read_rows, split_lines
from maild.domain.csv_table import DELIMITERS, EMAIL_NAMES, UnreadableFile
from maild.domain.text_encoding import ENCODINGS

EMAIL, NAME, TOPICS, ATTRIBUTE = "email", "name", "topics", "attribute"
CONSENT_SOURCE, CONSENT_AT, CONSENT_PROOF = "consent_source", "consent_at", "consent_proof"
USES = (EMAIL, NAME, ATTRIBUTE, TOPICS, CONSENT_AT, CONSENT_SOURCE, CONSENT_PROOF)
"""What a column can be; of all but attributes there is one at most."""
COLUMNS_MAX = 100
GUESS_ROWS = 50
"""So many rows are looked at."""
HEADER_MAX_CHARS = 100
NO_ADDRESS = "say which column has the addresses"

_OTHER_NAMES: Mapping[str, str] = {
    "mail": EMAIL,
    "address": EMAIL,
    "recipient": EMAIL,
    "subscriber": EMAIL,
    "emailaddress": EMAIL,
    "e_mail": EMAIL,
    "name": NAME,
    "full_name": NAME,
    "fullname": NAME,
    "display_name": NAME,
    "contact_name": NAME,
    "topics": TOPICS,
    "topic": TOPICS,
    "interests": TOPICS,
    "consent_at": CONSENT_AT,
    "consent_time": CONSENT_AT,
    "optin_time": CONSENT_AT,
    "opt_in_time": CONSENT_AT,
    "confirm_time": CONSENT_AT,
    "subscribed_at": CONSENT_AT,
    "opted_in_at": CONSENT_AT,
    "consent_source": CONSENT_SOURCE,
    "opt_in_source": CONSENT_SOURCE,
    "consent_proof": CONSENT_PROOF,
    "opt_in_ip": CONSENT_PROOF,
    "optin_ip": CONSENT_PROOF,
    "confirm_ip": CONSENT_PROOF,
}
"""Names of columns that other programs write, as `_plain` has them."""
_NO_NUMBER = re.compile(r"\s*[+-]?0\d|\s*\+|.*\d{16}")
"""Postcodes, telephone and card numbers: digits that nobody counts with."""


@dataclass(frozen=True, slots=True)
class Column:
    """`use` is one of USES, or None for a column that is left out. Attributes have a name and a
    kind.
    """

    use: str | None
    name: str | None = None
    kind: AttributeKind | None = None

    def as_json(self) -> dict[str, Any]:
        return {"use": self.use, "name": self.name, "kind": self.kind}


LEFT_OUT = Column(None)


@dataclass(frozen=True, slots=True)
class Layout:
    delimiter: str
    encoding: str
    has_header: bool
    columns: tuple[Column, ...]

    @property
    def attributes(self) -> dict[str, AttributeKind]:
        """The attributes that its columns are, with their kinds."""
        return {
            column.name: column.kind
            for column in self.columns
            if column.use == ATTRIBUTE and column.name and column.kind
        }

    def as_json(self) -> dict[str, Any]:
        """What `parse` reads again."""
        return {
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "has_header": self.has_header,
            "columns": [column.as_json() for column in self.columns],
        }


def parse(stored: Mapping[str, Any]) -> Layout:
    """The layout that `as_json` wrote."""
    columns = tuple(
        Column(one["use"], one["name"], AttributeKind(one["kind"]) if one["kind"] else None)
        for one in stored["columns"]
    )
    return Layout(stored["delimiter"], stored["encoding"], stored["has_header"], columns)


def guess_delimiter(text: str) -> tuple[str, int]:
    """What most likely separates the cells, and how many cells the first row has then. Raises
    UnreadableFile where there is no row, or one of more than COLUMNS_MAX cells.
    """
    lines = split_lines(text)
    best, best_score = DELIMITERS[0], (-1, 0)
    for delimiter in DELIMITERS:
        widths = [len(row) for row in _first_rows(lines, delimiter, GUESS_ROWS)]
        if not widths:
            is_empty = not text.strip(" \t,;|\r\n")
            raise UnreadableFile(
                "must not be empty" if is_empty else "does not begin with rows that can be read"
            )
        same = sum(width == widths[0] for width in widths) if widths[0] > 1 else 0
        score = (same, widths[0])
        if score > best_score:
            best, best_score = delimiter, score
    rows = _first_rows(lines, best, GUESS_ROWS)
    width = len(rows[0])
    if not _has_header(rows):
        width = max(map(len, rows))
    if width > COLUMNS_MAX:
        raise UnreadableFile(f"has more than {COLUMNS_MAX} columns")
    return best, width


def guess(
    text: str, *, encoding: str, delimiter: str, kinds: Mapping[str, AttributeKind]
) -> Layout:
    """The most likely layout of a file that begins so, perhaps without an email column. `kinds`
    are those of the attributes that are declared already.
    """
    rows = _first_rows(split_lines(text), delimiter, GUESS_ROWS) or [[""]]
    has_header = _has_header(rows)
    width = len(rows[0]) if has_header else max(map(len, rows))
    values = [
        [row[place] for row in rows[has_header:] if place < len(row) and row[place]]
        for place in range(width)
    ]
    columns = _guess_columns(rows[0] if has_header else [""] * width, values, kinds)
    return Layout(delimiter, encoding, has_header, tuple(columns))


def sample(text: str, layout: Layout, *, count: int) -> tuple[list[str], list[list[str]]]:
    """The names in the header (none without one), and the cells of the first rows after it; each
    as long as there are columns.
    """
    rows = _first_rows(split_lines(text), layout.delimiter, count + layout.has_header)
    width = len(layout.columns)
    padded = [row[:width] + [""] * (width - len(row)) for row in rows]
    return (padded[0] if layout.has_header and padded else []), padded[layout.has_header :]


def check(layout: Layout, kinds: Mapping[str, AttributeKind | None]) -> Iterator[tuple[str, str]]:
    """What is wrong with what somebody says, with the place in the JSON. `kinds` are those of the
    attributes that are declared already; None: it is being deleted.
    """
    if layout.delimiter not in DELIMITERS:
        yield "delimiter", "must be a comma, a semicolon, a tab or |"
    if layout.encoding not in ENCODINGS:
        yield "encoding", f"must be one of {', '.join(ENCODINGS)}"
    uses = [column.use for column in layout.columns]
    for use in USES:
        if use != ATTRIBUTE and uses.count(use) > 1:
            yield "columns", f"more than one of them is {use}"
    if EMAIL not in uses:
        yield "columns", NO_ADDRESS
    names: set[str | None] = set()
    for place, column in enumerate(layout.columns):
        for name, problem in _check_column(column, names, kinds):
            yield f"columns.{place}{name}", problem
        if column.use == ATTRIBUTE:
            names.add(column.name)


def _check_column(
    column: Column, names: set[str | None], kinds: Mapping[str, AttributeKind | None]
) -> Iterator[tuple[str, str]]:
    if column.use is not None and column.use not in USES:
        yield ".use", f"must be one of {', '.join(USES)}, or null to leave the column out"
    if column.use != ATTRIBUTE:
        return
    if not column.name:
        yield ".name", "is needed of an attribute"
    elif problem := why_no_name(column.name):
        yield ".name", problem
    elif column.name in names:
        yield ".name", f"“{column.name}” is what another column is already"
    elif column.name in kinds and kinds[column.name] is None:
        yield ".name", f"“{column.name}” is being deleted: choose another one"
    elif column.kind is None:
        yield ".kind", "is needed of an attribute"
    elif column.name in kinds and kinds[column.name] != column.kind:
        yield ".kind", f"“{column.name}” is of the kind {kinds[column.name]} already"


def _first_rows(lines: Sequence[str], delimiter: str, count: int) -> list[list[str]]:
    """The cells of the first rows with something on them, as far as they can be read."""
    found: list[list[str]] = []
    for row in read_rows(lines, delimiter, width=0):
        if row.cells is not None and any(cell.strip() for cell in row.cells):
            found.append([cell.strip() for cell in row.cells])
            if len(found) == count:
                break
    return found


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """No name of a column has an @, and a table with addresses only has none either."""
    return not any("@" in cell for cell in rows[0])


def _guess_columns(
    names: Sequence[str], values: Sequence[Sequence[str]], kinds: Mapping[str, AttributeKind]
) -> list[Column]:
    columns = [LEFT_OUT] * len(names)
    taken: set[str] = set()
    for known in (lambda name: EMAIL if name in EMAIL_NAMES else None, _use_of):
        for place, name in enumerate(names):
            use = known(name.lower())
            if use and columns[place].use is None and use not in taken:
                columns[place] = Column(use)
                taken.add(use)
    counts = [sum("@" in cell for cell in cells) for cells in values]
    if EMAIL not in taken and max(counts, default=0):
        columns[counts.index(max(counts))] = Column(EMAIL)
    used: set[str] = set()
    for place, name in enumerate(names):
        if columns[place].use is None and (plain := _plain(name)):
            attribute = _free_name(plain, used)
            kind = kinds.get(attribute) or _guess_kind(values[place])
            columns[place] = replace(Column(ATTRIBUTE), name=attribute, kind=kind)
    return columns


def _use_of(name: str) -> str | None:
    return _OTHER_NAMES.get(_plain(name))


def _plain(name: str) -> str:
    """A header as the name of an attribute: `Größe (cm)` is `grosse_cm`."""
    ascii_name = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore")
    plain = re.sub(r"[^a-z0-9]+", "_", ascii_name.decode().lower()).strip("_")
    return plain if not plain or plain[0].isalpha() else f"column_{plain}"


def _free_name(plain: str, used: set[str]) -> str:
    """A name that no other column has, nor a contact anyway."""
    base = plain[:50].rstrip("_")
    candidate, number = base, 2
    while candidate in used or candidate in RESERVED_NAMES:
        candidate, number = f"{base}_{number}", number + 1
    used.add(candidate)
    return candidate


def _guess_kind(cells: Sequence[str]) -> AttributeKind:
    if not cells:
        return AttributeKind.TEXT
    for kind in (AttributeKind.NUMBER, AttributeKind.DATE, AttributeKind.BOOLEAN):
        if kind is AttributeKind.NUMBER and any(map(_NO_NUMBER.match, cells)):
            continue
        if all(_is_of(kind, cell) for cell in cells):
            return kind
    return AttributeKind.TEXT


def _is_of(kind: AttributeKind, cell: str) -> bool:
    try:
        read_cell(kind, cell)
    except ValueError:
        return False
    return True

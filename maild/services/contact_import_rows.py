"""The rows of a part of a file of contacts, as the statements of an import take them, and those
that are refused because of what they say. Asks the database nothing.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from disposable_email_domains import blocklist

from maild import clock
from maild.domain import contact_cells, contact_csv, text_encoding
from maild.domain.contact import CONSENT_MAX_CHARS, NAME_MAX_CHARS, read_cell
from maild.domain.contact_layout import (
    ATTRIBUTE,
    CONSENT_AT,
    CONSENT_PROOF,
    CONSENT_SOURCE,
    EMAIL,
    NAME,
    TOPICS,
    Column,
    Layout,
)
from maild.domain.csv_safety import restore
from maild.services import addresses

DISPOSABLE: frozenset[str] = frozenset(blocklist)
CONTENT_MAX_CHARS = 16_000
"""Of a row that is refused, as much is kept."""
_VALUES_KEPT = 1_024
NO_TEXT = "has a zero byte, or letters that are none in the encoding of the file"
_NO_TEXT = re.compile("[\0\N{REPLACEMENT CHARACTER}]")
FROM_A_FILE = "import"
"""The source of a consent of which nobody has said where it was given."""


class Reason(StrEnum):
    """Why a row is not imported; a row has one, the first that is found."""

    UNREADABLE = "unreadable"
    TOO_MANY_CELLS = "too_many_cells"
    MISSING_ADDRESS = "missing_address"
    INVALID_ADDRESS = "invalid_address"
    INVALID_VALUE = "invalid_value"
    ROLE_ADDRESS = "role_address"
    DISPOSABLE_DOMAIN = "disposable_domain"
    SUPPRESSED = "suppressed"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class Options:
    """What an import does with the rows.

    Those who are imported join the list `audience_id`; `audience_name` is that of one which the
    import makes first. `topics` are added to those that a row names. The consent is of rows that
    name none. With `updates` those who are contacts already take over what the row says.
    """

    audience_id: int | None = None
    audience_name: str | None = None
    topics: tuple[str, ...] = ()
    consent_source: str | None = None
    consent_at: datetime | None = None
    consent_proof: str | None = None
    updates: bool = True
    leaves_out_roles: bool = True
    leaves_out_disposable: bool = True

    def as_json(self) -> dict[str, Any]:
        """What `parse_options` reads again."""
        return {
            "audience_id": self.audience_id,
            "audience_name": self.audience_name,
            "topics": list(self.topics),
            "consent_source": self.consent_source,
            "consent_at": self.consent_at and self.consent_at.isoformat(),
            "consent_proof": self.consent_proof,
            "updates": self.updates,
            "leaves_out_roles": self.leaves_out_roles,
            "leaves_out_disposable": self.leaves_out_disposable,
        }


def parse_options(stored: Mapping[str, Any]) -> Options:
    """The options that `as_json` wrote."""
    at = stored["consent_at"]
    return Options(
        **{
            **stored,
            "topics": tuple(stored["topics"]),
            "consent_at": datetime.fromisoformat(at) if at else None,
        }
    )


@dataclass(frozen=True, slots=True)
class Rejection:
    """`line` is the number of the row's first line in the file."""

    line: int
    reason: Reason
    problem: str
    content: str


@dataclass(slots=True)
class Read:
    """A part: `rows` as `contact_import_sql` takes them, and how many rows there are in all."""

    row_count: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    """The good rows as the file has them, by line."""

    def reject(self, line: int, reason: Reason, problem: str, text: str) -> None:
        """A part of a refused row is kept in any case."""
        content = text.rstrip("\r\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
        self.rejections.append(Rejection(line, reason, problem, content[:CONTENT_MAX_CHARS]))


class _Refused(Exception):
    def __init__(self, reason: Reason, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


def read_part(content: bytes, layout: Layout, options: Options, *, first_line: int) -> Read:
    """The rows of a part that begins on this line of its file."""
    found = Read()
    text = text_encoding.decode(content, layout.encoding)
    lines = contact_csv.split_lines(text)
    read_cells = _reader_of(layout, options)
    is_header = layout.has_header and first_line == 1
    is_doubtful = _NO_TEXT.search(text) is not None
    for row in contact_csv.read_rows(lines, layout.delimiter, width=len(layout.columns)):
        if row.cells is not None and not any(map(str.strip, row.cells)):
            continue
        if is_header:
            is_header = False
            continue
        found.row_count += 1
        line = first_line + row.place
        of_row = lines[row.place : row.place + row.line_count]
        written = of_row[0] if len(of_row) == 1 else "".join(of_row)
        if row.cells is None or (is_doubtful and _NO_TEXT.search(written)):
            found.reject(line, Reason.UNREADABLE, row.problem or NO_TEXT, written)
            continue
        try:
            values = read_cells(row.cells)
        except _Refused as refused:
            found.reject(line, refused.reason, str(refused), written)
            continue
        values["line"] = line
        found.rows.append(values)
        found.texts[line] = written
    return found


def _reader_of(layout: Layout, options: Options) -> Callable[[list[str]], dict[str, Any]]:
    """What makes values of the cells of a row. It raises _Refused."""
    now = clock.now()
    width = len(layout.columns)
    uses = [column.use for column in layout.columns]
    place_of_email = uses.index(EMAIL)
    readers = [
        (place, column.name or str(column.use), _cell_reader(column, now))
        for place, column in enumerate(layout.columns)
        if column.use not in {None, EMAIL}
    ]
    of_attributes = {place for place, use in enumerate(uses) if use == ATTRIBUTE}
    common_topics = list(options.topics)
    common_at = options.consent_at.isoformat() if options.consent_at else None

    def read(cells: list[str]) -> dict[str, Any]:
        if len(cells) > width and any(map(str.strip, cells[width:])):
            raise _Refused(Reason.TOO_MANY_CELLS, f"has more than {width} cells")
        email = _plain(cells[place_of_email]) if place_of_email < len(cells) else ""
        values: dict[str, Any] = {"email": _read_email(email, options)}
        attributes: list[str] = []
        for place, name, read_value in readers:
            if place >= len(cells) or not (cell := _plain(cells[place])):
                continue
            try:
                value = read_value(cell)
            except ValueError as error:
                raise _Refused(Reason.INVALID_VALUE, f"{name}: {error}") from None
            if place in of_attributes:
                attributes.append(value)
            else:
                values[name] = value
        if attributes:
            values["attributes"] = f"{{{','.join(attributes)}}}"
        if topics := list(dict.fromkeys([*values.get(TOPICS, ()), *common_topics])):
            values[TOPICS] = _BETWEEN.join(topics)
        _add_consent(values, options, common_at)
        return values

    return read


def _read_email(text: str, options: Options) -> str:
    if not text:
        raise _Refused(Reason.MISSING_ADDRESS, "has no address")
    try:
        address = addresses.parse(text)
    except ValueError as error:
        raise _Refused(Reason.INVALID_ADDRESS, f"the address {error}") from None
    if options.leaves_out_roles and contact_cells.is_role(address.text.rpartition("@")[0]):
        raise _Refused(Reason.ROLE_ADDRESS, "the address is that of a function, not of a person")
    if options.leaves_out_disposable and _is_disposable(address.domain):
        raise _Refused(
            Reason.DISPOSABLE_DOMAIN, f"{address.domain} gives away addresses for a few minutes"
        )
    return address.text


def _plain(cell: str) -> str:
    """What a spreadsheet shows of a cell that was made safe for it."""
    return (restore(cell) if "'" in cell else cell).strip()


@functools.lru_cache(maxsize=8_192)
def _is_disposable(domain: str) -> bool:
    return contact_cells.is_of(domain, DISPOSABLE)


def _add_consent(values: dict[str, Any], options: Options, common_at: str | None) -> None:
    """Fill in what the row does not say. Without a time there is none: nobody could tell whether it
    is newer than what is known.
    """
    at = values.get(CONSENT_AT, common_at)
    if at is None:
        values.pop(CONSENT_SOURCE, None)
        values.pop(CONSENT_PROOF, None)
        return
    values[CONSENT_AT] = at
    values.setdefault(CONSENT_SOURCE, options.consent_source or FROM_A_FILE)
    if options.consent_proof is not None:
        values.setdefault(CONSENT_PROOF, options.consent_proof)


def _cell_reader(column: Column, now: datetime) -> Callable[[str], Any]:
    """What makes a value of a cell with something on it; of an attribute's its part of a JSON
    object. It raises ValueError.
    """
    use = column.use
    if use == NAME:
        return lambda cell: _read_line(cell, NAME_MAX_CHARS)
    if use == TOPICS:
        return contact_cells.read_topics
    if use == CONSENT_AT:
        return lambda cell: contact_cells.read_time(cell, now=now).isoformat()
    if use in {CONSENT_SOURCE, CONSENT_PROOF}:
        return lambda cell: _read_line(cell, CONSENT_MAX_CHARS)
    kind, name = column.kind, json.dumps(column.name)
    assert kind is not None
    # Of most attributes there are few values.
    return functools.lru_cache(maxsize=_VALUES_KEPT)(
        lambda cell: f"{name}:{json.dumps(read_cell(kind, cell))}"
    )


def _read_line(cell: str, max_chars: int) -> str:
    line = " ".join(cell.split())
    if len(line) > max_chars:
        raise ValueError(f"is longer than {max_chars} characters")
    return line


_COLUMNS = (NAME, "attributes", TOPICS, CONSENT_SOURCE, CONSENT_AT, CONSENT_PROOF)
_END, _BETWEEN, _NULL = "\x1f", "\x1d", "\x1e"
"""Stand in no value: what is a line has no control characters, and JSON writes them otherwise."""


def dump(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Rows as parameters of a statement: each column as one text, which PostgreSQL takes apart far
    sooner than it reads JSON.
    """
    texts = {name: _END.join([row.get(name, _NULL) for row in rows]) for name in _COLUMNS}
    return {
        **texts,
        "line": _END.join([str(row["line"]) for row in rows]),
        "email": _END.join([row[EMAIL] for row in rows]),
        "end": _END,
        "between": _BETWEEN,
        "null": _NULL,
    }

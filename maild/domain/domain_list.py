"""A pasted list of domains, read line by line: what is on it, what is wrong, what is said twice.

Pure: what a domain is, the caller tells.

Entries are separated by line ends, white space, commas or semicolons; what follows a `#` on a line
is a comment.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from maild.domain.policy import find_wider

_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is no domain. `line` begins at 1; `message` is a sentence without its subject."""

    line: int
    typed: str
    message: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """An entry that was on an earlier line already."""

    line: int
    entry: str
    first_line: int


@dataclass(frozen=True, slots=True)
class Covered:
    """An entry that another one, `*.example.com`, has in it: it changes nothing."""

    line: int
    entry: str
    by: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a list comes to. `entries` are in normal form, each once, in the order of the list."""

    entries: tuple[str, ...]
    wrong: tuple[Wrong, ...]
    repeated: tuple[Repeated, ...]
    covered: tuple[Covered, ...]


def read(text: str, parse: Callable[[str], str]) -> Reading:
    """Read a list. `parse` gives the normal form of one entry, or raises ValueError."""
    lines: dict[str, int] = {}
    wrong, repeated = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        for typed in filter(None, _SEPARATORS.split(line.partition("#")[0])):
            try:
                entry = parse(typed)
            except ValueError as error:
                wrong.append(Wrong(number, typed, str(error)))
                continue
            if entry in lines:
                repeated.append(Repeated(number, entry, lines[entry]))
            else:
                lines[entry] = number
    covered = [
        Covered(number, entry, wider)
        for entry, number in lines.items()
        if (wider := find_wider(entry, lines.keys())) is not None
    ]
    return Reading(tuple(lines), tuple(wrong), tuple(repeated), tuple(covered))

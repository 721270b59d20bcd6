"""What differs between two texts, line by line. Pure."""

import difflib
from dataclasses import dataclass

LINES_MAX = 4_000
"""Of either text: beyond it, comparing takes too long for a page."""
SHOWN_MAX = 1_000
"""Lines of an answer; the rest is counted."""
LINE_MAX_CHARS = 500
_CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Line:
    """`kind` is `same`, `added`, `removed`, or `gap`, whose text tells what is left out. `number`
    is that in the text where the line stands: the first one's of what was removed.
    """

    kind: str
    text: str
    number: int | None = None


def compare(before: str, after: str) -> list[Line] | None:
    """The lines that differ, each with some lines around it; none where the texts are the same.
    None where they are too long to be compared.
    """
    if before == after:
        return []
    old, new = before.split("\n"), after.split("\n")
    if max(len(old), len(new)) > LINES_MAX:
        return None
    found: list[Line] = []
    end = 0
    for group in difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(_CONTEXT):
        begin = group[0][3]
        if begin > end:
            found.append(Line("gap", _count(begin - end)))
        for kind, old_from, old_to, new_from, new_to in group:
            if kind == "equal":
                found += [Line("same", new[n], n + 1) for n in range(new_from, new_to)]
                continue
            found += [Line("removed", old[n], n + 1) for n in range(old_from, old_to)]
            found += [Line("added", new[n], n + 1) for n in range(new_from, new_to)]
        end = group[-1][4]
    if end < len(new):
        found.append(Line("gap", _count(len(new) - end)))
    if len(found) > SHOWN_MAX:
        found = [*found[:SHOWN_MAX], Line("gap", f"and {len(found) - SHOWN_MAX:,} lines more")]
    return [_shorten(line) for line in found]


def _count(lines: int) -> str:
    return "1 line is the same" if lines == 1 else f"{lines:,} lines are the same"


def _shorten(line: Line) -> Line:
    if len(line.text) <= LINE_MAX_CHARS:
        return line
    return Line(line.kind, f"{line.text[:LINE_MAX_CHARS]}…", line.number)

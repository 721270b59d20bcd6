"""The terms by which the log is searched: words, and the few values that a message keeps for ever.

A stretch of the log (`services/log_blocks.py`) is known by the terms of its messages: one set for
some hundred of them. A search first asks which stretches can hold what it looks for, and then
reads those alone. So a term may promise too much, but never too little: what a row must look like
is told by `row_pattern`, of which the terms are a consequence.

A search is a text of chunks with spaces between them; each must stand somewhere, at the beginning
of a word. A word is a run of letters and digits: everything that is no separator. Pure.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

WORD_MAX_CHARS = 40
"""Longer words are known by their beginning."""
SHORT_MAX_CHARS = 3
"""Beginnings of this length and less are terms of their own: looking up all words that begin with
one letter would take long.
"""
SEPARATORS = (
    r"\x01-\x2f:-@\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u2000-\u206f\u3000-\u3004\u3008-\u3020"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
"""What words end at, as the inside of a character class: the same in Python and in PostgreSQL."""

ANYTHING = "*"
"""The one term of a stretch that has too many of them: it may hold whatever is looked for."""

_SPLIT = re.compile(f"[{SEPARATORS}]+")
_SEPARATOR = re.compile(f"[{SEPARATORS}]")
_MEANT = re.compile(r"([\\.^$*+?()\[\]{}|#-])")
"""What means something in a regular expression of PostgreSQL."""


class Kind(StrEnum):
    """What a term tells of: the letter before it."""

    SUBJECT = "s"  # a word of the subject
    ADDRESS = "a"  # a word of the sender's or the recipient's address
    TAG = "t"
    SENDER = "f"  # the whole address
    STREAM = "m"
    API_KEY = "k"


def exact(workspace_id: int, kind: Kind, value: str) -> str:
    """The query for what has this very value."""
    return _quoted(f"{workspace_id}{kind.value}{value}")


def words(workspace_id: int, kind: Kind, chunk: str) -> str | None:
    """The query for what has the words of a chunk; None where the chunk has none.

    The last word of a chunk may go on, unless a separator follows it; the others are whole.
    """
    found = [word for word in _SPLIT.split(lower(chunk)) if word]
    if not found:
        return None
    is_open = not _SEPARATOR.fullmatch(chunk[-1])
    terms = [
        _word(f"{workspace_id}{kind.value}", word, may_go_on=is_open and place == len(found) - 1)
        for place, word in enumerate(found)
    ]
    return " & ".join(terms)


def words_of_any(workspace_id: int, chunk: str) -> str | None:
    """The query for what has the words of a chunk in its subject, or in an address."""
    of_each = [words(workspace_id, kind, chunk) for kind in (Kind.SUBJECT, Kind.ADDRESS)]
    return " | ".join(f"({query})" for query in of_each if query) or None


def all_of(workspace_id: int, queries: Sequence[str | None]) -> str | None:
    """The query for what fulfils all of them; None where there is none to fulfil."""
    if not (known := [f"({query})" for query in queries if query]):
        return None
    return f"({' & '.join(known)}) | {_quoted(f'{workspace_id}{ANYTHING}')}"


def row_pattern(chunk: str) -> str:
    """The regular expression, for PostgreSQL and without case, of a text in which the chunk stands
    at the beginning of a word; one that begins with a separator may stand anywhere.
    """
    escaped = _MEANT.sub(r"\\\1", chunk)
    return escaped if _SEPARATOR.match(chunk) else f"(?:^|[{SEPARATORS}]){escaped}"


def lower(text: str) -> str:
    """Lower case, character by character, as PostgreSQL's `lower(... COLLATE pg_c_utf8)`."""
    return "".join(char.lower()[0] for char in text)


def _word(start: str, word: str, *, may_go_on: bool) -> str:
    is_short = len(word) <= SHORT_MAX_CHARS
    known = _quoted(start + word[:WORD_MAX_CHARS])
    return f"{known}:*" if may_go_on and not is_short else known


def _quoted(term: str) -> str:
    escaped = term.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"

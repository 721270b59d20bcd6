"""The terms of the log, and what a search asks of them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain import log_terms
from maild.domain.log_terms import Kind

TEXTS = st.text(st.sampled_from("abcABC019 -_.,:@#'\"\\()[]{}^$|*+?/–“”…、ßÄİΣжЖ東 "), max_size=40)


def has(text: str, chunk: str) -> bool:
    """Whether a row is found, as PostgreSQL does it, for letters whose case is simple."""
    return bool(re.search(log_terms.row_pattern(chunk), text, re.IGNORECASE))


def terms_of(text: str) -> set[str]:
    """As a block has them."""
    words = {word for word in re.split(f"[{log_terms.SEPARATORS}]+", log_terms.lower(text)) if word}
    known = {word[: log_terms.WORD_MAX_CHARS] for word in words}
    return known | {word[:n] for word in known for n in range(1, log_terms.SHORT_MAX_CHARS + 1)}


def promises(terms: set[str], query: str) -> bool:
    """Whether the query of words finds a block with these terms."""
    for part in query.split(" & "):
        word = re.fullmatch(r"'1s(.*)'(:\*)?", part, re.DOTALL)
        assert word is not None
        if not any(t == word[1] or (word[2] and t.startswith(word[1])) for t in terms):
            return False
    return True


@given(TEXTS, st.data())
def test_what_a_row_has_its_block_promises(text: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, len(text)))
    for chunk in text[begin:end].split():
        query = log_terms.words(1, Kind.SUBJECT, chunk)
        if query is not None and has(text, chunk):
            assert promises(terms_of(text), query), (text, chunk, query)


@pytest.mark.parametrize(
    ("text", "chunk", "is_found"),
    [
        ("Your order", "ord", True),
        ("Your order", "rder", False),
        ("Your #48213 order", "48213", True),
        ("Your #48213 order", "#482", True),
        ("a(b)", "(b", True),
        ("ann@example.org", "example", True),
        ("ann@example.org", "@ex", True),
        ("ann@example.org", "nn@", False),
        ("a-b_c", "c", True),
        ("“quoted”", "quoted", True),
        ("1.5", "1x5", False),
    ],
)
def test_a_chunk_stands_at_the_beginning_of_a_word(text: str, chunk: str, is_found: bool) -> None:
    assert has(text, chunk) is is_found


@pytest.mark.parametrize(
    ("chunk", "query"),
    [
        ("Order", "'7sorder':*"),
        ("ord", "'7sord'"),
        ("example.org", "'7sexample' & '7sorg'"),
        ("example.orga", "'7sexample' & '7sorga':*"),
        ("order:", "'7sorder'"),
        ("#", None),
        ("x" * 50, f"'7s{'x' * 40}':*"),
    ],
)
def test_the_last_word_of_a_chunk_may_go_on(chunk: str, query: str | None) -> None:
    assert log_terms.words(7, Kind.SUBJECT, chunk) == query


def test_a_value_is_quoted_as_postgresql_wants_it() -> None:
    assert log_terms.exact(7, Kind.TAG, "it's a\\b") == "'7tit''s a\\\\b'"


def test_a_block_that_may_hold_anything_is_always_asked() -> None:
    assert log_terms.all_of(7, ["'7ta'", None, "'7tb'"]) == "(('7ta') & ('7tb')) | '7*'"
    assert log_terms.all_of(7, [None]) is None

"""Finding rows by the address that they are about: whole, by its beginning, or by its domain. Each
is a step into an index; a search for a part in the middle is not offered.
"""

from typing import Any

from peewee import SQL, Field, fn

_LAST = "\U0010ffff"
"""Comes after all letters: columns of addresses are sorted by code point."""


def is_exactly(field: Field, email: str) -> Any:
    """What finds an address in normal form, in whatever case."""
    return field == _lower(email)


def starts_with(field: Field, text: str) -> Any:
    """What finds the addresses that begin so, in whatever case."""
    return (field >= _lower(text)) & (field < _lower(text + _LAST))


def is_of_domain(field: Field, domain: str) -> Any:
    """What finds the addresses of a domain as `addresses.parse_domain` gives it."""
    return fn.split_part(field, SQL("'@'"), SQL("2")) == domain


def _lower(text: str) -> Any:
    return SQL('lower(%s COLLATE "pg_c_utf8")', (text,))

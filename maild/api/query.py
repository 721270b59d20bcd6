"""Values of a query string that need more than a schema: addresses, cursors, periods.

Each raises `InvalidRequest`, which names the parameter.
"""

from datetime import datetime

from maild.api.errors import bad_query
from maild.domain import cursor, serial_cursor
from maild.services import addresses


def parse_address(name: str, text: str | None) -> str | None:
    """The address in the normal form in which maild keeps addresses."""
    try:
        return addresses.parse(text).text if text else None
    except ValueError as error:
        raise bad_query(name, str(error)) from None


def parse_cursor(text: str | None) -> cursor.Cursor | None:
    """Where a list of messages goes on."""
    try:
        return cursor.parse(text) if text else None
    except ValueError as error:
        raise bad_query("cursor", str(error)) from None


def parse_serial_cursor(text: str | None) -> int | None:
    """Where a list of rows with numbers goes on."""
    try:
        return serial_cursor.parse(text) if text else None
    except ValueError as error:
        raise bad_query("cursor", str(error)) from None


def check_period(since: datetime | None, until: datetime | None) -> None:
    """Refuse a period that ends before it begins."""
    if since and until and since >= until:
        raise bad_query("to", "must be later than from")

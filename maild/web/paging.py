"""Where a list of rows with numbers goes on, as the query string says it."""

from flask import request

from maild.domain import serial_cursor
from maild.errors import InvalidRequest


def older_than() -> int | None:
    """The number below which the page begins; None for the newest page. Raises InvalidRequest."""
    text = request.args.get("older_than")
    if not text:
        return None
    try:
        return serial_cursor.parse(text)
    except ValueError as error:
        raise InvalidRequest(
            f"older_than: {error}. Start again from the newest of the list."
        ) from error


def mark(last_id: int | None) -> str | None:
    """What `older_than` reads, for the page that begins below this number, if there is one."""
    return None if last_id is None else serial_cursor.write(last_id)

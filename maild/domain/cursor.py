"""Opaque page marks for keyset paging: the place in a list ordered by (time, id). Pure."""

import base64
import binascii
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FORMAT = struct.Struct(">q16s")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: its time (to the microsecond, as Postgres keeps it) and its id."""

    at: datetime
    id: uuid.UUID

    def __str__(self) -> str:
        packed = _FORMAT.pack((self.at - _EPOCH) // _MICROSECOND, self.id.bytes)
        return base64.urlsafe_b64encode(packed).decode()


def parse(text: str) -> Cursor:
    """The cursor in `text`. Raises ValueError for anything that `str(cursor)` did not write."""
    try:
        packed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        microseconds, id_bytes = _FORMAT.unpack(packed)
        cursor = Cursor(_EPOCH + microseconds * _MICROSECOND, uuid.UUID(bytes=id_bytes))
    except (UnicodeEncodeError, binascii.Error, struct.error, OverflowError):
        cursor = None
    if cursor is None or str(cursor) != text:  # Python's decoder takes "+" and "/" as well
        raise ValueError("is not a cursor that maild gave out")
    return cursor

"""Opaque page marks for keyset paging of lists ordered by a serial id alone. Pure.

Those of lists ordered by (time, id) are in `cursor`.
"""

import base64
import binascii
import struct

_FORMAT = struct.Struct(">xq")  # nine octets, so that Base64 needs no padding


def write(last_id: int) -> str:
    """The mark of a page that ends with this id."""
    return base64.urlsafe_b64encode(_FORMAT.pack(last_id)).decode()


def parse(text: str) -> int:
    """The id in `text`. Raises ValueError for anything that `write` did not write."""
    try:
        packed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        [last_id] = _FORMAT.unpack(packed)
    except (UnicodeEncodeError, binascii.Error, struct.error):
        last_id = None
    if last_id is None or last_id < 0 or write(last_id) != text:
        raise ValueError("is not a cursor that maild gave out")
    return int(last_id)

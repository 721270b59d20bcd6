"""Message ids: UUID version 7 (RFC 9562 5.7), in time order and telling nothing about other
tenants.

A serial number would let a workspace count what the others send; these carry a millisecond and 74
random bits. They are made before the insert, so that the Message-ID header, the attempt and the
answer can all be built from the id without asking the database.
"""

import re
import secrets
import uuid
from datetime import datetime


def new_id(now: datetime) -> uuid.UUID:
    """A fresh id for the moment `now` (aware). Ids of one millisecond have no order among
    themselves.
    """
    milliseconds = int(now.timestamp() * 1000)
    rand_a, rand_b = secrets.randbits(12), secrets.randbits(62)
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)


def parse_id(text: str) -> uuid.UUID | None:
    """The id written in `text`, or None. Only the canonical 36-character form is taken."""
    try:
        value = uuid.UUID(text)
    except (ValueError, AttributeError):
        return None
    return value if str(value) == text.lower() else None


def message_id_header(message_id: uuid.UUID, domain: str) -> str:
    """The Message-ID header of a message: the same on every attempt (RFC 5322 3.6.4)."""
    return f"<{message_id}@{domain}>"


_IN_HEADER = re.compile(
    r"<?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:@[^<>\s]*)?>?", re.ASCII
)


def find_in_header(text: str) -> uuid.UUID | None:
    """The id in a Message-ID of ours, with or without its angle brackets and domain; None where it
    is none of ours.
    """
    found = _IN_HEADER.fullmatch(text.strip().lower())
    return uuid.UUID(found[1]) if found else None

"""Variable envelope return paths: an address for bounces that says which message came back.

In charge of making and finding these addresses. Not in charge of whether the message exists. The
name in it has 74 random bits (`ids.new_id`), so only who has seen the mail can forge its bounce.
"""

import base64
import re
import uuid

_LOCAL_LIMIT = 64  # RFC 5321 4.5.3.1.1
_NAME_LENGTH = 26  # 128 bits, five a character
# At the end of the local part: forwarders put their own before it (SRS, BATV), not after it. Local
# parts are case-sensitive (RFC 5321 2.4), yet some servers change the case: base32 has but one.
_NAME = re.compile(r"\+([a-z2-7]{26})(?=@|$)", re.IGNORECASE)
_PADDING = "=" * 6  # RFC 4648 6


def address(base: str, message_id: uuid.UUID) -> str:
    """The return path of one message: `bounces+<name>@example.com` for `bounces@example.com`.

    Raises ValueError where `base` is not an address, or its local part leaves no room.
    """
    local, at, domain = base.rpartition("@")
    if not (local and at and domain):
        raise ValueError(f"not an address: {base!r}")
    if len(local) + 1 + _NAME_LENGTH > _LOCAL_LIMIT:
        raise ValueError(f"the local part is longer than {_LOCAL_LIMIT - _NAME_LENGTH - 1}")
    name = base64.b32encode(message_id.bytes).decode("ascii").rstrip("=").lower()
    return f"{local}+{name}@{domain}"


def find(text: str) -> uuid.UUID | None:
    """The message that an address names; also from inside an SRS or BATV address."""
    match = _NAME.search(text)
    if not match:
        return None
    name = match[1].upper()
    value = base64.b32decode(name + _PADDING)
    # The last character has two spare bits: one message, one name.
    if base64.b32encode(value).decode("ascii").rstrip("=") != name:
        return None
    return uuid.UUID(bytes=value)

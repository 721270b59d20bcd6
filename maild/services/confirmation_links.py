"""The link by which the owner of an address says that they want to be a contact (double opt-in).

In charge of what it holds; what it does is `confirmations`, and its page `web/confirmations`. A
token (`sealed_tokens`) is of one ask, of one contact, for the address that was asked, and runs out:
where the contact has another address by now, or is gone, it opens nothing.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from maild import clock, config
from maild.errors import NotFound
from maild.services import link_keys, sealed_tokens

PATH = "/opt-in/"
LIFETIME = timedelta(days=7)

_PURPOSE = b"maild opt-in link"
_HEAD = struct.Struct(">QQQ")


@dataclass(frozen=True, slots=True)
class Ask:
    """Who was asked. `expires_at` is aware, in whole seconds."""

    workspace_id: int
    ask_id: int
    contact_id: int
    email: str
    expires_at: datetime

    @property
    def asked_at(self) -> datetime:
        """When, to the second."""
        return self.expires_at - LIFETIME


def make_url(ask: Ask) -> str:
    """The address of the page. Asks the database for the key. Raises NotFound, DecryptionError."""
    key = link_keys.load(ask.workspace_id)
    head = _HEAD.pack(ask.ask_id, ask.contact_id, int(ask.expires_at.timestamp()))
    token = sealed_tokens.seal(key, purpose=_PURPOSE, plain=head + ask.email.encode())
    return f"{config.current().public_url}{PATH}{token}"


def open_token(token: str) -> Ask:
    """Whom a token is of. Raises NotFound, with the same words, for what is none, and for what has
    run out.
    """
    workspace_id, plain = sealed_tokens.unseal(token, purpose=_PURPOSE)
    ask_id, contact_id, expires = _HEAD.unpack_from(plain)
    ask = Ask(
        workspace_id,
        ask_id,
        contact_id,
        plain[_HEAD.size :].decode(),
        datetime.fromtimestamp(expires, UTC),
    )
    if ask.expires_at <= clock.now():
        raise NotFound("This link does not work.")
    return ask

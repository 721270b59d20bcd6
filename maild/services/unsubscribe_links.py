"""The links by which people leave: what marketing mail carries, and what a link means.

In charge of the token and of the two header fields (RFC 2369, RFC 8058). What a person does with a
link is `unsubscribes`; the pages are `web/unsubscribe_links`.

A token is url-safe base64 of `version (1 byte) | key id (4 bytes) | AES-SIV`, over the message's
id, the address and the topic. It is a capability: whoever holds it may do what the recipient may,
and nobody can make one, or read the address in it, without the workspace's key. AES-SIV needs no
nonce (RFC 5297), so that every attempt of a message carries the same bytes. Nothing else is needed
to open one: links outlive their message.
"""

import base64
import binascii
import struct
import uuid
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag

from maild import config
from maild.errors import NotFound
from maild.services import link_keys
from maild.services.link_keys import Key

PATH = "/u/"
ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""What a one-click request says (RFC 8058 3.2)."""
LINE_MAX_OCTETS = 998  # RFC 5322 2.1.1
TOKEN_MAX_CHARS = 1_024

_VERSION = 1
_HEAD = struct.Struct(">BI")
_PURPOSE = b"maild unsubscribe link"
_TAG_BYTES = 16  # RFC 5297 2.6
_ID_BYTES = 16
_BETWEEN = b"\0"
"""Between address and topic; neither can hold it."""


@dataclass(frozen=True, slots=True)
class Link:
    """Who leaves what: `topic` is None where the message had none."""

    workspace_id: int
    message_id: uuid.UUID
    email: str
    topic: str | None


def load(workspace_id: int) -> None:
    """Ask for what `headers` needs: before, and beside the event loop. Asks the database once a
    minute at most. Raises NotFound, for the workspace, and DecryptionError.
    """
    link_keys.load(workspace_id)


def headers(
    *, workspace_id: int, message_id: uuid.UUID, email: str, topic: str | None
) -> tuple[tuple[str, str], ...]:
    """The fields that let the recipient of a marketing message leave; the same at every attempt.

    To be written as they are (`mime_headers.literal`). `email` and `topic` are in normal form.
    Asks nobody: `load` came before, or it raises LookupError.
    """
    url = make_url(Link(workspace_id, message_id, email, topic))
    return (
        ("List-Unsubscribe", f"<{url}>"),  # RFC 2369 2; RFC 8058 3.1: one HTTPS URI
        ("List-Unsubscribe-Post", "=".join(ONE_CLICK)),  # RFC 8058 3.1, 5
    )


def make_url(link: Link) -> str:
    """The address of the page for a link, signed with the key that `load` has found.

    One for which a header line has no room loses its topic, and leads out of all marketing: a
    topic of more than 320 octets may, together with the longest of addresses.
    """
    key = link_keys.signing(link.workspace_id)
    root = config.current().public_url + PATH
    room = LINE_MAX_OCTETS - len("List-Unsubscribe: <>") - len(root)
    token = _seal(key, link)
    if len(token) > room and link.topic is not None:
        token = _seal(key, Link(link.workspace_id, link.message_id, link.email, None))
    if len(token) > room:
        raise ValueError("to_email: is too long for an unsubscribe link")
    return root + token


def open_token(token: str) -> Link:
    """What a token means. Raises NotFound for all that is none, after the same work and with the
    same words: what is wrong with it is nobody's business.
    """
    raw = _decode(token)
    version, key_id = _HEAD.unpack_from(raw)
    key = link_keys.find(key_id) or link_keys.NOBODYS
    try:
        plain = key.cipher.decrypt(raw[_HEAD.size :], _bound_to(key, version, key_id))
    except InvalidTag:
        raise NotFound("This link does not work.") from None
    # What opens was sealed here.
    email, _, topic = plain[_ID_BYTES:].partition(_BETWEEN)
    return Link(
        key.workspace_id,
        uuid.UUID(bytes=plain[:_ID_BYTES]),
        email.decode(),
        topic.decode() or None,
    )


def _seal(key: Key, link: Link) -> str:
    plain = link.message_id.bytes + link.email.encode()
    if link.topic is not None:
        plain += _BETWEEN + link.topic.encode()
    sealed = key.cipher.encrypt(plain, _bound_to(key, _VERSION, key.id))
    return _encode(_HEAD.pack(_VERSION, key.id) + sealed)


def _bound_to(key: Key, version: int, key_id: int) -> list[bytes]:
    """The associated data: a token is good for this purpose, in this workspace, and whole."""
    return [_PURPOSE, str(key.workspace_id).encode(), _HEAD.pack(version, key_id)]


_NOTHING = _HEAD.pack(0, 0) + bytes(_TAG_BYTES + 64)
"""Stands in for what is no token at all: it names no key, and opens with none."""


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()  # RFC 4648 5


def _decode(token: str) -> bytes:
    if len(token) > TOKEN_MAX_CHARS or not token.isascii():
        return _NOTHING
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return _NOTHING
    # One text for one token: spare bits, or padding of its own, would make others of it.
    is_whole = _encode(raw) == token and len(raw) >= _HEAD.size + _TAG_BYTES
    return raw if is_whole else _NOTHING

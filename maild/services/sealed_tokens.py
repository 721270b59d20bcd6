"""Sealed tokens: what a link in mail says, so that whoever holds it can use it, and nobody can make
one, change one or read one without the workspace's key (`link_keys`).

A token is url-safe base64 of `version (1 byte) | key id (4 bytes) | AES-SIV`, over whatever its
purpose needs. AES-SIV needs no nonce (RFC 5297), so that the same content is the same token. It is
bound to its purpose and its workspace: one that is good for one thing opens nothing else.
"""

import base64
import binascii
import struct

from cryptography.exceptions import InvalidTag

from maild.errors import NotFound
from maild.services import link_keys
from maild.services.link_keys import Key

MAX_CHARS = 1_024

_VERSION = 1
_HEAD = struct.Struct(">BI")
_TAG_BYTES = 16  # RFC 5297 2.6


def seal(key: Key, *, purpose: bytes, plain: bytes) -> str:
    """The token that holds `plain`."""
    sealed = key.cipher.encrypt(plain, _bound_to(key, purpose, _VERSION, key.id))
    return _encode(_HEAD.pack(_VERSION, key.id) + sealed)


def unseal(token: str, *, purpose: bytes) -> tuple[int, bytes]:
    """The workspace's id, and what the token holds. Raises NotFound for all that is none, after the
    same work and with the same words: what is wrong with it is nobody's business. Raises
    DecryptionError.
    """
    raw = _decode(token)
    version, key_id = _HEAD.unpack_from(raw)
    key = link_keys.find(key_id) or link_keys.NOBODYS
    try:
        plain = key.cipher.decrypt(raw[_HEAD.size :], _bound_to(key, purpose, version, key_id))
    except InvalidTag:
        raise NotFound("This link does not work.") from None
    return key.workspace_id, plain


def _bound_to(key: Key, purpose: bytes, version: int, key_id: int) -> list[bytes]:
    """The associated data: a token is good for this purpose, in this workspace, and whole."""
    return [purpose, str(key.workspace_id).encode(), _HEAD.pack(version, key_id)]


_NOTHING = _HEAD.pack(0, 0) + bytes(_TAG_BYTES + 64)
"""Stands in for what is no token at all: it names no key, and opens with none."""


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()  # RFC 4648 5


def _decode(token: str) -> bytes:
    if len(token) > MAX_CHARS or not token.isascii():
        return _NOTHING
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return _NOTHING
    # One text for one token: spare bits, or padding of its own, would make others of it.
    is_whole = _encode(raw) == token and len(raw) >= _HEAD.size + _TAG_BYTES
    return raw if is_whole else _NOTHING

"""Secrets at rest: AES-256-GCM with a random nonce, bound to the place where they are stored.

A blob is `version (1 byte) | key id (4 bytes) | nonce (12 bytes) | ciphertext and tag`. The key id
names the key that made it, so that keys can be rotated row by row (`key_rotation`). The place
(workspace, table, row, field) is the additional authenticated data: a ciphertext moved to another
row or workspace does not open. NIST SP 800-38D for the mode; 96-bit random nonces allow 2^32
messages for each key.
"""

import contextlib
import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from maild import config
from maild.errors import DecryptionError

VERSION = b"\x01"
KEY_ID_BYTES = 4
HEAD_BYTES = len(VERSION) + KEY_ID_BYTES
NONCE_BYTES = 12


def place_of(workspace_id: int, table: str, row_id: int, field: str) -> str:
    """The place of a field, such as `1/smtp_accounts/7/password`."""
    return f"{workspace_id}/{table}/{row_id}/{field}"


def encrypt(text: str, *, place: str, key: bytes | None = None) -> bytes:
    """The blob that holds `text` for `place`; with the current key unless another is given."""
    key = key or config.current().encryption_key
    head = head_of(key)
    nonce = secrets.token_bytes(NONCE_BYTES)
    return head + nonce + AESGCM(key).encrypt(nonce, text.encode(), head + place.encode())


def decrypt(blob: bytes, *, place: str, key: bytes | None = None) -> str:
    """The text of a blob, opened with the key that it names: the current one, an old one, or none
    but `key` where that is given.

    Raises DecryptionError: a key that we do not hold, the wrong place, a damaged blob.
    """
    head, rest = bytes(blob[:HEAD_BYTES]), bytes(blob[HEAD_BYTES:])
    named = [held for held in ((key,) if key else held_keys()) if head_of(held) == head]
    if not named:
        raise DecryptionError("This secret was encrypted with a key that maild does not have now.")
    nonce, ciphertext = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
    for held in named:  # one, but for two keys in four billion
        with contextlib.suppress(InvalidTag, ValueError):
            return AESGCM(held).decrypt(nonce, ciphertext, head + place.encode()).decode()
    raise DecryptionError("This secret was changed, or belongs to another place.")


def held_keys() -> tuple[bytes, ...]:
    """The current key, then the old ones."""
    settings = config.current()
    return (settings.encryption_key, *settings.encryption_keys_old)


def head_of(key: bytes) -> bytes:
    """What every blob of this key begins with: the start of a hash of the key tells nothing of
    it.
    """
    return VERSION + hashlib.sha256(b"maild key id" + key).digest()[:KEY_ID_BYTES]


def held_key_ids() -> set[str]:
    """The ids of the keys that we hold, in hexadecimal: they tell nothing of the keys."""
    return {head_of(key)[len(VERSION) :].hex() for key in held_keys()}

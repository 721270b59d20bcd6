"""Secrets at rest: AES-256-GCM with a random nonce, bound to the place where they are stored.

A blob is `version (1 byte) | key id (4 bytes) | nonce (12 bytes) | ciphertext and tag`. The key id
names the key that made it, so that keys can be rotated row by row. The place (workspace, row,
field) is the additional authenticated data: a ciphertext moved to another row or workspace does not
open. NIST SP 800-38D for the mode; 96-bit random nonces allow 2^32 messages for each key.
"""

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from maild.errors import DecryptionError

VERSION = b"\x01"
KEY_ID_BYTES = 4
NONCE_BYTES = 12


def encrypt(text: str, *, key: bytes, place: str) -> bytes:
    """The blob that holds `text` for `place`, such as `1/smtp_accounts/7/password`."""
    head = VERSION + key_id(key)
    nonce = secrets.token_bytes(NONCE_BYTES)
    return head + nonce + AESGCM(key).encrypt(nonce, text.encode(), head + place.encode())


def decrypt(blob: bytes, *, key: bytes, place: str) -> str:
    """The text of a blob. Raises DecryptionError: wrong key, wrong place, damaged blob."""
    head_bytes = len(VERSION) + KEY_ID_BYTES
    head, rest = bytes(blob[:head_bytes]), bytes(blob[head_bytes:])
    if head != VERSION + key_id(key):
        raise DecryptionError("This secret was encrypted with a key that maild does not have now.")
    nonce, ciphertext = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, head + place.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise DecryptionError("This secret was changed, or belongs to another place.") from error


def key_id(key: bytes) -> bytes:
    """Which key made a blob: the start of a hash of the key, which tells nothing about it."""
    return hashlib.sha256(b"maild key id" + key).digest()[:KEY_ID_BYTES]

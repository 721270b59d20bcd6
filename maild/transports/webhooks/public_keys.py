"""Reads the public keys and the signatures of the providers that sign with a private key."""

import base64
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    load_der_public_key,
    load_pem_public_key,
)


def public_key(spelled: str) -> Any | None:
    """The key in a PEM block, or in the bare base64 of a DER SubjectPublicKeyInfo (RFC 5280 4.1)
    with or without line breaks; None where it is neither.
    """
    try:
        if "-----BEGIN" in spelled:
            return load_pem_public_key(spelled.strip().encode())
        return load_der_public_key(unbase64(spelled) or b"")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def unbase64(spelled: str) -> bytes | None:
    """The bytes in base64 (RFC 4648 4), line breaks and spaces aside; None for nonsense."""
    try:
        return base64.b64decode("".join(spelled.split()), validate=True)
    except ValueError:
        return None

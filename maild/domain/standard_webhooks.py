"""Signing a webhook as Standard Webhooks has it (https://www.standardwebhooks.com, "Signature
scheme"). Pure.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"  # nosec B105


def headers(id_: str, epoch: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The three header fields of a request that is signed at `epoch`, with each secret once: who
    holds one of them can check it. Raises ValueError for what is no secret.
    """
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(epoch),
        "webhook-signature": " ".join(_sign(id_, epoch, body, secret) for secret in secrets),
    }


def _sign(id_: str, epoch: int, body: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    signed = f"{id_}.{epoch}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()

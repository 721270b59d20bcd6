"""Receiving maild's notifications: whether a request is maild's own, and what it says.

maild signs them as Standard Webhooks has it (https://www.standardwebhooks.com).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from maild_client.errors import WebhookRefused

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"
_TIME_MAX_CHARS = 15


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> dict[str, Any]:
    """What a notification says, after its signature and its time were checked.

    `body` is the request's, byte by byte as it came; `secret` is the channel's (`whsec_...`), or
    several while it is changed; `now` is unix seconds. The same notification may come twice: its
    header `webhook-id` stays the same. Raises WebhookRefused, and ValueError for what is no secret.
    """
    given = {name.lower(): value for name, value in headers.items()}
    id_, at = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    signatures = [
        part.removeprefix("v1,")
        for part in given.get("webhook-signature", "").split()
        if part.startswith("v1,")
    ]
    is_time = at.isascii() and at.isdecimal() and len(at) <= _TIME_MAX_CHARS
    if not (id_ and signatures and is_time):
        raise WebhookRefused("webhook-id, webhook-timestamp or webhook-signature is missing.")
    age = (time.time() if now is None else now) - int(at)
    if abs(age) > tolerance_seconds:
        raise WebhookRefused(f"It is {abs(age):.0f} seconds old, or ahead: compare the clocks.")
    signed = f"{id_}.{at}.".encode() + body
    secrets = [secret] if isinstance(secret, str) else secret
    expected = [_sign(signed, one) for one in secrets]
    # Every pair is compared, so that the time tells nothing.
    matches = [
        hmac.compare_digest(theirs.encode(), ours) for ours in expected for theirs in signatures
    ]
    if not any(matches):
        raise WebhookRefused("The signature is not made with this secret over this body.")
    try:
        said = json.loads(body)
    except ValueError:
        raise WebhookRefused("The body is no JSON.") from None
    if not isinstance(said, dict):
        raise WebhookRefused("The body is no object.")
    return said


def _sign(signed: bytes, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not key:  # with an empty one anybody could sign
        raise ValueError("the secret is not one of maild's: it begins with whsec_")
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256))

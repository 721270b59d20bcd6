"""maild's own format at an endpoint of a workspace's own, with a secret of its own.

What `POST /v1/webhooks/events` takes, entry by entry (`generic.py`), but that the token in the
address says whose it is: a `workspace_id` in an entry says nothing here. The sandbox reports so,
and so may any relay, script or workflow tool. A time and a signature come with each request:

    X-Webhook-Timestamp: 1795860000
    X-Webhook-Signature: v1=<hex HMAC-SHA256 of "1795860000.<body>">
"""

import hashlib
import hmac

from maild.domain.provider_event import ProviderEvent
from maild.transports.webhooks import generic
from maild.transports.webhooks.base import (
    Keys,
    Request,
    check_basic_auth,
    require_a_secret,
)

TITLE = "maild's own format"
SIGNS = True
SECRET_IS = "A text of your own making, which whoever reports signs with; 24 characters or more."
KEPT_HEADERS: tuple[str, ...] = ()
SECRET_MIN_CHARS = 24

SIGNATURE_HEADER, TIMESTAMP_HEADER = "X-Webhook-Signature", "X-Webhook-Timestamp"


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature."""
    require_a_secret(keys)
    check_basic_auth(request, keys)
    if keys.signing:
        generic.verify(
            request,
            keys.signing,
            timestamp_header=TIMESTAMP_HEADER,
            signature_header=SIGNATURE_HEADER,
            max_skew_seconds=keys.max_skew_seconds,
        )


def check_secret(secret: str) -> None:
    """Raises ValueError for a secret that could be guessed."""
    if len(secret) < SECRET_MIN_CHARS:
        raise ValueError(f"must have {SECRET_MIN_CHARS} characters at least")


def parse(request: Request) -> list[ProviderEvent]:
    """Every event of every entry, in their order. Raises UnreadablePayload."""
    entries = generic.split(request.body)
    return [event for entry in entries for event in generic.parse_entry(entry).events]


def sign(body: bytes, *, secret: str, timestamp: int) -> dict[str, str]:
    """The headers that prove a body to an endpoint with this secret; the time is unix seconds."""
    signed = str(timestamp).encode() + b"." + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return {TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: f"v1={digest}"}

"""What the tests of /v1/webhooks share: signing, and reading what came in."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from maild.domain.actor import SYSTEM
from maild.models import ProviderEvent, WebhookEndpoint, WebhookPayload
from maild.services import report_loop, webhook_endpoints

SECRET = "a-webhook-secret-of-some-length"
EVENTS = "/v1/webhooks/events"
COMPLAINT = {"type": "complained", "email": "ann@example.org", "event_id": "1"}


def sign(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """The headers that maild's own format is signed with."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "X-Webhook-Timestamp": timestamp,
        "X-Webhook-Signature": f"v1={digest.hexdigest()}",
        "Content-Type": "application/json",
    }


def post(api, body: Any, **changes: Any):
    """Report in maild's own format, signed."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api("POST", EVENTS, key=None, data=data, headers=sign(data, **changes))


def basic(user: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def endpoint(provider: str, *, workspace_id: int = 1, **fields: Any) -> WebhookEndpoint:
    return webhook_endpoints.add(
        workspace_id, provider=provider, smtp_account="default", by=SYSTEM, **fields
    )


def path_of(row: WebhookEndpoint) -> str:
    url = webhook_endpoints.url_of(row)
    return url[url.index("/v1/") :]


def read() -> list[ProviderEvent]:
    """Let a worker read and apply what came in; every event there is."""
    report_loop.drain()
    return list(ProviderEvent.select().order_by(ProviderEvent.id))


def count_stored() -> int:
    return WebhookPayload.select().count()

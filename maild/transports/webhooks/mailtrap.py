"""Mailtrap's webhooks for email sending.

https://docs.mailtrap.io/email-api-smtp/advanced/webhooks says how they come, as JSON or as JSON
Lines, and how they are signed; https://docs.mailtrap.io/email-api-smtp/analytics/statuses-and-events
and https://docs.mailtrap.io/email-api-smtp/bounce-categorization what they mean. The signature
is newer than many webhooks, so it is checked only where its secret is set.
"""

import hashlib
import hmac
from typing import Any

from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.transports.webhooks.base import (
    BadSignature,
    Keys,
    Request,
    UnreadablePayload,
    any_same,
    check_basic_auth,
    load_json,
    load_records,
)
from maild.transports.webhooks.fields import mapping, text, texts, unix_time

TITLE = "Mailtrap"
SIGNS = False
SECRET_IS = "The webhook's signing secret, where Mailtrap shows one on the webhook's page."
KEPT_HEADERS: tuple[str, ...] = ()

# Type and reason.
EVENTS: dict[str, tuple[ProviderEventType, RejectReason | None]] = {
    "delivery": (ProviderEventType.DELIVERED, None),
    # Mailtrap tries again after both, ten times, before it tells of a bounce or a reject.
    "soft_bounce": (ProviderEventType.DEFERRED, RejectReason.BOUNCED),
    "suspension": (ProviderEventType.DEFERRED, RejectReason.BLOCKED),
    "bounce": (ProviderEventType.BOUNCED, RejectReason.BOUNCED),
    "reject": (ProviderEventType.REJECTED, RejectReason.BLOCKED),
    "spam": (ProviderEventType.COMPLAINED, RejectReason.SPAM),
    "spam_complaint": (ProviderEventType.COMPLAINED, RejectReason.SPAM),
    "unsubscribe": (ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED),
    "open": (ProviderEventType.OPENED, None),
    "click": (ProviderEventType.CLICKED, None),
}
UNKNOWN = (ProviderEventType.UNKNOWN, None)

# Of `bounce` and `soft_bounce`, by `bounce_category`. Only a bad recipient is a fault of the
# address for good: Mailtrap stops sending after "timeout" and "overquota" too, but those may pass.
BAD_RECIPIENT = "badrecipient"
CATEGORIES = {
    BAD_RECIPIENT: RejectReason.BOUNCED,
    "timeout": RejectReason.TIMED_OUT,
    "spam": RejectReason.SPAM,
    "content": RejectReason.SPAM,
    "block": RejectReason.BLOCKED,
    "badsender": RejectReason.BLOCKED,
    "relayfail": RejectReason.BLOCKED,
    "serverpolicy": RejectReason.BLOCKED,
    "spam_gmail": RejectReason.BLOCKED,
    "verifyfail": RejectReason.BLOCKED,
}


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature."""
    check_basic_auth(request, keys)
    if keys.signing:
        given = request.headers.get("mailtrap-signature", "").strip().lower()
        valid = [
            hmac.new(secret.encode("utf-8", "replace"), request.body, hashlib.sha256).hexdigest()
            for secret in keys.signing
        ]
        if not any_same(given.encode("utf-8", "replace"), valid):
            raise BadSignature("the signature is missing, or fits no secret")


def parse(request: Request) -> list[ProviderEvent]:
    """All events of a batch. Raises UnreadablePayload."""
    return [_event(record) for record in _records(request.body)]


def _records(body: bytes) -> list[dict[str, Any]]:
    try:
        payload = load_json(body)
    except UnreadablePayload:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return [record for line in lines for record in load_records(line)]
    if isinstance(payload, dict) and "event" not in payload:
        payload = payload.get("events", [])
        if not isinstance(payload, list):
            raise UnreadablePayload("events: not an array")
    records = payload if isinstance(payload, list) else [payload]
    for record in records:
        if not isinstance(record, dict):
            raise UnreadablePayload("an event is not a JSON object")
    return records


def _event(record: dict[str, Any]) -> ProviderEvent:
    name = text(record.get("event")) or ""
    if name == "receive":
        raise UnreadablePayload(
            "this is incoming mail: use this address for email sending, not for an inbound inbox"
        )
    event_type, reject_reason = EVENTS.get(name, UNKNOWN)
    is_hard = None
    if name in ("bounce", "soft_bounce"):
        category = (text(record.get("bounce_category")) or "").lower()
        reject_reason = CATEGORIES.get(category, RejectReason.BOUNCED)
        if name == "bounce" and category:
            is_hard = category == BAD_RECIPIENT
    reason = text(record.get("reason"))
    return ProviderEvent(
        event_type=event_type,
        recipient=text(record.get("email")),
        event_id=text(record.get("event_id")),
        message_id=text(record.get("message_id")),
        timestamp=unix_time(record.get("timestamp")),
        reject_reason=reject_reason,
        is_hard=is_hard,
        mta_response=text(record.get("response")),
        description=reason if reason != "unknown" else None,
        click_url=text(record.get("url")),
        user_agent=text(record.get("user_agent")),
        tags=texts(record.get("category")),
        metadata=mapping(record.get("custom_variables")),
        raw=record,
    )

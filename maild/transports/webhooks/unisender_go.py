"""The webhooks of Unisender Go, and of UniOne, which is the same service outside of Russia.

https://godocs.unisender.ru/web-api-ref#callback-format (UniOne:
https://docs.unione.io/en/web-api-ref#callback-format) says how they come and are signed;
https://docs.unione.io/en/email-statuses what the statuses mean.
"""

import hashlib
import re
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
    require_a_secret,
)
from maild.transports.webhooks.fields import iso_time, mapping, text

TITLE = "Unisender Go"
SIGNS = True
SECRET_IS = "The API key of the account, or of the project whose webhook it is."
KEPT_HEADERS: tuple[str, ...] = ()

AUTH = re.compile(rb'"auth"\s*:\s*"([0-9A-Fa-f]{32})"')
MAX_AUTH_FIELDS = 10

EVENT_TYPES = {
    "sent": ProviderEventType.SENT,
    "delivered": ProviderEventType.DELIVERED,
    "soft_bounced": ProviderEventType.DEFERRED,  # "additional delivery attempts will be made"
    "hard_bounced": ProviderEventType.BOUNCED,
    "spam": ProviderEventType.COMPLAINED,
    "unsubscribed": ProviderEventType.UNSUBSCRIBED,
    "subscribed": ProviderEventType.SUBSCRIBED,
    "opened": ProviderEventType.OPENED,
    "clicked": ProviderEventType.CLICKED,
}
REASONS = {
    "soft_bounced": RejectReason.BOUNCED,
    "hard_bounced": RejectReason.BOUNCED,
    "spam": RejectReason.SPAM,
    "unsubscribed": RejectReason.UNSUBSCRIBED,
}
# What `delivery_status` says of the address: reason, is_hard. All of these may be a hard_bounced,
# which means no more than that nothing else is tried.
DELIVERY_STATUSES: dict[str, tuple[RejectReason, bool | None]] = {
    # The address does not exist, or not any more.
    "err_user_unknown": (RejectReason.BOUNCED, True),
    "err_user_inactive": (RejectReason.BOUNCED, True),
    "err_mailbox_discarded": (RejectReason.BOUNCED, True),
    # Tagged as permanently unavailable, after many failures.
    "err_unreachable": (RejectReason.BOUNCED, True),
    "skip_dup_unreachable": (RejectReason.BOUNCED, True),
    # "Does not exist or does not accept mail", and yet Unisender Go soon tries again.
    "err_domain_inactive": (RejectReason.BOUNCED, None),
    "err_will_retry": (RejectReason.BOUNCED, False),
    "err_mailbox_full": (RejectReason.BOUNCED, False),
    "skip_dup_mailbox_full": (RejectReason.BOUNCED, False),
    "err_skip_letter": (RejectReason.BOUNCED, False),
    "skip_dup_temp_unreachable": (RejectReason.BOUNCED, False),
    "err_destination_misconfigured": (RejectReason.BOUNCED, False),
    "err_too_large": (RejectReason.BOUNCED, False),
    "err_spam_rejected": (RejectReason.SPAM, False),
    "err_spam_skipped": (RejectReason.SPAM, False),
    "err_spam_removed": (RejectReason.SPAM, False),
    "err_blacklisted": (RejectReason.BLOCKED, False),
    "err_unsubscribed": (RejectReason.UNSUBSCRIBED, False),
    "err_giveup": (RejectReason.TIMED_OUT, False),
    "err_lost": (RejectReason.OTHER, False),
    "err_internal": (RejectReason.OTHER, False),
    "err_delivery_failed": (RejectReason.OTHER, None),
}


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature."""
    require_a_secret(keys)
    check_basic_auth(request, keys)
    if keys.signing and not _is_signed(request.body, keys.signing):
        raise BadSignature("the field auth is missing, or fits no API key")


def _is_signed(body: bytes, secrets: tuple[str, ...]) -> bool:
    """Whether `auth` is the MD5 of the body as it is with an API key in the place of `auth`.

    The sender's metadata may hold a field of that name too, so every one of them is tried.
    """
    found = []
    for field in list(AUTH.finditer(body))[:MAX_AUTH_FIELDS]:
        head, tail = body[: field.start(1)], body[field.end(1) :]
        valid = [
            # Unisender Go's scheme is MD5. The key in its middle keeps it from being extended:
            # what one could append is no JSON.
            hashlib.md5(
                head + secret.encode("utf-8", "replace") + tail, usedforsecurity=False
            ).hexdigest()
            for secret in secrets
        ]
        found.append(any_same(field[1].lower(), valid))
    return any(found)


def parse(request: Request) -> list[ProviderEvent]:
    """Every event: in groups by user, or the one that is the body. Raises UnreadablePayload."""
    payload = load_json(request.body)
    if not isinstance(payload, dict):
        raise UnreadablePayload("not a JSON object")
    if "events_by_user" not in payload:
        return [_event(payload, payload)]
    return [
        _event(record, mapping(record.get("event_data")))
        for group in _objects(payload, "events_by_user")
        for record in _objects(group, "events")
    ]


def _objects(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = holder.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UnreadablePayload(f"{name}: not an array of objects")
    return found


def _event(record: dict[str, Any], data: dict[str, Any]) -> ProviderEvent:
    status = text(data.get("status")) or ""
    if text(record.get("event_name")) != "transactional_email_status":
        status = ""  # about a server or an account, such as transactional_spam_block
    event_type = EVENT_TYPES.get(status, ProviderEventType.UNKNOWN)
    reject_reason, is_hard = REASONS.get(status), None
    details = mapping(data.get("delivery_info"))
    delivery_status = text(details.get("delivery_status"))
    if status in ("soft_bounced", "hard_bounced") and delivery_status in DELIVERY_STATUSES:
        reject_reason, is_hard = DELIVERY_STATUSES[delivery_status]
    return ProviderEvent(
        event_type=event_type,
        recipient=text(data.get("email")),
        message_id=text(data.get("job_id")),
        timestamp=iso_time(data.get("event_time")),
        reject_reason=reject_reason,
        is_hard=is_hard if event_type is ProviderEventType.BOUNCED else None,
        mta_response=text(details.get("destination_response")),
        description=delivery_status,
        click_url=text(data.get("url")),
        user_agent=text(details.get("user_agent")),
        metadata=mapping(data.get("metadata")),
        raw=record,
    )

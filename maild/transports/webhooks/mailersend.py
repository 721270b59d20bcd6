"""MailerSend's webhooks, of version 1 and of version 2.

https://developers.mailersend.com/api/v1/account/webhooks.html lists the events and the signature;
https://www.mailersend.com/whats-new/webhooks-v2 shows both versions of the payload. Version 1 has
the recipient and the message in objects below `data.email`; version 2 is flat.
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
    require_a_secret,
)
from maild.transports.webhooks.fields import iso_time, mapping, text, texts

TITLE = "MailerSend"
SIGNS = True
SECRET_IS = "The signing secret that MailerSend shows for the webhook, on its domain's page."
KEPT_HEADERS: tuple[str, ...] = ()

# MailerSend tries an address with this request before it saves a webhook and shows its secret. All
# of them are signed with one secret that the documentation prints, so it proves nothing.
PING = "webhook.test"
PING_SECRET = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"

# By their names without "activity.": type, reason, is_hard.
# MailerSend calls a permanent failure a hard bounce, and one that passes a soft bounce.
EVENTS: dict[str, tuple[ProviderEventType, RejectReason | None, bool | None]] = {
    "sent": (ProviderEventType.SENT, None, None),
    "delivered": (ProviderEventType.DELIVERED, None, None),
    "deferred": (ProviderEventType.DEFERRED, None, None),
    "soft_bounced": (ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
    "hard_bounced": (ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
    "suppressed": (ProviderEventType.REJECTED, RejectReason.BLOCKED, None),
    "spam_complaint": (ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
    "unsubscribed": (ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
    "opened": (ProviderEventType.OPENED, None, None),
    "opened_unique": (ProviderEventType.OPENED, None, None),
    "clicked": (ProviderEventType.CLICKED, None, None),
    "clicked_unique": (ProviderEventType.CLICKED, None, None),
}
UNKNOWN = (ProviderEventType.UNKNOWN, None, None)


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature. A ping needs no secret of ours: it comes before there is any."""
    given = request.headers.get("signature", "").strip().lower().encode("utf-8", "replace")
    if any_same(given, _signatures((PING_SECRET,), request.body)) and _is_ping(request):
        check_basic_auth(request, keys)
        return
    require_a_secret(keys)
    check_basic_auth(request, keys)
    if keys.signing and not any_same(given, _signatures(keys.signing, request.body)):
        raise BadSignature("the signature is missing, or fits no secret")


def _signatures(secrets: tuple[str, ...], body: bytes) -> list[str]:
    return [
        hmac.new(secret.encode("utf-8", "replace"), body, hashlib.sha256).hexdigest()
        for secret in secrets
    ]


def _is_ping(request: Request) -> bool:
    try:
        return mapping(load_json(request.body)).get("type") == PING
    except UnreadablePayload:
        return False


def parse(request: Request) -> list[ProviderEvent]:
    """The one event; none for a ping. Raises UnreadablePayload."""
    record = load_json(request.body)
    if not isinstance(record, dict):
        raise UnreadablePayload("not a JSON object")
    name = text(record.get("type")) or ""
    if name == PING:
        return []
    if name == "inbound.message":
        raise UnreadablePayload(
            "inbound.message is incoming mail: this address is for a domain's webhook,"
            " not for an inbound route"
        )
    data = mapping(record.get("data"))
    kind = text(data.get("type")) or name.removeprefix("activity.")
    # Other families of events ("recipient.", "maintenance.") use some of the same words.
    is_activity = not name or name.startswith("activity.")
    event_type, reject_reason, is_hard = EVENTS.get(kind, UNKNOWN) if is_activity else UNKNOWN
    email = mapping(data.get("email"))
    details = mapping(data.get("morph")) or mapping(data.get("meta"))
    return [
        ProviderEvent(
            event_type=event_type,
            recipient=_recipient(data),
            event_id=text(data.get("id")),
            message_id=text(mapping(email.get("message")).get("id"))
            or text(data.get("message_id")),
            timestamp=iso_time(data.get("created_at")) or iso_time(record.get("created_at")),
            reject_reason=reject_reason,
            is_hard=is_hard,
            description=text(details.get("readable_reason")) or text(details.get("reason")),
            click_url=text(details.get("url")),
            user_agent=text(details.get("user_agent")),
            tags=texts(email.get("tags") or data.get("tags")),
            raw=record,
        )
    ]


def _recipient(data: dict[str, Any]) -> str | None:
    """An object in version 1, a text in version 2."""
    for found in (mapping(data.get("email")).get("recipient"), data.get("recipient")):
        if isinstance(found, dict):
            return text(found.get("email"))
        if isinstance(found, str):
            return text(found)
    email = data.get("email")
    return text(email) if isinstance(email, str) else None

"""Brevo's webhooks (formerly Sendinblue), transactional and marketing.

https://developers.brevo.com/docs/transactional-webhooks and
https://developers.brevo.com/docs/marketing-webhooks list the events. Brevo signs nothing: an
endpoint is told by its token, and by basic authentication where it is set in the webhook's address.
"""

from datetime import datetime
from typing import Any

from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.transports.webhooks.base import (
    Keys,
    Request,
    UnreadablePayload,
    check_basic_auth,
    load_records,
)
from maild.transports.webhooks.fields import (
    json_mapping,
    json_texts,
    number,
    text,
    texts,
    unix_time,
)

TITLE = "Brevo"
SIGNS = False
SECRET_IS = ""
KEPT_HEADERS: tuple[str, ...] = ()

# Type, reason, is_hard. https://help.brevo.com/hc/en-us/articles/209435165-What-is-a-Bounce- says
# that a hard bounce is permanent, and nothing is sent to the address again; a soft bounce passes.
# "blocked" is Brevo's own refusal, by its blocklist.
EVENTS: dict[str, tuple[ProviderEventType, RejectReason | None, bool | None]] = {
    "request": (ProviderEventType.QUEUED, None, None),
    "sent": (ProviderEventType.SENT, None, None),
    "delivered": (ProviderEventType.DELIVERED, None, None),
    "deferred": (ProviderEventType.DEFERRED, None, None),
    "soft_bounce": (ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
    "hard_bounce": (ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
    "invalid_email": (ProviderEventType.BOUNCED, RejectReason.INVALID, True),
    "blocked": (ProviderEventType.REJECTED, RejectReason.BLOCKED, False),
    "error": (ProviderEventType.FAILED, None, None),
    "spam": (ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
    "complaint": (ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
    "unsubscribe": (ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
    "unsubscribed": (ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
    "opened": (ProviderEventType.OPENED, None, None),
    "unique_opened": (ProviderEventType.OPENED, None, None),
    "proxy_open": (ProviderEventType.OPENED, None, None),
    "unique_proxy_open": (ProviderEventType.OPENED, None, None),
    "loaded_by_proxy": (ProviderEventType.OPENED, None, None),
    "click": (ProviderEventType.CLICKED, None, None),
}
# `list_addition` is left out on purpose: anybody may put a contact on a list, so it takes back no
# opt-out.
UNKNOWN = (ProviderEventType.UNKNOWN, None, None)

# A time in milliseconds that is below this is before 1973, so it is in seconds: Brevo's own samples
# of `ts_epoch` have both.
LEAST_MILLISECONDS = 10**11


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature."""
    check_basic_auth(request, keys)


def parse(request: Request) -> list[ProviderEvent]:
    """Raises UnreadablePayload."""
    return [event for record in load_records(request.body) for event in _events(record)]


def _events(record: dict[str, Any]) -> list[ProviderEvent]:
    if "items" in record and "event" not in record:
        raise UnreadablePayload(
            "this is incoming mail: use this address for a transactional webhook,"
            " not for an inbound one"
        )
    event_type, reject_reason, is_hard = EVENTS.get(
        (text(record.get("event")) or "").lower(), UNKNOWN
    )
    message_id = text(record.get("message-id"))
    return [
        ProviderEvent(
            event_type=event_type,
            recipient=recipient,
            message_id=message_id,
            message_id_header=message_id,
            timestamp=_timestamp(record),
            reject_reason=reject_reason,
            is_hard=is_hard,
            mta_response=text(record.get("reason")),
            click_url=text(record.get("link")),
            user_agent=text(record.get("user_agent")),
            tags=texts(record.get("tags")) or json_texts(record.get("tag")),
            metadata=json_mapping(record.get("X-Mailin-custom")),
            raw=record,
        )
        for recipient in texts(record.get("email")) or (None,)
    ]


def _timestamp(record: dict[str, Any]) -> datetime | None:
    """By `ts_epoch` in milliseconds, else `ts_event` in seconds: both in UTC, unlike `ts`."""
    given = number(record.get("ts_epoch"))
    if given is None:
        return unix_time(record.get("ts_event"))
    return unix_time(given / 1000 if given >= LEAST_MILLISECONDS else given)

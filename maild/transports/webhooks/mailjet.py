"""Mailjet's Event API.

https://dev.mailjet.com/email/guides/webhooks/ lists the events, and what each error means. Mailjet
signs nothing: an endpoint is told by its token, and by basic authentication where the address that
Mailjet was given holds a user and a password.
"""

from typing import Any

from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.transports.webhooks.base import (
    Keys,
    Request,
    UnreadablePayload,
    check_basic_auth,
    load_records,
)
from maild.transports.webhooks.fields import json_mapping, text, texts, unix_time

TITLE = "Mailjet"
SIGNS = False
SECRET_IS = ""
KEPT_HEADERS: tuple[str, ...] = ()

EVENT_TYPES = {
    "sent": ProviderEventType.DELIVERED,  # "the destination SMTP server has accepted the message"
    "bounce": ProviderEventType.BOUNCED,
    "blocked": ProviderEventType.REJECTED,
    "spam": ProviderEventType.COMPLAINED,
    "unsub": ProviderEventType.UNSUBSCRIBED,
    "open": ProviderEventType.OPENED,
    "click": ProviderEventType.CLICKED,
}
# What an error says of the address: reason, is_hard. `error_related_to` is in the comments.
ERRORS: dict[str, tuple[RejectReason, bool | None]] = {
    # recipient
    "user unknown": (RejectReason.BOUNCED, True),
    "mailbox inactive": (RejectReason.BOUNCED, True),
    "quota exceeded": (RejectReason.BOUNCED, False),
    "blacklisted": (RejectReason.BLOCKED, None),
    "spam reporter": (RejectReason.SPAM, False),
    # domain
    "invalid domain": (RejectReason.BOUNCED, True),
    "no mail host": (RejectReason.BOUNCED, True),
    "relay/access denied": (RejectReason.BLOCKED, False),
    "greylisted": (RejectReason.TIMED_OUT, False),
    "typofix": (RejectReason.INVALID, False),
    # content
    "bad or empty template": (RejectReason.OTHER, False),
    "error in template language": (RejectReason.OTHER, False),
    # spam
    "sender blocked": (RejectReason.BLOCKED, False),
    "content blocked": (RejectReason.SPAM, False),
    "policy issue": (RejectReason.BLOCKED, False),
    # system
    "system issue": (RejectReason.OTHER, False),
    "protocol issue": (RejectReason.OTHER, False),
    "connection issue": (RejectReason.OTHER, False),
    # mailjet: the address bounced earlier, and is not said to have done so for good
    "preblocked": (RejectReason.BLOCKED, None),
    "duplicate in campaign": (RejectReason.OTHER, False),
}
PLAIN = {
    ProviderEventType.BOUNCED: (RejectReason.BOUNCED, None),
    ProviderEventType.REJECTED: (RejectReason.BLOCKED, None),
}


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature."""
    check_basic_auth(request, keys)


def parse(request: Request) -> list[ProviderEvent]:
    """The event, or all of a group. Raises UnreadablePayload."""
    return [_event(record) for record in load_records(request.body)]


def _event(record: dict[str, Any]) -> ProviderEvent:
    if "event" not in record and ("Parts" in record or "Headers" in record):
        raise UnreadablePayload(
            "this is incoming mail of the Parse API: use this address for event notifications"
        )
    event_type = EVENT_TYPES.get(text(record.get("event")) or "", ProviderEventType.UNKNOWN)
    reject_reason, is_hard = _verdict(event_type, record)
    return ProviderEvent(
        event_type=event_type,
        recipient=text(record.get("email")),
        message_id=text(record.get("MessageID")) or text(record.get("mj_message_id")),
        timestamp=unix_time(record.get("time")),
        reject_reason=reject_reason,
        is_hard=is_hard,
        mta_response=text(record.get("smtp_reply")) or text(record.get("comment")),
        description=": ".join(
            found for name in ("error_related_to", "error") if (found := text(record.get(name)))
        )
        or None,
        click_url=text(record.get("url")),
        user_agent=text(record.get("agent")),
        tags=texts(record.get("customcampaign")),
        metadata=_metadata(record),
        raw=record,
    )


def _verdict(
    event_type: ProviderEventType, record: dict[str, Any]
) -> tuple[RejectReason | None, bool | None]:
    if event_type not in PLAIN:
        return None, None
    error = (text(record.get("error")) or "").lower()
    reject_reason, is_hard = ERRORS.get(error, PLAIN[event_type])
    permanent = record.get("hard_bounce")
    if permanent is False:
        return reject_reason, False
    if permanent is True and not error:
        return reject_reason, True
    return reject_reason, is_hard


def _metadata(record: dict[str, Any]) -> dict[str, Any]:
    """The sender's own Payload, with the CustomID beside it."""
    custom_id = text(record.get("CustomID"))
    found = json_mapping(record.get("Payload"))
    return {"CustomID": custom_id, **found} if custom_id else found

"""Amazon SES notifications that come as mail: the topic's subscription is an email address.

In charge of the JSON in the body:
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html. Not in charge of the same
notifications by HTTPS (`transports.webhooks.ses`), which are signed.
"""

import json
from dataclasses import dataclass
from typing import Any

from maild.domain.provider_event import ProviderEventType
from maild.domain.storable import clean_text

_RECIPIENT_LIMIT = 200
# Kind, the object that tells of it, and the recipients in there.
_KINDS = {
    "Bounce": (ProviderEventType.BOUNCED, "bounce", "bouncedRecipients"),
    "Complaint": (ProviderEventType.COMPLAINED, "complaint", "complainedRecipients"),
    "Delivery": (ProviderEventType.DELIVERED, "delivery", "recipients"),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification. Fields of a recipient are named as those of a DSN."""

    event_type: ProviderEventType
    recipients: list[dict[str, str]]
    message_ids: tuple[str, ...]
    feedback_type: str | None


def read_notice(words: str) -> Notice | None:
    """The notification that a text begins with; None where it holds none."""
    record = _object(words.lstrip())
    if record.get("Type") == "Notification":  # wrapped by SNS, unless delivered raw
        record = _object(record.get("Message"))
    kind = record.get("notificationType") or record.get("eventType")
    if not isinstance(kind, str) or kind not in _KINDS:
        return None
    event_type, name, list_name = _KINDS[kind]
    details = _dict(record.get(name))
    mail = _dict(record.get("mail"))
    recipients = [_recipient(item) for item in _list(details.get(list_name))[:_RECIPIENT_LIMIT]]
    if event_type is ProviderEventType.DELIVERED:
        for recipient in recipients:
            recipient["diagnostic-code"] = _text(details.get("smtpResponse"))
    common = _dict(mail.get("commonHeaders"))
    headers = [_dict(header) for header in _list(mail.get("headers"))[:200]]
    named = [
        _text(header.get("value"))
        for header in headers
        if _text(header.get("name")).lower() == "message-id"
    ]
    ids = [_text(common.get("messageId")), *named]
    feedback_type = _text(details.get("complaintFeedbackType")) or "abuse"
    return Notice(
        event_type,
        recipients,
        tuple(dict.fromkeys(each.strip("<> ") for each in ids if each)),
        feedback_type if event_type is ProviderEventType.COMPLAINED else None,
    )


def _recipient(item: object) -> dict[str, str]:
    if isinstance(item, str):
        return {"final-recipient": _text(item)}
    fields = _dict(item)
    return {
        "final-recipient": _text(fields.get("emailAddress")),
        "action": _text(fields.get("action")),
        "status": _text(fields.get("status")),
        "diagnostic-code": _text(fields.get("diagnosticCode")),
    }


def _object(text: object) -> dict[str, Any]:
    """The JSON object that a text begins with; SNS puts a footer after it."""
    if not isinstance(text, str) or not text.startswith("{"):
        return {}
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return {}
    return _dict(value)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return clean_text(value[:2000]) if isinstance(value, str) else ""

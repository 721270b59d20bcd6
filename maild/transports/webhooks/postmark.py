"""Postmark's webhooks, which are not signed: a user and a password in the URL are all they offer.

Events: https://postmarkapp.com/developer/webhooks/webhooks-overview
Bounce types: https://postmarkapp.com/developer/api/bounce-api#bounce-types
"""

from typing import Any

from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.transports.webhooks.base import (
    Keys,
    Request,
    UnreadablePayload,
    check_basic_auth,
    load_json,
)
from maild.transports.webhooks.fields import clean_metadata, iso_time, mapping, text, texts

TITLE = "Postmark"
SIGNS = False
SECRET_IS = ""
KEPT_HEADERS: tuple[str, ...] = ()

RECORDS = {
    "Delivery": ProviderEventType.DELIVERED,
    "Open": ProviderEventType.OPENED,
    "Click": ProviderEventType.CLICKED,
}
# By the type of a bounce: what happened, why, and whether the address is bad for good.
Meaning = tuple[ProviderEventType, RejectReason | None, bool | None]
BOUNCES: dict[str, Meaning] = {
    "HardBounce": (ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
    "BadEmailAddress": (ProviderEventType.REJECTED, RejectReason.INVALID, True),
    "SoftBounce": (ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
    "Transient": (ProviderEventType.DEFERRED, None, None),
    "DnsError": (ProviderEventType.DEFERRED, None, None),
    "Blocked": (ProviderEventType.BOUNCED, RejectReason.BLOCKED, False),
    "DMARCPolicy": (ProviderEventType.REJECTED, RejectReason.BLOCKED, False),
    "VirusNotification": (ProviderEventType.BOUNCED, RejectReason.OTHER, False),
    # A filter's verdict on this message, not a complaint of the recipient's.
    "SpamNotification": (ProviderEventType.BOUNCED, RejectReason.SPAM, False),
    "SpamComplaint": (ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
    "Unsubscribe": (ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
    "Subscribe": (ProviderEventType.SUBSCRIBED, None, None),
    "AutoResponder": (ProviderEventType.AUTORESPONDED, None, None),
    "AddressChange": (ProviderEventType.AUTORESPONDED, None, None),
    "ChallengeVerification": (ProviderEventType.AUTORESPONDED, None, None),
    "ManuallyDeactivated": (ProviderEventType.REJECTED, RejectReason.BLOCKED, False),
    "Unconfirmed": (ProviderEventType.REJECTED, RejectReason.OTHER, False),
    "SMTPApiError": (ProviderEventType.FAILED, RejectReason.OTHER, None),
    "TemplateRenderingFailed": (ProviderEventType.FAILED, RejectReason.OTHER, None),
}
# By the reason of a suppression (the record SubscriptionChange).
SUPPRESSIONS: dict[str, Meaning] = {
    "HardBounce": (ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
    "SpamComplaint": (ProviderEventType.COMPLAINED, RejectReason.SPAM, None),
    "ManualSuppression": (ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
}
TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")
# https://postmarkapp.com/developer/webhooks/inbound-webhook
INBOUND_FIELDS = ("FromFull", "ToFull", "MailboxHash", "RawEmail", "Headers", "Attachments")


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature where basic authentication is configured and wrong."""
    check_basic_auth(request, keys)


def parse(request: Request) -> list[ProviderEvent]:
    """The one event of a request. Raises UnreadablePayload."""
    record = load_json(request.body)
    if not isinstance(record, dict):
        raise UnreadablePayload("a Postmark payload is a JSON object")
    return parse_record(record)


def is_record(record: dict[str, Any]) -> bool:
    """Whether this is an event of Postmark's."""
    known = {"Bounce", "SpamComplaint", "SubscriptionChange", *RECORDS}
    return text(record.get("RecordType")) in known and "MessageID" in record


def parse_record(record: dict[str, Any]) -> list[ProviderEvent]:
    """The one event that a JSON object is. Raises UnreadablePayload for mail that was received."""
    kind = _record_type(record)
    if kind == "Inbound":
        raise UnreadablePayload(
            "This is a mail received by Postmark, which maild does not handle:"
            " remove the address from the inbound stream's settings."
        )
    event_type, reject_reason, is_hard = _meaning(record, kind)
    return [
        ProviderEvent(
            event_type=event_type,
            recipient=text(record.get("Email")) or text(record.get("Recipient")),
            event_id=text(record.get("ID")),
            message_id=text(record.get("MessageID")),
            timestamp=next(filter(None, (iso_time(record.get(name)) for name in TIMES)), None),
            reject_reason=reject_reason,
            is_hard=is_hard,
            mta_response=text(record.get("Details")),
            description=text(record.get("Description")),
            click_url=text(record.get("OriginalLink")),
            user_agent=text(record.get("UserAgent")),
            tags=texts(record.get("Tag")),
            metadata=clean_metadata(mapping(record.get("Metadata"))),
            raw=record,
        )
    ]


def _record_type(record: dict[str, Any]) -> str | None:
    """`RecordType`, or what a payload of before 2018, which lacks it, can only be."""
    kind = text(record.get("RecordType"))
    if kind is not None:
        return kind
    if any(name in record for name in INBOUND_FIELDS):
        return "Inbound"
    if "DeliveredAt" in record:
        return "Delivery"
    if "FirstOpen" in record:
        return "Open"
    return "Bounce" if "BouncedAt" in record else None


def _meaning(record: dict[str, Any], kind: str | None) -> Meaning:
    unknown: Meaning = (ProviderEventType.UNKNOWN, None, None)
    if kind == "Bounce":
        return BOUNCES.get(text(record.get("Type")) or "", unknown)
    if kind == "SpamComplaint":
        return BOUNCES["SpamComplaint"]
    if kind == "SubscriptionChange":
        if record.get("SuppressSending") is False:
            return ProviderEventType.SUBSCRIBED, None, None
        return SUPPRESSIONS.get(text(record.get("SuppressionReason")) or "", unknown)
    return RECORDS.get(kind or "", ProviderEventType.UNKNOWN), None, None

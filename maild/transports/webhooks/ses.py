"""Amazon SES, whose events come through an Amazon SNS topic (see `sns`).

Notifications of a verified identity (`notificationType`):
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
Events of a configuration set (`eventType`):
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

from typing import Any

from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.transports.webhooks import sns
from maild.transports.webhooks.base import (
    Keys,
    Request,
    UnreadablePayload,
    check_basic_auth,
    load_json,
)
from maild.transports.webhooks.fields import (
    clean_metadata,
    iso_time,
    json_mapping,
    mapping,
    mappings,
    spares_address,
    spelled_json,
    text,
    texts,
)

TITLE = "Amazon SES"
SIGNS = True
SECRET_IS = ""
KEPT_HEADERS: tuple[str, ...] = ()

EVENTS = {
    "Send": ProviderEventType.QUEUED,
    "Delivery": ProviderEventType.DELIVERED,
    "DeliveryDelay": ProviderEventType.DEFERRED,
    "Bounce": ProviderEventType.BOUNCED,
    "Complaint": ProviderEventType.COMPLAINED,
    "Reject": ProviderEventType.REJECTED,
    "Rendering Failure": ProviderEventType.FAILED,
    "Open": ProviderEventType.OPENED,
    "Click": ProviderEventType.CLICKED,
    "Subscription": ProviderEventType.UNKNOWN,  # see _subscription
}
# Where an event keeps its details, and in there the recipients that it is about; those of all other
# events are the mail's.
DETAILS = {
    "Send": "send",
    "Delivery": "delivery",
    "DeliveryDelay": "deliveryDelay",
    "Bounce": "bounce",
    "Complaint": "complaint",
    "Reject": "reject",
    "Rendering Failure": "failure",
    "Open": "open",
    "Click": "click",
    "Subscription": "subscription",
}
RECIPIENTS = {
    "Bounce": "bouncedRecipients",
    "Complaint": "complainedRecipients",
    "DeliveryDelay": "delayedRecipients",
}
REASONS = {
    "Bounce": RejectReason.BOUNCED,
    "Complaint": RejectReason.SPAM,
    "Reject": RejectReason.BLOCKED,  # for a virus; there is no other reason
}
# https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types
HARD_SUBTYPES = {"General", "NoEmail", "Suppressed", "OnAccountSuppressionList"}
# What SES itself says on a topic when it is set up.
SETUP_TEXT = "Successfully validated SNS topic"
SETUP_TYPE = "AmazonSnsSubscriptionSucceeded"


def verify(request: Request, keys: Keys, *, fetch: sns.Fetch | None = None) -> None:
    """Raises BadSignature unless SNS sent this for our topic, and Unavailable where SNS's
    certificate cannot be had now. `fetch` gets a certificate by its address.
    """
    check_basic_auth(request, keys)
    sns.verify(request, keys, fetch=fetch)


def parse(request: Request) -> list[ProviderEvent]:
    """One event for each recipient; none for SNS's own messages. Raises UnreadablePayload."""
    record = load_json(request.body)
    if not isinstance(record, dict):
        raise UnreadablePayload("an SNS message is a JSON object")
    return parse_record(record)


def is_record(record: dict[str, Any]) -> bool:
    """Whether this is an event of SES's, bare or in an SNS envelope."""
    if sns.envelope(record) is not None:
        record = json_mapping(record["Message"])
    kind = text(record.get("notificationType")) or text(record.get("eventType"))
    return kind in {*EVENTS, "Received", SETUP_TYPE} and (
        kind == SETUP_TYPE or isinstance(record.get("mail"), dict)
    )


def parse_record(record: dict[str, Any]) -> list[ProviderEvent]:
    """The events in an object of SES's, bare or in an SNS envelope. Raises UnreadablePayload."""
    outer = sns.envelope(record)
    if outer is None:
        return _events(record, record, {})
    if outer["Type"] != sns.NOTIFICATION or outer["Message"].startswith(SETUP_TEXT):
        return []
    message = spelled_json(outer["Message"])
    if not isinstance(message, dict):
        raise UnreadablePayload("the SNS message does not hold an event of SES's")
    return _events(message, record, outer)


def _events(
    message: dict[str, Any], raw: dict[str, Any], outer: dict[str, Any]
) -> list[ProviderEvent]:
    kind = text(message.get("notificationType")) or text(message.get("eventType")) or ""
    if kind == SETUP_TYPE or (outer and not message):
        return []
    if kind == "Received":
        raise UnreadablePayload(
            "This is a mail received by SES, which maild does not handle:"
            " remove this topic from the receipt rule."
        )
    if not kind or not isinstance(message.get("mail"), dict):
        raise UnreadablePayload("the message is not an event of SES's")
    mail, details = message["mail"], mapping(message.get(DETAILS.get(kind, "")))
    event_type, description = _meaning(kind, details)
    shared: dict[str, Any] = {
        "event_type": event_type,
        "event_id": text(outer.get("MessageId")),
        "message_id": text(mail.get("messageId")),
        "message_id_header": _message_id_header(mail),
        # The times inside are of several clocks: a bounce has the recipient's server's.
        "timestamp": iso_time(outer.get("Timestamp"))
        or iso_time(details.get("timestamp"))
        or iso_time(mail.get("timestamp")),
        "reject_reason": _reject_reason(kind, event_type, details),
        "description": description,
        "click_url": text(details.get("link")),
        "user_agent": text(details.get("userAgent")),
        "tags": texts(_headers(mail, "X-Tag")),
        "metadata": _metadata(mail),
        "raw": raw,
    }
    if kind in RECIPIENTS:
        return [
            ProviderEvent(
                recipient=text(each.get("emailAddress")),
                mta_response=text(each.get("diagnosticCode")),
                is_hard=_is_hard(details, each) if kind == "Bounce" else None,
                **shared,
            )
            # An event without a recipient is one event still: the service matches by message.
            for each in mappings(details.get(RECIPIENTS[kind])) or [{}]
        ]
    return [
        ProviderEvent(
            recipient=each,
            mta_response=text(details.get("smtpResponse")),
            is_hard=False if event_type is ProviderEventType.REJECTED else None,
            **shared,
        )
        for each in texts(details.get("recipients")) or texts(mail.get("destination")) or (None,)
    ]


def _meaning(kind: str, details: dict[str, Any]) -> tuple[ProviderEventType, str | None]:
    """What happened, and SES's words about it."""
    event_type = EVENTS.get(kind, ProviderEventType.UNKNOWN)
    if kind == "Bounce":
        words = texts([details.get("bounceType"), details.get("bounceSubType")])
        return event_type, ": ".join(words) or None
    if kind == "Complaint":
        feedback = text(details.get("complaintFeedbackType"))
        # RFC 5965 and RFC 6430: the recipient takes a verdict back.
        is_complaint = feedback != "not-spam"
        return event_type if is_complaint else ProviderEventType.UNKNOWN, feedback
    if kind == "Subscription":
        return _subscription(details)
    for name in ("reason", "errorMessage", "delayType"):
        if found := text(details.get(name)):
            return event_type, found
    return event_type, None


def _subscription(details: dict[str, Any]) -> tuple[ProviderEventType, str | None]:
    """What a recipient changed about SES's own contact list."""
    new, old = (
        _preferences(details.get(x)) for x in ("newTopicPreferences", "oldTopicPreferences")
    )
    where = text(details.get("contactList"))
    if new[None] == "OptOut":
        return ProviderEventType.UNSUBSCRIBED, where
    for status, event_type in (
        ("OptOut", ProviderEventType.UNSUBSCRIBED),
        ("OptIn", ProviderEventType.SUBSCRIBED),
    ):
        changed = [x for x, now in new.items() if now == status != old.get(x)]
        if changed:
            topics = ", ".join(filter(None, changed))
            return event_type, ": ".join(filter(None, (where, topics))) or None
    return ProviderEventType.UNKNOWN, where


def _preferences(value: object) -> dict[str | None, str | None]:
    """OptIn or OptOut by topic; that of all topics under None."""
    preferences = mapping(value)
    statuses = {
        text(each.get("topicName")): text(each.get("subscriptionStatus"))
        for each in mappings(preferences.get("topicSubscriptionStatus"))
    }
    return {**statuses, None: "OptOut" if preferences.get("unsubscribeAll") is True else "OptIn"}


def _reject_reason(
    kind: str, event_type: ProviderEventType, details: dict[str, Any]
) -> RejectReason | None:
    if event_type is ProviderEventType.UNKNOWN:
        return None
    if event_type is ProviderEventType.UNSUBSCRIBED:
        return RejectReason.UNSUBSCRIBED
    if text(details.get("bounceSubType")) == "UnsubscribedRecipient":
        return RejectReason.UNSUBSCRIBED
    return REASONS.get(kind)


def _is_hard(bounce: dict[str, Any], recipient: dict[str, Any]) -> bool | None:
    kind = text(bounce.get("bounceType"))
    if kind not in {"Permanent", "Transient"}:  # Undetermined
        return None
    return (
        kind == "Permanent"
        and text(bounce.get("bounceSubType")) in HARD_SUBTYPES
        and not spares_address(recipient.get("status"))
    )


def _headers(mail: dict[str, Any], name: str) -> list[Any]:
    """The sent mail's headers of a name. SES gives them where the identity or the set wants it."""
    return [
        each.get("value")
        for each in mappings(mail.get("headers"))
        if (text(each.get("name")) or "").lower() == name.lower()
    ]


def _message_id_header(mail: dict[str, Any]) -> str | None:
    common = text(mapping(mail.get("commonHeaders")).get("messageId"))
    return common or next(iter(texts(_headers(mail, "Message-ID"))), None)


def _metadata(mail: dict[str, Any]) -> dict[str, Any]:
    """The header X-Metadata, and SES's message tags but for those that SES adds (`ses:...`)."""
    metadata: dict[str, Any] = {}
    for name, values in mapping(mail.get("tags")).items():
        found = texts(values)
        if found and not name.startswith("ses:"):
            metadata |= clean_metadata({name: found[0] if len(found) == 1 else list(found)})
    for each in _headers(mail, "X-Metadata"):
        metadata |= clean_metadata(json_mapping(each))
    return metadata

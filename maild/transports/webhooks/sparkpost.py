"""SparkPost's (Bird's) event webhooks. They are told by basic authentication; SparkPost's other
ways, OAuth 2.0 and custom headers, are not read.

Events: https://developers.sparkpost.com/api/webhooks/ and
https://support.sparkpost.com/docs/tech-resources/webhook-event-reference
Bounce classes: https://support.sparkpost.com/docs/deliverability/bounce-classification-codes
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
from maild.transports.webhooks.fields import (
    clean_metadata,
    iso_time,
    mapping,
    text,
    texts,
    unix_time,
)

TITLE = "SparkPost"
SIGNS = False
SECRET_IS = ""
KEPT_HEADERS: tuple[str, ...] = ()

EVENTS = {
    "injection": ProviderEventType.QUEUED,
    "delivery": ProviderEventType.DELIVERED,
    "delay": ProviderEventType.DEFERRED,
    "bounce": ProviderEventType.BOUNCED,
    "out_of_band": ProviderEventType.BOUNCED,
    "policy_rejection": ProviderEventType.REJECTED,
    "generation_rejection": ProviderEventType.REJECTED,
    "generation_failure": ProviderEventType.FAILED,
    "spam_complaint": ProviderEventType.COMPLAINED,
    "list_unsubscribe": ProviderEventType.UNSUBSCRIBED,
    "link_unsubscribe": ProviderEventType.UNSUBSCRIBED,
    # `initial_open` and `amp_initial_open` come besides an `open`, which is the one to count.
    "open": ProviderEventType.OPENED,
    "amp_open": ProviderEventType.OPENED,
    "click": ProviderEventType.CLICKED,
    "amp_click": ProviderEventType.CLICKED,
}
# The class of a bounce: why, and whether SparkPost's category for it is "Hard".
BOUNCE_CLASSES: dict[str, tuple[RejectReason, bool | None]] = {
    "1": (RejectReason.OTHER, None),  # undetermined
    "10": (RejectReason.INVALID, True),  # invalid recipient
    "20": (RejectReason.BOUNCED, False),  # soft bounce
    "21": (RejectReason.BOUNCED, False),  # DNS failure
    "22": (RejectReason.BOUNCED, False),  # mailbox full
    "23": (RejectReason.BOUNCED, False),  # too large
    "24": (RejectReason.TIMED_OUT, False),  # timeout
    "25": (RejectReason.BLOCKED, False),  # admin failure: a policy of the sender's
    "30": (RejectReason.BOUNCED, True),  # no recipient could be determined
    "40": (RejectReason.BOUNCED, False),  # generic
    "50": (RejectReason.BLOCKED, False),  # mail block
    "51": (RejectReason.SPAM, False),  # spam block
    "52": (RejectReason.SPAM, False),  # spam content
    "53": (RejectReason.BLOCKED, False),  # prohibited attachment
    "54": (RejectReason.BLOCKED, False),  # relaying denied
    "60": (RejectReason.OTHER, False),  # auto-reply
    "70": (RejectReason.BOUNCED, False),  # transient failure
    "80": (RejectReason.OTHER, False),  # subscribe request
    "90": (RejectReason.UNSUBSCRIBED, False),  # unsubscribe request
    "100": (RejectReason.OTHER, False),  # challenge-response
}
# Replies that SparkPost reports as bounces.
NO_BOUNCES = {
    "60": ProviderEventType.AUTORESPONDED,
    "80": ProviderEventType.SUBSCRIBED,
    "90": ProviderEventType.UNSUBSCRIBED,
    "100": ProviderEventType.AUTORESPONDED,
}
EVENT_REASONS = {
    ProviderEventType.REJECTED: RejectReason.BLOCKED,
    ProviderEventType.COMPLAINED: RejectReason.SPAM,
    ProviderEventType.UNSUBSCRIBED: RejectReason.UNSUBSCRIBED,
}


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature where basic authentication is configured and wrong."""
    check_basic_auth(request, keys)


def parse(request: Request) -> list[ProviderEvent]:
    """The events of a batch; none for the ping that is sent at setup. Raises UnreadablePayload."""
    batch = load_json(request.body)
    if not isinstance(batch, list) or not all(
        isinstance(each, dict) and isinstance(each.get("msys"), dict) for each in batch
    ):
        raise UnreadablePayload("a SparkPost payload is a list of JSON objects with a `msys` each")
    groups = [(name, record) for each in batch for name, record in each["msys"].items()]
    # https://developers.sparkpost.com/api/relay-webhooks/
    if groups and all(name == "relay_message" for name, _ in groups):
        raise UnreadablePayload(
            "This is a mail received by SparkPost, which maild does not handle:"
            " remove the relay webhook."
        )
    return [
        _event(record)
        for name, record in groups
        if isinstance(record, dict) and name != "relay_message"
    ]


def _event(record: dict[str, Any]) -> ProviderEvent:
    event_type = EVENTS.get(text(record.get("type")) or "", ProviderEventType.UNKNOWN)
    reject_reason = EVENT_REASONS.get(event_type)
    is_hard = False if event_type is ProviderEventType.REJECTED else None
    bounce_class = text(record.get("bounce_class")) or ""
    # A delay has a class too, and is no end.
    if event_type in {ProviderEventType.BOUNCED, ProviderEventType.REJECTED}:
        if event_type is ProviderEventType.BOUNCED:
            reject_reason = RejectReason.BOUNCED
            event_type = NO_BOUNCES.get(bounce_class, event_type)
        reject_reason, is_hard = BOUNCE_CLASSES.get(bounce_class, (reject_reason, is_hard))
    if event_type not in {ProviderEventType.BOUNCED, ProviderEventType.REJECTED}:
        is_hard = None
    return ProviderEvent(
        event_type=event_type,
        # `rcpt_to` is in lower case.
        recipient=text(record.get("raw_rcpt_to")) or text(record.get("rcpt_to")),
        event_id=text(record.get("event_id")),
        message_id=text(record.get("transmission_id")),
        timestamp=unix_time(record.get("timestamp")) or iso_time(record.get("timestamp")),
        reject_reason=reject_reason,
        is_hard=is_hard,
        mta_response=text(record.get("raw_reason")),
        description=text(record.get("reason")),
        click_url=text(record.get("target_link_url")),
        user_agent=text(record.get("user_agent")),
        tags=texts(record.get("campaign_id")),
        metadata=clean_metadata(mapping(record.get("rcpt_meta"))),
        raw=record,
    )

"""Twilio SendGrid's Event Webhook.

Events: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
Signature: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features

A signed time is not compared with the clock: SendGrid names no tolerance, does not say whether a
retry (it makes them for 24 hours) is signed again, and tells receivers to drop duplicates by
`sg_event_id`, which does away with replays too.
"""

from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.transports.webhooks.base import (
    BadSignature,
    Keys,
    Request,
    check_basic_auth,
    load_records,
    require_a_secret,
)
from maild.transports.webhooks.fields import (
    clean_metadata,
    mapping,
    spares_address,
    text,
    texts,
    unix_time,
)
from maild.transports.webhooks.public_keys import public_key, unbase64

TITLE = "SendGrid"
SIGNS = True
SECRET_IS = (
    "The verification key of the Signed Event Webhook: SendGrid shows it under Settings,"
    " Mail Settings, Event Webhook."
)
KEPT_HEADERS: tuple[str, ...] = ()

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

EVENTS = {
    "processed": ProviderEventType.QUEUED,
    "delivered": ProviderEventType.DELIVERED,
    "deferred": ProviderEventType.DEFERRED,
    "bounce": ProviderEventType.BOUNCED,
    "blocked": ProviderEventType.BOUNCED,
    "dropped": ProviderEventType.REJECTED,
    "open": ProviderEventType.OPENED,
    "click": ProviderEventType.CLICKED,
    "spamreport": ProviderEventType.COMPLAINED,
    "unsubscribe": ProviderEventType.UNSUBSCRIBED,
    "group_unsubscribe": ProviderEventType.UNSUBSCRIBED,
    "group_resubscribe": ProviderEventType.SUBSCRIBED,
}
# The `type` of a bounce. "bounce" is for good; the others pass, or are about reputation or content.
BOUNCE_REASONS = {
    "bounce": RejectReason.BOUNCED,
    "blocked": RejectReason.BLOCKED,
    "expired": RejectReason.TIMED_OUT,
}
# The `reason` of a drop: why SendGrid did not even try. Others are the sender's own faults.
DROP_REASONS = {
    "bounced address": RejectReason.BOUNCED,
    "invalid": RejectReason.INVALID,
    "spam content": RejectReason.SPAM,
    "spam reporting address": RejectReason.SPAM,
    "unsubscribed address": RejectReason.UNSUBSCRIBED,
}
OTHER_EVENT_REASONS = {
    ProviderEventType.COMPLAINED: RejectReason.SPAM,
    ProviderEventType.UNSUBSCRIBED: RejectReason.UNSUBSCRIBED,
}
# What SendGrid itself puts into an event; whatever else is there are the sender's unique arguments.
OWN_FIELDS = frozenset(
    {
        "asm_group_id",
        "attempt",
        "bounce_classification",
        "category",
        "cert_err",
        "cert_error",
        "content_type",
        "email",
        "event",
        "ip",
        "marketing_campaign_id",
        "marketing_campaign_name",
        "marketing_campaign_split_id",
        "marketing_campaign_version",
        "mc_auto_name",
        "mc_auto_step_id",
        "mc_pod_id",
        "mc_stats",
        "newsletter",
        "phase_id",
        "pool",
        "post_type",
        "reason",
        "response",
        "send_at",
        "sg_content_type",
        "sg_event_id",
        "sg_machine_open",
        "sg_message_id",
        "sg_template_id",
        "sg_template_name",
        "sg_user_id",
        "singlesend_id",
        "singlesend_name",
        "smtp-id",
        "status",
        "template_hash",
        "template_id",
        "template_version_id",
        "timestamp",
        "tls",
        "type",
        "unique_args",
        "url",
        "url_offset",
        "useragent",
    }
)


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature unless the signature and the basic authentication, as far as they are
    configured, are right.
    """
    require_a_secret(keys)
    check_basic_auth(request, keys)
    if keys.signing:
        _check_signature(request, keys)


def check_secret(secret: str) -> None:
    """Raises ValueError for what is no public key of an elliptic curve."""
    if _key(secret) is None:
        raise ValueError(
            "must be the verification key that SendGrid shows: base64 of a public key, which begins"
            " with MFkwEwYH"
        )


def _check_signature(request: Request, keys: Keys) -> None:
    given = request.headers.get(SIGNATURE, "")
    timestamp = request.headers.get(TIMESTAMP, "")
    if not given.strip() or not timestamp:
        raise BadSignature("the signature or its timestamp is missing")
    signature = unbase64(given)
    if signature is None:
        raise BadSignature("the signature is not base64")
    found = [key for each in keys.signing if (key := _key(each)) is not None]
    if not found:
        raise BadSignature("the saved verification key is no public key: save SendGrid's again")
    signed = timestamp.encode("utf-8", "replace") + request.body
    if not any(_fits(key, signature, signed) for key in found):
        raise BadSignature("the signature does not fit the body, the timestamp, and the key")


def _key(spelled: str) -> EllipticCurvePublicKey | None:
    found = public_key(spelled)
    return found if isinstance(found, EllipticCurvePublicKey) else None


def _fits(key: EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def parse(request: Request) -> list[ProviderEvent]:
    """The events of a batch. Raises UnreadablePayload."""
    return [event for each in load_records(request.body) for event in parse_record(each)]


def is_record(record: dict[str, Any]) -> bool:
    """Whether this is one event of SendGrid's."""
    has_id = any(text(record.get(name)) for name in ("sg_event_id", "sg_message_id", "smtp-id"))
    return has_id and text(record.get("event")) is not None


def parse_record(record: dict[str, Any]) -> list[ProviderEvent]:
    """The one event that a JSON object of a batch is."""
    event_type = EVENTS.get(text(record.get("event")) or "", ProviderEventType.UNKNOWN)
    reason = text(record.get("reason"))
    reject_reason = _reject_reason(record, event_type)
    is_dropped = event_type is ProviderEventType.REJECTED
    return [
        ProviderEvent(
            event_type=event_type,
            recipient=text(record.get("email")),
            event_id=text(record.get("sg_event_id")),
            # Opens and clicks come without the Message-ID.
            message_id=text(record.get("smtp-id")) or text(record.get("sg_message_id")),
            message_id_header=text(record.get("smtp-id")),
            timestamp=unix_time(record.get("timestamp")),
            reject_reason=reject_reason,
            is_hard=_is_hard(record, event_type, reject_reason),
            # A dropped message never met a server; `reason` is SendGrid's own there.
            mta_response=None if is_dropped else text(record.get("response")) or reason,
            description=reason if is_dropped and reject_reason is RejectReason.OTHER else None,
            click_url=text(record.get("url")),
            user_agent=text(record.get("useragent")),
            tags=texts(record.get("category")),
            metadata=clean_metadata(mapping(record.get("unique_args")))
            | clean_metadata(record, without=OWN_FIELDS),
            raw=record,
        )
    ]


def _reject_reason(record: dict[str, Any], event_type: ProviderEventType) -> RejectReason | None:
    if event_type is ProviderEventType.BOUNCED:
        kind = text(record.get("type")) or text(record.get("event")) or ""
        return BOUNCE_REASONS.get(kind.lower(), RejectReason.BOUNCED)
    if event_type is ProviderEventType.REJECTED:
        # Spam Content comes with a remark in parentheses.
        reason = (text(record.get("reason")) or "").partition("(")[0].strip().lower()
        return DROP_REASONS.get(reason, RejectReason.OTHER)
    return OTHER_EVENT_REASONS.get(event_type)


def _is_hard(
    record: dict[str, Any], event_type: ProviderEventType, reason: RejectReason | None
) -> bool | None:
    """A bounce is hard where SendGrid calls the address invalid, or, in payloads without a
    classification, where the type is "bounce". An address on SendGrid's bounce list may have got
    there by any refusal, so a drop for that says nothing.
    """
    if event_type is ProviderEventType.REJECTED:
        if reason is RejectReason.BOUNCED:
            return None
        return reason is RejectReason.INVALID
    if event_type is not ProviderEventType.BOUNCED:
        return None
    if reason is not RejectReason.BOUNCED or spares_address(record.get("status")):
        return False
    classification = (text(record.get("bounce_classification")) or "").lower()
    if classification == "unclassified":
        return None
    return classification in {"", "invalid address"}

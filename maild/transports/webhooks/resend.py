"""Resend's webhooks, signed as of Standard Webhooks (by Svix).

https://resend.com/docs/webhooks/event-types and
https://resend.com/docs/webhooks/verify-webhooks-requests say what comes;
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md how it is
signed. The reasons of a bounce are those of Amazon SES, by which Resend sends.
"""

import base64
import hashlib
import hmac
import math
from typing import Any

from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.transports.webhooks.base import (
    BadSignature,
    Keys,
    Request,
    UnreadablePayload,
    any_same,
    check_basic_auth,
    check_fresh,
    load_json,
    require_a_secret,
)
from maild.transports.webhooks.fields import iso_time, mapping, mappings, number, text, texts

TITLE = "Resend"
SIGNS = True
SECRET_IS = "The webhook's signing secret, whsec_..., which Resend shows on the webhook's own page."
KEPT_HEADERS = ("svix-id", "webhook-id")

EVENT_TYPES = {
    "email.scheduled": ProviderEventType.QUEUED,
    "email.sent": ProviderEventType.SENT,
    "email.delivered": ProviderEventType.DELIVERED,
    "email.delivery_delayed": ProviderEventType.DEFERRED,
    "email.bounced": ProviderEventType.BOUNCED,
    "email.suppressed": ProviderEventType.REJECTED,
    "email.failed": ProviderEventType.FAILED,
    "email.complained": ProviderEventType.COMPLAINED,
    "email.opened": ProviderEventType.OPENED,
    "email.clicked": ProviderEventType.CLICKED,
}

# https://resend.com/docs/webhooks/emails/bounced: its type says whether it is for good. Sub-types:
# https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types
IS_HARD = {"permanent": True, "transient": False}
# These sub-types say another thing than "the address is bad", whatever the type:
# on_account_suppression_list may come of a complaint, and then nothing is wrong with the address.
SUPPRESSED = frozenset({"suppressed", "onaccountsuppressionlist"})
BLOCKED = frozenset({"contentrejected", "attachmentrejected"})


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature."""
    require_a_secret(keys)
    check_basic_auth(request, keys)
    if keys.signing:
        _check_signature(request, keys)


def _check_signature(request: Request, keys: Keys) -> None:
    message_id = _header(request, "id")
    seconds = number(_header(request, "timestamp"))
    if not message_id or seconds is None:
        raise BadSignature("the svix headers are missing or odd")
    timestamp = math.floor(seconds)
    content = f"{message_id}.{timestamp}.".encode("utf-8", "replace") + request.body
    given = [
        signature.encode("utf-8", "replace")
        for version, _, signature in (
            each.partition(",") for each in _header(request, "signature").split()
        )
        if version == "v1"
    ]
    valid = [
        base64.b64encode(hmac.digest(key, content, hashlib.sha256))
        for key in _secrets(keys.signing)
    ]
    if not any(any_same(each, valid) for each in given):
        raise BadSignature("no signature fits the body and a secret")
    check_fresh(timestamp, request, keys)


def _header(request: Request, name: str) -> str:
    return request.headers.get(f"svix-{name}") or request.headers.get(f"webhook-{name}", "")


def check_secret(secret: str) -> None:
    """Raises ValueError for what is not base64 behind an optional whsec_."""
    if not _secret(secret):
        raise ValueError(
            "must be the signing secret that Resend shows on the webhook's own page: whsec_ and"
            " base64"
        )


def _secrets(written: tuple[str, ...]) -> list[bytes]:
    """The secrets that are base64 behind an optional whsec_. Raises BadSignature for none."""
    found = [secret for each in written if (secret := _secret(each))]
    if not found:
        raise BadSignature("the signing secret is not whsec_ and base64")
    return found


def _secret(written: str) -> bytes | None:
    try:
        return base64.b64decode(written.strip().removeprefix("whsec_"), validate=True)
    except ValueError:  # binascii.Error, or letters that are not ASCII
        return None


def parse(request: Request) -> list[ProviderEvent]:
    """One event for each address in `to`. Raises UnreadablePayload."""
    record = load_json(request.body)
    if not isinstance(record, dict):
        raise UnreadablePayload("not a JSON object")
    name = text(record.get("type")) or ""
    if name == "email.received":
        raise UnreadablePayload(
            "email.received is incoming mail: leave it out of this webhook's events at Resend"
        )
    event_type = EVENT_TYPES.get(name, ProviderEventType.UNKNOWN)
    data = mapping(record.get("data"))
    # A contact's or a domain's event is about no message, so nobody is its recipient.
    recipients = texts(data.get("to")) if name.startswith("email.") else ()
    visit = mapping(data.get("click") or data.get("open"))
    reject_reason, is_hard = _verdict(event_type, data)
    return [
        ProviderEvent(
            event_type=event_type,
            recipient=recipient,
            event_id=_header(request, "id") or None,
            message_id=text(data.get("email_id")),
            message_id_header=text(data.get("message_id")) or _message_id_header(data),
            timestamp=iso_time(record.get("created_at")),
            reject_reason=reject_reason,
            is_hard=is_hard,
            mta_response="\n".join(texts(mapping(data.get("bounce")).get("diagnosticCode")))
            or None,
            description=_description(data),
            click_url=text(visit.get("link")),
            user_agent=text(visit.get("userAgent")),
            metadata=_metadata(data.get("tags")),
            raw=record,
        )
        for recipient in recipients or (None,)
    ]


def _verdict(
    event_type: ProviderEventType, data: dict[str, Any]
) -> tuple[RejectReason | None, bool | None]:
    if event_type is ProviderEventType.REJECTED:  # on a suppression list, which does not say why
        return RejectReason.BLOCKED, None
    if event_type is not ProviderEventType.BOUNCED:
        return None, None
    bounce = mapping(data.get("bounce"))
    kind, sub_kind = (
        (text(bounce.get("type")) or "").lower(),
        (text(bounce.get("subType")) or "").lower(),
    )
    # Before it had types, Resend told a suppression by the message alone.
    old_suppression = not kind and "suppress" in (text(bounce.get("message")) or "").lower()
    if sub_kind in SUPPRESSED or old_suppression:
        # "Suppressed" is by SES's own list, which holds addresses that bounced for good.
        return RejectReason.BLOCKED, True if sub_kind == "suppressed" else None
    if sub_kind in BLOCKED:
        return RejectReason.BLOCKED, False
    return RejectReason.BOUNCED, IS_HARD.get(kind)


def _description(data: dict[str, Any]) -> str | None:
    told = (
        mapping(data.get("bounce")).get("message"),
        mapping(data.get("failed")).get("reason"),
        mapping(data.get("suppressed")).get("message"),
    )
    return next((found for each in told if (found := text(each))), None)


def _message_id_header(data: dict[str, Any]) -> str | None:
    for header in mappings(data.get("headers")):
        if (text(header.get("name")) or "").lower() == "message-id":
            return text(header.get("value"))
    return None


def _metadata(tags: object) -> dict[str, Any]:
    """Resend's tags are names with values: an object, or a list of {name, value}."""
    pairs = ((each.get("name"), each.get("value")) for each in mappings(tags))
    return mapping(tags) or {name: value for key, value in pairs if (name := text(key))}

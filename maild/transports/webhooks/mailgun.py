"""Mailgun's webhooks: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks

They are JSON, `{"signature": ..., "event-data": ...}`, or, from addresses that were set before
2018, a form with everything flat. The signature covers a timestamp and a token, and not the event:
whoever has seen one request can send another event with its signature. So a signature serves for a
day at most, and the caller remembers the tokens, which are the event ids here (Mailgun's own are
unique within a day only).
"""

import hmac
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
from maild.transports.webhooks.fields import (
    clean_metadata,
    form_lists,
    json_mapping,
    mapping,
    spares_address,
    spelled_json,
    text,
    texts,
    unix_time,
)

TITLE = "Mailgun"
SIGNS = True
SECRET_IS = "The HTTP webhook signing key: Mailgun shows it under API Security."
KEPT_HEADERS: tuple[str, ...] = ()

# Mailgun repeats a refused request for eight hours, and does not say that it signs it again.
MAX_AGE_SECONDS = 24 * 60 * 60
TIMESTAMP = re.compile(r"[0-9]{10}")

EVENTS = {
    "accepted": ProviderEventType.QUEUED,
    "rejected": ProviderEventType.REJECTED,
    "delivered": ProviderEventType.DELIVERED,
    "failed": ProviderEventType.BOUNCED,
    "opened": ProviderEventType.OPENED,
    "clicked": ProviderEventType.CLICKED,
    "unsubscribed": ProviderEventType.UNSUBSCRIBED,
    "complained": ProviderEventType.COMPLAINED,
}
LEGACY_EVENTS = EVENTS | {
    "bounced": ProviderEventType.BOUNCED,
    "dropped": ProviderEventType.REJECTED,
}
# The `reason` of a failure.
REASONS = {
    "bounce": RejectReason.BOUNCED,
    "delayed-bounce": RejectReason.BOUNCED,
    "suppress-bounce": RejectReason.BOUNCED,
    "suppress-complaint": RejectReason.SPAM,
    "suppress-unsubscribe": RejectReason.UNSUBSCRIBED,
    "espblock": RejectReason.BLOCKED,
    "old": RejectReason.TIMED_OUT,
}
# Mailgun's own codes, beyond those of SMTP: a message to an address on its suppression lists.
OWN_CODES = {
    "499": RejectReason.TIMED_OUT,
    "605": RejectReason.BOUNCED,
    "606": RejectReason.UNSUBSCRIBED,
    "607": RejectReason.SPAM,
}
# Its bounce list holds permanent mailbox errors only, not full mailboxes or spam verdicts:
# https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/bounces
HARD_REASONS = {"bounce", "suppress-bounce"}
UNCLEAR_REASONS = {"", "generic", "delayed-bounce", "hardfail"}
# What Mailgun itself puts into a legacy form, in lower case; the rest are the sender's variables.
LEGACY_FIELDS = frozenset(
    {
        *("event", "recipient", "domain", "timestamp", "token", "signature", "message-id"),
        *("message-headers", "ip", "country", "region", "city", "user-agent", "device-type"),
        *("client-type", "client-name", "client-os", "campaign-id", "campaign-name", "tag"),
        *("mailing-list", "url", "code", "error", "notification", "reason", "description"),
        *("attachment-count", "body-plain", "subject", "from", "sender"),
    }
)
LEGACY_PREFIXES = ("x-mailgun-", "attachment-")


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature unless the signature and the basic authentication, as far as they are
    configured, are right. The caller refuses a token that it has seen with another event.
    """
    require_a_secret(keys)
    check_basic_auth(request, keys)
    if keys.signing:
        _check_signature(request, keys)


def _check_signature(request: Request, keys: Keys) -> None:
    try:
        record = _record(request)
    except UnreadablePayload as error:
        raise BadSignature(f"there is no signature: {error}") from None
    block = _signature_block(record)
    timestamp, token, given = (text(block.get(x)) for x in ("timestamp", "token", "signature"))
    if timestamp is None or token is None or given is None:
        raise BadSignature("the signature, its timestamp, or its token is missing")
    # Nothing separates the two in what is signed: with a timestamp of another length, the same
    # signature would hold for another token.
    if not TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("the signed time is not ten digits")
    signed = (timestamp + token).encode()
    if not any_same(given, [_hmac(each, signed) for each in keys.signing]):
        raise BadSignature("the signature does not fit the timestamp, the token, and the key")
    if abs(request.received_at.timestamp() - int(timestamp)) > MAX_AGE_SECONDS:
        raise BadSignature("the signed time is more than a day off")


def _signature_block(record: dict[str, Any]) -> dict[str, Any]:
    """Where the signature's fields are: the same place for checking it and for the event's id."""
    if isinstance(record.get("event-data"), dict):
        return mapping(record.get("signature"))
    return {name: _last(record, name) for name in ("timestamp", "token", "signature")}


def _hmac(key: str, signed: bytes) -> str:
    return hmac.new(key.strip().encode("utf-8", "replace"), signed, "sha256").hexdigest()


def parse(request: Request) -> list[ProviderEvent]:
    """The one event of a request. Raises UnreadablePayload."""
    return parse_record(_record(request))


def _record(request: Request) -> dict[str, Any]:
    """The JSON object, or a form as one, with a list of values for each field."""
    if request.content_type.partition(";")[0].strip().lower() in {
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }:
        return dict(form_lists(request))
    record = load_json(request.body)
    if not isinstance(record, dict):
        raise UnreadablePayload("a Mailgun payload is a JSON object")
    return record


def is_record(record: dict[str, Any]) -> bool:
    """Whether this is an event of Mailgun's, in either form."""
    if isinstance(record.get("event-data"), dict):
        return text(record["event-data"].get("event")) is not None
    return text(_last(record, "event")) in LEGACY_EVENTS and all(
        text(_last(record, name)) for name in ("timestamp", "token", "signature")
    )


def parse_record(record: dict[str, Any]) -> list[ProviderEvent]:
    """The one event that a JSON object of either form is. Raises UnreadablePayload."""
    if isinstance(record.get("event-data"), dict):
        return [_event(record, record["event-data"])]
    if text(_last(record, "event")) is None:
        raise UnreadablePayload(
            "This is no event of Mailgun's. If it is a mail received by Mailgun, which maild does"
            " not handle, remove the address from the route's action."
        )
    return [_legacy_event(record)]


def _event(record: dict[str, Any], data: dict[str, Any]) -> ProviderEvent:
    event_type = EVENTS.get(text(data.get("event")) or "", ProviderEventType.UNKNOWN)
    if event_type is ProviderEventType.BOUNCED and text(data.get("severity")) == "temporary":
        event_type = ProviderEventType.DEFERRED
    status, refusal = mapping(data.get("delivery-status")), mapping(data.get("reject"))
    return ProviderEvent(
        event_type=event_type,
        recipient=text(data.get("recipient")),
        event_id=text(_signature_block(record).get("token")) or text(data.get("id")),
        message_id=_bracketed(_sent_headers(data).get("message-id")),
        message_id_header=_bracketed(_sent_headers(data).get("message-id")),
        timestamp=unix_time(data.get("timestamp")),
        reject_reason=_reject_reason(data, status, refusal),
        is_hard=_is_hard(data, status, event_type),
        mta_response=text(status.get("message")),
        description=text(status.get("description"))
        or text(refusal.get("description"))
        or text(refusal.get("reason")),
        click_url=text(data.get("url")),
        user_agent=text(mapping(data.get("client-info")).get("user-agent")),
        tags=texts(data.get("tags")),
        metadata=clean_metadata(mapping(data.get("user-variables"))),
        raw=record,
    )


def _sent_headers(data: dict[str, Any]) -> dict[str, Any]:
    return mapping(mapping(data.get("message")).get("headers"))


def _bracketed(message_id: object) -> str | None:
    """With the angle brackets that it has in the mail, and that Mailgun leaves out in places."""
    found = text(message_id)
    return f"<{found}>" if found and not found.startswith("<") else found


def _reject_reason(
    data: dict[str, Any], status: dict[str, Any], refusal: dict[str, Any]
) -> RejectReason | None:
    reason = text(data.get("reason"))
    if reason is None:
        return RejectReason.OTHER if refusal else None
    own_reason = OWN_CODES.get(text(status.get("code")) or "", RejectReason.OTHER)
    return REASONS.get(reason, own_reason)


def _is_hard(
    data: dict[str, Any], status: dict[str, Any], event_type: ProviderEventType
) -> bool | None:
    if event_type is ProviderEventType.REJECTED:
        return False
    if event_type is not ProviderEventType.BOUNCED:
        return None
    reason = text(data.get("reason")) or ""
    if text(status.get("bounce-type")) == "soft" or spares_address(status.get("enhanced-code")):
        return False
    if reason in HARD_REASONS:
        return not spares_address(status.get("message"))
    return None if reason in UNCLEAR_REASONS else False


def _legacy_event(record: dict[str, Any]) -> ProviderEvent:
    event_type = LEGACY_EVENTS.get(text(_last(record, "event")) or "", ProviderEventType.UNKNOWN)
    headers = _legacy_headers(record)
    message_id = _first(record, "Message-Id") or _first(record, "message-id")
    message_id = _bracketed(message_id or next(iter(headers.get("message-id", ())), None))
    return ProviderEvent(
        event_type=event_type,
        recipient=_first(record, "recipient"),
        event_id=text(_signature_block(record).get("token")),
        message_id=message_id,
        message_id_header=message_id,
        timestamp=unix_time(_last(record, "timestamp")),
        reject_reason=_legacy_reason(record, event_type),
        is_hard=_legacy_is_hard(record, event_type),
        mta_response=_first(record, "error") or _first(record, "notification"),
        description=_first(record, "description"),
        click_url=_first(record, "url"),
        user_agent=_first(record, "user-agent"),
        tags=texts(record.get("tag"))
        or texts(record.get("X-Mailgun-Tag"))
        or texts(headers.get("x-mailgun-tag")),
        metadata=_legacy_metadata(record, headers),
        raw=record,
    )


# A sender's variable may have the name of a field of Mailgun's. Then the form holds both: the
# signature's fields are the last of their name, and all others the first.
def _first(record: dict[str, Any], name: str) -> str | None:
    return next(iter(texts(record.get(name))), None)


def _last(record: dict[str, Any], name: str) -> str | None:
    return next(reversed(texts(record.get(name))), None)


def _legacy_headers(record: dict[str, Any]) -> dict[str, list[Any]]:
    """The sent mail's headers by their names in lower case."""
    headers: dict[str, list[Any]] = {}
    pairs = spelled_json(_first(record, "message-headers"))
    for pair in pairs if isinstance(pairs, list) else []:
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str):
            headers.setdefault(pair[0].lower(), []).append(pair[1])
    return headers


def _legacy_reason(record: dict[str, Any], event_type: ProviderEventType) -> RejectReason | None:
    if event_type is ProviderEventType.COMPLAINED:
        return RejectReason.SPAM
    if event_type is ProviderEventType.UNSUBSCRIBED:
        return RejectReason.UNSUBSCRIBED
    if event_type not in {ProviderEventType.BOUNCED, ProviderEventType.REJECTED}:
        return None
    code, reason = _first(record, "code") or "", _first(record, "reason") or ""
    if code in OWN_CODES or reason in REASONS:
        return OWN_CODES.get(code) or REASONS[reason]
    return RejectReason.BOUNCED if code[:1] in {"", "4", "5"} else RejectReason.OTHER


def _legacy_is_hard(record: dict[str, Any], event_type: ProviderEventType) -> bool | None:
    code, reason = _first(record, "code") or "", _first(record, "reason") or ""
    if event_type is ProviderEventType.REJECTED:
        if code == "605":
            return True
        return False if code in OWN_CODES or reason in REASONS else None
    if event_type is not ProviderEventType.BOUNCED:
        return None
    # Legacy bounces are permanent ones by definition; the codes say of what.
    return not (spares_address(code) or spares_address(_first(record, "error")))


def _legacy_metadata(record: dict[str, Any], headers: dict[str, list[Any]]) -> dict[str, Any]:
    """From the sent headers, where they are given; else all fields that are not Mailgun's."""
    if "message-headers" in record:
        metadata: dict[str, Any] = {}
        for each in headers.get("x-mailgun-variables", ()):
            metadata |= clean_metadata(json_mapping(each))
        return metadata
    return {
        name: found
        for name in record
        if name.lower() not in LEGACY_FIELDS
        and not name.lower().startswith(LEGACY_PREFIXES)
        and (found := _last(record, name)) is not None
    }

"""The webhooks of Mandrill, which is Mailchimp Transactional.

https://mandrill.zendesk.com/hc/en-us/articles/205583307-Message-Event-Webhook-Format lists the
events, https://mandrill.zendesk.com/hc/en-us/articles/205583257-How-to-Authenticate-Webhook-Requests
the signature: it is over the address that Mandrill was given, letter by letter, and all fields of
the form.
"""

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.transports.webhooks.base import (
    BadSignature,
    Keys,
    Request,
    UnreadablePayload,
    any_same,
    check_basic_auth,
    load_records,
    require_a_secret,
)
from maild.transports.webhooks.fields import form, mapping, mappings, text, texts, unix_time

TITLE = "Mandrill (Mailchimp Transactional)"
SIGNS = True
SECRET_IS = "The webhook's key, which Mandrill shows in its list of webhooks, under Settings."
KEPT_HEADERS: tuple[str, ...] = ()

# Before it saves a webhook, Mandrill tries the address with HEAD, or else with no events, signed
# with this key: https://mandrill.zendesk.com/hc/en-us/articles/360038740014
TEST_KEY = "test-webhook"

EVENT_TYPES = {
    "send": ProviderEventType.SENT,
    "delivered": ProviderEventType.DELIVERED,
    "deferral": ProviderEventType.DEFERRED,
    "soft_bounce": ProviderEventType.BOUNCED,
    "hard_bounce": ProviderEventType.BOUNCED,
    "reject": ProviderEventType.REJECTED,
    "spam": ProviderEventType.COMPLAINED,
    "unsub": ProviderEventType.UNSUBSCRIBED,
    "open": ProviderEventType.OPENED,
    "click": ProviderEventType.CLICKED,
}
# Reason and is_hard, where the name of the event says enough.
VERDICTS: dict[str, tuple[RejectReason, bool | None]] = {
    "soft_bounce": (RejectReason.BOUNCED, False),
    "hard_bounce": (RejectReason.BOUNCED, True),
    "reject": (RejectReason.BLOCKED, None),
    "spam": (RejectReason.SPAM, None),
    "unsub": (RejectReason.UNSUBSCRIBED, None),
}
# Why Mandrill did not send, its denylist or a rule: the reject_reason of
# https://mailchimp.com/developer/transactional/api/messages/send-new-message/
REJECTIONS: dict[str, tuple[RejectReason, bool | None]] = {
    "hard-bounce": (RejectReason.BOUNCED, True),
    "soft-bounce": (RejectReason.BOUNCED, False),
    "invalid": (RejectReason.INVALID, True),
    "spam": (RejectReason.SPAM, False),
    "unsub": (RejectReason.UNSUBSCRIBED, False),
    "custom": (RejectReason.BLOCKED, False),
    "rule": (RejectReason.BLOCKED, False),
    "invalid-sender": (RejectReason.OTHER, False),
    "test-mode-limit": (RejectReason.OTHER, False),
    "unsigned": (RejectReason.OTHER, False),
}


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature. A test needs no key of ours: it comes before there is any."""
    given = request.headers.get("x-mandrill-signature", "").strip()
    try:
        fields = form(request)
    except UnreadablePayload:
        fields = {}
    is_test = fields.get("mandrill_events", "").strip() == "[]" and _is_signed(
        given, request, fields, (TEST_KEY,)
    )
    if not is_test:
        require_a_secret(keys)
    check_basic_auth(request, keys)
    if keys.signing and not is_test and not _is_signed(given, request, fields, keys.signing):
        raise BadSignature("the signature is missing, or fits no key and address")


def _is_signed(
    given: str, request: Request, fields: dict[str, str], secrets: tuple[str, ...]
) -> bool:
    content = "".join(name + fields[name] for name in sorted(fields))
    valid = [
        base64.b64encode(
            # SHA-1 is Mandrill's scheme; with a key, as here, it is not broken.
            hmac.new(
                secret.encode("utf-8", "replace"),
                (url + content).encode("utf-8", "replace"),
                hashlib.sha1,
            ).digest()
        )
        for url in _urls(request)
        for secret in secrets
    ]
    return any_same(given.encode("utf-8", "replace"), valid)


def _urls(request: Request) -> list[str]:
    """The endpoint's address, and the same as Mandrill knows it where it sends a user along.

    Mandrill signs the address as it was entered, so user and password are in it; what they are
    stands in the request's own header.
    """
    urls = [request.url]
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user = base64.b64decode(encoded.strip(), validate=True).decode()
            parts = urlsplit(request.url)
        except ValueError:  # also binascii.Error and UnicodeDecodeError
            return urls
        host = parts.netloc.rpartition("@")[2]
        urls.append(urlunsplit(parts._replace(netloc=f"{user}@{host}")))
    return urls


def parse(request: Request) -> list[ProviderEvent]:
    """Raises UnreadablePayload."""
    events = form(request).get("mandrill_events")
    if events is None:
        raise UnreadablePayload("the form has no field mandrill_events")
    records = load_records(events.encode("utf-8", "replace"))
    return [_event(record) for record in records]


def _event(record: dict[str, Any]) -> ProviderEvent:
    name = text(record.get("event")) or ""
    if name == "inbound":
        raise UnreadablePayload(
            "this is incoming mail: use this address for message events, not for an inbound route"
        )
    if not name and "type" in record:
        return _sync_event(record)
    message = mapping(record.get("msg"))
    reject_reason, is_hard = _verdict(name, record, message)
    return ProviderEvent(
        event_type=EVENT_TYPES.get(name, ProviderEventType.UNKNOWN),
        recipient=text(message.get("email")),
        message_id=text(message.get("_id")) or text(record.get("_id")),
        timestamp=unix_time(record.get("ts")),
        reject_reason=reject_reason,
        is_hard=is_hard,
        mta_response=text(message.get("diag")) or _last_reply(message),
        description=text(message.get("bounce_description")) or _rejection(record, message),
        click_url=text(record.get("url")),
        user_agent=text(record.get("user_agent")),
        tags=texts(message.get("tags")),
        metadata=mapping(message.get("metadata")),
        raw=record,
    )


def _verdict(
    name: str, record: dict[str, Any], message: dict[str, Any]
) -> tuple[RejectReason | None, bool | None]:
    reject_reason, is_hard = VERDICTS.get(name, (None, None))
    if name == "reject":
        return REJECTIONS.get(_rejection(record, message) or "", (reject_reason, is_hard))
    return reject_reason, is_hard


def _rejection(record: dict[str, Any], message: dict[str, Any]) -> str | None:
    """Why Mandrill did not send."""
    for found in (message.get("reject"), record.get("reject")):
        if reason := text(mapping(found).get("reason")):
            return reason
    return text(message.get("reject_reason"))


def _last_reply(message: dict[str, Any]) -> str | None:
    """What the recipient's server said in the latest of the attempts that are listed."""
    attempts = mappings(message.get("smtp_events"))
    return text(attempts[-1].get("diag")) if attempts else None


def _sync_event(record: dict[str, Any]) -> ProviderEvent:
    """An address was put on Mandrill's denylist or allowlist, or taken from it: for the record."""
    entry = mapping(record.get("reject")) or mapping(record.get("entry"))
    return ProviderEvent(
        event_type=ProviderEventType.UNKNOWN,
        recipient=text(entry.get("email")),
        timestamp=unix_time(record.get("ts")),
        description=text(entry.get("reason")) or text(entry.get("detail")),
        raw=record,
    )

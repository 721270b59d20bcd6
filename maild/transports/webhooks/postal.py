"""Postal's webhooks: https://docs.postalserver.io/developer/webhooks

Each request is signed with the installation's RSA key: `X-Postal-Signature-256` (RSA-SHA256, since
Postal 3) and `X-Postal-Signature` (RSA-SHA1). Nothing in a request says when it was signed, so a
repeated one is told by the event's `uuid`.
"""

from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason
from maild.transports.webhooks.base import (
    BadSignature,
    Keys,
    Request,
    UnreadablePayload,
    check_basic_auth,
    load_json,
    require_a_secret,
)
from maild.transports.webhooks.fields import mapping, text, texts, unix_time
from maild.transports.webhooks.public_keys import public_key, unbase64

TITLE = "Postal"
SIGNS = True
SECRET_IS = (
    "The public key of the Postal installation, as in its DKIM record: the text after p=,"
    " which `postal default-dkim-record` prints."
)
KEPT_HEADERS: tuple[str, ...] = ()

EVENTS = {
    "MessageSent": ProviderEventType.DELIVERED,
    "MessageDelayed": ProviderEventType.DEFERRED,
    # Postal has given up: refused for good, or tried for as long as it does.
    "MessageDeliveryFailed": ProviderEventType.BOUNCED,
    "MessageBounced": ProviderEventType.BOUNCED,
    # Waits for a person's decision in Postal.
    "MessageHeld": ProviderEventType.QUEUED,
    "MessageLoaded": ProviderEventType.OPENED,
    "MessageLinkClicked": ProviderEventType.CLICKED,
}
# The payload that Postal posts to an HTTP endpoint of a route:
# https://docs.postalserver.io/developer/http-payloads
INBOUND_FIELDS = ("rcpt_to", "mail_from")


def verify(request: Request, keys: Keys) -> None:
    """Raises BadSignature unless the signature and the basic authentication, as far as they are
    configured, are right.
    """
    require_a_secret(keys)
    check_basic_auth(request, keys)
    if keys.signing:
        _check_signature(request, keys)


def check_secret(secret: str) -> None:
    """Raises ValueError for what is no public RSA key."""
    if _key(secret) is None:
        raise ValueError(
            "must be the public key of the Postal installation: base64 of an RSA key, the text"
            " between p= and ; that `postal default-dkim-record` prints"
        )


def _check_signature(request: Request, keys: Keys) -> None:
    given = request.headers.get("x-postal-signature-256")
    algorithm: SHA1 | SHA256 = SHA256()
    if given is None:
        given = request.headers.get("x-postal-signature", "")
        # All that a Postal before 3 signs with.
        algorithm = SHA1()  # noqa: S303  # nosec B303
    if not given.strip():
        raise BadSignature("the signature is missing")
    signature = unbase64(given)
    if signature is None:
        raise BadSignature("the signature is not base64")
    found = [key for each in keys.signing if (key := _key(each)) is not None]
    if not found:
        raise BadSignature("the saved key is no public RSA key: save that of the installation")
    if not any(_fits(key, signature, request.body, algorithm) for key in found):
        raise BadSignature("the signature does not fit the body and the key")


def _key(spelled: str) -> RSAPublicKey | None:
    found = public_key(spelled)
    return found if isinstance(found, RSAPublicKey) else None


def _fits(key: RSAPublicKey, signature: bytes, body: bytes, algorithm: SHA1 | SHA256) -> bool:
    try:
        key.verify(signature, body, PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


def parse(request: Request) -> list[ProviderEvent]:
    """The one event of a request. Raises UnreadablePayload."""
    record = load_json(request.body)
    if not isinstance(record, dict):
        raise UnreadablePayload("a Postal payload is a JSON object")
    name = text(record.get("event"))
    if name is None and any(field in record for field in INBOUND_FIELDS):
        raise UnreadablePayload(
            "This is a mail received by Postal, which maild does not handle:"
            " use the address as a webhook, not as an HTTP endpoint of a route."
        )
    if name is None:
        raise UnreadablePayload("a Postal payload has an `event`")
    return [_event(record, EVENTS.get(name, ProviderEventType.UNKNOWN))]


def _event(record: dict[str, Any], event_type: ProviderEventType) -> ProviderEvent:
    payload = mapping(record.get("payload"))
    # A bounce mail comes with the message that it answers.
    message = mapping(payload.get("original_message")) or mapping(payload.get("message"))
    is_bounced = event_type is ProviderEventType.BOUNCED
    return ProviderEvent(
        event_type=event_type,
        recipient=text(message.get("to")),
        event_id=text(record.get("uuid")),
        message_id=text(message.get("id")),
        message_id_header=text(message.get("message_id")),
        timestamp=unix_time(record.get("timestamp")),
        reject_reason=RejectReason.BOUNCED if is_bounced else None,
        mta_response=text(payload.get("output")),
        description=text(payload.get("details")),
        click_url=text(payload.get("url")),
        user_agent=text(payload.get("user_agent")),
        tags=texts(message.get("tag")),
        raw=record,
    )

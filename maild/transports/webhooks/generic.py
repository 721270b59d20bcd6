"""maild's own webhook format: `POST /v1/webhooks/events`, as docs/api.md has it.

The body is one entry or an array of them. An entry is an object in maild's own shape,

    {workspace_id?, type, email, reason?, message_id?, event_id?, timestamp?, metadata?}

or one that a provider sends, which is told by fields that only this provider has. So a relay, a
script or a workflow tool can forward what it gets without translating it.

`type` is one of the words in TYPES, in any case and with `_`, `-`, space or nothing between its
parts; names of an API before it, such as `email.` or `message.`, do not matter. Whether a plain
bounce is for good may be told by `bounce_type` or `severity`.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any

from maild.domain.provider_event import GENERIC, ProviderEvent, ProviderEventType, RejectReason
from maild.transports.webhooks import mailgun, postmark, sendgrid, ses
from maild.transports.webhooks.base import (
    BadSignature,
    Keys,
    Request,
    UnreadablePayload,
    any_same,
    check_fresh,
    load_json,
)
from maild.transports.webhooks.fields import iso_time, mapping, text, unix_time

MAX_ENTRIES = 1000
FOREIGN: Mapping[str, ModuleType] = {
    "ses": ses,
    "sendgrid": sendgrid,
    "mailgun": mailgun,
    "postmark": postmark,
}
"""The providers whose records are known by their looks."""

Meaning = tuple[ProviderEventType, RejectReason | None, bool | None]

# Words -> type, reason, is_hard. A plain bounce does not say whether it is for good, so it is None.
TYPES: dict[tuple[str, ...], Meaning] = {
    ("queued", "accepted", "processed", "scheduled"): (ProviderEventType.QUEUED, None, None),
    ("sent", "send"): (ProviderEventType.SENT, None, None),
    ("delivered", "delivery"): (ProviderEventType.DELIVERED, None, None),
    ("deferred", "deferral", "delayed", "delivery_delayed", "delivery_delay"): (
        ProviderEventType.DEFERRED,
        None,
        None,
    ),
    ("bounced", "bounce"): (ProviderEventType.BOUNCED, RejectReason.BOUNCED, None),
    (
        "hard_bounced",
        "hard_bounce",
        "bounced_hard",
        "bounce_hard",
        "permanent_bounce",
        "bounce_permanent",
    ): (ProviderEventType.BOUNCED, RejectReason.BOUNCED, True),
    (
        "soft_bounced",
        "soft_bounce",
        "bounced_soft",
        "bounce_soft",
        "transient_bounce",
        "bounce_transient",
        "quota",
        "over_quota",
        "quota_exceeded",
        "mailbox_full",
    ): (ProviderEventType.BOUNCED, RejectReason.BOUNCED, False),
    ("blocked", "block"): (ProviderEventType.BOUNCED, RejectReason.BLOCKED, False),
    ("expired", "timed_out"): (ProviderEventType.BOUNCED, RejectReason.TIMED_OUT, False),
    ("invalid", "invalid_email", "invalid_address"): (
        ProviderEventType.BOUNCED,
        RejectReason.INVALID,
        True,
    ),
    ("dropped", "drop", "rejected", "reject", "suppressed"): (
        ProviderEventType.REJECTED,
        RejectReason.BLOCKED,
        False,
    ),
    ("failed", "failure", "error"): (ProviderEventType.FAILED, None, None),
    ("complained", "complaint", "spam", "spam_report", "spam_reported", "spam_complaint"): (
        ProviderEventType.COMPLAINED,
        RejectReason.SPAM,
        None,
    ),
    ("unsubscribed", "unsubscribe", "unsub"): (
        ProviderEventType.UNSUBSCRIBED,
        RejectReason.UNSUBSCRIBED,
        None,
    ),
    ("subscribed", "subscribe", "resubscribed", "resubscribe"): (
        ProviderEventType.SUBSCRIBED,
        None,
        None,
    ),
    ("opened", "open"): (ProviderEventType.OPENED, None, None),
    ("clicked", "click"): (ProviderEventType.CLICKED, None, None),
    ("autoresponded", "auto_reply", "auto_replied", "autoreply", "out_of_office", "vacation"): (
        ProviderEventType.AUTORESPONDED,
        None,
        None,
    ),
}
SEVERITIES = {
    "hard": True,
    "permanent": True,
    "soft": False,
    "transient": False,
    "temporary": False,
}

_SEPARATORS = re.compile(r"[\s_-]+")
_MEANINGS = {
    _SEPARATORS.sub("", word): meaning for words, meaning in TYPES.items() for word in words
}
# RFC 5321 4.2: a reply begins with three digits, and then a space or a hyphen. Software that passes
# one on puts words of its own before it: "smtp; 550 ...", "Recipient error: 550 ...".
_SMTP_REPLY = re.compile(r"(?:^|[:;>(])\s*[245]\d\d[ -]", re.ASCII)
_TIMESTAMP = re.compile(r"\d{1,12}", re.ASCII)
_ADDRESS = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+|\"[^\r\n\x00]*\"@[^\s@]+")
_ADDRESS_MAX_CHARS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a body, read."""

    provider: str
    """Whose shape it has; `generic` for maild's own."""
    workspace_id: int | None
    events: list[ProviderEvent]


def verify(
    request: Request,
    secrets: tuple[str, ...],
    *,
    timestamp_header: str,
    signature_header: str,
    max_skew_seconds: int,
) -> None:
    """Raises BadSignature unless one of the signatures is made with one of the secrets.

    A signature is `v1=` and the hex HMAC-SHA256 of the timestamp as it is in its header, a dot, and
    the body; several are separated by commas.
    """
    if not any(secrets):
        raise BadSignature("no secret is set")
    timestamp = request.headers.get(timestamp_header.lower(), "").strip()
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature(f"{timestamp_header} is missing, or no time in unix seconds")
    signed = timestamp.encode() + b"." + request.body
    valid = [
        hmac.new(secret.encode("utf-8", "replace"), signed, hashlib.sha256).hexdigest()
        for secret in secrets
        if secret
    ]
    versions = (
        each.strip().partition("=")
        for each in request.headers.get(signature_header.lower(), "").split(",")
    )
    given = [
        signature.strip().lower().encode("utf-8", "replace")
        for version, _, signature in versions
        if version == "v1"
    ]
    if not any(any_same(each, valid) for each in given):
        raise BadSignature(f"no signature in {signature_header} fits the body and a secret")
    check_fresh(int(timestamp), request, Keys(max_skew_seconds=max_skew_seconds))


def split(body: bytes) -> list[object]:
    """The entries of a body, one at least. Raises UnreadablePayload."""
    payload = load_json(body)
    if isinstance(payload, dict):
        return [payload]
    if not isinstance(payload, list):
        raise UnreadablePayload("the body is neither an object nor an array of objects")
    if not payload:
        raise UnreadablePayload("the array is empty")
    if len(payload) > MAX_ENTRIES:
        raise UnreadablePayload(f"{len(payload)} entries; {MAX_ENTRIES} are the most")
    return payload


def parse_body(body: bytes) -> tuple[str, list[ProviderEvent]]:
    """The provider and the events of an entry that is stored as a body of its own.

    Raises UnreadablePayload.
    """
    given = load_json(body)
    if isinstance(given, list):
        given = split(body)
        if len(given) > 1:
            raise UnreadablePayload(f"{len(given)} entries stand together")
        given = given[0]
    entry = parse_entry(given)
    return entry.provider, entry.events


def parse_entry(entry: object) -> Entry:
    """Raises UnreadablePayload, with the name of the field where it is about one."""
    if not isinstance(entry, dict):
        raise UnreadablePayload("an entry is not an object")
    workspace_id = _workspace_id(entry)
    for name, provider in FOREIGN.items():
        if provider.is_record(entry):
            events = provider.parse_record(entry)
            return Entry(provider=name, workspace_id=workspace_id, events=events)
    return Entry(provider=GENERIC, workspace_id=workspace_id, events=[_own_event(entry)])


def _workspace_id(entry: dict[str, Any]) -> int | None:
    given = entry.get("workspace_id")
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise UnreadablePayload("workspace_id: not a whole number above 0")
    return given


def _own_event(entry: dict[str, Any]) -> ProviderEvent:
    event_type, reject_reason, is_hard = _meaning(entry.get("type"))
    if event_type is ProviderEventType.BOUNCED and is_hard is None:
        is_hard = _severity(entry)
    reason = text(entry.get("reason"))
    return ProviderEvent(
        event_type=event_type,
        recipient=_address(entry.get("email")),
        event_id=text(entry.get("event_id")),
        message_id=text(entry.get("message_id")),
        timestamp=_time(entry.get("timestamp")),
        reject_reason=reject_reason,
        is_hard=is_hard,
        mta_response=reason if reason and _SMTP_REPLY.search(reason) else None,
        description=reason,
        click_url=text(entry.get("url")),
        user_agent=text(entry.get("user_agent")),
        metadata=mapping(entry.get("metadata")),
        raw=entry,
    )


def _meaning(given: object) -> Meaning:
    if not isinstance(given, str) or not given.strip():
        raise UnreadablePayload("type: missing, or not a text")
    parts = [_SEPARATORS.sub("", part) for part in given.lower().split(".")]
    # "email.bounce.hard": what stands before the words that are known is an API's own prefix.
    for start in range(len(parts)):
        if meaning := _MEANINGS.get("".join(parts[start:])):
            return meaning
    raise UnreadablePayload(f"type: {text(given[:50])!r} is not known")


def _severity(entry: dict[str, Any]) -> bool | None:
    told = (text(entry.get(name)) for name in ("bounce_type", "severity"))
    return next(
        (SEVERITIES[word] for each in told if (word := (each or "").lower()) in SEVERITIES), None
    )


def _address(given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        raise UnreadablePayload("email: missing, or not a text")
    address = text(given.strip()) or ""
    if len(address) > _ADDRESS_MAX_CHARS or not _ADDRESS.fullmatch(address):
        raise UnreadablePayload("email: not an address")
    return address


def _time(given: object) -> datetime | None:
    """RFC 3339, or unix seconds."""
    return unix_time(given) or iso_time(given)

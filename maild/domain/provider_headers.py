"""The header by which a provider hands maild's id of a message back with every report on it.

In charge of which header a provider reads, and of the sender's own use of it. Not in charge of
reading reports (`transports/webhooks`), nor of which provider an account is of
(`services/providers`). Pure.

Without such a header a report is found by the Message-ID, which all recipients of a submission
share and some providers replace, or by what a server said when it took the message. There is none
for `ses`, `mailersend`, `resend` and `postal`: Amazon's notifications hold the original headers
where that is switched on, and the others document nothing that would come back with each message
(MailerSend's and Postal's tags are for statistics, and Resend has its tags in its API alone).
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maild.domain.provider_event import MESSAGE_ID_KEY as KEY

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Json:
    """A header whose value is a JSON object; the id goes into it, or into the object `inside`."""

    name: str
    inside: str | None = None
    max_bytes: int | None = None
    """Of the object that holds the id, as JSON."""


_JSON = {
    # https://www.twilio.com/docs/sendgrid/for-developers/sending-email/unique-arguments
    "sendgrid": _Json("X-SMTPAPI", "unique_args", 10_000),
    # https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-attachments
    "mailgun": _Json("X-Mailgun-Variables"),
    # https://developers.sparkpost.com/api/smtp/
    "sparkpost": _Json("X-MSYS-API", "metadata", 1_000),
    # https://mandrill.zendesk.com/hc/en-us/articles/360038805254-Using-Custom-Message-Metadata
    "mandrill": _Json("X-MC-Metadata", max_bytes=250),
    # https://dev.mailjet.com/docs/smtp_relay/custom_headers: comes back as `Payload`
    "mailjet": _Json("X-MJ-EventPayload"),
    # https://developers.brevo.com/docs/transactional-webhooks
    "brevo": _Json("X-Mailin-custom"),
    # https://docs.mailtrap.io/email-api-smtp/advanced/custom-variables
    "mailtrap": _Json("X-MT-Custom-Variables", max_bytes=1_000),
}
# https://postmarkapp.com/support/article/1125-custom-metadata-faq: one header for each field, whose
# name has 20 characters at most.
_POSTMARK = "X-PM-Metadata-"
_POSTMARK_FIELDS_MAX = 10

PROVIDERS = frozenset({*_JSON, "postmark"})
"""Those that have such a header."""


def headers(provider: str, message_id: uuid.UUID, own: Sequence[Header]) -> tuple[Header, ...]:
    """The sender's own headers with the id in them, as this provider reads it.

    Where the sender uses the provider's header, the id is added to what it says, unless that
    already names one. The sender's header stays alone where the id does not fit: it is not a JSON
    object, or the provider takes no more of it. Then, and for other providers, `own` comes back.
    """
    if provider == "postmark":
        return _postmark(message_id, own)
    rule = _JSON.get(provider)
    if rule is None:
        return tuple(own)
    name = rule.name.lower()
    place = next((i for i, header in enumerate(own) if header[0].lower() == name), None)
    if place is None:
        value = f'{{"{KEY}":"{message_id}"}}'  # nothing to be quoted, and no space: one line
        if rule.inside:
            value = f'{{"{rule.inside}":{value}}}'
        return (*own, (rule.name, value))
    # Of several headers the first is the one that counts, as SendGrid says.
    merged = _merge(own[place][1], rule, message_id)
    if merged is None:
        return tuple(own)
    return (*own[:place], (own[place][0], merged), *own[place + 1 :])


def _postmark(message_id: uuid.UUID, own: Sequence[Header]) -> tuple[Header, ...]:
    name = _POSTMARK + KEY
    fields = [given for given, _ in own if given.lower().startswith(_POSTMARK.lower())]
    if len(fields) >= _POSTMARK_FIELDS_MAX or name.lower() in map(str.lower, fields):
        return tuple(own)
    return (*own, (name, str(message_id)))


def _merge(text: str, rule: _Json, message_id: uuid.UUID) -> str | None:
    """The header's value with the id in it; None where it stays as it is.

    Written with spaces, where a long line may be folded, and in ASCII.
    """
    try:
        value = json.loads(text)
        holder = _holder(value, rule.inside)
        if holder is None or KEY in holder:
            return None
        holder[KEY] = str(message_id)
        if rule.max_bytes and len(json.dumps(holder, allow_nan=False)) > rule.max_bytes:
            return None
        return json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):  # no JSON, or numbers that Python cannot give back
        return None


def _holder(value: Any, inside: str | None) -> dict[str, Any] | None:
    """The object that the id belongs into, made where it is missing; None for anything else."""
    if inside and isinstance(value, dict):
        value = value.setdefault(inside, {})
    return value if isinstance(value, dict) else None

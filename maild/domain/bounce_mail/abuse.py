"""Complaints and opt-outs: feedback reports (ARF, RFC 5965), and what stands for one.

In charge of whom a report is about and what it means. Not in charge of bounces.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from maild.domain.bounce_mail.addresses import of_header
from maild.domain.bounce_mail.mail import Fields, Part, read_fields
from maild.domain.provider_event import ProviderEventType, RejectReason

FEEDBACK_TYPE = "message/feedback-report"

_MEANINGS = {
    # RFC 5965 7.3
    "abuse": (ProviderEventType.COMPLAINED, RejectReason.SPAM),
    "fraud": (ProviderEventType.COMPLAINED, RejectReason.SPAM),
    "virus": (ProviderEventType.COMPLAINED, RejectReason.SPAM),
    "other": (ProviderEventType.COMPLAINED, RejectReason.SPAM),
    "not-spam": (ProviderEventType.UNKNOWN, None),  # RFC 6430
    "auth-failure": (ProviderEventType.UNKNOWN, None),  # RFC 6591
    "dmarc": (ProviderEventType.UNKNOWN, None),
    "identity": (ProviderEventType.UNKNOWN, None),
    # From the drafts of ARF, and still sent.
    "opt-out": (ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED),
    "opt-out-list": (ProviderEventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED),
}
# Where mailbox providers that hide the recipient in the copy, or mean another, still name it.
_RECIPIENT_FIELDS = ("x-hmxmroriginalrecipient", "x-original-to", "delivered-to",
                     "x-envelope-to", "to")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Feedback:
    """One feedback report."""

    feedback_type: str
    event_type: ProviderEventType
    reject_reason: RejectReason | None
    recipients: list[str]
    fields: dict[str, str]


def read_feedback(mail: Part, parts: Sequence[Part], original: Fields) -> Feedback | None:
    """The feedback that a mail holds; None where it holds none."""
    for part in parts:
        if part.content_type == FEEDBACK_TYPE:
            return _of_report(read_fields(part.text.lstrip("\n")), original)
    if mail.parameters.get("report-type", "").lower() == "feedback-report":
        return _of_report((), original)
    if _is_junk_mail_report(mail, parts, original):
        return _of_report((("feedback-type", "abuse"),), original)
    # RFC 2369 3.2: what a click on "unsubscribe" sends where List-Unsubscribe has a mailto address.
    if mail.value("subject").strip().lower() == "unsubscribe":
        senders = of_header(mail.value("from"))[:1]
        event_type, reason = _MEANINGS["opt-out"]
        return Feedback("opt-out", event_type, reason, senders, {"subject": "unsubscribe"})
    return None


def _of_report(report: Fields, original: Fields) -> Feedback:
    fields = {name: value[:500] for name, value in reversed(report[:60])}
    feedback_type = fields.get("feedback-type", "abuse").partition(";")[0].strip().lower()
    event_type, reason = _MEANINGS.get(feedback_type, (ProviderEventType.UNKNOWN, None))
    named: list[str] = []
    for name, value in report:
        # RFC 5965 3.2; Removal-Recipient is of the drafts. There may be several.
        if name in {"original-rcpt-to", "removal-recipient"}:
            named.extend(of_header(value))
    if not named:
        named = _recipients_of(original)
    return Feedback(feedback_type, event_type, reason, list(dict.fromkeys(named))[:50], fields)


def _recipients_of(original: Fields) -> list[str]:
    for wanted in _RECIPIENT_FIELDS:
        for name, value in original:
            if name == wanted and (found := of_header(value)):
                return found
    return []


def _is_junk_mail_report(mail: Part, parts: Sequence[Part], original: Fields) -> bool:
    """Microsoft's Junk Mail Reporting Program, which sends the message without a report:
    https://sendersupport.olc.protection.outlook.com/snds/"""
    is_copy = any(name == "x-hmxmroriginalrecipient" for name, _ in original)
    subject = mail.value("subject").strip().lower()
    has_message = any(part.content_type == "message/rfc822" for part in parts)
    return has_message and (is_copy or subject.startswith("complaint about message from"))

"""What comes back to the return path: bounces, delays, complaints, vacation replies.

In charge of the order in which a mail is asked what it is. Not in charge of finding the message
that it is about, or of acting on it (`services`). Pure, and never raises: whatever was sent to us
is a report, if only one of kind `other`.
"""

from dataclasses import replace

from maild.domain.bounce_mail import verp
from maild.domain.bounce_mail.abuse import read_feedback
from maild.domain.bounce_mail.autoreply import is_autoreply
from maild.domain.bounce_mail.dsn import read_status
from maild.domain.bounce_mail.kind import is_report, sounds_like_report
from maild.domain.bounce_mail.mail import parse, parts_of
from maild.domain.bounce_mail.notice import read_notice
from maild.domain.bounce_mail.reading import Reading
from maild.domain.bounce_mail.report import Report, ReportKind
from maild.domain.bounce_mail.texts import read_texts
from maild.domain.provider_event import ProviderEvent, ProviderEventType

__all__ = ["Report", "ReportKind", "read", "verp"]

_FORWARD_LIMIT = 1  # a bounce inside a bounce; more is a game


def read(raw: bytes) -> Report:
    """What a mail says about one of ours. Never raises, whatever the bytes."""
    return _read(raw, 0)


def _read(raw: bytes, depth: int) -> Report:
    mail = parse(raw)
    parts = parts_of(mail)
    texts = read_texts(mail, parts)
    reading = Reading(mail, parts, texts)
    notified = _read_notification(reading)
    if notified:
        return notified
    status = read_status(parts, texts.words)
    if status and status.groups:
        events = reading.of_status(status)
        return reading.report(_kind_of(events), events, status=status)
    is_sure = is_report(mail, texts.words)
    if is_sure and depth < _FORWARD_LIMIT and not reading.named_recipients:
        inner = _inner_report(reading, depth)
        if inner:
            return inner
    if not is_sure and is_autoreply(mail):
        return reading.report(ReportKind.AUTOREPLY, reading.of_autoreply())
    if is_sure or sounds_like_report(mail, texts.words):
        events = reading.of_text()
        return reading.report(_kind_of(events), events, status=status)
    return reading.report(ReportKind.OTHER, [])


def _read_notification(reading: Reading) -> Report | None:
    """A feedback report, or a notification of a provider's, where the mail is one."""
    feedback = read_feedback(reading.mail, reading.parts, reading.texts.original)
    if feedback:
        events = reading.of_feedback(feedback)
        return reading.report(ReportKind.ABUSE, events, feedback_type=feedback.feedback_type)
    notice = read_notice(reading.texts.words)
    if notice is None:
        return None
    first_id = next(iter(notice.message_ids), None)
    events = [replace(event, message_id_header=first_id) for event in reading.of_notice(notice)]
    report = reading.report(_kind_of(events), events, feedback_type=notice.feedback_type)
    return replace(report, message_ids=notice.message_ids + report.message_ids)


def _inner_report(reading: Reading, depth: int) -> Report | None:
    """What a report says that a gateway has returned to us as if it were our message."""
    for part in reading.parts:
        if part.content_type == "message/rfc822":
            inner = _read(part.content, depth + 1)
            return inner if inner.kind is ReportKind.BOUNCE else None
    return None


def _kind_of(events: list[ProviderEvent]) -> ReportKind:
    types = {event.event_type for event in events}
    if ProviderEventType.BOUNCED in types:
        return ReportKind.BOUNCE
    if ProviderEventType.DEFERRED in types:
        return ReportKind.DELAYED
    if types & {ProviderEventType.DELIVERED, ProviderEventType.SENT}:
        return ReportKind.DELIVERED
    return ReportKind.ABUSE if ProviderEventType.COMPLAINED in types else ReportKind.OTHER

"""From what has been found in a mail to events.

In charge of putting together what the parts of a report say about each recipient. Not in charge of
finding it (the modules beside this one), nor of the order in which a mail is asked what it is
(`bounce_mail`).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from uuid import UUID

from maild.domain.bounce_mail import verp
from maild.domain.bounce_mail.abuse import Feedback
from maild.domain.bounce_mail.addresses import of_header
from maild.domain.bounce_mail.dsn import Group, Status
from maild.domain.bounce_mail.free_text import lines_about, recipients_of
from maild.domain.bounce_mail.kind import outcome_of
from maild.domain.bounce_mail.mail import Part
from maild.domain.bounce_mail.notice import Notice
from maild.domain.bounce_mail.reason import Reason, judge
from maild.domain.bounce_mail.report import Report, ReportKind
from maild.domain.bounce_mail.texts import Texts
from maild.domain.provider_event import ProviderEvent, ProviderEventType, RejectReason

_RETURN_FIELDS = ("to", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to",
                  "x-delivered-to", "resent-to")  # fmt: skip
_SENDER_FIELDS = frozenset({"from", "return-path", "sender", "reply-to"})
_MESSAGE_ID = re.compile(r"<([^<>\s@]{1,200}@[^<>\s]{1,200})>")
_QUOTED_ID = re.compile(
    r"message-id[ \t]{0,4}[:=][ \t]{0,4}<?([^<>\s@]{1,200}@[^<>\s]{1,200})", re.IGNORECASE
)
_RESPONSE_LIMIT = 1000
_NOBODY: tuple[None, ...] = (None,)


@dataclass(frozen=True)
class Reading:
    """A mail and what has been found in it so far."""

    mail: Part
    parts: list[Part]
    texts: Texts

    @cached_property
    def date(self) -> datetime | None:
        return moment_of(self.mail.value("date"))

    @cached_property
    def message_ids(self) -> tuple[str, ...]:
        """The original's, then those that the mail answers."""
        found: list[str] = []
        for name, value in self.texts.original:
            if name in {"message-id", "x-message-id", "resent-message-id"}:
                found += _MESSAGE_ID.findall(value) or [value.strip("<> \t")[:400]]
        if not found:
            # A wrong boundary, or a summary in words: wherever it stands.
            for part in self.parts:
                found += _QUOTED_ID.findall(part.text[:20_000])[:5]
        for name in ("in-reply-to", "references"):  # RFC 5322 3.6.4; RFC 3834 3.1.5
            found += reversed(_MESSAGE_ID.findall(self.mail.value(name)))
        return tuple(dict.fromkeys(each for each in found if each))[:20]

    @cached_property
    def original_recipients(self) -> tuple[str, ...]:
        for wanted in ("to", "x-envelope-to", "x-original-to", "delivered-to"):
            for name, value in self.texts.original:
                if name == wanted and (found := of_header(value)):
                    return tuple(dict.fromkeys(found))
        return ()

    @cached_property
    def named_recipients(self) -> list[str]:
        """Whom a header or the text calls failed."""
        named = self._header("x-failed-recipients")  # Exim, Google
        if named:
            return list(dict.fromkeys(named))
        others = [address for name in ("to", "from", "cc") for address in self._header(name)]
        for name, value in self.texts.original:
            if name in _SENDER_FIELDS:
                others += of_header(value)
        return recipients_of(self.texts.words, others=others)

    @cached_property
    def verp_id(self) -> UUID | None:
        addresses = [each for name in _RETURN_FIELDS for each in self._header(name)]
        for name, value in self.texts.original:
            if name in {"return-path", "x-return-path", "errors-to", "x-envelope-from"}:
                addresses += of_header(value)
        return next(filter(None, map(verp.find, addresses)), None)

    def report(
        self,
        kind: ReportKind,
        events: list[ProviderEvent],
        *,
        status: Status | None = None,
        feedback_type: str | None = None,
    ) -> Report:
        """The report about these events."""
        message = status.message if status else {}
        return Report(
            kind=kind,
            events=events,
            message_ids=self.message_ids,
            verp_id=self.verp_id,
            original_recipients=self.original_recipients,
            original_envelope_id=message.get("original-envelope-id"),
            reporting_mta=message.get("reporting-mta"),
            feedback_type=feedback_type,
            subject=self.mail.value("subject")[:500] or None,
            date=self.date,
        )

    def of_status(self, status: Status) -> list[ProviderEvent]:
        """An event for each group of the machine-readable part."""
        named = [group.recipient for group in status.groups]
        # A file or a pipe has failed: the text, or another header, says whose.
        spare = self.named_recipients or list(self.original_recipients[:1])
        spare = [address for address in spare if address not in named]
        recipients = [name or (spare.pop(0) if spare else None) for name in named]
        told = lines_about(self.texts.words, [name for name in recipients if name])
        arrival = moment_of(status.message.get("arrival-date", ""))
        return [
            self._of_group(group, name, told.get(name or "", [self.texts.words]), arrival)
            for group, name in zip(status.groups, recipients, strict=True)
        ]

    def _of_group(
        self, group: Group, recipient: str | None, told: list[str], arrival: datetime | None
    ) -> ProviderEvent:
        moment = moment_of(group.fields.get("last-attempt-date", "")) or self.date or arrival
        raw = dict(group.fields)
        if group.event_type is ProviderEventType.BOUNCED:
            # RFC 3464 2.3: who leaves out the status is no mail server that can be believed.
            is_prose = not group.status
            reason = judge([group.diagnostic, *told], group.status, is_prose=is_prose)
            return self._bounced(recipient, reason, group.diagnostic, moment, raw)
        response = group.diagnostic[:_RESPONSE_LIMIT] or None
        return self._event(group.event_type, recipient, moment, mta_response=response, raw=raw)

    def of_text(self) -> list[ProviderEvent]:
        """An event for each recipient that the text names; one without, where it names none."""
        words = self.texts.words
        recipients = self.named_recipients or list(self.original_recipients[:1])
        told = lines_about(words, recipients)
        event_type = outcome_of(self.mail, words)
        events = []
        for recipient in recipients or _NOBODY:
            texts = told.get(recipient or "", [words])
            raw = {"text": (texts[0].strip() or words.strip())[:_RESPONSE_LIMIT]}
            if event_type is ProviderEventType.BOUNCED:
                reason = judge(texts, is_prose=True)
                events.append(self._bounced(recipient, reason, "", self.date, raw))
            else:
                events.append(self._event(event_type, recipient, self.date, raw=raw))
        return events

    def of_feedback(self, feedback: Feedback) -> list[ProviderEvent]:
        """An event for each recipient that a feedback report names; one without, where it hides
        them."""
        moment = self.date or moment_of(feedback.fields.get("arrival-date", ""))
        return [
            self._event(
                feedback.event_type,
                recipient,
                moment,
                reject_reason=feedback.reject_reason,
                description=feedback.feedback_type,
                raw=dict(feedback.fields),
            )
            for recipient in feedback.recipients or _NOBODY
        ]

    def of_notice(self, notice: Notice) -> list[ProviderEvent]:
        """An event for each recipient of an SES notification."""
        events = []
        for fields in notice.recipients:
            group = Group(fields)
            reject_reason = None
            if notice.event_type is ProviderEventType.BOUNCED:
                reason = judge([group.diagnostic], group.status)
                event = self._bounced(group.recipient, reason, group.diagnostic, self.date, fields)
            else:
                if notice.event_type is ProviderEventType.COMPLAINED:
                    reject_reason = RejectReason.SPAM
                event = self._event(
                    notice.event_type,
                    group.recipient,
                    self.date,
                    reject_reason=reject_reason,
                    mta_response=group.diagnostic or None,
                    description=notice.feedback_type,
                    raw=fields,
                )
            events.append(event)
        return events

    def of_autoreply(self) -> list[ProviderEvent]:
        """The event of a vacation reply: who has sent it is who has got our message."""
        raw = {"subject": self.mail.value("subject")[:500]}
        senders = self._header("from")
        recipient = senders[0] if senders else None
        return [self._event(ProviderEventType.AUTORESPONDED, recipient, self.date, raw=raw)]

    def _header(self, name: str) -> list[str]:
        return [each for value in self.mail.values(name)[:5] for each in of_header(value)]

    def _bounced(
        self,
        recipient: str | None,
        reason: Reason,
        diagnostic: str,
        moment: datetime | None,
        raw: dict[str, str],
    ) -> ProviderEvent:
        response = diagnostic or reason.text
        return self._event(
            ProviderEventType.BOUNCED,
            recipient,
            moment,
            reject_reason=reason.reject_reason,
            is_hard=reason.is_hard,
            mta_response=response[:_RESPONSE_LIMIT] or None,
            description=reason.error_class.value,
            raw=raw,
        )

    def _event(
        self,
        event_type: ProviderEventType,
        recipient: str | None,
        moment: datetime | None,
        *,
        reject_reason: RejectReason | None = None,
        is_hard: bool | None = None,
        mta_response: str | None = None,
        description: str | None = None,
        raw: dict[str, str],
    ) -> ProviderEvent:
        return ProviderEvent(
            event_type=event_type,
            recipient=recipient,
            message_id_header=self.message_ids[0] if self.message_ids else None,
            timestamp=moment,
            reject_reason=reject_reason,
            is_hard=is_hard,
            mta_response=mta_response,
            description=description,
            raw=raw,
        )


def moment_of(value: str) -> datetime | None:
    """An aware moment; None where it is no date (RFC 5322 3.3)."""
    try:
        moment = parsedate_to_datetime(value[:200])
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        told = aware.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    # Otherwise a clock that was never set, or a joke.
    return told if 1990 <= told.year <= 2100 else None

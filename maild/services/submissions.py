"""Submissions: what a sender hands over, and the checks that need nothing but itself.

One submission is one message for each of its recipients. What the workspace's policy, suppressions
and limits say of it is decided in `acceptance`.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from maild import clock
from maild.domain import submission
from maild.domain.mime import Attachment
from maild.domain.states import Stream
from maild.domain.suppression import normalise_topic
from maild.errors import FieldError, InvalidFields, InvalidRequest, summarise
from maild.services import addresses
from maild.services.addresses import Address

REQUIRED = ("from_email", "to_email", "subject")


@dataclass(frozen=True, slots=True)
class TemplateUsed:
    """The template and its version that a message's content was made of."""

    id: int
    name: str
    version: int


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message as its sender describes it; nothing is checked yet. Times are aware.

    Each address of `cc` and `bcc` gets a message of its own; all of them show the same To and Cc.
    Without `expires_at` its stream says how long it lives, from when it may be sent. With
    `smtp_account` all of them go through the account of that name alone.
    """

    from_email: str
    to_email: str
    subject: str
    body_text: str | None = None
    body_html: str | None = None
    from_name: str | None = None
    reply_to: str | None = None
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    stream: Stream = Stream.TRANSACTIONAL
    topic: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    scheduled_at: datetime | None = None
    expires_at: datetime | None = None
    smtp_account: str | None = None
    template: TemplateUsed | None = None
    """What subject and bodies were made of, for its story."""
    recipient_id: int | None = None
    """The row in a campaign's ledger that it is made of: one submission for each."""


@dataclass(frozen=True, slots=True)
class Submitter:
    """With what a submission came: the workspace's key (None: one of the instance), and an
    idempotency key with the hash of the request.
    """

    api_key_id: int | None = None
    idempotency_key: str | None = None
    request_hash: bytes = b""

    def of_entry(self, index: int, request_hash: bytes) -> "Submitter":
        """The same for one entry of a batch, which is remembered on its own."""
        if self.idempotency_key is None:
            return self
        key = f"{self.idempotency_key}\n{index}"  # no key of a request has a line break
        return dataclasses.replace(self, idempotency_key=key, request_hash=request_hash)


NOBODY = Submitter()


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked submission: `new` is in normal form, `recipients` are all of them, the To first.

    `fields` are the paths by which the sender named them. `late` is what is wrong with its times by
    now: nothing, should it repeat what was accepted in time.
    """

    new: NewMessage
    recipients: tuple[str, ...]
    by: Submitter
    size_bytes: int
    fields: tuple[str, ...] = ("to_email",)
    late: InvalidFields | None = None


def check(new: NewMessage, by: Submitter = NOBODY) -> Submission:
    """The submission in normal form.

    Raises InvalidRequest (a required field is missing) and InvalidFields.
    """
    missing = [
        FieldError(name, "is required and must not be empty")
        for name in REQUIRED
        if not getattr(new, name).strip()
    ]
    if not (new.body_text or new.body_html):
        missing.append(FieldError("body_text", "body_text or body_html is required"))
    if missing:
        raise InvalidRequest(summarise(missing), errors=missing)

    problems: list[FieldError] = []

    def parse(name: str, text: str | None) -> Address | None:
        try:
            return addresses.parse(text) if text else None
        except ValueError as error:
            problems.append(FieldError(name, str(error)))
            return None

    sender, to = parse("from_email", new.from_email), parse("to_email", new.to_email)
    reply_to = parse("reply_to", new.reply_to)
    cc = [parse(f"cc.{i}", text or " ") for i, text in enumerate(new.cc)]
    bcc = [parse(f"bcc.{i}", text or " ") for i, text in enumerate(new.bcc)]
    problems += [FieldError(name, message) for name, message in _complaints(new)]
    late = [FieldError(name, message) for name, message in _complaints_of_times(new)]
    if problems or (late and by.idempotency_key is None):
        raise _invalid([*problems, *late])
    assert sender is not None
    assert to is not None
    named = _once_each([("to_email", to), *_named("cc", cc), *_named("bcc", bcc)])
    normal: dict[str, Any] = {
        "from_email": sender.text,
        "to_email": to.text,
        "reply_to": reply_to.text if reply_to else None,
        "cc": tuple(text for name, text in named.items() if name.startswith("cc.")),
        "bcc": (),
        "topic": normalise_topic(new.topic) if new.topic else None,
    }
    # Most are in normal form already, and a copy costs more than all else here.
    changes = {name: value for name, value in normal.items() if getattr(new, name) != value}
    if not isinstance(new.stream, Stream):
        changes["stream"] = Stream(new.stream)
    return Submission(
        new=dataclasses.replace(new, **changes) if changes else new,
        recipients=tuple(named.values()),
        by=by,
        size_bytes=_size_bytes(new),
        fields=tuple(named),
        late=_invalid(late) if late else None,
    )


def _named(name: str, parsed: list[Address | None]) -> list[tuple[str, Address]]:
    return [(f"{name}.{i}", address) for i, address in enumerate(parsed) if address is not None]


def _once_each(named: list[tuple[str, Address]]) -> dict[str, str]:
    """Recipients by the paths that name them. Whoever is named twice gets one message, and is
    shown once: at the first place.
    """
    seen: set[str] = set()
    first: dict[str, str] = {}
    for name, address in named:
        folded = address.text.lower()
        if folded not in seen:
            seen.add(folded)
            first[name] = address.text
    return first


def _invalid(problems: list[FieldError]) -> InvalidFields:
    return InvalidFields(summarise(problems), errors=problems)


def _complaints(new: NewMessage) -> Iterator[submission.Complaint]:
    yield from submission.check_line("subject", new.subject, max_chars=submission.SUBJECT_MAX_CHARS)
    if new.from_name:
        yield from submission.check_line(
            "from_name", new.from_name, max_chars=submission.NAME_MAX_CHARS
        )
    for name in ("body_text", "body_html"):
        yield from submission.check_storable(name, getattr(new, name))
    yield from submission.check_recipients(1 + len(new.cc) + len(new.bcc))
    yield from submission.check_headers(new.headers)
    if new.stream == Stream.MARKETING:
        yield from submission.check_marketing_headers(new.headers)
    if new.topic is not None:
        yield from submission.check_topic("topic", new.topic)
    if new.smtp_account is not None:
        yield from submission.check_line(
            "smtp_account", new.smtp_account, max_chars=submission.ACCOUNT_MAX_CHARS
        )
        if not new.smtp_account:
            yield "smtp_account", "must not be empty; leave it out for any account"
    yield from submission.check_tags(new.tags)
    if new.metadata and len(json.dumps(new.metadata)) > submission.METADATA_MAX_OCTETS:
        yield "metadata", f"is larger than {submission.METADATA_MAX_OCTETS} bytes of JSON"
    else:
        yield from submission.check_storable("metadata", new.metadata)
    for index, attachment in enumerate(new.attachments):
        yield from submission.check_attachment(
            f"attachments.{index}",
            filename=attachment.filename,
            content_type=attachment.content_type,
            content_id=attachment.content_id,
        )


def _complaints_of_times(new: NewMessage) -> Iterator[submission.Complaint]:
    """What time may change, apart from the rest."""
    if new.scheduled_at or new.expires_at:
        yield from submission.check_times(
            scheduled_at=new.scheduled_at, expires_at=new.expires_at, now=clock.now()
        )


def _size_bytes(new: NewMessage) -> int:
    texts = (new.subject, new.body_text or "", new.body_html or "")
    return sum(len(text.encode(errors="replace")) for text in texts) + sum(
        len(attachment.content) for attachment in new.attachments
    )

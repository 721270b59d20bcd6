"""Accepting messages, one or many at once, and reading one back with its content.

Accepting is one transaction (message, content, event, tally), then a ring at the doorbell. What is
accepted is durable; a Redis that is away changes nothing but how soon a worker looks. What a person
does to a message later is in `interventions`, and the log in `message_log`.
"""

import dataclasses
import json
import uuid
from collections.abc import Iterator, Sequence

import peewee

from maild import clock, config, queue
from maild.domain import submission
from maild.errors import (
    BlockedRecipientDomain,
    FieldError,
    InvalidFields,
    InvalidRequest,
    MaildError,
    NotFound,
    summarise,
)
from maild.models import Message, MessageAttachment, MessageBody
from maild.services import addresses, message_store, workspaces
from maild.services.message_store import NewMessage

DELIVER = "deliver"
"""The hint that wakes delivery."""

REQUIRED = ("from_email", "to_email", "subject")


def accept(workspace_id: int, new: NewMessage) -> Message:
    """Check a message and store it durably; returns it as `queued`.

    Raises InvalidRequest (a required field is missing), InvalidFields, BlockedRecipientDomain,
    NotFound (the workspace). Nothing is stored then.
    """
    message = message_store.store_one(workspace_id, _check(new))
    queue.enqueue(DELIVER)
    return message


def accept_many(workspace_id: int, news: Sequence[NewMessage]) -> list[Message | MaildError]:
    """Check each message on its own, and store the good ones durably, all at once.

    Returns for each, in their order, the message as `queued`, or what `accept` would have raised.
    Raises NotFound (the workspace); nothing is stored then.
    """
    outcomes: list[Message | MaildError] = []
    good: list[NewMessage] = []
    places: list[int] = []
    for place, new in enumerate(news):
        try:
            good.append(_check(new))
            places.append(place)
        except InvalidRequest as error:
            outcomes.append(error)
    if not good:
        workspaces.require(workspace_id)
        return outcomes
    # The bad ones stand in order already; each stored one goes between them, to its own place.
    for place, message in zip(places, message_store.store(workspace_id, good), strict=True):
        outcomes.insert(place, message)
    queue.enqueue(DELIVER)
    return outcomes


def get(workspace_id: int, message_id: uuid.UUID) -> Message:
    """One message. Raises NotFound, also for another workspace's."""
    message: Message | None = Message.get_or_none(
        Message.id == message_id, Message.workspace == workspace_id
    )
    if message is None:
        raise NotFound("There is no such message.")
    return message


def get_body(message: Message) -> MessageBody:
    """The content of a message."""
    body: MessageBody = MessageBody.get_by_id(message.id)
    return body


def list_attachments(message: Message) -> list[MessageAttachment]:
    """The attachments of a message without their bytes, each with `size_bytes`."""
    query = (
        MessageAttachment.select(
            MessageAttachment.position,
            MessageAttachment.filename,
            MessageAttachment.content_type,
            peewee.fn.octet_length(MessageAttachment.content).alias("size_bytes"),
        )
        .where(MessageAttachment.message == message.id)
        .order_by(MessageAttachment.position)
    )
    return list(query)


def _check(new: NewMessage) -> NewMessage:
    """The message in normal form. Raises as `accept` says."""
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
    normal: dict[str, addresses.Address | None] = {}
    for name in ("from_email", "to_email", "reply_to"):
        text = getattr(new, name)
        try:
            normal[name] = addresses.parse(text) if text else None
        except ValueError as error:
            problems.append(FieldError(name, str(error)))
    problems += [FieldError(name, message) for name, message in _complaints(new)]
    if problems:
        raise InvalidFields(summarise(problems), errors=problems)

    sender, recipient, reply_to = normal["from_email"], normal["to_email"], normal["reply_to"]
    assert sender is not None
    assert recipient is not None
    if submission.is_blocked_domain(recipient.domain, config.current().blocked_recipient_domains):
        detail = f"Mail to {recipient.domain} is blocked."
        raise BlockedRecipientDomain(detail, errors=[FieldError("to_email", detail)])
    return dataclasses.replace(
        new,
        from_email=sender.text,
        to_email=recipient.text,
        reply_to=reply_to.text if reply_to else None,
    )


def _complaints(new: NewMessage) -> Iterator[submission.Complaint]:
    yield from submission.check_line("subject", new.subject, max_chars=submission.SUBJECT_MAX_CHARS)
    if new.from_name:
        yield from submission.check_line(
            "from_name", new.from_name, max_chars=submission.NAME_MAX_CHARS
        )
    for name in ("body_text", "body_html"):
        yield from submission.check_storable(name, getattr(new, name))
    yield from submission.check_headers(new.headers)
    yield from submission.check_tags(new.tags)
    if len(json.dumps(new.metadata)) > submission.METADATA_MAX_OCTETS:
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
    if new.scheduled_at or new.expires_at:
        yield from submission.check_times(
            scheduled_at=new.scheduled_at, expires_at=new.expires_at, now=clock.now()
        )

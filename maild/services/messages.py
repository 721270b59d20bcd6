"""Accepting messages, and reading them back: one message, its content, and the log in pages.

Accepting is one transaction (message, content, event), then a ring at the doorbell. What is
accepted is durable; a Redis that is away changes nothing but how soon a worker looks.
"""

import dataclasses
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import peewee
from psycopg2 import Binary

from maild import clock, config, queue
from maild.db import database
from maild.domain import ids, submission
from maild.domain.mime import Attachment
from maild.domain.states import PRIORITY, EventType, Status, Stream
from maild.errors import (
    BlockedRecipientDomain,
    FieldError,
    InvalidFields,
    InvalidRequest,
    NotFound,
    summarise,
)
from maild.models import Message, MessageAttachment, MessageBody
from maild.services import addresses

DELIVER = "deliver"
"""The hint that wakes delivery."""

REQUIRED = ("from_email", "to_email", "subject")


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message as its sender describes it; nothing is checked yet. `scheduled_at` is aware."""

    from_email: str
    to_email: str
    subject: str
    body_text: str | None = None
    body_html: str | None = None
    from_name: str | None = None
    reply_to: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    stream: Stream = Stream.TRANSACTIONAL
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    scheduled_at: datetime | None = None


def accept(workspace_id: int, new: NewMessage) -> Message:
    """Check a message and store it durably; returns it as `queued`.

    Raises InvalidRequest (a required field is missing), InvalidFields, BlockedRecipientDomain,
    NotFound (the workspace). Nothing is stored then.
    """
    checked = _check(new)
    try:
        message = _store(workspace_id, checked)
    except peewee.IntegrityError as error:
        if "messages_workspace_id_fkey" in str(error):
            raise NotFound(f"There is no workspace {workspace_id}.") from error
        raise
    queue.enqueue(DELIVER)
    return message


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


# One statement, so one round trip and one commit: accepting is as fast as the disk.
_STORE = """
WITH message AS (
    INSERT INTO messages (
        id, workspace_id, status, stream, priority, from_email, to_email, subject, size_bytes,
        tags, metadata, scheduled_at, next_attempt_at)
    VALUES (
        %(id)s, %(workspace_id)s, 'queued', %(stream)s, %(priority)s, %(from_email)s, %(to_email)s,
        %(subject)s, %(size_bytes)s, %(tags)s::text[], %(metadata)s, %(scheduled_at)s,
        greatest(now(), %(scheduled_at)s::timestamptz))
    RETURNING id, next_attempt_at, created_at, updated_at
), body AS (
    INSERT INTO message_bodies (
        message_id, from_name, reply_to, headers, body_text, body_html, attachment_count)
    SELECT id, %(from_name)s, %(reply_to)s, %(headers)s, %(body_text)s, %(body_html)s,
        cardinality(%(filenames)s::text[])
    FROM message
), attachments AS (
    INSERT INTO message_attachments (
        message_id, position, filename, content_type, content_id, content)
    SELECT message.id, a.number - 1, a.filename, a.content_type, a.content_id, a.content
    FROM message, unnest(
        %(filenames)s::text[], %(content_types)s::text[], %(content_ids)s::text[],
        %(contents)s::bytea[]
    ) WITH ORDINALITY AS a (filename, content_type, content_id, content, number)
), event AS (
    INSERT INTO events (workspace_id, message_id, type, data)
    SELECT %(workspace_id)s, id, %(event)s, '{}' FROM message
)
SELECT next_attempt_at, created_at, updated_at FROM message
"""


def _store(workspace_id: int, new: NewMessage) -> Message:
    message = Message(
        id=ids.new_id(clock.now()),
        workspace=workspace_id,
        status=Status.QUEUED,
        stream=new.stream,
        priority=PRIORITY[new.stream],
        from_email=new.from_email,
        to_email=new.to_email,
        subject=new.subject,
        size_bytes=_size_bytes(new),
        tags=list(new.tags),
        metadata=new.metadata,
        scheduled_at=new.scheduled_at,
        attempt_count=0,
    )
    row = database.execute_sql(
        _STORE,
        {
            **message.__data__,
            "workspace_id": workspace_id,
            "stream": new.stream.value,
            "metadata": json.dumps(new.metadata),
            "from_name": new.from_name,
            "reply_to": new.reply_to,
            "headers": json.dumps(new.headers),
            "body_text": new.body_text,
            "body_html": new.body_html,
            "filenames": [a.filename for a in new.attachments],
            "content_types": [a.content_type for a in new.attachments],
            "content_ids": [a.content_id for a in new.attachments],
            "contents": [Binary(a.content) for a in new.attachments],
            "event": EventType.ACCEPTED.value,
        },
    ).fetchone()
    message.next_attempt_at, message.created_at, message.updated_at = row
    return message


def _size_bytes(new: NewMessage) -> int:
    texts = (new.subject, new.body_text or "", new.body_html or "")
    return sum(len(text.encode()) for text in texts) + sum(len(a.content) for a in new.attachments)


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
    horizon = clock.now() + timedelta(days=submission.SCHEDULE_MAX_DAYS)
    if new.scheduled_at and new.scheduled_at > horizon:
        yield "scheduled_at", f"is more than {submission.SCHEDULE_MAX_DAYS} days ahead"

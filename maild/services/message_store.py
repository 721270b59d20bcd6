"""Writing checked messages down: one statement for any number, and one commit for those that come
at the same time.

What a message may hold is decided before (`messages`). Nothing is written here but what accepting
writes: the message, its content and attachments, its first event, and the workspace's tally.
"""

import base64
import copy
import json
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

import peewee

from maild import clock, config
from maild.db import connection, database, execute_prepared
from maild.domain import ids
from maild.domain.mime import Attachment
from maild.domain.states import PRIORITY, EventType, Status, Stream
from maild.errors import NotFound
from maild.models import Message


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message as its sender describes it; nothing is checked yet. Times are aware.

    Without `expires_at` its stream says how long it lives, from when it may be sent.
    """

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
    expires_at: datetime | None = None


GROUP_BYTES_MAX = 64 * 1024
"""A message larger than this is stored by itself: nobody waits for its bytes."""

SHARDS = 32
"""Over so many rows a workspace's tally is spread, so that nobody waits for who accepts as well."""

# One statement, so one round trip and one commit: accepting is as fast as the disk. The contents
# come as one JSON text, which PostgreSQL reads faster than Python can write SQL.
_STORE = """
WITH v AS MATERIALIZED (
    SELECT *, greatest(now(), scheduled_at) AS due_at FROM json_to_recordset($2) AS v (
        id uuid, stream text, priority smallint, from_email text, to_email text, subject text,
        size_bytes int, tags text[], metadata jsonb, scheduled_at timestamptz,
        expires_at timestamptz, lifetime_seconds int, from_name text, reply_to text,
        headers jsonb, body_text text, body_html text, attachment_count smallint)
), message AS (
    INSERT INTO messages (
        id, workspace_id, status, stream, priority, from_email, to_email, subject, size_bytes,
        tags, metadata, scheduled_at, next_attempt_at, expires_at)
    SELECT id, $1, 'queued', stream, priority, from_email, to_email, subject, size_bytes,
        tags, metadata, scheduled_at, due_at,
        coalesce(expires_at, due_at + lifetime_seconds * interval '1 second')
    FROM v
), body AS (
    INSERT INTO message_bodies (
        message_id, from_name, reply_to, headers, body_text, body_html, attachment_count)
    SELECT id, from_name, reply_to, headers, body_text, body_html, attachment_count FROM v
), attachment AS (
    INSERT INTO message_attachments (
        message_id, position, filename, content_type, content_id, content)
    SELECT message_id, position, filename, content_type, content_id, decode(content, 'base64')
    FROM json_to_recordset($3) AS a (
        message_id uuid, position smallint, filename text, content_type text, content_id text,
        content text)
), event AS (
    INSERT INTO events (workspace_id, message_id, type, data) SELECT $1, id, $4, '{}' FROM v
), tally AS (
    INSERT INTO accepted_tallies AS t (workspace_id, shard, accepted_count)
    SELECT $1, mod(pg_backend_pid(), $5), count(*) FROM v
    ON CONFLICT (workspace_id, shard) DO UPDATE
    SET accepted_count = t.accepted_count + excluded.accepted_count
)
SELECT now()
"""


def store(workspace_id: int, news: Sequence[NewMessage]) -> list[Message]:
    """Store checked messages, all of them or none. Raises NotFound, for the workspace."""
    made_at = clock.now()
    rows = [_row(ids.new_id(made_at), new) for new in news]
    files = [file for row, new in zip(rows, news, strict=True) for file in _files(row["id"], new)]
    parameters = (
        workspace_id,
        _to_json(rows),
        _to_json(files),
        EventType.ACCEPTED.value,
        SHARDS,
    )
    try:
        with connection():
            [(now,)] = execute_prepared("accept", _STORE, parameters)
    except peewee.IntegrityError as error:
        if "workspace_id_fkey" in str(error):
            raise NotFound(f"There is no workspace {workspace_id}.") from error
        raise
    return [_message(workspace_id, row, new, now) for row, new in zip(rows, news, strict=True)]


def _row(message_id: uuid.UUID, new: NewMessage) -> dict[str, Any]:
    """A message as `_STORE` reads it."""
    return {
        "id": str(message_id),
        "stream": new.stream,
        "priority": PRIORITY[new.stream],
        "from_email": new.from_email,
        "to_email": new.to_email,
        "subject": new.subject,
        "size_bytes": _size_bytes(new),
        "tags": new.tags,
        "metadata": new.metadata,
        "scheduled_at": new.scheduled_at and new.scheduled_at.isoformat(),
        "expires_at": new.expires_at and new.expires_at.isoformat(),
        "lifetime_seconds": config.current().lifetime_seconds(new.stream),
        "from_name": new.from_name,
        "reply_to": new.reply_to,
        "headers": new.headers,
        "body_text": new.body_text,
        "body_html": new.body_html,
        "attachment_count": len(new.attachments),
    }


def _files(message_id: str, new: NewMessage) -> Iterator[dict[str, Any]]:
    for position, attachment in enumerate(new.attachments):
        yield {
            "message_id": message_id,
            "position": position,
            "filename": attachment.filename,
            "content_type": attachment.content_type,
            "content_id": attachment.content_id,
            "content": base64.b64encode(attachment.content).decode(),
        }


def _message(workspace_id: int, row: dict[str, Any], new: NewMessage, now: datetime) -> Message:
    """The row that `_STORE` has written, without reading it back."""
    due_at = max(now, new.scheduled_at) if new.scheduled_at else now
    lifetime = timedelta(seconds=row["lifetime_seconds"])
    message = Message()
    # Not by attributes: Peewee would note each of them as a change to be saved.
    message.__data__.update(
        id=uuid.UUID(row["id"]),
        workspace=workspace_id,
        status=Status.QUEUED,
        stream=new.stream,
        priority=row["priority"],
        from_email=new.from_email,
        to_email=new.to_email,
        subject=new.subject,
        size_bytes=row["size_bytes"],
        tags=list(new.tags),
        metadata=new.metadata,
        scheduled_at=new.scheduled_at,
        next_attempt_at=due_at,
        attempt_count=0,
        expires_at=new.expires_at or due_at + lifetime,
        excused_count=0,
        created_at=now,
        updated_at=now,
    )
    return message


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, check_circular=False, separators=(",", ":"))


class _Ticket:
    """A message that waits to be stored, and what became of it: it is set before `wake`."""

    __slots__ = ("_asleep", "error", "is_alone", "leads", "message", "new")

    def __init__(self, new: NewMessage) -> None:
        self.new = new
        self.message: Message | None = None
        self.error: BaseException | None = None
        self.is_alone = False
        """The group came to nothing, perhaps because of another message: store it by itself."""
        self.leads = False
        """It is this one's turn to store for all that wait."""
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wait(self) -> None:
        self._asleep.acquire()

    def wake(self) -> None:
        self._asleep.release()


class _Group:
    """The messages of one workspace that threads want stored just now.

    The first thread stores for all that have come; meanwhile the next ones gather, and one of them
    is told to go on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_led = False
        self._waiting: list[_Ticket] = []

    def store(self, workspace_id: int, ticket: _Ticket) -> None:
        """Comes back when something has become of the ticket."""
        with self._lock:
            self._waiting.append(ticket)
            ticket.leads, self._is_led = not self._is_led, True
        if not ticket.leads:
            ticket.wait()
        if ticket.leads:
            with self._lock:
                tickets, self._waiting = self._waiting, []
            try:
                _store_group(workspace_id, tickets)
            finally:
                self._hand_over()
                for other in tickets:
                    if other is not ticket:
                        other.wake()

    def _hand_over(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].wake()
            else:
                self._is_led = False


_groups: "WeakValueDictionary[int, _Group]" = WeakValueDictionary()
"""One for each workspace, for as long as somebody is in it."""


def store_one(workspace_id: int, new: NewMessage) -> Message:
    """Store a checked message, durably; raises as `store`.

    Threads that come at the same time share a statement and a commit. One that is alone waits for
    nobody. No connection need be open.
    """
    if database.in_transaction() or _size_bytes(new) > GROUP_BYTES_MAX:
        return store(workspace_id, [new])[0]
    ticket = _Ticket(new)
    group = _groups.setdefault(workspace_id, _Group())
    group.store(workspace_id, ticket)
    if ticket.is_alone:
        return store(workspace_id, [new])[0]
    if ticket.error is not None:
        # Not the same exception in several threads: each notes its own way in it.
        raise copy.copy(ticket.error) from ticket.error
    assert ticket.message is not None
    return ticket.message


def _store_group(workspace_id: int, tickets: list[_Ticket]) -> None:
    """Store the messages of a group, and note on each ticket what became of it. Raises nothing but
    what ends the thread.
    """
    try:
        messages = store(workspace_id, [ticket.new for ticket in tickets])
    except (NotFound, peewee.IntegrityError, peewee.DataError, peewee.ProgrammingError):
        # The database refused the statement, so nothing of it was stored.
        for ticket in tickets:
            ticket.is_alone = True
    except BaseException as error:
        # Perhaps it was stored, and the answer got lost: each caller is told that nobody knows.
        for ticket in tickets:
            ticket.error = error
        if not isinstance(error, Exception):
            raise
    else:
        for ticket, message in zip(tickets, messages, strict=True):
            ticket.message = message


def _size_bytes(new: NewMessage) -> int:
    texts = (new.subject, new.body_text or "", new.body_html or "")
    return sum(len(text.encode()) for text in texts) + sum(len(a.content) for a in new.attachments)

"""Writing accepted messages down: one statement for any number of them.

What becomes of a message is decided before (`acceptance`). Nothing is written here but what
accepting writes: the message, its content and attachments, its first events, the tallies, and the
idempotency key.
"""

import base64
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from maild.db import execute_prepared
from maild.domain.states import PRIORITY, EventType, Status
from maild.models import Message
from maild.services.submissions import Submission

SHARDS = 32
"""Over so many rows a workspace's tally is spread, so that nobody waits for who accepts as well."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message to be written: one recipient of a submission, and what was decided for it.

    `submission_id` is the id of its first message, where there are several; `is_first` says that it
    is this one, which then holds the content of them all.
    """

    id: uuid.UUID
    submission: Submission
    to_email: str
    status: Status
    due_at: datetime
    expires_at: datetime
    decision: dict[str, Any]
    policy_version: int
    submission_id: uuid.UUID | None = None
    is_first: bool = True
    suppression_id: int | None = None
    unsubscribe_id: int | None = None
    not_before: datetime | None = None
    stopped_by: dict[str, Any] | None = None
    """What its second event says, where it was stopped at once."""


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key to be remembered, and what it is answered with."""

    key: str
    request_hash: bytes
    answer: dict[str, Any]


# One statement, so one round trip: accepting is as fast as the disk. The contents come as one JSON
# text, which PostgreSQL reads faster than Python can write SQL.
_STORE = """
WITH v AS MATERIALIZED (
    SELECT * FROM json_to_recordset($2) AS v (
        id uuid, status text, stream text, priority smallint, from_email text, to_email text,
        subject text, size_bytes int, tags text[], metadata jsonb, scheduled_at timestamptz,
        due_at timestamptz, expires_at timestamptz, submission_id uuid, topic text,
        api_key_id int, suppression_id int, unsubscribe_id int, policy_version int,
        pinned_account text, not_before timestamptz, recipient_id bigint, decision jsonb,
        template jsonb)
), message AS (
    INSERT INTO messages (
        id, workspace_id, status, stream, priority, from_email, to_email, subject, size_bytes,
        tags, metadata, scheduled_at, next_attempt_at, expires_at, submission_id, topic,
        api_key_id, suppression_id, unsubscribe_id, policy_version, pinned_account,
        not_before, recipient_id, created_at, updated_at)
    SELECT id, $1, status, stream, priority, from_email, to_email, subject, size_bytes,
        tags, metadata, scheduled_at, CASE status WHEN 'queued' THEN due_at END, expires_at,
        submission_id, topic, api_key_id, suppression_id, unsubscribe_id, policy_version,
        pinned_account, not_before, recipient_id, $10, $10
    FROM v
), body AS (
    INSERT INTO message_bodies (
        message_id, from_name, reply_to, headers, body_text, body_html, attachment_count,
        visible_to, visible_cc)
    SELECT id, from_name, reply_to, headers, body_text, body_html, attachment_count, visible_to,
        visible_cc
    FROM json_to_recordset($3) AS b (
        id uuid, from_name text, reply_to text, headers jsonb, body_text text, body_html text,
        attachment_count smallint, visible_to text, visible_cc text[])
), attachment AS (
    INSERT INTO message_attachments (
        message_id, position, filename, content_type, content_id, content)
    SELECT message_id, position, filename, content_type, content_id, decode(content, 'base64')
    FROM json_to_recordset($4) AS a (
        message_id uuid, position smallint, filename text, content_type text, content_id text,
        content text)
), told AS (
    INSERT INTO events (workspace_id, message_id, type, data, created_at)
    SELECT $1, message_id, type, data, $10 FROM (
        SELECT id AS message_id, $5 AS type, CASE WHEN template IS NULL
            THEN jsonb_build_object('decision', decision)
            ELSE jsonb_build_object('decision', decision, 'template', template) END AS data
        FROM v
        UNION ALL
        SELECT message_id, type, data
        FROM json_to_recordset($6) AS e (message_id uuid, type text, data jsonb)) AS e
), tally AS (
    INSERT INTO accepted_tallies AS t (workspace_id, shard, accepted_count)
    SELECT $1, mod(pg_backend_pid(), $7), count(*) FROM v
    ON CONFLICT (workspace_id, shard) DO UPDATE
    SET accepted_count = t.accepted_count + excluded.accepted_count
), limits AS (
    INSERT INTO limit_tallies AS t (workspace_id, domain, slot, message_count)
    SELECT $1, domain, slot, message_count
    FROM json_to_recordset($8) AS l (domain text, slot int, message_count int)
    ON CONFLICT (workspace_id, domain, slot) DO UPDATE
    SET message_count = t.message_count + excluded.message_count
), key AS (
    INSERT INTO idempotency_keys AS k (workspace_id, key, request_hash, answer)
    SELECT $1, key, decode(request_hash, 'hex'), answer
    FROM json_to_recordset($9) AS n (key text, request_hash text, answer jsonb)
    ON CONFLICT (workspace_id, key) DO UPDATE
    SET request_hash = excluded.request_hash, answer = excluded.answer, created_at = now()
)
SELECT 1
"""


def write(
    workspace_id: int,
    rows: Sequence[Row],
    *,
    now: datetime,
    tallies: dict[tuple[str, int], int],
    keys: Sequence[Key] = (),
) -> None:
    """Write messages down, all of them or none, in the caller's transaction.

    `now` is when they were accepted; `tallies` are messages by scope and slot, for the limits.
    """
    events = [
        {
            "message_id": str(row.id),
            "type": EventType.SUPPRESSED.value,
            "data": row.stopped_by,
        }
        for row in rows
        if row.stopped_by is not None
    ]
    first = [row for row in rows if row.is_first]
    parameters = (
        workspace_id,
        _to_json([_message_row(row) for row in rows]),
        _to_json([_body_row(row) for row in first]),
        _to_json([file for row in first for file in _files(row)]),
        EventType.ACCEPTED.value,
        _to_json(events),
        SHARDS,
        _to_json(
            [
                {"domain": domain, "slot": slot, "message_count": count}
                for (domain, slot), count in sorted(tallies.items())
            ]
        ),
        _to_json(
            [
                {"key": key.key, "request_hash": key.request_hash.hex(), "answer": key.answer}
                for key in keys
            ]
        ),
        now,
    )
    execute_prepared("accept", _STORE, parameters)


def _message_row(row: Row) -> dict[str, Any]:
    """A message as `_STORE` reads it."""
    new = row.submission.new
    values: dict[str, Any] = {
        "id": str(row.id),
        "status": row.status,
        "stream": new.stream,
        "priority": PRIORITY[new.stream],
        "from_email": new.from_email,
        "to_email": row.to_email,
        "subject": new.subject,
        "size_bytes": row.submission.size_bytes,
        "tags": new.tags,
        "metadata": new.metadata,
        "scheduled_at": new.scheduled_at and new.scheduled_at.isoformat(),
        "due_at": row.due_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
        "submission_id": row.submission_id and str(row.submission_id),
        "topic": new.topic,
        "api_key_id": row.submission.by.api_key_id,
        "suppression_id": row.suppression_id,
        "unsubscribe_id": row.unsubscribe_id,
        "policy_version": row.policy_version,
        "pinned_account": new.smtp_account or "",
        "not_before": row.not_before and row.not_before.isoformat(),
        "decision": row.decision,
    }
    if new.recipient_id is not None:
        values["recipient_id"] = new.recipient_id
    if new.template is not None:
        values["template"] = asdict(new.template)
    return values


def _body_row(row: Row) -> dict[str, Any]:
    new = row.submission.new
    has_several = row.submission_id is not None
    return {
        "id": str(row.id),
        "from_name": new.from_name,
        "reply_to": new.reply_to,
        "headers": new.headers,
        "body_text": new.body_text,
        "body_html": new.body_html,
        "attachment_count": len(new.attachments),
        "visible_to": new.to_email if has_several else None,
        "visible_cc": new.cc if has_several else None,
    }


def _files(row: Row) -> Iterator[dict[str, Any]]:
    for position, attachment in enumerate(row.submission.new.attachments):
        yield {
            "message_id": str(row.id),
            "position": position,
            "filename": attachment.filename,
            "content_type": attachment.content_type,
            "content_id": attachment.content_id,
            "content": base64.b64encode(attachment.content).decode(),
        }


def as_message(workspace_id: int, row: Row, *, now: datetime) -> Message:
    """The message that `write` has written, without reading it back."""
    new = row.submission.new
    message = Message()
    # Not by attributes: Peewee would note each of them as a change to be saved.
    message.__data__.update(
        id=row.id,
        workspace=workspace_id,
        status=row.status,
        stream=new.stream,
        priority=PRIORITY[new.stream],
        from_email=new.from_email,
        to_email=row.to_email,
        subject=new.subject,
        size_bytes=row.submission.size_bytes,
        tags=list(new.tags),
        metadata=new.metadata,
        scheduled_at=new.scheduled_at,
        next_attempt_at=row.due_at if row.status is Status.QUEUED else None,
        attempt_count=0,
        expires_at=row.expires_at,
        excused_count=0,
        created_at=now,
        updated_at=now,
        submission_id=row.submission_id,
        topic=new.topic,
        api_key_id=row.submission.by.api_key_id,
        suppression=row.suppression_id,
        unsubscribe=row.unsubscribe_id,
        policy_version=row.policy_version,
        pinned_account=new.smtp_account or "",
        not_before=row.not_before,
        recipient_id=new.recipient_id,
    )
    return message


_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def _to_json(rows: list[dict[str, Any]]) -> str:
    return _encode(rows) if rows else "[]"

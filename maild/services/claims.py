"""Which messages this worker may send: finding lanes with work, claiming a slice, giving back.

A claim is one statement: it picks the oldest due messages of a lane with SKIP LOCKED, and moves
each to where the rules say: `expired` after its lifetime, `suppressed`, `held` by a freeze, or else
`sending`, with its attempt counted. All of that is committed before anything is on the wire.
Postgres' clock decides every lease; a worker that Postgres believes dead claims nothing.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maild import config
from maild.db import database
from maild.domain.lanes import Lane
from maild.domain.states import EventType, Status, Stream
from maild.services import transitions
from maild.services.transitions import Move

INLINE_BYTES = 256 * 1024
"""Contents up to this size come with the claim; larger ones are loaded one by one."""
LANES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this worker holds, with what sending needs of its narrow row.

    `account_id` 0 is the environment's account. `seconds_left` of its lifetime are counted from
    the claim. `attempt_no - excused_count` attempts count against the message, this one included;
    `path_fault_count` is how often its provider was at fault lately.
    """

    worker_id: uuid.UUID
    message_id: uuid.UUID
    workspace_id: int
    attempt_no: int
    excused_count: int
    path_fault_count: int
    stream: Stream
    from_email: str
    to_email: str
    subject: str
    size_bytes: int
    created_at_epoch: float
    seconds_left: float
    account_id: int
    account_name: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says, as it is stored. `headers` are pairs of name and value."""

    from_name: str | None
    reply_to: str | None
    headers: list[list[str]]
    body_text: str | None
    body_html: str | None
    attachment_count: int


# A skip scan by hand: one probe of the index for each lane, however many messages wait in it.
_LIST_LANES = """
WITH RECURSIVE lane AS (
    (SELECT priority, workspace_id, next_attempt_at FROM messages
        WHERE status = 'queued' ORDER BY priority, workspace_id, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT next.* FROM lane, LATERAL (
        SELECT priority, workspace_id, next_attempt_at FROM messages
        WHERE status = 'queued'
            AND (priority, workspace_id) > (lane.priority, lane.workspace_id)
        ORDER BY priority, workspace_id, next_attempt_at LIMIT 1) AS next
)
SELECT priority, workspace_id FROM lane WHERE next_attempt_at <= now() LIMIT %s
"""


def list_due_lanes() -> list[Lane]:
    """The lanes in which something is due."""
    return [Lane(*row) for row in database.execute_sql(_LIST_LANES, (LANES_MAX,)).fetchall()]


_CLAIM = """
WITH frozen AS (
    SELECT id, reason FROM freezes
    WHERE workspace_id = %(workspace)s
        AND (kind = 'workspace' OR kind = 'stream' AND target = %(stream)s)
        AND lifted_at IS NULL AND expires_at > now()
    ORDER BY id LIMIT 1
), due AS MATERIALIZED (
    SELECT m.id,
        CASE
            WHEN m.expires_at <= now() THEN 'expired'
            WHEN EXISTS (
                SELECT FROM suppressions s
                WHERE s.workspace_id = m.workspace_id
                    AND s.email = lower(m.to_email COLLATE "pg_c_utf8")
                    AND (s.stream IS NULL OR s.stream = m.stream)
                    AND s.removed_at IS NULL
                    AND (s.expires_at IS NULL OR s.expires_at > now())) THEN 'suppressed'
            WHEN EXISTS (SELECT FROM frozen) THEN 'held'
            ELSE 'sending'
        END AS new
    FROM messages m
    WHERE m.status = 'queued' AND m.priority = %(priority)s AND m.workspace_id = %(workspace)s
        AND m.next_attempt_at <= now()
        AND EXISTS (
            SELECT FROM workers w
            WHERE w.id = %(worker)s AND w.seen_at > now() - %(lease)s * interval '1 second')
    ORDER BY m.next_attempt_at
    LIMIT %(limit)s
    FOR UPDATE OF m SKIP LOCKED
), moved AS (
    UPDATE messages AS m SET
        status = due.new,
        next_attempt_at = NULL,
        worker_id = CASE due.new WHEN 'sending' THEN %(worker)s::uuid END,
        attempt_count = m.attempt_count + CASE due.new WHEN 'sending' THEN 1 ELSE 0 END,
        smtp_account_name = CASE due.new WHEN 'sending' THEN %(account_name)s
            ELSE m.smtp_account_name END,
        hold_reason = CASE due.new WHEN 'held' THEN (SELECT reason FROM frozen) END,
        freeze_id = CASE due.new WHEN 'held' THEN (SELECT id FROM frozen) END,
        updated_at = now()
    FROM due WHERE m.id = due.id
    RETURNING m.id, m.status, m.attempt_count, m.excused_count, m.path_fault_count, m.from_email,
        m.to_email, m.subject, m.size_bytes, m.created_at, m.expires_at, m.hold_reason
), told AS (
    INSERT INTO events (workspace_id, message_id, type, data)
    SELECT %(workspace)s, id, 'message.' || status,
        jsonb_strip_nulls(jsonb_build_object('reason', hold_reason))
    FROM moved WHERE status <> 'sending'
)
SELECT m.id, m.status, m.attempt_count, m.excused_count, m.path_fault_count, m.from_email,
    m.to_email, m.subject, m.size_bytes, extract(epoch FROM m.created_at)::float8,
    extract(epoch FROM m.expires_at - now())::float8,
    b.from_name, b.reply_to, b.headers, b.body_text, b.body_html, b.attachment_count
FROM moved m
LEFT JOIN message_bodies b ON b.message_id = m.id AND m.size_bytes <= %(inline)s
    AND m.status = 'sending'
ORDER BY m.created_at, m.id
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim came to. `contents` has what was small enough to come along. `moved_count` is
    how many messages left the queue, those included that went elsewhere than to us.
    """

    claims: list[Claim]
    contents: dict[uuid.UUID, Content]
    moved_count: int


def claim(
    worker_id: uuid.UUID, lane: Lane, *, account_id: int, account_name: str, limit: int
) -> Claimed:
    """Take up to `limit` due messages of a lane, for this account; committed on return."""
    rows = database.execute_sql(
        _CLAIM,
        {
            "workspace": lane.workspace_id,
            "priority": lane.priority,
            "stream": lane.stream.value,
            "limit": limit,
            "worker": str(worker_id),
            "lease": config.current().lease_seconds,
            "account_name": account_name,
            "inline": INLINE_BYTES,
        },
    ).fetchall()
    claims: list[Claim] = []
    contents: dict[uuid.UUID, Content] = {}
    stream = lane.stream
    for row in rows:
        if row[1] != Status.SENDING.value:
            continue
        message_id = row[0]
        claims.append(
            Claim(
                worker_id=worker_id,
                message_id=message_id,
                workspace_id=lane.workspace_id,
                attempt_no=row[2],
                excused_count=row[3],
                path_fault_count=row[4],
                stream=stream,
                from_email=row[5],
                to_email=row[6],
                subject=row[7],
                size_bytes=row[8],
                created_at_epoch=row[9],
                seconds_left=row[10],
                account_id=account_id,
                account_name=account_name,
            )
        )
        if row[13] is not None:  # headers are never null: the body came along
            contents[message_id] = Content(*row[11:17])
    return Claimed(claims, contents, len(rows))


_LOAD = """
SELECT from_name, reply_to, headers, body_text, body_html, attachment_count
FROM message_bodies WHERE message_id = %s
"""
_LOAD_ATTACHMENTS = """
SELECT message_id, filename, content_type, content, content_id FROM message_attachments
WHERE message_id IN %s ORDER BY message_id, position
"""


def load_content(message_id: uuid.UUID) -> Content:
    """The content of one large message."""
    return Content(*database.execute_sql(_LOAD, (message_id,)).fetchone())


def load_attachments(message_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[tuple[Any, ...]]]:
    """(filename, content type, bytes, content id) of each message's attachments, in order."""
    found: dict[uuid.UUID, list[tuple[Any, ...]]] = {}
    if message_ids:
        for row in database.execute_sql(_LOAD_ATTACHMENTS, (tuple(message_ids),)).fetchall():
            filename, content_type, content, content_id = row[1:]
            found.setdefault(row[0], []).append(
                (filename, content_type, bytes(content), content_id)
            )
    return found


def release(claims: Sequence[Claim]) -> None:
    """Give back messages that were claimed and offered to no server; their attempt is not
    used.
    """
    with database.atomic():
        transitions.apply(
            [
                Move(
                    message_id=claim.message_id,
                    workspace_id=claim.workspace_id,
                    old=Status.SENDING,
                    new=Status.QUEUED,
                    event=EventType.RELEASED,
                    data={"attempt_no": claim.attempt_no},
                    worker_id=claim.worker_id,
                    attempt_no=claim.attempt_no,
                    next_attempt_in=0.0,
                    uncount=True,
                )
                for claim in claims
            ]
        )


_STOPPED = """
SELECT m.id,
    EXISTS (
        SELECT FROM suppressions s
        WHERE s.workspace_id = m.workspace_id AND s.email = lower(m.to_email COLLATE "pg_c_utf8")
            AND (s.stream IS NULL OR s.stream = m.stream) AND s.removed_at IS NULL
            AND (s.expires_at IS NULL OR s.expires_at > now())),
    EXISTS (
        SELECT FROM freezes f
        WHERE f.workspace_id = m.workspace_id AND f.lifted_at IS NULL AND f.expires_at > now()
            AND (f.kind = 'workspace' OR f.kind = 'stream' AND f.target = m.stream))
FROM messages m WHERE m.id = ANY(%s::uuid[])
"""


def find_forbidden(claims: Sequence[Claim]) -> tuple[set[uuid.UUID], set[uuid.UUID]]:
    """The last check before messages are offered: the ids of those that were suppressed, and of
    those whose lane was frozen, since their claim. Changes nothing.
    """
    ids = [str(claim.message_id) for claim in claims]
    rows = database.execute_sql(_STOPPED, (ids,)).fetchall()
    suppressed = {message_id for message_id, is_suppressed, _ in rows if is_suppressed}
    return suppressed, {message_id for message_id, _, is_frozen in rows if is_frozen} - suppressed


def suppress(claims: Sequence[Claim]) -> None:
    """Take messages that were offered to no server out of sending: their recipients are
    suppressed.
    """
    with database.atomic():
        transitions.apply([_suppress(claim) for claim in claims])


def _suppress(claim: Claim) -> Move:
    return Move(
        message_id=claim.message_id,
        workspace_id=claim.workspace_id,
        old=Status.SENDING,
        new=Status.SUPPRESSED,
        event=EventType.SUPPRESSED,
        worker_id=claim.worker_id,
        attempt_no=claim.attempt_no,
        uncount=True,
    )

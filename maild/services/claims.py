"""Who may send what: claiming what is due, giving back, and rescuing what a dead worker held.

A claim is one statement: it picks what is due with SKIP LOCKED (oldest first within priority), sets
`sending`, counts the attempt and writes it down, all before anything is dialled. Postgres' clock
decides every lease; a worker that Postgres believes dead claims nothing.
"""

import random
import uuid
from dataclasses import dataclass

from maild import config
from maild.db import database
from maild.domain import retry
from maild.domain.states import EventType, Status
from maild.services import transitions
from maild.services.transitions import Move
from maild.services.workers import Lease

DEFAULT_ACCOUNT = "default"
"""The name under which the SMTP account of the environment appears."""

RESCUE_BATCH = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this worker holds, with what sending needs of its narrow row.

    `smtp_account_id` is None where the environment's account sends.
    """

    worker_id: uuid.UUID
    message_id: uuid.UUID
    workspace_id: int
    attempt_no: int
    from_email: str
    to_email: str
    subject: str
    size_bytes: int
    created_at_epoch: float
    smtp_account_id: int | None
    smtp_account_name: str


_CLAIM = """
WITH due AS (
    SELECT id FROM messages
    WHERE status = 'queued' AND next_attempt_at <= now()
    ORDER BY priority, next_attempt_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE messages AS m SET
        status = 'sending', worker_id = %(worker)s, next_attempt_at = NULL,
        attempt_count = m.attempt_count + 1, updated_at = now()
    FROM due
    WHERE m.id = due.id AND EXISTS (
        SELECT FROM workers
        WHERE id = %(worker)s AND seen_at > now() - %(lease)s * interval '1 second')
    RETURNING m.id, m.workspace_id, m.attempt_count, m.from_email, m.to_email, m.subject,
        m.size_bytes, m.created_at, m.priority
), routed AS (
    SELECT c.*, a.id AS account_id, coalesce(a.name, %(default)s) AS account_name
    FROM claimed c
    LEFT JOIN smtp_accounts a ON a.workspace_id = c.workspace_id AND a.is_active
), started AS (
    INSERT INTO attempts (message_id, attempt_no, status, worker_id, smtp_account_name)
    SELECT id, attempt_count, 'started', %(worker)s, account_name FROM routed
)
SELECT id, workspace_id, attempt_count, from_email, to_email, subject, size_bytes,
    extract(epoch FROM created_at)::double precision, account_id, account_name
FROM routed
ORDER BY priority, created_at, id
"""


def claim(worker_id: uuid.UUID, *, limit: int) -> list[Claim]:
    """Take up to `limit` due messages for a worker whose lease is alive; committed on return."""
    cursor = database.execute_sql(
        _CLAIM,
        {
            "limit": limit,
            "worker": str(worker_id),
            "lease": config.current().lease_seconds,
            "default": DEFAULT_ACCOUNT,
        },
    )
    return [Claim(worker_id, *row) for row in cursor.fetchall()]


def release(claims: list[Claim]) -> None:
    """Give back messages that were claimed and never dialled; their attempt is taken back."""
    with database.atomic():
        released = transitions.apply(
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
        attempts = [(c.message_id, c.attempt_no) for c in claims if c.message_id in released]
        if attempts:
            database.execute_sql(
                "DELETE FROM attempts WHERE (message_id, attempt_no) IN %s", (tuple(attempts),)
            )


_HELD_BY_THE_DEAD = """
SELECT m.id, m.workspace_id, m.attempt_count, m.worker_id
FROM messages m LEFT JOIN workers w ON w.id = m.worker_id
WHERE m.status = 'sending'
    AND (w.id IS NULL OR w.seen_at <= now() - %s * interval '1 second')
LIMIT %s
FOR UPDATE OF m SKIP LOCKED
"""
_HELD_BY_US = """
SELECT id, workspace_id, attempt_count, worker_id FROM messages
WHERE status = 'sending' AND worker_id = %s AND updated_at < now() - %s * interval '1 second'
FOR UPDATE SKIP LOCKED
"""
_FORGOTTEN_AFTER_SECONDS = 5
"""Longer than the answer to a claim can be under way."""


def rescue() -> int:
    """Put what dead workers held back into the queue, and return how many messages that was.

    Whether the provider took such a message is not known; it is sent again with the same
    Message-ID. One whose attempts are used up becomes `failed`, so that a message that kills its
    workers ends.
    """
    settings = config.current()
    rescued = 0
    while True:
        with database.atomic():
            held = database.execute_sql(
                _HELD_BY_THE_DEAD, (settings.lease_seconds, RESCUE_BATCH)
            ).fetchall()
            _requeue(held)
        rescued += len(held)
        if len(held) < RESCUE_BATCH:
            return rescued


def rescue_forgotten(lease: Lease) -> int:
    """Put back what Postgres thinks this worker holds, and the worker does not know of.

    An error between the claim and the outcome leaves such messages: the answer to the claim was
    lost, or the database went away in the middle of a batch. Returns how many there were.
    """
    with database.atomic():
        rows = database.execute_sql(
            _HELD_BY_US, (lease.worker_id, _FORGOTTEN_AFTER_SECONDS)
        ).fetchall()
        forgotten = [row for row in rows if row[0] not in lease.held]
        _requeue(forgotten)
    return len(forgotten)


def _requeue(rows: list[tuple[uuid.UUID, int, int, uuid.UUID]]) -> None:
    """Close the attempts of these messages as interrupted, and queue them again."""
    if not rows:
        return
    transitions.apply([_rescue_move(*row) for row in rows])
    database.execute_sql(
        "UPDATE attempts SET status = 'interrupted', finished_at = now()"
        " WHERE status = 'started' AND (message_id, attempt_no) IN %s",
        (tuple((row[0], row[2]) for row in rows),),
    )


def _rescue_move(
    message_id: uuid.UUID, workspace_id: int, attempt_no: int, worker_id: uuid.UUID
) -> Move:
    settings = config.current()
    is_spent = attempt_no >= settings.max_attempts
    error = "The worker was interrupted in the middle of this attempt; its outcome is not known."
    delay = 0.0
    if attempt_no > 1:
        # One message may be what kills its workers. The jitter parts it from those that were only
        # claimed along with it, so that they do not use up their attempts together.
        delay = retry.delay_seconds(
            attempt_no - 1,
            settings.retry_delays_seconds,
            jitter=random.uniform,
        )
    return Move(
        message_id=message_id,
        workspace_id=workspace_id,
        old=Status.SENDING,
        new=Status.FAILED if is_spent else Status.QUEUED,
        event=EventType.FAILED if is_spent else EventType.RESCUED,
        data={"attempt_no": attempt_no},
        worker_id=worker_id,
        attempt_no=attempt_no,
        next_attempt_in=None if is_spent else delay,
        last_error=error,
        error_class="interrupted",
    )

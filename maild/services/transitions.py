"""The one place that changes a message's state: a guarded update, with its event in the same
transaction.

Whoever loses a race changes nothing: the update names the state (and, for `sending`, the worker and
the attempt) that it expects, and a row that is no longer so is left alone. Claims pick and move in
one statement of their own (`services/claims.py`); every other move comes through here.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from maild.db import database
from maild.domain.states import EventType, Status, can_move
from maild.errors import IllegalTransition


@dataclass(frozen=True, slots=True)
class Move:
    """One message's change of state, with what it must look like before.

    `worker_id` and `attempt_no` are the fencing token of a `sending` message: both must still hold.
    `next_attempt_in` is in seconds from now, and given exactly when `new` is queued.

    `uncount` takes the attempt back, for a message that was claimed and never offered to a server,
    and gives it its old place in the queue;
    `excuse` keeps it, and does not count it against the message. `lifetime_seconds` gives the
    message all its attempts again, and at least so long a life from now.

    `last_error` and `error_class` replace the message's when an attempt ended, and by a report;
    other moves leave them as they are. `hold_reason` is given exactly when `new` is held, and what
    stopped it when `new` is suppressed.
    """

    message_id: uuid.UUID
    workspace_id: int
    old: Status
    new: Status
    event: EventType
    data: dict[str, Any] = field(default_factory=dict)
    worker_id: uuid.UUID | None = None
    attempt_no: int | None = None
    next_attempt_in: float | None = None
    uncount: bool = False
    excuse: bool = False
    lifetime_seconds: int | None = None
    last_error: str | None = None
    error_class: str | None = None
    smtp_account_name: str | None = None
    hold_reason: str | None = None
    suppression_id: int | None = None
    unsubscribe_id: int | None = None


# One statement for all, and one parameter: PostgreSQL reads JSON faster than Python writes SQL.
_APPLY = """
WITH v AS MATERIALIZED (
    SELECT *, old = 'sending' AND uncount = 0
        OR event IN ('message.outcome_learned', 'message.delivered', 'message.bounced',
            'message.complained') AS has_outcome
    FROM json_to_recordset(%s) AS v (
        id uuid, workspace_id int, old text, new text, event text, data jsonb,
        worker_id uuid, attempt_no int, next_attempt_in float8, uncount int, excuse int,
        lifetime int, last_error text, error_class text, smtp_account_name text, hold_reason text,
        suppression_id int, unsubscribe_id int)
), moved AS (
    UPDATE messages AS m SET
        status = v.new,
        worker_id = NULL,
        next_attempt_at = CASE
            WHEN v.new <> 'queued' THEN NULL
            WHEN v.uncount = 1 THEN least(now(), greatest(m.created_at, m.scheduled_at))
            ELSE now() + v.next_attempt_in * interval '1 second' END,
        attempt_count = m.attempt_count - v.uncount,
        excused_count = CASE WHEN v.lifetime IS NULL THEN m.excused_count + v.excuse
            ELSE m.attempt_count END,
        path_fault_count = CASE WHEN v.lifetime IS NULL THEN m.path_fault_count + v.excuse
            ELSE 0 END,
        expires_at = greatest(m.expires_at, now() + v.lifetime * interval '1 second'),
        last_error = CASE WHEN v.has_outcome THEN v.last_error ELSE m.last_error END,
        error_class = CASE WHEN v.has_outcome THEN v.error_class ELSE m.error_class END,
        smtp_account_name = coalesce(v.smtp_account_name, m.smtp_account_name),
        hold_reason = v.hold_reason,
        freeze_id = NULL,
        suppression_id = v.suppression_id,
        unsubscribe_id = v.unsubscribe_id,
        updated_at = now()
    FROM v
    WHERE m.id = v.id
        AND m.status = v.old
        AND (v.worker_id IS NULL OR m.worker_id = v.worker_id)
        AND (v.attempt_no IS NULL OR m.attempt_count = v.attempt_no)
    RETURNING m.id, v.workspace_id, v.event, v.data
), told AS (
    INSERT INTO events (workspace_id, message_id, type, data)
    SELECT workspace_id, id, event, data FROM moved
)
SELECT id FROM moved
"""


def apply(moves: Sequence[Move]) -> set[uuid.UUID]:
    """Make the moves that still can be made, and return the ids of the messages that moved.

    Assumes the caller's transaction. Raises IllegalTransition for a move that the states do not
    have.
    """
    for move in moves:
        if not can_move(move.old, move.new):
            raise IllegalTransition(f"{move.message_id} cannot go from {move.old} to {move.new}")
    if not moves:
        return set()
    # In one order everywhere: two writers of the same messages hardly ever meet head-on.
    ordered = sorted(moves, key=lambda move: move.message_id)
    rows = [
        {
            "id": str(m.message_id),
            "workspace_id": m.workspace_id,
            "old": m.old,
            "new": m.new,
            "event": m.event,
            "data": m.data,
            "worker_id": str(m.worker_id) if m.worker_id else None,
            "attempt_no": m.attempt_no,
            "next_attempt_in": m.next_attempt_in,
            "uncount": int(m.uncount),
            "excuse": int(m.excuse),
            "lifetime": m.lifetime_seconds,
            "last_error": m.last_error,
            "error_class": m.error_class,
            "smtp_account_name": m.smtp_account_name,
            "hold_reason": m.hold_reason,
            "suppression_id": m.suppression_id,
            "unsubscribe_id": m.unsubscribe_id,
        }
        for m in ordered
    ]
    return {row[0] for row in database.execute_sql(_APPLY, (json.dumps(rows),)).fetchall()}

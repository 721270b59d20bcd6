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

from maild.db import execute_values
from maild.domain.states import EventType, Status, can_move
from maild.errors import IllegalTransition


@dataclass(frozen=True, slots=True)
class Move:
    """One message's change of state, with what it must look like before.

    `worker_id` and `attempt_no` are the fencing token of a `sending` message: both must still hold.
    `next_attempt_in` is in seconds from now, and given exactly when `new` is queued. `uncount`
    takes the attempt back, for a message that was claimed and never dialled.
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
    last_error: str | None = None
    error_class: str | None = None
    smtp_account_name: str | None = None


_UPDATE = """
UPDATE messages AS m SET
    status = v.new,
    worker_id = NULL,
    next_attempt_at = now() + v.next_attempt_in * interval '1 second',
    attempt_count = m.attempt_count - v.uncount,
    last_error = CASE WHEN v.uncount = 1 THEN m.last_error ELSE v.last_error END,
    error_class = CASE WHEN v.uncount = 1 THEN m.error_class ELSE v.error_class END,
    smtp_account_name = coalesce(v.smtp_account_name, m.smtp_account_name),
    updated_at = now()
FROM (VALUES %s) AS v (
    id, old, new, worker_id, attempt_no, next_attempt_in, uncount, last_error, error_class,
    smtp_account_name)
WHERE m.id = v.id
    AND m.status = v.old
    AND (v.worker_id IS NULL OR m.worker_id = v.worker_id)
    AND (v.attempt_no IS NULL OR m.attempt_count = v.attempt_no)
RETURNING m.id
"""
_ROW = (
    "(%s::uuid, %s, %s, %s::uuid, %s::int, %s::double precision, %s::int, %s::text, %s::text,"
    " %s::text)"
)
_EVENTS = "INSERT INTO events (workspace_id, message_id, type, data) VALUES %s"


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
    moved_rows = execute_values(
        _UPDATE,
        [
            (
                m.message_id,
                m.old.value,
                m.new.value,
                m.worker_id,
                m.attempt_no,
                m.next_attempt_in,
                int(m.uncount),
                m.last_error,
                m.error_class,
                m.smtp_account_name,
            )
            for m in ordered
        ],
        template=_ROW,
        fetch=True,
    )
    moved = {row[0] for row in moved_rows}
    events = [
        (m.workspace_id, m.message_id, m.event.value, json.dumps(m.data))
        for m in ordered
        if m.message_id in moved
    ]
    if events:
        execute_values(_EVENTS, events)
    return moved

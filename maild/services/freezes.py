"""Freezes: a lane of a workspace stands still. What comes due meanwhile is held by its claim, and
let go when the freeze is lifted or ends.
"""

from datetime import datetime

from maild.db import database
from maild.domain.actor import SYSTEM, Actor
from maild.domain.freeze import FreezeKind
from maild.domain.states import EventType
from maild.models import Freeze

RELEASE_BATCH = 1_000


def start(
    workspace_id: int,
    *,
    reason: str,
    expires_at: datetime,
    kind: FreezeKind = FreezeKind.WORKSPACE,
    target: str | None = None,
    by: Actor = SYSTEM,
) -> Freeze:
    """Let some mail of the workspace stand still; in force when committed."""
    freeze: Freeze = Freeze.create(
        workspace=workspace_id,
        kind=kind,
        target=target,
        reason=reason,
        expires_at=expires_at,
        created_by=by.name,
    )
    return freeze


_LIFT = "UPDATE freezes SET lifted_at = now() WHERE id = %s AND lifted_at IS NULL"


def lift(freeze: Freeze) -> None:
    """End a freeze now; `release_thawed` lets go what it held."""
    database.execute_sql(_LIFT, (freeze.id,))


_RELEASE = """
WITH thawed AS (
    SELECT m.id FROM messages m JOIN freezes f ON f.id = m.freeze_id
    WHERE m.status = 'held' AND (f.lifted_at IS NOT NULL OR f.expires_at <= now())
    LIMIT %s
    FOR UPDATE OF m SKIP LOCKED
), moved AS (
    UPDATE messages m SET
        status = 'queued', hold_reason = NULL, freeze_id = NULL, updated_at = now(),
        next_attempt_at = greatest(now(), m.scheduled_at)
    FROM thawed WHERE m.id = thawed.id
    RETURNING m.workspace_id, m.id
)
INSERT INTO events (workspace_id, message_id, type, data)
SELECT workspace_id, id, %s, '{}' FROM moved
"""


def release_thawed() -> int:
    """Queue again what freezes that are over still hold; returns how many messages that was."""
    released = 0
    while True:
        cursor = database.execute_sql(_RELEASE, (RELEASE_BATCH, EventType.RELEASED.value))
        released += int(cursor.rowcount)
        if cursor.rowcount < RELEASE_BATCH:
            return released

"""Lifetimes: a message that could not be sent in time is expired, wherever it waits.

The claim looks first (`services/claims.py`); this finds those that no claim reaches: held, or in a
lane whose provider is away.
"""

import math
import time

from maild.db import database
from maild.domain.states import EventType

EXPIRE_BATCH = 1_000

# What a freeze holds of a campaign gets its lifetime back when that is over (`freezes`).
_EXPIRE = """
WITH overdue AS (
    SELECT id FROM messages
    WHERE status IN ('queued', 'held') AND expires_at <= now()
        AND (freeze_id IS NULL OR recipient_id IS NULL)
    ORDER BY expires_at LIMIT %s
    FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE messages m SET
        status = 'expired', next_attempt_at = NULL, hold_reason = NULL, freeze_id = NULL,
        updated_at = now()
    FROM overdue WHERE m.id = overdue.id
    RETURNING m.workspace_id, m.id
)
INSERT INTO events (workspace_id, message_id, type, data)
SELECT workspace_id, id, %s, '{}' FROM moved
"""


def expire_overdue(*, seconds: float = math.inf) -> int:
    """Expire the waiting messages whose lifetime is over, for about so long, a batch at least;
    returns how many that was. The next call goes on.
    """
    ends_at = time.monotonic() + seconds
    expired = 0
    while True:
        cursor = database.execute_sql(_EXPIRE, (EXPIRE_BATCH, EventType.EXPIRED.value))
        expired += int(cursor.rowcount)
        if cursor.rowcount < EXPIRE_BATCH or time.monotonic() >= ends_at:
            return expired

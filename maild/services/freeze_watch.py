"""What stands still right now, for whoever looks at any page: one small statement, which finds
nothing in an index where nothing is frozen. What else waits behind a freeze, and how long that
takes to go out, is for `freeze_backlogs`.
"""

from dataclasses import dataclass
from datetime import datetime

from maild.db import database
from maild.domain.freeze import NEVER, FreezeKind

HELD_MAX = 1_000
"""The count of what a freeze holds stops here: it means so many, or more."""
LISTED_MAX = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """A freeze in force. `key_name` is that of the API key that is its target.

    `held_count` is what it holds by now, HELD_MAX at most; mail of a frozen SMTP account takes
    another way, or stays in the queue.
    """

    id: int
    kind: FreezeKind
    target: str | None
    key_name: str | None
    reason: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    held_count: int

    @property
    def has_end(self) -> bool:
        """Whether it ends by itself: those of a restore do not."""
        return self.expires_at < NEVER


# The order makes the planner take the index, however much of the table a freeze holds.
_STANDING = """
WITH standing AS MATERIALIZED (
    SELECT * FROM freezes
    WHERE workspace_id = %(workspace)s AND lifted_at IS NULL AND expires_at > now()
    ORDER BY array_position(%(kinds)s::text[], kind), id LIMIT %(listed)s
)
SELECT f.id, f.kind, f.target, k.name, f.reason, f.created_by, f.created_at, f.expires_at,
    held.count
FROM standing f
LEFT JOIN api_keys k ON k.workspace_id = f.workspace_id
    AND k.id = CASE WHEN f.kind = 'api_key' THEN f.target::int END
CROSS JOIN LATERAL (
    SELECT count(*)::int AS count FROM (
        SELECT FROM messages m WHERE m.freeze_id BETWEEN f.id AND f.id
        ORDER BY m.freeze_id LIMIT %(held)s) AS first) AS held
ORDER BY array_position(%(kinds)s::text[], f.kind), f.id
"""


def look(workspace_id: int) -> list[Standing]:
    """The freezes in force, the widest first and of one kind the oldest; LISTED_MAX at most."""
    values = {
        "workspace": workspace_id,
        "kinds": [kind.value for kind in FreezeKind],
        "listed": LISTED_MAX,
        "held": HELD_MAX,
    }
    rows = database.execute_sql(_STANDING, values).fetchall()
    return [Standing(row[0], FreezeKind(row[1]), *row[2:]) for row in rows]

"""Folding: what was counted minute by minute, and connection by connection, takes less room.

The database counts by itself, as events are written (`models/rollup.py`). `fold` makes rollups of
the tallies of minutes that are over: by the minute, for looking at the last days closely, and by
the hour, for all the rest. It adds nothing and loses nothing: what it deletes is what it inserts,
in one statement. Reading is for `analytics`.
"""

from typing import Any

from maild.db import database

SETTLED = "2 minutes"
"""Tallies are left alone for so long: until then somebody may be adding to them."""
MINUTES_KEPT_DAYS = 8
"""What is older is known by the hour only, and that for good: bills ask for it much later."""
BATCH = 5_000
BATCHES_MAX = 20
"""Of each kind in one run; what is left over is done by the next."""

# Tallies that somebody is adding to are passed by, so that nobody waits for this, and this for
# nobody: there is no circle. Who adds to a minute that was folded begins a tally anew.
_FOLD = """
WITH settled AS MATERIALIZED (
    SELECT workspace_id, at, kind, stream, smtp_account, shard FROM traffic_tallies
    WHERE at <= now() - %(settled)s::interval - interval '1 minute'
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM traffic_tallies t USING settled s
    WHERE t.workspace_id = s.workspace_id AND t.at = s.at AND t.kind = s.kind
        AND t.stream = s.stream AND t.smtp_account = s.smtp_account AND t.shard = s.shard
    RETURNING t.*
), added AS (
    INSERT INTO rollups AS r (
        workspace_id, grain, at, kind, stream, smtp_account, message_count)
    SELECT workspace_id, grain, date_trunc(grain, at, 'UTC'), kind, stream, smtp_account,
        sum(message_count)
    FROM taken CROSS JOIN unnest(ARRAY['minute', 'hour']) AS grain
    GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (workspace_id, grain, at, kind, stream, smtp_account) DO UPDATE
    SET message_count = r.message_count + excluded.message_count
)
SELECT count(*) FROM taken
"""
_FORGET_MINUTES = """
WITH old AS MATERIALIZED (
    SELECT workspace_id, grain, at, kind, stream, smtp_account FROM rollups
    WHERE grain = 'minute'
        AND at < date_trunc('hour', now() - %(days)s * interval '1 day', 'UTC')
    ORDER BY at LIMIT %(batch)s
), gone AS (
    DELETE FROM rollups r USING old o
    WHERE r.workspace_id = o.workspace_id AND r.grain = o.grain AND r.at = o.at
        AND r.kind = o.kind AND r.stream = o.stream AND r.smtp_account = o.smtp_account
    RETURNING 1
)
SELECT count(*) FROM gone
"""


def fold() -> None:
    """Make rollups of tallies that are settled, and forget old minutes, which their hours tell of;
    some of them, where there are very many.
    """
    _repeat(_FOLD, settled=SETTLED)
    _repeat(_FORGET_MINUTES, days=MINUTES_KEPT_DAYS)


def _repeat(statement: str, **values: Any) -> None:
    """Do it portion by portion, each a transaction, until there is no full one any more."""
    for _ in range(BATCHES_MAX):
        [(count,)] = database.execute_sql(statement, {"batch": BATCH, **values}).fetchall()
        if count < BATCH:
            return

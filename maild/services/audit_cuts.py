"""Cutting the audit log off where it is old.

What goes is always the beginning, whole. The cut keeps the number and the hash of the last entry
that went, which the first one left follows: so what is left is still proved. The log tells of each
cut itself, in an entry like any other, and a trigger lets nothing go that no cut covers.
"""

from datetime import datetime

from maild.db import database
from maild.domain.actor import SYSTEM
from maild.services import audit

ACTION = "audit.cut"

# As far as the entries are old without a gap.
_FIND = """
WITH first AS MATERIALIZED (
    SELECT seq, hash, at FROM audit_entries WHERE workspace_id = %(workspace)s
    ORDER BY seq LIMIT %(batch)s
)
SELECT seq, hash, at, count(*) OVER () FROM first
WHERE seq < coalesce((SELECT min(seq) FROM first WHERE at >= %(before)s), 9223372036854775807)
ORDER BY seq DESC LIMIT 1
"""
_CUT = """
INSERT INTO audit_cuts AS c (workspace_id, seq, hash, cut_count, transaction_id)
VALUES (%(workspace)s, %(seq)s, %(hash)s, %(count)s, 0)
ON CONFLICT (workspace_id) DO UPDATE SET
    seq = excluded.seq, hash = excluded.hash, cut_count = c.cut_count + excluded.cut_count,
    cut_at = now()
"""
_DELETE = "DELETE FROM audit_entries WHERE workspace_id = %(workspace)s AND seq <= %(seq)s"


def cut(workspace_id: int, before: datetime, *, limit: int) -> int:
    """Remove the entries from before that, `limit` at most; returns how many. In the caller's
    transaction.
    """
    values = {"workspace": workspace_id, "before": before, "batch": limit}
    found = database.execute_sql(_FIND, values).fetchone()
    if found is None:
        return 0
    seq, hash_, at, count = found
    values |= {"seq": seq, "hash": bytes(hash_), "count": count}
    database.execute_sql(_CUT, values)
    database.execute_sql(_DELETE, values)
    audit.record(
        workspace_id,
        SYSTEM,
        action=ACTION,
        target=f"entries up to {seq}",
        after={
            "last_seq": seq,
            "last_hash": bytes(hash_).hex(),
            "last_at": at.isoformat(),
            "count": count,
        },
    )
    return int(count)

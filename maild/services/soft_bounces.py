"""Soft bounces: how often in a row an address has refused mail for reasons that may pass.

A message counts once, whoever reports it and however often. A delivery to the address wipes out
what was before it. What the count leads to is for `feedback` and `outcomes`; how many are too many,
the workspace's policy says (`soft_bounce_threshold`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from maild.db import database
from maild.services import policies

KEPT_DAYS = 180
"""What happened so long ago says nothing of an address any more."""
SILENCE_DAYS = 3
"""A message that was sent so long ago and of which nobody has reported a bounce has arrived."""
RECENT_MAX = 100
"""So many of an address's newest messages are looked through for one that has arrived."""

Bounce = tuple[int, str, str, datetime]
"""Workspace, address in normal form, what bounced (a message's id), when."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an address stands: soft bounces in a row, and whether the policy calls that too many."""

    count: int
    is_over: bool


_ADD = """
INSERT INTO soft_bounces (workspace_id, email, cause, occurred_at)
SELECT DISTINCT ON (w, e, c) w, e, c, t
FROM (
    SELECT w, lower(email COLLATE "pg_c_utf8") AS e, c, t
    FROM json_to_recordset(%s) AS v (w int, email text, c text, t timestamptz)) AS v
ORDER BY w, e, c, t
ON CONFLICT DO NOTHING
"""
# Mail that went to the address later and has arrived, as far as anybody can tell, ends the row: by
# when it was sent, not by when we heard of it.
_COUNT = """
SELECT v.w, v.email, (
    SELECT count(*) FROM soft_bounces s
    WHERE s.workspace_id = v.w AND s.email = v.e
        AND s.occurred_at > coalesce((
            SELECT max(a.finished_at) FROM (
                SELECT id, status FROM messages
                WHERE workspace_id = v.w AND to_email = v.email
                ORDER BY created_at DESC, id DESC LIMIT %(recent)s) AS m
            JOIN attempts a ON a.message_id = m.id AND a.status = 'sent'
            WHERE m.status = 'delivered'
                OR m.status = 'sent' AND a.finished_at < now() - %(silence)s * interval '1 day'
        ), '-infinity'))::int
FROM (
    SELECT DISTINCT w, email, lower(email COLLATE "pg_c_utf8") AS e
    FROM json_to_recordset(%(rows)s) AS v (w int, email text)) AS v
"""
_FORGET = """
DELETE FROM soft_bounces s
USING json_to_recordset(%s) AS v (w int, email text, t timestamptz)
WHERE s.workspace_id = v.w AND s.email = lower(v.email COLLATE "pg_c_utf8")
    AND s.occurred_at <= v.t
"""


def count(bounces: Sequence[Bounce]) -> dict[tuple[int, str], Standing]:
    """Add soft bounces, and say by workspace and address how these stand now. In the caller's
    transaction.
    """
    if not bounces:
        return {}
    rows = json.dumps([{"w": w, "email": e, "c": c, "t": t.isoformat()} for w, e, c, t in bounces])
    database.execute_sql(_ADD, (rows,))
    counted = database.execute_sql(
        _COUNT, {"rows": rows, "recent": RECENT_MAX, "silence": SILENCE_DAYS}
    ).fetchall()
    thresholds = {w: policies.get(w).soft_bounce_threshold for w in {row[0] for row in counted}}
    return {
        (workspace_id, email): Standing(number, number >= thresholds[workspace_id])
        for workspace_id, email, number in counted
    }


def forget(arrived: Sequence[tuple[int, str, datetime]]) -> None:
    """Mail to these addresses has arrived at these times: soft bounces before do not count any
    more. In the caller's transaction.
    """
    if arrived:
        rows = [{"w": w, "email": email, "t": at.isoformat()} for w, email, at in arrived]
        database.execute_sql(_FORGET, (json.dumps(rows),))


def prune() -> None:
    """Drop what is too old to count."""
    database.execute_sql(
        "DELETE FROM soft_bounces WHERE occurred_at < now() - %s * interval '1 day'", (KEPT_DAYS,)
    )

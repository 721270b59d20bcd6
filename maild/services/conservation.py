"""Conservation: every message that was ever accepted is still there, in exactly one state, or was
removed when it was old, and counted then.

`check` compares, for every workspace, the tally that accepting keeps with the messages themselves,
and remembers the figures; the scheduler calls it every minute. It mends nothing: a difference is
for a person to look at.
"""

import json
from dataclasses import dataclass
from datetime import datetime

import peewee

from maild import log
from maild.db import database
from maild.domain.states import EventType
from maild.models import ConservationCheck

logger = log.get(__name__)

TIMEOUT_MS = 30_000


@dataclass(frozen=True, slots=True)
class Balance:
    """What a workspace's count came to. `difference` is accepted minus found and pruned: 0 where
    all is well.

    `was_broken` is what the check before this one had said.
    """

    workspace_id: int
    accepted_count: int
    by_status: dict[str, int]
    pruned_count: int
    difference: int
    broken_since: datetime | None
    was_broken: bool

    @property
    def found_count(self) -> int:
        return self.accepted_count - self.pruned_count - self.difference


# One statement, so one snapshot: a message and its tally commit together, and are seen together.
_CHECK = """
WITH accepted AS (
    SELECT workspace_id, sum(accepted_count)::bigint AS total
    FROM accepted_tallies GROUP BY workspace_id
), pruned AS (
    SELECT workspace_id, pruned_count AS total FROM retention_progress WHERE rule = 'messages'
), found AS (
    SELECT workspace_id, sum(count)::bigint AS total, jsonb_object_agg(status, count) AS by_status
    FROM (
        SELECT workspace_id, status, count(*) FROM messages GROUP BY workspace_id, status
    ) AS counted
    GROUP BY workspace_id
), checked AS (
    SELECT w.id AS workspace_id, coalesce(a.total, 0) AS accepted_count,
        coalesce(f.by_status, '{}') AS by_status,
        coalesce(p.total, 0) AS pruned_count,
        coalesce(a.total, 0) - coalesce(f.total, 0) - coalesce(p.total, 0) AS difference,
        coalesce(old.difference, 0) <> 0 AS was_broken
    FROM workspaces w
    LEFT JOIN accepted a ON a.workspace_id = w.id
    LEFT JOIN found f ON f.workspace_id = w.id
    LEFT JOIN pruned p ON p.workspace_id = w.id
    LEFT JOIN conservation_checks old ON old.workspace_id = w.id
), written AS (
    INSERT INTO conservation_checks AS c (
        workspace_id, accepted_count, by_status, pruned_count, difference, broken_since, checked_at)
    SELECT workspace_id, accepted_count, by_status, pruned_count, difference,
        CASE WHEN difference <> 0 THEN now() END, now()
    FROM checked
    ON CONFLICT (workspace_id) DO UPDATE SET
        accepted_count = excluded.accepted_count, by_status = excluded.by_status,
        pruned_count = excluded.pruned_count, difference = excluded.difference,
        checked_at = excluded.checked_at,
        broken_since = CASE WHEN excluded.difference <> 0
            THEN coalesce(c.broken_since, excluded.broken_since) END
    RETURNING workspace_id, broken_since
)
SELECT k.workspace_id, k.accepted_count, k.by_status, k.pruned_count, k.difference, w.broken_since,
    k.was_broken
FROM checked k JOIN written w USING (workspace_id)
ORDER BY k.workspace_id
"""
_TELL = "INSERT INTO events (workspace_id, type, data) VALUES (%s, %s, %s)"


def check() -> list[Balance]:
    """Count every workspace's messages, and remember and tell what it came to.

    Where that takes longer than TIMEOUT_MS nothing is known, and nothing is returned: a log line
    says so, and the age of the latest check shows it.
    """
    try:
        with database.atomic():
            database.execute_sql(
                "SELECT set_config('statement_timeout', %s, true)", (str(TIMEOUT_MS),)
            )
            balances = [Balance(*row) for row in database.execute_sql(_CHECK).fetchall()]
            for balance in balances:
                _tell(balance)
    except peewee.OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        logger.warning("conservation.not_finished", timeout_ms=TIMEOUT_MS)
        return []
    return balances


def latest(workspace_id: int) -> ConservationCheck | None:
    """What the latest check of a workspace came to; None before the first."""
    found: ConservationCheck | None = ConservationCheck.get_or_none(
        ConservationCheck.workspace == workspace_id
    )
    return found


def list_latest() -> list[ConservationCheck]:
    """The latest check of every workspace."""
    return list(ConservationCheck.select().order_by(ConservationCheck.workspace))


def _tell(balance: Balance) -> None:
    """An event when it breaks and when it is whole again; a log line as long as it is broken."""
    is_broken = balance.difference != 0
    figures = {
        "accepted": balance.accepted_count,
        "found": balance.found_count,
        "difference": balance.difference,
        "by_status": balance.by_status,
    }
    if balance.pruned_count:
        figures["pruned"] = balance.pruned_count
    if is_broken:
        logger.error("conservation.broken", workspace_id=balance.workspace_id, **figures)
    elif balance.was_broken:
        logger.warning("conservation.restored", workspace_id=balance.workspace_id, **figures)
    if is_broken != balance.was_broken:
        kind = EventType.CONSERVATION_BROKEN if is_broken else EventType.CONSERVATION_RESTORED
        database.execute_sql(_TELL, (balance.workspace_id, kind.value, json.dumps(figures)))

"""What happened to an SMTP account of late: how it stood, the events that tell of it, and how often
it was tried. Read from what the workers have written down; no message is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from maild import clock
from maild.db import database
from maild.domain.breaker_history import Band, bands
from maild.models import Event
from maild.models.smtp_account import DEFAULT_ACCOUNT, ENVIRONMENT
from maild.services.account_health import AccountHealth

LOOKED_AT_MAX = 5_000
"""Of the newest events of the workspace, so many are looked through."""
EVENTS_MAX = 500
"""Of those of the account, so many are told at most, the latest."""
HOURS = 24


@dataclass(frozen=True, slots=True)
class History:
    """From `since` until now. `events` are the account's, the newest first; `bands` the oldest
    first. `is_cut`: more happened before than is looked through.
    """

    since: datetime
    until: datetime
    bands: Sequence[Band]
    events: Sequence[Event]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Hour:
    """How often an account was tried in an hour, and how often the path failed then."""

    at: datetime
    try_count: int
    fault_count: int


_EVENTS = """
SELECT id, type, data, created_at FROM (
    SELECT id, type, data, created_at FROM events
    WHERE {owner} AND message_id IS NULL
    ORDER BY id DESC LIMIT %(looked_at)s) AS newest
WHERE created_at > %(since)s AND type LIKE 'provider.%%' AND data->>'smtp_account' = %(name)s
ORDER BY id DESC LIMIT %(max)s
"""


def read(workspace_id: int, found: AccountHealth, *, days: int) -> History:
    """What happened to the account in the last `days`, or since it is there."""
    account, now = found.account, clock.now()
    since = now - timedelta(days=days)
    if account.id == ENVIRONMENT:
        owner, name = "workspace_id IS NULL", DEFAULT_ACCOUNT
    else:
        owner, name = "workspace_id = %(workspace)s", account.name
        created_at: datetime = account.created_at
        since = max(since, created_at)
    values = {
        "workspace": workspace_id,
        "name": name,
        "since": since,
        "looked_at": LOOKED_AT_MAX,
        "max": EVENTS_MAX,
    }
    rows = database.execute_sql(_EVENTS.format(owner=owner), values).fetchall()
    events = [Event(id=row[0], type=row[1], data=row[2], created_at=row[3]) for row in rows]
    is_cut = len(events) == EVENTS_MAX
    if is_cut:
        since = events[-1].created_at
    told = bands(
        [(event.created_at, event.type) for event in reversed(events)],
        since=since,
        until=now,
        state=found.breaker.state,
        is_paused=account.paused_at is not None,
    )
    return History(since, now, told, events, is_cut)


_HOURS = """
SELECT h.at, coalesce(sum(t.try_count), 0)::int, coalesce(sum(t.fault_count), 0)::int
FROM generate_series(
    date_trunc('hour', now()) - %(before)s * interval '1 hour', now(), interval '1 hour') AS h (at)
LEFT JOIN account_tallies t ON t.account_id = %(account)s
    AND t.slot_at >= h.at AND t.slot_at < h.at + interval '1 hour'
GROUP BY h.at ORDER BY h.at
"""


def list_hours(account_id: int) -> list[Hour]:
    """The last HOURS hours, oldest first; the last of them is not over yet."""
    values = {"account": account_id, "before": HOURS - 1}
    return [Hour(*row) for row in database.execute_sql(_HOURS, values).fetchall()]

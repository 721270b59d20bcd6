"""The watch over providers that report: one that used to and has fallen silent, and one whose
signatures keep failing, are events that the operator sees.

`heard` and `learn` are told what comes in; `check` looks, once a minute. A provider is
silent when mail has gone out through its account since it spoke last, enough of it, and for longer
than its reports usually take. `find_trouble` is what the overview shows.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from maild import log
from maild.db import database
from maild.domain.states import EventType

logger = log.get(__name__)

SENT_MIN = 20
"""So many messages without a report are no accident."""
GRACE_SECONDS = 900
"""Nobody is called silent sooner."""
USUAL_FACTOR = 3.0
"""A report may take so many times as long as usual."""
LOOKED_AT_MAX = 5_000
"""Messages of a workspace that are looked through for those of one account."""
REFUSED_MIN = 5
"""So many refused requests within the hour, and none that was good, are no accident."""
DELAY_WEIGHT = 0.1
"""How much of a new delay goes into the running mean."""
DEAD_LETTERS_MAX = 1_000
"""Dead letters are counted no further than this."""


@dataclass(frozen=True, slots=True)
class Troubled:
    """An endpoint that is silent, or whose signatures keep failing."""

    endpoint_id: int
    provider: str
    smtp_account: str
    silent_since: datetime | None
    refusing_since: datetime | None
    last_event_at: datetime | None
    last_refusal: str | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What of a workspace's reports needs somebody. The count stops at DEAD_LETTERS_MAX."""

    endpoints: tuple[Troubled, ...]
    dead_letter_count: int


_TELL = "INSERT INTO events (workspace_id, type, data) VALUES (%s, %s, %s)"

_HEARD = """
WITH counts AS (
    SELECT key::int AS id, value::int AS count FROM json_each_text(%s)
), tallied AS (
    INSERT INTO webhook_tallies AS t (endpoint_id, slot_at, received_count)
    SELECT id, date_trunc('hour', now()), count FROM counts ORDER BY id
    ON CONFLICT (endpoint_id, slot_at) DO UPDATE
        SET received_count = t.received_count + excluded.received_count
), before AS (
    SELECT e.id, coalesce(e.silent_since, e.refusing_since) AS since
    FROM webhook_endpoints e JOIN counts USING (id) ORDER BY e.id FOR NO KEY UPDATE OF e
)
UPDATE webhook_endpoints AS e
SET last_event_at = now(), silent_since = NULL, refusing_since = NULL
FROM before WHERE e.id = before.id
RETURNING e.id, e.workspace_id, e.smtp_account_name, e.provider, before.since
"""


def heard(counts: Mapping[int, int]) -> None:
    """So many good payloads came in by endpoint. In the caller's transaction."""
    if not counts:
        return
    rows = database.execute_sql(_HEARD, (json.dumps(counts),)).fetchall()
    for *whose, since in rows:
        if since is not None:
            _tell(EventType.REPORTING, *whose, since=since)


_LEARN = """
UPDATE webhook_endpoints AS e SET
    reports_deliveries = e.reports_deliveries OR v.delivers,
    usual_delay_seconds = coalesce(
        e.usual_delay_seconds * (1 - %(weight)s) + v.delay * %(weight)s,
        v.delay, e.usual_delay_seconds)
FROM json_to_recordset(%(rows)s) AS v (id int, delivers boolean, delay float8)
WHERE e.id = v.id
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """A report that was applied: through which endpoint it came and when, whether it told of a
    delivery, and when its message was sent, where it is the first that is heard of it.
    """

    endpoint_id: int
    received_at: datetime
    is_delivery: bool
    sent_at: datetime | None


def learn(reports: Iterable[Heard]) -> None:
    """Learn what endpoints report, and how long it takes. In the caller's transaction."""
    delays: dict[int, list[float]] = {}
    delivering: set[int] = set()
    for report in reports:
        found = delays.setdefault(report.endpoint_id, [])
        if report.sent_at is not None:
            found.append(max(0.0, (report.received_at - report.sent_at).total_seconds()))
        if report.is_delivery:
            delivering.add(report.endpoint_id)
    rows = [
        {
            "id": endpoint_id,
            "delivers": endpoint_id in delivering,
            "delay": sum(found) / len(found) if found else None,
        }
        for endpoint_id, found in sorted(delays.items())
    ]
    if rows:
        database.execute_sql(_LEARN, {"rows": json.dumps(rows), "weight": DELAY_WEIGHT})


# What a provider has not reported on stands in "sent", which an index finds by its time.
_SILENT = """
WITH quiet AS (
    SELECT e.id, e.workspace_id, e.smtp_account_name, e.last_event_at,
        now() - greatest(%(grace)s, coalesce(e.usual_delay_seconds, 0) * %(factor)s)
            * interval '1 second' AS sent_before
    FROM webhook_endpoints e
    WHERE e.reports_deliveries AND e.silent_since IS NULL
        AND e.last_event_at < now() - %(grace)s * interval '1 second'
), counted AS (
    SELECT q.id, (
        SELECT count(*) FROM (
            SELECT FROM (
                SELECT smtp_account_name, updated_at FROM messages m
                WHERE m.workspace_id = q.workspace_id AND m.status = 'sent'
                    AND m.created_at > q.last_event_at
                ORDER BY m.created_at LIMIT %(looked_at)s) AS recent
            WHERE recent.smtp_account_name = q.smtp_account_name
                AND recent.updated_at < q.sent_before
            LIMIT %(sent_min)s) AS unreported) AS count
    FROM quiet q
)
UPDATE webhook_endpoints AS e SET silent_since = now()
FROM counted WHERE counted.id = e.id AND counted.count >= %(sent_min)s AND e.silent_since IS NULL
RETURNING e.id, e.workspace_id, e.smtp_account_name, e.provider, e.last_event_at
"""
_REFUSING = """
UPDATE webhook_endpoints AS e SET refusing_since = now()
FROM (
    SELECT endpoint_id, sum(refused_count) AS refused, sum(received_count) AS received
    FROM webhook_tallies WHERE slot_at >= date_trunc('hour', now() - interval '1 hour')
    GROUP BY endpoint_id) AS t
WHERE t.endpoint_id = e.id AND e.refusing_since IS NULL
    AND t.refused >= %s
    AND (e.last_event_at IS NULL OR e.last_event_at < e.last_refused_at - interval '10 minutes'
        OR t.received = 0)
RETURNING e.id, e.workspace_id, e.smtp_account_name, e.provider, e.last_refusal, t.refused::int
"""


def check() -> None:
    """Find who has fallen silent, and whose signatures keep failing, and tell it once."""
    with database.atomic():
        silent = database.execute_sql(
            _SILENT,
            {
                "grace": GRACE_SECONDS,
                "factor": USUAL_FACTOR,
                "looked_at": LOOKED_AT_MAX,
                "sent_min": SENT_MIN,
            },
        ).fetchall()
        for *whose, last_event_at in silent:
            _tell(EventType.SILENT, *whose, last_event_at=last_event_at)
        refusing = database.execute_sql(_REFUSING, (REFUSED_MIN,)).fetchall()
        for *whose, reason, count in refusing:
            _tell(EventType.SIGNATURES_FAILING, *whose, reason=reason, refused=count)


_TROUBLE = """
SELECT dead.count, e.id, e.provider, e.smtp_account_name, e.silent_since, e.refusing_since,
    e.last_event_at, e.last_refusal
FROM (
    SELECT count(*) FROM (
        SELECT FROM provider_events WHERE workspace_id = %(workspace)s AND status = 'dead_letter'
        LIMIT %(max)s) AS letters) AS dead
LEFT JOIN webhook_endpoints e ON e.workspace_id = %(workspace)s
    AND (e.silent_since IS NOT NULL OR e.refusing_since IS NOT NULL)
ORDER BY e.id
"""


def find_trouble(workspace_id: int) -> Trouble:
    """Which endpoints of a workspace need somebody, and how many dead letters there are."""
    rows = database.execute_sql(
        _TROUBLE, {"workspace": workspace_id, "max": DEAD_LETTERS_MAX}
    ).fetchall()
    troubled = (Troubled(*row[1:]) for row in rows if row[1] is not None)
    return Trouble(tuple(troubled), rows[0][0])


def _tell(
    kind: EventType,
    endpoint_id: int,
    workspace_id: int,
    account: str,
    provider: str,
    **data: object,
) -> None:
    facts: dict[str, object] = {
        "endpoint_id": endpoint_id,
        "smtp_account": account,
        "provider": provider,
    }
    for name, value in data.items():
        facts[name] = value.isoformat() if isinstance(value, datetime) else value
    database.execute_sql(_TELL, (workspace_id, kind.value, json.dumps(facts)))
    logger.warning(kind.value, workspace_id=workspace_id, **facts)

"""Filling the tables directly: a backlog, or a history, in seconds.

In charge of rows that look as if the API had made them: ids and times in order, one event each. A
column that this version of the schema does not have is left out; one with a default is not named.
"""

from psycopg2 import extensions

from bench.content import SENDER, SUBJECT, TEXT, WORKSPACE_ID

SHORT_TEXT = TEXT[:200]
"""For a long history, which would otherwise take gigabytes."""

_ID = """(
    lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - (%(count)s - n) * %(apart_ms)s),
        12, '0')
    || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15)
)::uuid"""  # version 7, as maild makes them
_AT = "now() - (%(count)s - n) * %(apart_ms)s * interval '1 millisecond'"

_MESSAGES = {
    "id": _ID,
    "workspace_id": "%(workspace)s",
    "status": "%(status)s",
    "stream": "'transactional'",
    "priority": "0",
    "from_email": "%(sender)s",
    "to_email": "'user' || n || '@example' || n %% 50 || '.org'",
    "subject": "%(subject)s",
    "size_bytes": "octet_length(%(subject)s) + octet_length(%(text)s)",
    "tags": "'{}'",
    "metadata": "'{}'",
    "created_at": _AT,
    "next_attempt_at": f"CASE WHEN %(status)s = 'queued' THEN {_AT} END",
    "expires_at": "now() + interval '2 days'",
}
_BODIES = {"message_id": "id", "headers": "'[]'", "body_text": "%(text)s"}
_EVENTS = {
    "workspace_id": "workspace_id",
    "message_id": "id",
    "type": "'message.accepted'",
    "data": "'{}'",
}
_NEW_IN = "messages WHERE NOT EXISTS (SELECT FROM %s AS there WHERE message_id = messages.id)"
_TALLY = """
INSERT INTO accepted_tallies (workspace_id, shard, accepted_count)
VALUES (%(workspace)s, 0, %(count)s)
ON CONFLICT (workspace_id, shard)
    DO UPDATE SET accepted_count = accepted_tallies.accepted_count + excluded.accepted_count
"""
_KEPT = ("workspaces", "migration", "audit")


def fill(
    db: extensions.connection,
    count: int,
    *,
    status: str = "queued",
    text: str = TEXT,
    apart_ms: int = 1,
) -> None:
    """Add `count` messages, `apart_ms` between one and the next, and gather the planner's
    statistics.
    """
    values = {
        "count": count,
        "workspace": WORKSPACE_ID,
        "status": status,
        "sender": SENDER,
        "subject": SUBJECT,
        "text": text,
        "apart_ms": apart_ms,
    }
    with db, db.cursor() as cursor:
        existing = _columns(cursor)
        for table, columns, source in (
            ("messages", _MESSAGES, "generate_series(1, %(count)s) AS n"),
            ("message_bodies", _BODIES, _NEW_IN % "message_bodies"),
            ("events", _EVENTS, _NEW_IN % "events"),
        ):
            known = {name: value for name, value in columns.items() if (table, name) in existing}
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(known)}) SELECT {', '.join(known.values())}"
                f" FROM {source}",
                values,
            )
        if ("accepted_tallies", "shard") in existing:
            cursor.execute(_TALLY, values)
    _outside(db, "VACUUM ANALYZE")


def clear(db: extensions.connection) -> None:
    """Empty every table but the workspaces', and the audit log, which nobody empties."""
    with db, db.cursor() as cursor:
        tables = {table for table, _ in _columns(cursor)}
        emptied = [table for table in tables if not any(kept in table for kept in _KEPT)]
        cursor.execute(f"TRUNCATE {', '.join(emptied)}")


def _columns(cursor: extensions.cursor) -> set[tuple[str, str]]:
    cursor.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public'"
    )
    return set(cursor.fetchall())


def _outside(db: extensions.connection, statement: str) -> None:
    """Run what no transaction may hold."""
    db.autocommit = True
    try:
        with db.cursor() as cursor:
            cursor.execute(statement)
    finally:
        db.autocommit = False

"""Blocks of the log: which stretches of it can hold what is looked for.

In charge of making them, in the background, and of asking them. A block is BLOCK_ROWS messages of a
workspace in a row, with the terms of all of them. Blocks begin where the one before ended, from the
oldest message on, so all that is not newer than the last one is in them; what is newer is not many,
and read as it is. Not in charge of what a term is (`domain/log_terms.py`), nor of the rows
(`message_log`).

A message that were put behind the end of the last block would not be found by its terms. So a block
is made only of what is older than every transaction of maild's that is still open.
"""

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from maild.db import database
from maild.domain import log_terms
from maild.domain.cursor import Cursor
from maild.domain.log_terms import Kind
from maild.services import locks

BLOCK_ROWS = 256
"""More make fewer blocks and longer reading of each."""
SETTLED_SECONDS = 30
"""What is younger is in no block. A message's time is that of the facts it was decided by, which
are read a moment before the transaction that writes it begins.
"""
HEAD_SECONDS = 10
"""More than that moment: `acceptance.STALE_SECONDS`, and the time to send the contents."""
TERMS_MAX_BYTES = 900_000
"""PostgreSQL's tsvector holds a mebibyte."""

# Only maild's own write messages; a dump may last for hours.
_SETTLED = """
SELECT least(now() - %s * interval '1 second', min(xact_start) - %s * interval '1 second')
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
    AND application_name LIKE 'maild %%' AND pid <> pg_backend_pid()
"""
# Of the messages of each workspace that are in no block, whether there are enough for one.
_READY = """
SELECT w.id, coalesce(b.last_at, '-infinity')::text, coalesce(b.last_id, %(lowest)s)
FROM workspaces w
LEFT JOIN LATERAL (
    SELECT last_at, last_id FROM log_blocks WHERE workspace_id = w.id
    ORDER BY first_at DESC, first_id DESC LIMIT 1) AS b ON true
WHERE EXISTS (
    SELECT FROM messages m
    WHERE m.workspace_id = w.id AND m.created_at < %(settled)s
        AND (m.created_at, m.id)
            > (coalesce(b.last_at, '-infinity'), coalesce(b.last_id, %(lowest)s))
    ORDER BY m.created_at, m.id OFFSET %(rows)s - 1 LIMIT 1)
"""
# Words are cut out of one long text each, for that is quicker than out of many short ones.
_BUILD = """
WITH block AS MATERIALIZED (
    SELECT id, created_at, subject, to_email, from_email, tags, stream, api_key_id
    FROM messages
    WHERE workspace_id = %(workspace)s AND created_at < %(settled)s
        AND (created_at, id) > (%(after_at)s, %(after_id)s)
    ORDER BY created_at, id LIMIT %(rows)s
), words AS MATERIALIZED (
    SELECT DISTINCT kind, left(word, %(word_max)s) AS word
    FROM (
        SELECT %(subject)s AS kind, string_agg(DISTINCT subject, ' ') AS text FROM block
        UNION ALL
        SELECT %(address)s, string_agg(DISTINCT email, ' ')
        FROM block CROSS JOIN LATERAL (VALUES (to_email), (from_email)) AS v (email)) AS texts
    CROSS JOIN LATERAL regexp_split_to_table(lower(text COLLATE "pg_c_utf8"), %(separators)s)
        AS word
    WHERE word <> ''
), terms AS (
    SELECT kind || word AS term FROM words
    UNION
    SELECT kind || left(word, chars) FROM words, generate_series(1, %(short_max)s) AS chars
    UNION
    SELECT %(tag)s || tag FROM block, unnest(tags) AS tag
    UNION
    SELECT %(sender)s || from_email FROM block
    UNION
    SELECT %(stream)s || stream FROM block
    UNION
    SELECT %(api_key)s || api_key_id FROM block WHERE api_key_id IS NOT NULL
), known AS (
    SELECT array_agg(%(workspace)s || term) AS terms,
        sum(octet_length(%(workspace)s || term)) AS bytes
    FROM terms
), ends AS (
    SELECT (array_agg(created_at ORDER BY created_at, id))[1] AS first_at,
        (array_agg(id ORDER BY created_at, id))[1] AS first_id,
        (array_agg(created_at ORDER BY created_at DESC, id DESC))[1] AS last_at,
        (array_agg(id ORDER BY created_at DESC, id DESC))[1] AS last_id
    FROM block HAVING count(*) = %(rows)s
)
INSERT INTO log_blocks (workspace_id, first_at, first_id, last_at, last_id, terms)
SELECT %(workspace_id)s, first_at, first_id, last_at, last_id, array_to_tsvector(
    CASE WHEN bytes < %(bytes_max)s THEN terms ELSE ARRAY[%(workspace)s || %(anything)s] END)
FROM ends, known
RETURNING last_at, last_id
"""
_END = """
SELECT last_at, last_id FROM log_blocks WHERE workspace_id = %s
ORDER BY first_at DESC, first_id DESC LIMIT 1
"""
# The terms alone decide what is read, or those of many blocks would be unpacked: no index has both
# them and the order.
_LIST = """
WITH found AS MATERIALIZED (
    SELECT workspace_id, first_at, first_id, last_at, last_id FROM log_blocks
    WHERE terms @@ %s::tsquery
)
SELECT first_at, first_id, last_at, last_id FROM found
WHERE workspace_id = %s AND last_at >= %s AND first_at <= %s
ORDER BY first_at {order}, first_id {order} LIMIT %s
"""
_TIDY = "SELECT gin_clean_pending_list('log_blocks_by_term')"
_LOWEST = uuid.UUID(int=0)
_EARLIEST, _LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the log, its ends included."""

    first: Cursor
    last: Cursor


def build(*, seconds: float) -> int:
    """Make blocks of what is in none, for about so long; returns how many.

    One process at a time does it; the others find nothing to do.
    """
    ends_at = time.monotonic() + seconds
    with locks.only_one(locks.LOG_BLOCKS) as is_ours:
        if not is_ours:
            return 0
        # Before the rows are read: what has been committed by then is seen, the rest is younger.
        [settled] = database.execute_sql(_SETTLED, (SETTLED_SECONDS, HEAD_SECONDS)).fetchone()
        built = 0
        values = {"settled": settled, "rows": BLOCK_ROWS, "lowest": _LOWEST}
        for workspace_id, at, id_ in database.execute_sql(_READY, values).fetchall():
            built += _build_all(workspace_id, after=(at, id_), settled=settled, ends_at=ends_at)
        if built:
            database.execute_sql(_TIDY)
        return built


def _build_all(
    workspace_id: int, *, after: tuple[Any, uuid.UUID], settled: datetime, ends_at: float
) -> int:
    """Make the blocks of one workspace, as long as there is time."""
    values: dict[str, Any] = {
        "workspace_id": workspace_id,
        "workspace": str(workspace_id),
        "settled": settled,
        "rows": BLOCK_ROWS,
        "word_max": log_terms.WORD_MAX_CHARS,
        "short_max": log_terms.SHORT_MAX_CHARS,
        "separators": f"[{log_terms.SEPARATORS}]+",
        "anything": log_terms.ANYTHING,
        "bytes_max": TERMS_MAX_BYTES,
        **{kind.name.lower(): kind.value for kind in Kind},
    }
    built = 0
    while time.monotonic() < ends_at:
        values |= {"after_at": after[0], "after_id": after[1]}
        row = database.execute_sql(_BUILD, values).fetchone()
        if row is None:
            break
        after, built = row, built + 1
    return built


def find_end(workspace_id: int) -> Cursor | None:
    """The last message that is in a block; None where there is no block."""
    row = database.execute_sql(_END, (workspace_id,)).fetchone()
    return None if row is None else Cursor(*row)


def list_stretches(
    workspace_id: int,
    query: str,
    *,
    since: datetime | None,
    until: datetime | None,
    is_newest_first: bool,
    limit: int,
) -> list[Stretch]:
    """The blocks that can hold what matches, between two times, `limit` at most."""
    rows = database.execute_sql(
        _LIST.format(order="DESC" if is_newest_first else "ASC"),
        (query, workspace_id, since or _EARLIEST, until or _LATEST, limit),
    ).fetchall()
    return [Stretch(Cursor(*row[:2]), Cursor(*row[2:])) for row in rows]


def forget(workspace_id: int) -> None:
    """Drop the blocks of a workspace, which are then made anew: its messages were moved in time."""
    database.execute_sql("DELETE FROM log_blocks WHERE workspace_id = %s", (workspace_id,))

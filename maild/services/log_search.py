"""Searching the log for what stands in no index: by way of the blocks that can hold it.

First a look at the rows next to where the search begins: what is frequent is found there. Then the
blocks whose terms promise it, one after the other, until the page is full. What it costs depends on
the page, and hardly on how long the log is.

Where something that has an index of its own is asked for as well, the look is along that one, and
sees all of what is rare.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from maild.db import database
from maild.domain.cursor import Cursor
from maild.errors import SearchTooLong
from maild.models import Message
from maild.services import log_blocks
from maild.services.log_blocks import Stretch

TIMEOUT_MS = 2_000
"""A page's search ends after this, found or not; and so does each of its statements."""
LOOK_ROWS = 2_000
LOOK_INDEXED_ROWS = 4_000
"""The same along an index that leaves out most of them."""
LOOKS = 8
"""Where a look has found a fair part of the page, it goes on so many times as far."""
LISTED_BLOCKS = 1_024

# The planner knows neither what it costs to unpack the terms of all blocks, nor how few rows there
# are between two places of the log. For the rest of the transaction.
_USE = (
    "SELECT set_config('enable_seqscan', 'off', true),"
    " set_config('enable_bitmapscan', '{}', true), set_config('enable_indexscan', '{}', true)"
)
_TO_LIST, _TO_READ = _USE.format("on", "off"), _USE.format("off", "on")
_FROM = 'FROM "messages" AS "t1"'
_BLOCK = """
SELECT * FROM messages WHERE workspace_id = %s
    AND (created_at, id) >= (block.first_at, block.first_id)
    AND (created_at, id) <= (block.last_at, block.last_id)
"""
"""Its rows, by whatever index finds the fewest of them."""
_WHOLE_BLOCK = f"{_BLOCK} ORDER BY created_at {{order}}, id {{order}} LIMIT 4096"
"""The same by time: the limit, which no block reaches, tells the planner that they are few."""
# One block after the other: so the limit ends it as soon as the page is full.
_READ = """
SELECT found.*
FROM unnest(%s::timestamptz[], %s::uuid[], %s::timestamptz[], %s::uuid[])
    AS block (first_at, first_id, last_at, last_id)
CROSS JOIN LATERAL (
    {select} FROM ({rows}) AS t1 {where}
    ORDER BY t1.created_at {order}, t1.id {order} OFFSET 0) AS found
LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and where.

    `conditions` are all that a row must fulfil, `terms` the query that its block does (None: none
    but the indexes help), `changing` those of the conditions that have an index. The search goes
    from behind `start` on, backwards or forwards in time, and not beyond `stop`; None is where the
    log ends. It is given up after `timeout_ms`.
    """

    workspace_id: int
    conditions: Sequence[Any]
    terms: str | None
    changing: Sequence[Any]
    start: Cursor | None
    stop: Cursor | None
    is_newest_first: bool
    timeout_ms: int


def too_long() -> SearchTooLong:
    return SearchTooLong(
        "This search took too long. Narrow it: a shorter time range, a status, an address.",
        retry_after_seconds=5,
    )


def find(search: Search, *, limit: int) -> list[Message]:
    """The first `limit` messages, in the search's order, in the caller's transaction. Raises
    SearchTooLong.
    """
    database.execute_sql(_TO_READ)
    if search.terms is None:
        return _list(search, search.start, search.stop, limit=limit)
    end = log_blocks.find_end(search.workspace_id)
    edge = _find_edge(search) if end else None
    if end is None or edge is None:
        return _list(search, search.start, search.stop, limit=limit)
    if search.is_newest_first:
        edge = min(edge, end, key=_key)  # what is in no block is looked at in any case
    rows = _list(search, search.start, edge, limit=limit)
    further = _find_edge(search, LOOKS) if limit > len(rows) >= limit / LOOKS else None
    if further is not None and _is_further(search, further, edge):
        # So many stand here that all blocks would have some: going on is quicker than asking them.
        rows += _list(search, edge, further, limit=limit - len(rows))
        edge = further
    if len(rows) < limit:
        rows += _walk(search, edge, limit=limit - len(rows))
    if len(rows) < limit and not search.is_newest_first:
        rows += _list(search, max(edge, end, key=_key), search.stop, limit=limit - len(rows))
    return rows


def _walk(search: Search, edge: Cursor, *, limit: int) -> list[Message]:
    """What the blocks beyond `edge` hold."""
    ends_at = time.monotonic() + search.timeout_ms / 1000
    rows: list[Message] = []
    while stretches := _list_beyond(search, edge):
        rows += _read(search, edge, stretches, limit=limit - len(rows))
        if len(rows) == limit or len(stretches) < LISTED_BLOCKS:
            break
        if time.monotonic() > ends_at:
            raise too_long()
        edge = stretches[-1].first if search.is_newest_first else stretches[-1].last
    return rows


def _list_beyond(search: Search, edge: Cursor) -> list[Stretch]:
    since, until = (search.stop, edge) if search.is_newest_first else (edge, search.stop)
    assert search.terms is not None
    database.execute_sql(_TO_LIST)
    stretches = log_blocks.list_stretches(
        search.workspace_id,
        search.terms,
        since=since.at if since else None,
        until=until.at if until else None,
        is_newest_first=search.is_newest_first,
        limit=LISTED_BLOCKS,
    )
    database.execute_sql(_TO_READ)
    return stretches


def _read(
    search: Search, edge: Cursor, stretches: Sequence[Stretch], *, limit: int
) -> list[Message]:
    """What these blocks hold beyond `edge`."""
    sql, values = Message.select().where(*search.conditions, *_between(search, edge, None)).sql()
    select, _, where = sql.partition(_FROM)
    order = "DESC" if search.is_newest_first else "ASC"
    rows = (_BLOCK if search.changing else _WHOLE_BLOCK).format(order=order)
    query = Message.raw(
        _READ.format(select=select, rows=rows, where=where, order=order),
        _array(one.first.at.isoformat() for one in stretches),
        _array(str(one.first.id) for one in stretches),
        _array(one.last.at.isoformat() for one in stretches),
        _array(str(one.last.id) for one in stretches),
        search.workspace_id,
        *values,
        limit,
    )
    return list(query)


def _array(values: Iterable[str]) -> str:
    """As PostgreSQL writes it: Peewee would take a list for many values."""
    return "{" + ",".join(values) + "}"


def _list(
    search: Search, start: Cursor | None, stop: Cursor | None, *, limit: int
) -> list[Message]:
    """What stands between two places, the second included."""
    query = Message.select().where(*search.conditions, *_between(search, start, stop))
    return list(_ordered(search, query).limit(limit))


def _ordered(search: Search, query: Any) -> Any:
    if search.is_newest_first:
        return query.order_by(Message.created_at.desc(), Message.id.desc())
    return query.order_by(Message.created_at, Message.id)


def _find_edge(search: Search, looks: int = 1) -> Cursor | None:
    """How far so many looks reach; None where there is no more than they would see. What has an
    index is looked at by it.
    """
    query = Message.select(Message.created_at, Message.id).where(
        Message.workspace == search.workspace_id,
        *search.changing,
        *_between(search, search.start, search.stop),
    )
    query = _ordered(search, query)
    rows = LOOK_INDEXED_ROWS if search.changing else LOOK_ROWS
    row = query.offset(looks * rows).limit(1).tuples().first()
    return None if row is None else Cursor(*row)


def _is_further(search: Search, one: Cursor, other: Cursor) -> bool:
    return _key(one) < _key(other) if search.is_newest_first else _key(one) > _key(other)


# One mark for each end, for PostgreSQL would begin at either of two. With the time by itself as
# well: the planner can tell how many rows lie between two times, but not between two marks.


def _between(search: Search, start: Cursor | None, stop: Cursor | None) -> list[Any]:
    found: list[Any] = []
    if start is not None:
        found += before(start) if search.is_newest_first else after(start)
    if stop is not None and search.is_newest_first:
        found += (Message.created_at >= stop.at, _position() >= _mark(stop))
    elif stop is not None:
        found += (Message.created_at <= stop.at, _position() <= _mark(stop))
    return found


def before(cursor: Cursor) -> Sequence[Any]:
    """The conditions of what comes before a place of the log."""
    return Message.created_at <= cursor.at, _position() < _mark(cursor)


def after(cursor: Cursor) -> Sequence[Any]:
    """Of what comes after it."""
    return Message.created_at >= cursor.at, _position() > _mark(cursor)


def _position() -> peewee.Tuple:
    return peewee.Tuple(Message.created_at, Message.id)


def _mark(cursor: Cursor) -> peewee.Tuple:
    return peewee.Tuple(cursor.at, cursor.id)


def _key(cursor: Cursor) -> tuple[Any, Any]:
    return cursor.at, cursor.id

"""Lists of unsubscribes, and of all that there ever was about one address."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from maild.db import connection, database
from maild.domain.suppression import normalise_topic
from maild.models import Unsubscribe
from maild.services import email_search, message_log, row_streams, workspaces
from maild.services.unsubscribe_standings import BY_LINK

HISTORY_MAX = 50
EXPORT_BATCH = 1_000

_TOPICS = """
WITH RECURSIVE t (topic) AS (
    (SELECT min(topic) FROM unsubscribes WHERE workspace_id = %(workspace)s)
    UNION ALL
    SELECT (SELECT min(topic) FROM unsubscribes
        WHERE workspace_id = %(workspace)s AND topic > t.topic)
    FROM t WHERE t.topic IS NOT NULL
)
SELECT topic FROM t WHERE topic IS NOT NULL LIMIT %(limit)s
"""


class State(StrEnum):
    """Whether an unsubscribe holds."""

    IN_FORCE = "in_force"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list shows; None is anything.

    `email` is a whole address in normal form, `email_start` the beginning of one; `is_by_link`
    finds all of the ways of a link. `since` is inclusive, `until` exclusive.
    """

    email: str | None = None
    email_start: str | None = None
    domain: str | None = None
    topic: str | None = None
    source: str | None = None
    is_by_link: bool = False
    state: State | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Unsubscribes, newest first; `older` is the id to go on from, where there are more."""

    unsubscribes: list[Unsubscribe]
    older: int | None


def list_page(
    workspace_id: int,
    *,
    filter_: Filter | None = None,
    limit: int = 50,
    older_than: int | None = None,
) -> Page:
    """One page. Raises NotFound (the workspace), Unavailable (the search takes too long)."""
    query = Unsubscribe.select().where(*_conditions(workspace_id, filter_ or Filter()))
    if older_than is not None:
        query = query.where(Unsubscribe.id < older_than)
    with message_log.bounded():
        rows = list(query.order_by(Unsubscribe.id.desc()).limit(limit + 1))
        if not rows:
            workspaces.require(workspace_id)
    has_more, rows = len(rows) > limit, rows[:limit]
    return Page(rows, older=rows[-1].id if has_more else None)


def list_history(workspace_id: int, email: str) -> list[Unsubscribe]:
    """The newest HISTORY_MAX of all that there ever was of an address in normal form."""
    query = Unsubscribe.select().where(
        Unsubscribe.workspace == workspace_id, email_search.is_exactly(Unsubscribe.email, email)
    )
    return list(query.order_by(Unsubscribe.id.desc()).limit(HISTORY_MAX))


def list_topics(workspace_id: int, *, limit: int = 100) -> list[str]:
    """The first topics, by name, that anybody of the workspace has left; each found by one step
    into the index, however many have left it.
    """
    values = {"workspace": workspace_id, "limit": limit}
    return [topic for (topic,) in database.execute_sql(_TOPICS, values).fetchall()]


def export(workspace_id: int, *, filter_: Filter) -> Iterator[Unsubscribe]:
    """All unsubscribes that a filter finds, oldest first, read little by little.

    Each portion opens the database for itself, so that nobody who reads slowly keeps a connection.
    Raises NotFound (the workspace) at once, not in the middle.
    """
    conditions = _conditions(workspace_id, filter_)
    with connection():
        workspaces.require(workspace_id)
    return row_streams.by_id(Unsubscribe, conditions, batch=EXPORT_BATCH)


def state_of(row: Unsubscribe) -> State:
    """The state of a row, as lists filter by it."""
    return State.IN_FORCE if row.removed_at is None else State.REMOVED


def _conditions(workspace_id: int, f: Filter) -> list[Any]:
    u = Unsubscribe
    found: list[Any] = [u.workspace == workspace_id]
    if f.email is not None:
        found.append(email_search.is_exactly(u.email, f.email))
    if f.email_start is not None:
        found.append(email_search.starts_with(u.email, f.email_start))
    if f.domain is not None:
        found.append(email_search.is_of_domain(u.email, f.domain))
    if f.topic is not None:
        found.append(u.topic == normalise_topic(f.topic))
    if f.source is not None:
        found.append(u.source == f.source)
    if f.is_by_link:
        found.append(u.source << list(BY_LINK))
    if f.state is not None:
        found.append(u.removed_at.is_null(f.state is State.IN_FORCE))
    if f.since is not None:
        found.append(u.created_at >= f.since)
    if f.until is not None:
        found.append(u.created_at < f.until)
    return found

"""Many messages at once, for tests of what is done to many."""

from datetime import UTC, datetime, timedelta
from typing import Any

from maild.db import database
from maild.domain.states import Status
from maild.services.bulk_messages import Selection
from maild.services.message_log import Filter
from tests.conftest import WORKSPACE_A

# As they stand after some time; a content of their own they have none.
_PUT = """
INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email, subject,
    size_bytes, tags, metadata, next_attempt_at, hold_reason, attempt_count, error_class,
    last_error, created_at)
SELECT gen_random_uuid(), %(workspace)s, %(status)s, %(stream)s, 0, 'shop@example.com',
    'user' || n || '@' || %(domain)s, %(subject)s, 100, '{}', '{}',
    CASE WHEN %(status)s = 'queued' THEN now() + interval '1 day' END,
    CASE WHEN %(status)s = 'held' THEN 'to look at it' END,
    1, %(error_class)s, %(error)s, %(newest)s - n * interval '1 millisecond'
FROM generate_series(1, %(count)s) n
RETURNING id
"""


def put(
    count: int,
    status: Status = Status.FAILED,
    *,
    workspace_id: int = WORKSPACE_A,
    domain: str = "example.org",
    stream: str = "transactional",
    error_class: str | None = None,
    newest: datetime | None = None,
    subject: str = "Hello",
) -> list[Any]:
    """The ids of so many messages, to `user1@example.org` and so on, the newest first."""
    values = {
        "workspace": workspace_id,
        "status": status.value,
        "stream": stream,
        "domain": domain,
        "subject": subject,
        "error_class": error_class,
        "error": "550 no" if error_class else None,
        "newest": newest or datetime.now(UTC) - timedelta(minutes=5),
        "count": count,
    }
    return [row[0] for row in database.execute_sql(_PUT, values).fetchall()]


def matching(**fields: Any) -> Selection:
    """All that match, up to now."""
    return Selection(filter_=Filter(**{"until": datetime.now(UTC), **fields}))


def chosen(*message_ids: Any) -> Selection:
    return Selection(ids=tuple(str(one) for one in message_ids))


def statuses(workspace_id: int = WORKSPACE_A) -> dict[str, int]:
    """How many messages of a workspace are in each status."""
    rows = database.execute_sql(
        "SELECT status, count(*) FROM messages WHERE workspace_id = %s GROUP BY 1", (workspace_id,)
    ).fetchall()
    return dict(rows)


def events_of(kind: str) -> dict[Any, int]:
    """How often it happened to each message to which it did."""
    rows = database.execute_sql(
        "SELECT message_id, count(*) FROM events WHERE type = %s GROUP BY 1", (kind,)
    ).fetchall()
    return dict(rows)

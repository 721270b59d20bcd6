"""Suppressions: addresses that a workspace must not mail. Claims and the last check before DATA
look at them (`services/claims.py`).
"""

from datetime import datetime

from maild.db import database
from maild.domain.actor import SYSTEM, Actor
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
from maild.services import addresses

# Lower case beyond ASCII too, whatever the locale of the database.
_ADD = """
INSERT INTO suppressions AS s (workspace_id, email, stream, reason, source, expires_at,
    class, created_by)
VALUES (%(workspace)s, lower(%(email)s COLLATE "pg_c_utf8"), %(stream)s, %(reason)s, %(source)s,
    %(expires_at)s, %(class)s, %(by)s)
ON CONFLICT (workspace_id, email, stream) WHERE removed_at IS NULL DO UPDATE SET
    reason = CASE WHEN s.expires_at <= now() THEN excluded.reason ELSE s.reason END,
    source = CASE WHEN s.expires_at <= now() THEN excluded.source ELSE s.source END,
    expires_at = CASE WHEN s.expires_at IS NOT NULL AND excluded.expires_at IS NOT NULL
        THEN greatest(s.expires_at, excluded.expires_at) END
"""
_IS_SUPPRESSED = """
SELECT EXISTS (
    SELECT FROM suppressions
    WHERE workspace_id = %s AND email = lower(%s COLLATE "pg_c_utf8")
        AND removed_at IS NULL AND (stream IS NULL OR stream = %s)
        AND (expires_at IS NULL OR expires_at > now()))
"""


def add(
    workspace_id: int,
    email: str,
    *,
    reason: str,
    source: str,
    stream: Stream | None = None,
    expires_at: datetime | None = None,
    class_: SuppressionClass = SuppressionClass.MANUAL,
    by: Actor = SYSTEM,
) -> None:
    """Stop all mail to an address, or that of one stream; in force as soon as it is committed.

    An address that is suppressed already keeps its reason, and the later of the two ends. Raises
    ValueError for what is no address.
    """
    database.execute_sql(
        _ADD,
        {
            "workspace": workspace_id,
            "email": addresses.parse(email).text,
            "stream": stream.value if stream else None,
            "reason": reason,
            "source": source,
            "expires_at": expires_at,
            "class": class_.value,
            "by": by.name,
        },
    )


def is_suppressed(workspace_id: int, email: str, stream: Stream) -> bool:
    """Whether mail of this stream must not go to an address in normal form."""
    values = (workspace_id, email, stream.value)
    return bool(database.execute_sql(_IS_SUPPRESSED, values).fetchone()[0])

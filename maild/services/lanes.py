"""What waits in a workspace's lanes, stream by stream, and whether a freeze stops it.

Nothing here counts without a bound, and every look is one into an index: the answer costs no more
as the queue grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from maild.db import database
from maild.domain.freeze import FreezeKind
from maild.domain.states import PRIORITY, Stream
from maild.models import Freeze
from maild.services import freezes

COUNT_MAX = 10_000
"""Counts stop here: they mean so many, or more."""


@dataclass(frozen=True, slots=True)
class StreamDepth:
    """What waits of one stream. `oldest_due_seconds` is how long the oldest due message has waited;
    None where nothing is due.
    """

    stream: Stream
    due_count: int
    oldest_due_seconds: float | None
    later_count: int
    """Deferred, or scheduled."""
    sending_count: int
    held_count: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, and nothing is under way."""
        return not (self.due_count or self.later_count or self.sending_count or self.held_count)


# What may go through one account alone is a lane of its own: a skip scan by hand finds them, with
# one probe of the index for each. The other statuses are joined, and not named: the planner would
# take the smaller index of what waits in all workspaces.
_MEASURE = """
WITH RECURSIVE lane AS (
    SELECT p.priority, first.pinned_account
    FROM unnest(%(priorities)s::int[]) AS p (priority) CROSS JOIN LATERAL (
        SELECT pinned_account FROM messages
        WHERE status = 'queued' AND priority = p.priority AND workspace_id = %(workspace)s
        ORDER BY pinned_account LIMIT 1) AS first
    UNION ALL
    SELECT lane.priority, next.pinned_account FROM lane CROSS JOIN LATERAL (
        SELECT pinned_account FROM messages
        WHERE status = 'queued' AND priority = lane.priority AND workspace_id = %(workspace)s
            AND pinned_account > lane.pinned_account
        ORDER BY pinned_account LIMIT 1) AS next
), queued AS (
    SELECT lane.priority, sum(due.count)::int AS due_count, min(due.oldest_at) AS oldest_at,
        sum(later.count)::int AS later_count
    FROM lane
    CROSS JOIN LATERAL (
        SELECT count(*) AS count, min(next_attempt_at) AS oldest_at FROM (
            SELECT next_attempt_at FROM messages
            WHERE status = 'queued' AND priority = lane.priority AND workspace_id = %(workspace)s
                AND pinned_account = lane.pinned_account AND next_attempt_at <= now()
            ORDER BY next_attempt_at LIMIT %(max)s) AS one) AS due
    CROSS JOIN LATERAL (
        SELECT count(*) AS count FROM (
            SELECT FROM messages
            WHERE status = 'queued' AND priority = lane.priority AND workspace_id = %(workspace)s
                AND pinned_account = lane.pinned_account AND next_attempt_at > now()
            ORDER BY next_attempt_at LIMIT %(max)s) AS one) AS later
    GROUP BY lane.priority
), others AS (
    SELECT one.priority, count(*) FILTER (WHERE s.status = 'sending')::int AS sending_count,
        count(*) FILTER (WHERE s.status = 'held')::int AS held_count
    FROM unnest(ARRAY['sending', 'held']) AS s (status) CROSS JOIN LATERAL (
        SELECT priority FROM messages
        WHERE workspace_id = %(workspace)s AND status = s.status LIMIT %(max)s) AS one
    GROUP BY one.priority
)
SELECT p.priority, least(coalesce(due_count, 0), %(max)s),
    extract(epoch FROM now() - oldest_at)::float8, least(coalesce(later_count, 0), %(max)s),
    coalesce(sending_count, 0), coalesce(held_count, 0)
FROM unnest(%(priorities)s::int[]) AS p (priority)
LEFT JOIN queued USING (priority)
LEFT JOIN others USING (priority)
"""


def measure(workspace_id: int, *, count_max: int = COUNT_MAX) -> list[StreamDepth]:
    """What waits of each stream, the most urgent first."""
    urgent_first = sorted(Stream, key=lambda stream: PRIORITY[stream])
    values = {
        "workspace": workspace_id,
        "priorities": [PRIORITY[stream] for stream in urgent_first],
        "max": count_max,
    }
    with database.atomic():
        freezes.use_indexes()
        rows = database.execute_sql(_MEASURE, values).fetchall()
    found = {priority: counts for priority, *counts in rows}
    return [StreamDepth(stream, *found[PRIORITY[stream]]) for stream in urgent_first]


def list_freezes(workspace_id: int) -> dict[Stream, Freeze]:
    """For each stream that stands still as a whole, the freeze that lasts longest."""
    query = Freeze.select().where(
        Freeze.workspace == workspace_id,
        Freeze.kind << [FreezeKind.WORKSPACE, FreezeKind.STREAM],
        freezes.is_in_force(),
    )
    found: dict[Stream, Freeze] = {}
    for freeze in query.order_by(Freeze.expires_at):
        streams: Sequence[Stream] = (
            list(Stream) if freeze.target is None else [Stream(freeze.target)]
        )
        found.update(dict.fromkeys(streams, freeze))
    return found

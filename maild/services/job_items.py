"""What a job has changed, as a page lists it: in the order in which it was done, with what each is
called.
"""

from collections.abc import Collection
from dataclasses import dataclass

from maild.db import database
from maild.domain.states import Status
from maild.models import Job, JobItem, Message, Suppression
from maild.services import jobs

COUNTED_MAX = 10_000
"""Of a job's messages, as many are counted by what has become of them: the first."""


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the item's id after which the next page begins. `messages` has those of the items
    that are still kept, by their ids.
    """

    items: list[JobItem]
    next: int | None
    messages: dict[object, Message]


def list_page(job: Job, *, limit: int = 50, after: int = 0) -> Page:
    """One page of what a job has changed, from after an item's id on."""
    rows = jobs.list_changes(job.id, limit=limit + 1, after=after)
    items = rows[:limit]
    ids = [item.message_id for item in items if item.message_id is not None]
    found = (
        Message.select().where(Message.workspace == job.workspace_id, Message.id << ids)
        if ids
        else ()
    )
    return Page(
        items,
        next=items[-1].id if len(rows) > limit else None,
        messages={message.id: message for message in found},
    )


# The order is that of an index, and each message is one probe of its key.
_COUNT = """
SELECT m.status, count(*)::int FROM (
    SELECT message_id FROM job_items
    WHERE job_id = %s AND message_id IS NOT NULL ORDER BY id LIMIT %s) AS i
LEFT JOIN messages m ON m.id = i.message_id AND m.workspace_id = %s
GROUP BY m.status
"""


def count_by_status(job: Job) -> dict[Status | None, int]:
    """How the first COUNTED_MAX of its messages stand by now; None: those not kept any more."""
    rows = database.execute_sql(_COUNT, (job.id, COUNTED_MAX, job.workspace_id)).fetchall()
    return {status and Status(status): count for status, count in rows}


def emails_of(workspace_id: int, suppression_ids: Collection[int]) -> dict[int, str]:
    """The addresses of these suppressions, by their ids."""
    if not suppression_ids:
        return {}
    query = Suppression.select(Suppression.id, Suppression.email).where(
        Suppression.workspace == workspace_id, Suppression.id << list(suppression_ids)
    )
    return {row.id: row.email for row in query}

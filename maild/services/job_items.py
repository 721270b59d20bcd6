"""What a job has changed, as a page lists it: in the order in which it was done, with what each is
called.
"""

from collections.abc import Collection
from dataclasses import dataclass

from maild.models import Job, JobItem, Message, Suppression
from maild.services import jobs


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


def emails_of(workspace_id: int, suppression_ids: Collection[int]) -> dict[int, str]:
    """The addresses of these suppressions, by their ids."""
    if not suppression_ids:
        return {}
    query = Suppression.select(Suppression.id, Suppression.email).where(
        Suppression.workspace == workspace_id, Suppression.id << list(suppression_ids)
    )
    return {row.id: row.email for row in query}

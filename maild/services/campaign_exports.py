"""The recipients of a campaign as a CSV file, written little by little. The audit log keeps who
took it.
"""

from collections.abc import Iterator
from typing import Any

from maild.db import connection
from maild.domain.actor import Actor
from maild.services import (
    campaign_histories,
    campaign_ledger,
    campaign_states,
    suppression_exports,
)
from maild.services.campaign_ledger import Filter

COLUMNS = (
    "email", "status", "reason", "variant", "message_id", "handed_at", "opened_at", "clicked_at",
    "complained_at", "unsubscribed_at", "updated_at", "contact_id", "id",
)  # fmt: skip


def open_file(
    workspace_id: int, campaign_id: int, *, filter_: Filter, asked: str, by: Actor
) -> Iterator[str]:
    """The lines of a file, in portions; `asked` is the filter in words, for the audit log. Each
    portion opens the database for itself, so that nobody who reads slowly keeps a connection.
    Raises NotFound at once, not in the middle.
    """
    with connection():
        campaign = campaign_states.get(workspace_id, campaign_id)
        campaign_histories.note_export(campaign, asked=asked, by=by)
    return suppression_exports.write_rows(COLUMNS, _read(workspace_id, campaign_id, filter_))


def _read(workspace_id: int, campaign_id: int, filter_: Filter) -> Iterator[list[Any]]:
    after: int | None = 0
    while after is not None:
        with connection():
            page = campaign_ledger.list_page(
                workspace_id,
                campaign_id,
                filter_=filter_,
                limit=campaign_ledger.PAGE_MAX,
                after=after,
            )
        for row in page.recipients:
            yield [getattr(row, name) for name in COLUMNS]
        after = page.next_after

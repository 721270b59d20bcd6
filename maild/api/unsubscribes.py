"""/v1/unsubscribes: record that people opted out, list it, and record that they came back. What
they do themselves, by the links in their mail, is in `web/unsubscribe_links`.
"""

from typing import Any

from maild.api import schemas
from maild.api.auth import ADMINS, OPERATORS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.query import parse_address, parse_serial_cursor
from maild.domain import serial_cursor
from maild.models import Unsubscribe
from maild.services import unsubscribe_lists, unsubscribes
from maild.services.unsubscribe_lists import Filter, State


@endpoint(
    "POST",
    "/v1/unsubscribes",
    summary="Record that an address opted out: of a topic or of all, in one stream or in both",
    allow=OPERATORS,
    body=schemas.UnsubscribeIn,
    answer=schemas.UnsubscribeSaved,
    status=201,
)
def add_unsubscribe(caller: Caller, body: schemas.UnsubscribeIn) -> schemas.UnsubscribeSaved:
    """For who opted out by another way than the link in the mail. Without `topic` and `stream` it
    is all mail.
    """
    row = unsubscribes.add(
        caller.workspace_id(body.workspace_id),
        body.email,
        topic=body.topic,
        stream=body.stream,
        reason=body.reason,
        source=unsubscribes.API,
        by=caller.actor,
    )
    return schemas.UnsubscribeSaved(**_fields(row))


@endpoint(
    "GET",
    "/v1/unsubscribes",
    summary="Who opted out of what, newest first, in pages",
    allow=READERS,
    query=schemas.UnsubscribeQuery,
    answer=schemas.UnsubscribePage,
)
def list_unsubscribes(caller: Caller, query: schemas.UnsubscribeQuery) -> schemas.UnsubscribePage:
    """Those by links and those over this API."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = unsubscribe_lists.list_page(
        workspace_id,
        filter_=Filter(
            email=parse_address("email", query.email),
            topic=query.topic,
            source=query.source,
            state=query.state,
        ),
        limit=query.limit,
        older_than=parse_serial_cursor(query.cursor),
    )
    return schemas.UnsubscribePage(
        workspace_id=workspace_id,
        count=len(page.unsubscribes),
        unsubscribes=[schemas.UnsubscribeOut(**_fields(row)) for row in page.unsubscribes],
        next_cursor=serial_cursor.write(page.older) if page.older else None,
    )


@endpoint(
    "DELETE",
    "/v1/unsubscribes",
    summary="Record that a person asked for this mail again",
    allow=ADMINS,
    body=schemas.UnsubscribeRemoval,
    answer=schemas.UnsubscribeRemoved,
)
def remove_unsubscribe(
    caller: Caller, body: schemas.UnsubscribeRemoval
) -> schemas.UnsubscribeRemoved:
    """Only the person may ask for it: `reason` says how they did."""
    removal = unsubscribes.remove(
        caller.workspace_id(body.workspace_id),
        body.email,
        topic=body.topic,
        stream=body.stream,
        reason=body.reason,
        by=caller.actor,
    )
    return schemas.UnsubscribeRemoved(
        **_fields(removal.unsubscribe),
        blocked_count=removal.blocked_count,
        has_more_blocked=removal.has_more_blocked,
        blocked_ids=removal.blocked_ids,
        remaining=[schemas.UnsubscribeOut(**_fields(row)) for row in removal.remaining],
    )


def _fields(row: Unsubscribe) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace_id": row.workspace_id,
        "email": row.email,
        "topic": row.topic,
        "stream": row.stream,
        "reason": row.reason,
        "source": row.source,
        "message_id": row.message_id,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "state": State.IN_FORCE if row.removed_at is None else State.REMOVED,
        "removed_at": row.removed_at,
        "removed_by": row.removed_by,
        "removal_reason": row.removal_reason,
    }

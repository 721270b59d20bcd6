"""Lists of provider events as people look through them, dead letters first, and one of them with
what it was read from. It changes nothing: that is for `dead_letters`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import peewee

from maild.db import database
from maild.domain.provider_event import ProviderEventType, ReportStatus
from maild.domain.storable import clean_text
from maild.errors import NotFound
from maild.models import ProviderEvent, WebhookEndpoint, WebhookPayload
from maild.services import message_log, workspaces

SHOWN_MAX_BYTES = 64 * 1024
"""So much of a payload is shown on a page; all of it can be had as a file."""
NO_SUCH = "There is no such provider event in this workspace."


class State(StrEnum):
    """Where a provider event stands, as people ask for it. Every event is in exactly one."""

    DEAD_LETTER = "dead_letter"
    RECEIVED = "received"
    APPLIED = "applied"
    REPLAYED = "replayed"
    IGNORED = "ignored"
    """Nothing follows from what it says."""
    DISMISSED = "dismissed"
    """It was a dead letter, and a person has let it be."""
    DUPLICATE = "duplicate"


REPLAYABLE = frozenset({State.DEAD_LETTER, State.DISMISSED, State.IGNORED})
"""What a replay takes: what was ignored may say more to a newer version."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events: all that are told must be so. `since` is inclusive, `until` exclusive.

    `state` None means any. `emails` are the forms in which one address may stand.
    """

    state: State | None = State.DEAD_LETTER
    provider: str | None = None
    event_type: ProviderEventType | None = None
    emails: tuple[str, ...] = ()
    endpoint_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `older` is the id after which the next page begins. The rows lack `report`,
    which may be long.
    """

    events: list[ProviderEvent]
    older: int | None


@dataclass(frozen=True, slots=True)
class Letter:
    """One event, and the payload that it came in.

    `raw` is its own part of the payload, or as much of all of it as SHOWN_MAX_BYTES are, as text;
    `is_cut` says that there is more. `endpoint` is None where it came without one, or where that
    is gone.
    """

    row: ProviderEvent
    state: State
    raw: str
    is_cut: bool
    is_part: bool
    """`raw` is one record of several."""
    content_type: str
    headers: dict[str, str]
    size_bytes: int
    received_at: datetime
    endpoint: WebhookEndpoint | None
    pruned_at: datetime | None
    """When the payload was removed, for it was old; `raw` is empty then."""


def state_of(row: ProviderEvent) -> State:
    """What was dismissed keeps its error; what nothing follows from never had one."""
    if row.status is ReportStatus.IGNORED and row.last_error is not None:
        return State.DISMISSED
    return State(row.status.value)


def list_page(
    workspace_id: int, *, filter_: Filter, limit: int = 50, older_than: int | None = None
) -> Page:
    """The newest events, or those before an id. Raises NotFound (the workspace), Unavailable (the
    search takes too long).
    """
    shown = [
        field for field in ProviderEvent._meta.sorted_fields if field is not ProviderEvent.report
    ]
    query = ProviderEvent.select(*shown).where(*conditions(workspace_id, filter_))
    if older_than is not None:
        query = query.where(ProviderEvent.id < older_than)
    with message_log.bounded():
        rows = list(query.order_by(ProviderEvent.id.desc()).limit(limit + 1))
        if not rows:
            workspaces.require(workspace_id)
    kept = rows[:limit]
    return Page(kept, older=kept[-1].id if len(rows) > limit else None)


def list_ids(
    workspace_id: int, *, filter_: Filter, limit: int, older_than: int | None = None
) -> list[int]:
    """The ids of such a page, for work that goes through all that match. Raises Unavailable."""
    query = ProviderEvent.select(ProviderEvent.id).where(*conditions(workspace_id, filter_))
    if older_than is not None:
        query = query.where(ProviderEvent.id < older_than)
    with message_log.bounded():
        return [row.id for row in query.order_by(ProviderEvent.id.desc()).limit(limit)]


_PAYLOAD = """
SELECT content_type, headers, octet_length(body), substr(body, 1, %s), created_at, endpoint_id,
    pruned_at
FROM webhook_payloads WHERE id = %s
"""


def get(workspace_id: int, event_id: int) -> Letter:
    """One event with what it was read from. Raises NotFound, also for another workspace's."""
    row: ProviderEvent | None = ProviderEvent.get_or_none(
        ProviderEvent.workspace == workspace_id, ProviderEvent.id == event_id
    )
    if row is None:
        raise NotFound(NO_SUCH)
    found = database.execute_sql(_PAYLOAD, (SHOWN_MAX_BYTES, row.payload_id)).fetchone()
    content_type, headers, size_bytes, beginning, received_at, endpoint_id, pruned_at = found
    part = _own_part(row)
    return Letter(
        row=row,
        state=state_of(row),
        raw=clean_text(bytes(beginning).decode(errors="replace")) if part is None else part,
        is_cut=part is None and size_bytes > SHOWN_MAX_BYTES,
        is_part=part is not None,
        content_type=content_type,
        headers=headers,
        size_bytes=size_bytes,
        received_at=received_at,
        endpoint=_find_endpoint(workspace_id, endpoint_id),
        pruned_at=pruned_at,
    )


def get_payload(workspace_id: int, event_id: int) -> bytes:
    """All of the payload that an event came in, as it came. Raises NotFound."""
    row = (
        WebhookPayload.select(WebhookPayload.body, WebhookPayload.pruned_at)
        .join(ProviderEvent, on=ProviderEvent.payload == WebhookPayload.id)
        .where(ProviderEvent.workspace == workspace_id, ProviderEvent.id == event_id)
        .first()
    )
    if row is None:
        raise NotFound(NO_SUCH)
    if row.pruned_at is not None:
        raise NotFound(f"This payload was removed on {row.pruned_at:%Y-%m-%d}, for it was old.")
    return bytes(row.body)


def conditions(workspace_id: int, filter_: Filter) -> list[Any]:
    """What a query of provider events must ask for to find what the filter describes."""
    found: list[Any] = [ProviderEvent.workspace == workspace_id, *_state(filter_.state)]
    for field, value in (
        (ProviderEvent.provider, filter_.provider),
        (ProviderEvent.event_type, filter_.event_type),
    ):
        if value is not None:
            found.append(field == value)
    if filter_.emails:
        found.append(ProviderEvent.email << list(filter_.emails))
    if filter_.endpoint_id is not None:
        # An endpoint is of one workspace, so this says nothing of another's.
        came_in = WebhookPayload.select(peewee.SQL("1")).where(
            WebhookPayload.id == ProviderEvent.payload,
            WebhookPayload.endpoint_id == filter_.endpoint_id,
        )
        found.append(peewee.fn.EXISTS(came_in))
    if filter_.since is not None:
        found.append(ProviderEvent.created_at >= filter_.since)
    if filter_.until is not None:
        found.append(ProviderEvent.created_at < filter_.until)
    return found


def _state(state: State | None) -> Sequence[Any]:
    if state is None:
        return []
    if state is State.DISMISSED:
        return [
            ProviderEvent.status == ReportStatus.IGNORED,
            ProviderEvent.last_error.is_null(False),
        ]
    if state is State.IGNORED:
        return [ProviderEvent.status == ReportStatus.IGNORED, ProviderEvent.last_error.is_null()]
    return [ProviderEvent.status == ReportStatus(state.value)]


def _own_part(row: ProviderEvent) -> str | None:
    """The record of the payload that an event was made of, where it is kept with the event."""
    report: dict[str, Any] = row.report or {}
    part = report.get("raw")
    if part is None:
        return None
    return part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)


def _find_endpoint(workspace_id: int, endpoint_id: int | None) -> WebhookEndpoint | None:
    if endpoint_id is None:
        return None
    row: WebhookEndpoint | None = WebhookEndpoint.get_or_none(
        WebhookEndpoint.workspace == workspace_id, WebhookEndpoint.id == endpoint_id
    )
    return row

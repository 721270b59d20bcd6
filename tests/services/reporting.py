"""What the tests of reports share: messages that were sent, and reports that come in about them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from maild import db
from maild.domain.lanes import Lane
from maild.domain.provider_event import ReportStatus
from maild.models import Attempt, Message, ProviderEvent, Suppression, WebhookPayload
from maild.services import payloads, report_loop
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A
from tests.services.helpers import A_URGENT, ACCEPTED, end, reload, take

Sent = Callable[..., Message]


def send_all(lease: Lease, lane: Lane = A_URGENT) -> None:
    """Have everything of the lane that is due accepted by the provider."""
    for claim in take(lease, lane):
        end(claim, ACCEPTED)


def store(*entries: dict[str, Any] | bytes, workspace_id: int = WORKSPACE_A) -> list[int]:
    """Store entries in maild's own format, each a payload that is due at once; their ids."""
    bodies = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in entries]
    stored = payloads.take_entries(workspace_id, bodies)
    found = [payload.id for payload in stored]
    WebhookPayload.update(
        next_attempt_at=db.database.execute_sql("SELECT now()").fetchone()[0]
    ).where(WebhookPayload.id << found).execute()
    return found


def report(
    *entries: dict[str, Any] | bytes, workspace_id: int = WORKSPACE_A
) -> list[ProviderEvent]:
    """Have entries come in, be read and applied; their events, in order."""
    found = store(*entries, workspace_id=workspace_id)
    report_loop.drain()
    query = ProviderEvent.select().where(ProviderEvent.payload << found)
    return list(query.order_by(ProviderEvent.payload, ProviderEvent.position))


def about(message: Message, kind: str, **fields: Any) -> dict[str, Any]:
    """An entry about a message, which it names by its Message-ID."""
    return {
        "type": kind,
        "email": message.to_email,
        "message_id": message.message_id_header,
        "event_id": f"{kind}-{message.id}",
        **fields,
    }


def status_of(message: Message) -> str:
    return reload(message).status.value


def suppressed(workspace_id: int = WORKSPACE_A) -> dict[str, str]:
    """Who is suppressed, and by which class."""
    query = Suppression.select().where(
        Suppression.workspace == workspace_id, Suppression.removed_at.is_null()
    )
    return {row.email: row.class_.value for row in query}


def statuses(events: Sequence[ProviderEvent]) -> list[str]:
    return [event.status.value for event in events]


def make_due_again() -> None:
    """As if the time of every event that waits had come."""
    ProviderEvent.update(next_attempt_at=ProviderEvent.created_at).where(
        ProviderEvent.status == ReportStatus.RECEIVED
    ).execute()


def give_reply(message: Message, text: str) -> None:
    """As if the provider had said this to the final dot."""
    Attempt.update(response=text).where(Attempt.message == message.id).execute()

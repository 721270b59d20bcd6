"""What the tests of freezes share: starting one, holding messages by it, and what is kept of it."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from maild.domain.actor import Actor
from maild.domain.freeze import FreezeKind
from maild.domain.states import Status
from maild.models import ApiKey, AuditEntry, Event, Freeze, Message
from maild.services import freezes
from tests.conftest import WORKSPACE_A
from tests.services.helpers import Accept

BY = Actor("operator key", ip="192.0.2.7", request_id="r-1")
K = FreezeKind


def ahead(**spans: float) -> datetime:
    return datetime.now(UTC) + timedelta(**spans)


def start(kind: FreezeKind = K.WORKSPACE, target: str | None = None, **changes: Any) -> Freeze:
    values: dict[str, Any] = {"reason": "a test", "expires_at": ahead(hours=1), "by": BY}
    workspace_id = changes.pop("workspace_id", WORKSPACE_A)
    return freezes.start(workspace_id, kind=kind, target=target, **{**values, **changes})


def make_key(workspace_id: int = WORKSPACE_A) -> int:
    key = ApiKey.create(
        workspace=workspace_id,
        name="billing",
        prefix="mk_1a2b",
        key_hash=uuid.uuid4().bytes * 2,
        role="sender",
        created_by="admin key",
    )
    return int(key.id)


def hold(freeze: Freeze, accept: Accept, *, count: int = 1) -> list[Message]:
    """Messages that this freeze holds, as a claim leaves them."""
    made = [accept(workspace_id=freeze.workspace_id) for _ in range(count)]
    held = {"status": Status.HELD, "next_attempt_at": None, "hold_reason": freeze.reason}
    ids = [message.id for message in made]
    Message.update(**held, freeze=freeze.id).where(Message.id << ids).execute()
    return made


def told() -> list[tuple[str, dict[str, Any]]]:
    """The events of workspaces so far."""
    rows = Event.select().where(Event.message.is_null()).order_by(Event.id)
    return [(row.type, row.data) for row in rows]


def audited() -> list[AuditEntry]:
    return list(AuditEntry.select().order_by(AuditEntry.seq))

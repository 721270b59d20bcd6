"""Freezes: some mail of a workspace stands still, for a reason and until a time. What comes due
meanwhile is held by its claim, and let go when the freeze is lifted or ends.

What they match is in the claim and in the last check before DATA (`services/claims.py`); a frozen
SMTP account is passed over like a paused one (`services/providers.py`). What a target must be is in
`freeze_targets`, and what waits behind freezes in `freeze_backlogs`.
"""

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import fn

from maild import clock, log, queue
from maild.db import database
from maild.domain import submission
from maild.domain.actor import SYSTEM, Actor
from maild.domain.freeze import MAX_DAYS, FreezeKind, FreezeState
from maild.domain.states import EventType
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import Event, Freeze, Workspace
from maild.services import audit, freeze_targets, workspaces
from maild.services.messages import DELIVER

RELEASE_BATCH = 1_000
"""Messages let go in one transaction: those of a lift go with it, the others by the scheduler."""
REASON_MAX_CHARS = 500

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `older` is the id after which the next page begins."""

    freezes: list[Freeze]
    older: int | None


def start(
    workspace_id: int,
    *,
    reason: str,
    expires_at: datetime,
    kind: FreezeKind = FreezeKind.WORKSPACE,
    target: str | None = None,
    by: Actor = SYSTEM,
) -> Freeze:
    """Let some mail of the workspace stand still; in force when committed.

    `target` may be in any form. Raises InvalidFields; NotFound (the workspace, or the account or
    key that is the target); Conflict where the same is frozen already.
    """
    errors = [*_check_reason(reason), *_check_end(expires_at)]
    try:
        normal = freeze_targets.normalise(kind, target)
    except ValueError as error:
        errors.append(FieldError("target", str(error)))
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
    with database.atomic():
        _lock(workspace_id)
        if normal is not None:
            freeze_targets.require(workspace_id, kind, normal)
        _refuse_a_second(workspace_id, kind, normal)
        [freeze] = (
            Freeze.insert(
                workspace=workspace_id,
                kind=kind,
                target=normal,
                reason=reason,
                expires_at=expires_at,
                created_by=by.name,
            )
            .returning(Freeze)
            .execute()
        )
        told = {"reason": reason, "expires_at": _instant(expires_at)}
        _tell(EventType.FREEZE_STARTED, freeze, by=by.name, **told)
        audit.record(
            workspace_id,
            by,
            action="freeze.started",
            target=name_of(freeze),
            after={"id": freeze.id, "expires_at": _instant(expires_at)},
            reason=reason,
        )
    return freeze  # type: ignore[no-any-return]


def extend(
    freeze: Freeze, *, expires_at: datetime, reason: str | None = None, by: Actor = SYSTEM
) -> Freeze:
    """Let a freeze last longer; returns it as it is then.

    Raises InvalidFields, also for a time before its present end, and Conflict where it is over.
    """
    errors = [*_check_reason(reason), *_check_end(expires_at)]
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
    with database.atomic():
        # The lock lets claims go on, which only refer to the row.
        before = (
            Freeze.select(Freeze, is_in_force().alias("is_in_force"))
            .where(Freeze.id == freeze.id)
            .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
            .first()
        )
        if before is None or not before.is_in_force:
            raise Conflict("The freeze is over. Start a new one.")
        if expires_at <= before.expires_at:
            message = "must be later than the present end; to end a freeze sooner, lift it"
            raise InvalidFields(
                f"expires_at: {message}", errors=[FieldError("expires_at", message)]
            )
        [extended] = (
            Freeze.update(expires_at=expires_at)
            .where(Freeze.id == freeze.id)
            .returning(Freeze)
            .execute()
        )
        audit.record(
            extended.workspace_id,
            by,
            action="freeze.extended",
            target=name_of(extended),
            before={"id": extended.id, "expires_at": _instant(before.expires_at)},
            after={"id": extended.id, "expires_at": _instant(expires_at)},
            reason=reason,
        )
    return extended  # type: ignore[no-any-return]


def lift(freeze: Freeze, *, reason: str | None = None, by: Actor = SYSTEM) -> Freeze:
    """End a freeze now, and let go what it held: up to RELEASE_BATCH messages with it, the others
    by `release_thawed`. Returns it as it is then.

    One that is over stays as it is, and that is no error: what was asked for is so. Raises
    InvalidFields.
    """
    errors = _check_reason(reason)
    if errors:
        raise InvalidFields(summarise(errors), errors=errors)
    with database.atomic():
        lifted = list(
            Freeze.update(lifted_at=fn.now(), lifted_by=by.name, lift_reason=reason)
            .where(Freeze.id == freeze.id, is_in_force())
            .returning(Freeze)
            .execute()
        )
        if not lifted:
            return get(freeze.workspace_id, freeze.id)
        released = _release(freeze.id)
        _tell(EventType.FREEZE_ENDED, lifted[0], by=by.name, reason=reason)
        audit.record(
            lifted[0].workspace_id,
            by,
            action="freeze.lifted",
            target=name_of(lifted[0]),
            before={"id": freeze.id, "expires_at": _instant(lifted[0].expires_at)},
            after={"id": freeze.id, "released_at_once": released},
            reason=reason,
        )
        queue.enqueue(DELIVER)
    return lifted[0]  # type: ignore[no-any-return]


def get(workspace_id: int, freeze_id: int) -> Freeze:
    """One freeze, over or not. Raises NotFound, also for another workspace's."""
    row: Freeze | None = Freeze.get_or_none(
        Freeze.id == freeze_id, Freeze.workspace == workspace_id
    )
    if row is None:
        workspaces.require(workspace_id)
        raise NotFound(f"There is no freeze {freeze_id} in this workspace.")
    return row


def list_page(
    workspace_id: int,
    *,
    state: FreezeState | None = FreezeState.IN_FORCE,
    limit: int = 50,
    older_than: int | None = None,
) -> Page:
    """The newest freezes, or those before an id; `state` None means all. Raises NotFound (the
    workspace).
    """
    query = Freeze.select().where(Freeze.workspace == workspace_id)
    if state is FreezeState.IN_FORCE:
        query = query.where(is_in_force())
    elif state is FreezeState.ENDED:
        query = query.where(~is_in_force())
    if older_than is not None:
        query = query.where(Freeze.id < older_than)
    rows = list(query.order_by(Freeze.id.desc()).limit(limit + 1))
    if not rows:
        workspaces.require(workspace_id)
    shown = rows[:limit]
    return Page(shown, older=shown[-1].id if len(rows) > limit else None)


def is_in_force() -> Any:
    """What a query asks to find freezes that stop something now."""
    return Freeze.lifted_at.is_null() & (Freeze.expires_at > fn.now())


def name_of(freeze: Freeze) -> str:
    """`stream marketing`: what it stops, as people read it."""
    return f"{freeze.kind.value} {freeze.target}" if freeze.target else freeze.kind.value


# Its row says so from then on: nobody has to look at it again, and it is told once.
_END = """
WITH ended AS (
    UPDATE freezes SET lifted_at = expires_at, lifted_by = %s
    WHERE lifted_at IS NULL AND expires_at <= now()
    RETURNING id, workspace_id, kind, target
)
INSERT INTO events (workspace_id, type, data)
SELECT workspace_id, %s,
    jsonb_strip_nulls(jsonb_build_object(
        'freeze_id', id, 'kind', kind, 'target', target, 'by', %s::text))
FROM ended
"""
# A skip scan by hand: one probe of the index for each freeze that holds something.
_LIST_THAWED = """
WITH RECURSIVE holding AS (
    (SELECT freeze_id AS id FROM messages WHERE freeze_id IS NOT NULL ORDER BY freeze_id LIMIT 1)
    UNION ALL
    SELECT next.* FROM holding, LATERAL (
        SELECT freeze_id FROM messages
        WHERE freeze_id > holding.id ORDER BY freeze_id LIMIT 1) AS next
)
SELECT id FROM holding JOIN freezes USING (id)
WHERE lifted_at IS NOT NULL OR expires_at <= now()
"""
# For bulk mail the time in the freeze does not count; a password reset grows old all the same.
_RELEASE = """
WITH thawed AS (
    SELECT id FROM messages WHERE freeze_id = %s AND status = 'held'
    LIMIT %s
    FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE messages m SET
        status = 'queued', hold_reason = NULL, freeze_id = NULL, updated_at = now(),
        next_attempt_at = greatest(now(), m.scheduled_at, m.not_before),
        expires_at = CASE WHEN m.recipient_id IS NULL THEN m.expires_at
            ELSE m.expires_at + (now() - m.updated_at) END
    FROM thawed WHERE m.id = thawed.id
    RETURNING m.workspace_id, m.id
)
INSERT INTO events (workspace_id, message_id, type, data)
SELECT workspace_id, id, %s, '{}' FROM moved
"""


def release_thawed(*, seconds: float = math.inf) -> int:
    """End the freezes whose time is over, and queue again what freezes that are over still hold,
    for about so long, a batch at least; returns how many messages that was. The next call goes on.

    Each batch wakes the workers when it commits, and each freeze has one in turn: none waits for
    another that holds a million. What another freeze stops as well is held again by its next claim.
    """
    ends_at = time.monotonic() + seconds
    values = (SYSTEM.name, EventType.FREEZE_ENDED.value, SYSTEM.name)
    database.execute_sql(_END, values)
    released = 0
    thawed = deque(row[0] for row in database.execute_sql(_LIST_THAWED).fetchall())
    while thawed:
        freeze_id = thawed.popleft()
        with database.atomic():
            count = _release(freeze_id)
            if count:
                queue.enqueue(DELIVER)
        released += count
        if count == RELEASE_BATCH:
            thawed.append(freeze_id)
        if time.monotonic() >= ends_at:
            break
    return released


def use_indexes() -> None:
    """For the statements of this transaction, which look at some of what a freeze holds or would
    hold: where that is much of the table, the planner may think that reading all of the table
    finds enough of it sooner, and be wrong from the second time on.
    """
    database.execute_sql(
        "SELECT set_config('enable_seqscan', 'off', true),"
        " set_config('enable_bitmapscan', 'off', true)"
    )


def _release(freeze_id: int) -> int:
    """Queue again some of what a freeze that is over holds, in the caller's transaction."""
    use_indexes()
    values = (freeze_id, RELEASE_BATCH, EventType.RELEASED.value)
    return int(database.execute_sql(_RELEASE, values).rowcount)


def _lock(workspace_id: int) -> None:
    """Two that start a freeze of the same: the second waits here. Mail is accepted meanwhile.
    Raises NotFound.
    """
    found = (
        Workspace.select(Workspace.id)
        .where(Workspace.id == workspace_id)
        .for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type]
        .first()
    )
    if found is None:
        workspaces.require(workspace_id)


def _refuse_a_second(workspace_id: int, kind: FreezeKind, target: str | None) -> None:
    standing = (
        Freeze.select()
        .where(
            Freeze.workspace == workspace_id,
            Freeze.kind == kind,
            Freeze.target.is_null() if target is None else Freeze.target == target,
            is_in_force(),
        )
        .first()
    )
    if standing is not None:
        raise Conflict(
            f"This is frozen already, by the freeze {standing.id}, until"
            f" {_instant(standing.expires_at)}. Extend that one if it should last longer."
        )


def _check_reason(reason: str | None) -> list[FieldError]:
    if reason is None:
        return []
    if not reason.strip():
        return [FieldError("reason", "must not be empty")]
    complaints = submission.check_line("reason", reason, max_chars=REASON_MAX_CHARS)
    return [FieldError(name, message) for name, message in complaints]


def _check_end(expires_at: datetime) -> Iterator[FieldError]:
    now = clock.now()
    if expires_at <= now:
        yield FieldError("expires_at", "must be in the future")
    elif expires_at > now + timedelta(days=MAX_DAYS):
        yield FieldError("expires_at", f"is more than {MAX_DAYS} days ahead")


def _tell(kind: EventType, freeze: Freeze, **data: Any) -> None:
    """An event of the workspace."""
    facts = {"freeze_id": freeze.id, "kind": freeze.kind.value, "target": freeze.target, **data}
    known = {name: value for name, value in facts.items() if value is not None}
    Event.insert(workspace=freeze.workspace_id, type=kind.value, data=known).execute()
    logger.warning(kind.value, workspace_id=freeze.workspace_id, **known)


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")

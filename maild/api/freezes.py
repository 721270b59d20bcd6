"""/v1/freezes: let some mail stand still, for a reason and until a time."""

from collections.abc import Sequence

from maild import clock
from maild.api import schemas
from maild.api.auth import OPERATORS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.query import parse_serial_cursor
from maild.domain import serial_cursor
from maild.domain.freeze import FreezeState
from maild.errors import Conflict
from maild.models import Freeze
from maild.services import freeze_backlogs, freezes
from maild.services.freeze_backlogs import Backlog


@endpoint(
    "GET",
    "/v1/freezes",
    summary="The freezes of a workspace, newest first, and what waits behind each",
    allow=READERS,
    query=schemas.FreezeQuery,
    answer=schemas.FreezePage,
)
def list_freezes(caller: Caller, query: schemas.FreezeQuery) -> schemas.FreezePage:
    """Those in force unless `state` says otherwise. `waiting` is what stands behind each."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = freezes.list_page(
        workspace_id,
        state=None if query.state == "all" else FreezeState(query.state),
        limit=query.limit,
        older_than=parse_serial_cursor(query.cursor),
    )
    return schemas.FreezePage(
        workspace_id=workspace_id,
        count=len(page.freezes),
        freezes=_answers(workspace_id, page.freezes),
        next_cursor=None if page.older is None else serial_cursor.write(page.older),
    )


@endpoint(
    "POST",
    "/v1/freezes",
    summary="Let some mail stand still until a time",
    allow=OPERATORS,
    body=schemas.FreezeIn,
    answer=schemas.FreezeOut,
    status=201,
    raises=(Conflict,),
)
def start_freeze(caller: Caller, body: schemas.FreezeIn) -> schemas.FreezeOut:
    """Messages that it concerns are held until it ends or is lifted. Nothing is lost: they go out
    then, or expire.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    freeze = freezes.start(
        workspace_id,
        kind=body.kind,
        target=body.target,
        reason=body.reason,
        expires_at=body.expires_at,
        by=caller.actor,
    )
    return _answer(freeze)


@endpoint(
    "POST",
    "/v1/freezes/extend",
    summary="Let a freeze last longer",
    allow=OPERATORS,
    body=schemas.FreezeExtension,
    answer=schemas.FreezeOut,
    raises=(Conflict,),
)
def extend_freeze(caller: Caller, body: schemas.FreezeExtension) -> schemas.FreezeOut:
    """Only a freeze in force can last longer. The new end must be later than now."""
    freeze = freezes.get(caller.workspace_id(body.workspace_id), body.id)
    extended = freezes.extend(
        freeze, expires_at=body.expires_at, reason=body.reason, by=caller.actor
    )
    return _answer(extended)


@endpoint(
    "DELETE",
    "/v1/freezes",
    summary="Lift a freeze, and let go what it held",
    allow=OPERATORS,
    body=schemas.FreezeLift,
    answer=schemas.FreezeOut,
)
def lift_freeze(caller: Caller, body: schemas.FreezeLift) -> schemas.FreezeOut:
    """What it held is queued again at once. A freeze that has ended is answered as it is."""
    freeze = freezes.get(caller.workspace_id(body.workspace_id), body.id)
    return _answer(freezes.lift(freeze, reason=body.reason, by=caller.actor))


def _answer(freeze: Freeze) -> schemas.FreezeOut:
    [answer] = _answers(freeze.workspace_id, [freeze])
    return answer


def _answers(workspace_id: int, found: Sequence[Freeze]) -> list[schemas.FreezeOut]:
    backlogs = freeze_backlogs.measure(workspace_id, found)
    return [_describe(freeze, backlogs[freeze.id]) for freeze in found]


def _describe(freeze: Freeze, backlog: Backlog) -> schemas.FreezeOut:
    is_over = freeze.lifted_at is not None or freeze.expires_at <= clock.now()
    return schemas.FreezeOut(
        workspace_id=freeze.workspace_id,
        id=freeze.id,
        kind=freeze.kind,
        target=freeze.target,
        state=FreezeState.ENDED if is_over else FreezeState.IN_FORCE,
        reason=freeze.reason,
        expires_at=freeze.expires_at,
        created_at=freeze.created_at,
        created_by=freeze.created_by,
        lifted_at=freeze.lifted_at,
        lifted_by=freeze.lifted_by,
        lift_reason=freeze.lift_reason,
        waiting=schemas.WaitingOut(count=backlog.count, is_more=backlog.is_more),
        drain_estimate_seconds=backlog.drain_seconds,
        drain_note=backlog.drain_note,
    )

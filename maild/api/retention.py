"""/v1/workspaces/retention: for how long a workspace keeps what, and how much room that takes."""

from maild.api import schemas
from maild.api.auth import ADMINS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.domain.retention import Choice, Keep
from maild.errors import Conflict
from maild.services import conservation, retention, retention_forecast
from maild.services.retention import Standing
from maild.services.retention_forecast import Estimate, Measure


@endpoint(
    "GET",
    "/v1/workspaces/retention",
    summary="For how long a workspace keeps what, and how much room it takes",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.RetentionOut,
)
def get_retention(caller: Caller, query: schemas.WorkspaceQuery) -> schemas.RetentionOut:
    """What the workspace has chosen and what is in force, what was removed so far, and an estimate
    of the room. A key of the instance is told of the whole database, too.
    """
    return _answer(caller, caller.workspace_id(query.workspace_id))


@endpoint(
    "POST",
    "/v1/workspaces/retention",
    summary="Choose for how long a workspace keeps what, or see what that would remove",
    allow=ADMINS,
    body=schemas.RetentionIn,
    answer=schemas.RetentionChange,
    raises=(Conflict,),
)
def change_retention(caller: Caller, body: schemas.RetentionIn) -> schemas.RetentionChange:
    """Replaces the whole choice. With `dry_run` nothing is changed. What goes cannot be brought
    back; what has not ended, such as a held message, stays.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    choice = Choice(body.bodies_days, body.messages_days, body.webhooks_days, body.audit_days)
    going = retention.preview(workspace_id, choice)
    if not body.dry_run:
        retention.save(workspace_id, choice, version=body.version, by=caller.actor)
    return schemas.RetentionChange(
        dry_run=body.dry_run,
        going=[
            schemas.GoingOut(
                subject=one.subject, before=one.before, count=one.count, is_more=one.is_more
            )
            for one in going
        ],
        retention=_answer(caller, workspace_id),
    )


def _answer(caller: Caller, workspace_id: int) -> schemas.RetentionOut:
    standing = retention.get(workspace_id)
    check = conservation.latest(workspace_id)
    count = check.found_count if check else 0
    is_of_instance = caller.bound_workspace_id is None
    return schemas.RetentionOut(
        workspace_id=workspace_id,
        version=standing.version,
        bodies_days=standing.choice.bodies,
        messages_days=standing.choice.messages,
        webhooks_days=standing.choice.webhooks,
        audit_days=standing.choice.audit,
        in_force=_keep(standing.keep),
        default=_keep(standing.default),
        updated_at=standing.updated_at,
        updated_by=standing.updated_by,
        pruned=_pruned(standing),
        estimate=_estimate(retention_forecast.estimate(workspace_id, message_count=count)),
        database=_database(retention_forecast.measure()) if is_of_instance else None,
    )


def _keep(keep: Keep) -> schemas.KeepOut:
    return schemas.KeepOut(
        bodies_days=keep.bodies,
        messages_days=keep.messages,
        webhooks_days=keep.webhooks,
        audit_days=keep.audit,
    )


def _pruned(standing: Standing) -> list[schemas.PrunedOut]:
    return [
        schemas.PrunedOut(rule=rule, count=one.count, last_at=one.at)
        for rule, one in sorted(standing.pruned.items())
    ]


def _estimate(found: Estimate) -> schemas.EstimateOut:
    return schemas.EstimateOut(
        messages=found.message_count,
        accepted_per_day=round(found.per_day, 1),
        bytes_now=_whole(found.bytes_now),
        bytes_per_day=_whole(found.bytes_per_day),
        settled_bytes=_whole(found.settled_bytes),
    )


def _database(found: Measure) -> schemas.DatabaseOut:
    return schemas.DatabaseOut(
        bytes=found.database_bytes,
        free_bytes=found.free_bytes,
        growth_bytes_per_day=_whole(found.growth_per_day),
        settled_bytes=_whole(found.settled_bytes),
        full_in_seconds=_whole(found.full_seconds),
        parts=[
            schemas.PartOut(
                part=one.name,
                bytes=one.bytes,
                growth_bytes_per_day=_whole(one.growth_per_day),
                settled_bytes=_whole(one.settled_bytes),
            )
            for one in found.parts
        ],
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)

"""/v1/deployments: telling what else was changed, so that an incident's timeline shows it."""

from maild.api import schemas
from maild.api.auth import OPERATORS, Caller
from maild.api.endpoint import endpoint
from maild.services import deployments


@endpoint(
    "POST",
    "/v1/deployments",
    summary="Tell that a version of something was deployed just now",
    allow=OPERATORS,
    body=schemas.DeploymentIn,
    answer=schemas.DeploymentOut,
    status=201,
)
def record_deployment(caller: Caller, body: schemas.DeploymentIn) -> schemas.DeploymentOut:
    """It is shown on the timelines of incidents that begin about then."""
    workspace_id = caller.workspace_id(body.workspace_id)
    event = deployments.record(
        workspace_id, name=body.name, version=body.version, url=body.url, by=caller.actor
    )
    return schemas.DeploymentOut(
        workspace_id=workspace_id,
        name=event.data["name"],
        version=event.data["version"],
        url=event.data.get("url"),
        recorded_at=event.created_at,
    )

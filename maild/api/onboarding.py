"""/v1/ops/onboarding-checklist: how far a workspace is set up."""

from maild import clock
from maild.api import schemas
from maild.api.auth import READERS, Caller
from maild.api.endpoint import endpoint
from maild.services import onboarding


@endpoint(
    "GET",
    "/v1/ops/onboarding-checklist",
    summary="How far a workspace is set up, with what shows it, and what to do next",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.OnboardingChecklist,
)
def get_onboarding_checklist(
    caller: Caller, query: schemas.WorkspaceQuery
) -> schemas.OnboardingChecklist:
    """Each item is read from the database just now, and tells the evidence and the next step."""
    workspace_id = caller.workspace_id(query.workspace_id)
    found = onboarding.find_checklist(workspace_id)
    return schemas.OnboardingChecklist(
        workspace_id=workspace_id,
        generated_at=clock.now(),
        completed=found.done_count,
        total=len(found.steps),
        items=[
            schemas.ChecklistItem(
                id=step.id,
                title=step.title,
                description=step.text,
                done=step.is_done,
                evidence=dict(step.evidence),
                action=step.action,
            )
            for step in found.steps
        ],
    )

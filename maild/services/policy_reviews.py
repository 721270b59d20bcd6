"""That somebody has read the policy that holds, and is content with it; for each version anew."""

from maild.db import database
from maild.domain.actor import Actor
from maild.errors import Conflict
from maild.models import PolicyReview
from maild.services import audit, policies, workspaces


def mark(workspace_id: int, *, version: int, by: Actor) -> None:
    """Write down that the version in force is fine. One that was reviewed keeps its first reviewer.

    Raises NotFound (the workspace), and Conflict where another version is in force by now.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        if version != policies.find_version_in_force(workspace_id):
            raise Conflict(
                "The policy was changed since this page was made. Nothing was written down. Read"
                " what holds now, and decide again."
            )
        done = (
            PolicyReview.insert(workspace=workspace_id, version=version, reviewed_by=by.name)
            .on_conflict_ignore()
            .returning(PolicyReview.version)
            .execute()
        )
        if list(done):
            audit.record(
                workspace_id,
                by,
                action="policy.reviewed",
                target=f"policy version {version}",
                after={"version": version},
            )

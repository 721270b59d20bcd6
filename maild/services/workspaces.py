"""Workspaces: the tenants."""

from maild.errors import NotFound
from maild.models import Workspace

DEFAULT_WORKSPACE_ID = 1
"""Whose a request, a report or a mail is that names no workspace: the first one's."""


def require(workspace_id: int) -> None:
    """Raises NotFound where there is no such workspace.

    A list that comes out empty asks this, so that a wrong id does not pass for a quiet workspace.
    """
    if not Workspace.select().where(Workspace.id == workspace_id).exists():
        raise NotFound(f"There is no workspace {workspace_id}.")

"""Workspaces: the tenants. Making and renaming them is in `workspace_changes`."""

from collections.abc import Collection
from dataclasses import dataclass

from maild.db import database
from maild.domain.role import Role
from maild.errors import NotFound
from maild.models import Workspace

DEFAULT_WORKSPACE_ID = 1
"""Whose a request, a report or a mail is that names no workspace: the first one's."""
MAILDS_OWN_ID = 0
"""Whose maild's own mail to people is. Nobody is its member, and no request can name it."""

# Not FOR UPDATE: that would keep everybody waiting who stores a message of the workspace.
_TAKE_TURNS = "SELECT FROM workspaces WHERE id = %s FOR NO KEY UPDATE"
_TAKE_TURNS_OF = "SELECT FROM workspaces WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"


@dataclass(frozen=True, slots=True)
class Membership:
    """A workspace as one of its people sees it. `id` and `name` are the workspace's."""

    id: int
    name: str
    role: Role


def require(workspace_id: int) -> None:
    """Raises NotFound where there is no such workspace.

    A list that comes out empty asks this, so that a wrong id does not pass for a quiet workspace.
    """
    if not Workspace.select().where(Workspace.id == workspace_id).exists():
        raise NotFound(f"There is no workspace {workspace_id}.")


def get(workspace_id: int) -> Workspace:
    """Raises NotFound."""
    row: Workspace | None = Workspace.get_or_none(Workspace.id == workspace_id)
    if row is None:
        raise NotFound(f"There is no workspace {workspace_id}.")
    return row


def take_turns(workspace_id: int) -> None:
    """Until the end of the transaction: of two that change what only one may change at a time, the
    second waits here. Raises NotFound.
    """
    if not database.execute_sql(_TAKE_TURNS, (workspace_id,)).fetchall():
        raise NotFound(f"There is no workspace {workspace_id}.")


def take_turns_of(workspace_ids: Collection[int]) -> None:
    """As `take_turns`, in several workspaces; those that are gone are passed by."""
    database.execute_sql(_TAKE_TURNS_OF, (sorted(workspace_ids),))

"""Making a workspace, and giving it another name."""

from maild import config
from maild.db import database
from maild.domain import display_name
from maild.domain.actor import Actor
from maild.domain.role import Role
from maild.errors import FieldError, InvalidFields, summarise
from maild.models import Workspace
from maild.services import audit, members, workspaces
from maild.services.sessions import Visitor

NAME_MAX_CHARS = 64


def create(name: str, *, by: Actor) -> Workspace:
    """A new workspace, which has no people yet. Raises InvalidFields."""
    name = check_name(name)
    with database.atomic():
        row: Workspace = Workspace.create(name=name)
        audit.record(row.id, by, action="workspace.created", target=name)
    return row


def find_refusal(visitor: Visitor) -> str | None:
    """Why this person may make no workspace, or None. Whoever has one makes keys and sends through
    the account of the instance: so where not everybody may sign up, only who is an admin already.
    """
    if not visitor.is_verified:
        return "Confirm your address first."
    is_admin = any(one.role is Role.ADMIN for one in visitor.workspaces)
    if is_admin or config.current().signup_mode == "open":
        return None
    return "Only admins make workspaces here. Ask one, or whoever runs this maild."


def create_for(person_id: int, name: str, *, by: Actor) -> Workspace:
    """A new workspace with this person as its admin. Raises InvalidFields, and Conflict where they
    belong to as many as can be.
    """
    with database.atomic():
        row = create(name, by=by)
        members.add(row.id, person_id=person_id, role=Role.ADMIN)
    return row


def rename(workspace_id: int, name: str, *, by: Actor) -> Workspace:
    """Raises InvalidFields, NotFound."""
    name = check_name(name)
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = workspaces.get(workspace_id)
        before = row.name
        if name != before:
            Workspace.update(name=name).where(Workspace.id == workspace_id).execute()
            row.name = name
            audit.record(
                workspace_id,
                by,
                action="workspace.renamed",
                target=name,
                before={"name": before},
                after={"name": name},
            )
    return row


def check_name(name: str) -> str:
    """The name without the spaces around it. Raises InvalidFields."""
    name = name.strip()
    if fault := display_name.find_fault(name, max_chars=NAME_MAX_CHARS):
        errors = [FieldError("name", fault)]
        raise InvalidFields(summarise(errors), errors=errors)
    return name

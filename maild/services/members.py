"""Members: who belongs to a workspace, in which role. There is always an admin left."""

from dataclasses import dataclass
from datetime import datetime

import peewee

from maild import log
from maild.db import database
from maild.domain.actor import Actor
from maild.domain.role import Role
from maild.errors import Conflict, FieldError, NotFound
from maild.models import Member, Person
from maild.services import audit, people, workspaces

ROLES = (Role.ADMIN, Role.OPERATOR, Role.VIEWER)
"""What a person can be; a sender is always a key."""
MEMBERS_MAX = 500
"""Of a workspace: they are all shown at once."""
WORKSPACES_MAX = 50
"""Of a person, as well."""

LAST_ADMIN = "The last admin cannot go: make somebody else admin first."
NO_SUCH = "There is no such member in this workspace."

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """A member as the list shows them."""

    person_id: int
    name: str
    email: str
    role: Role
    has_second_factor: bool
    seen_at: datetime
    joined_at: datetime


def list_all(workspace_id: int) -> list[Listed]:
    """Everybody, admins first, then by name."""
    rows = (
        Member.select(Member, Person)
        .join(Person)
        .where(Member.workspace == workspace_id)
        .order_by(peewee.fn.lower(Person.name), Person.id)
        .limit(MEMBERS_MAX)
    )
    listed = [
        Listed(
            person_id=row.person_id,
            name=row.person.name,
            email=row.person.email,
            role=row.role,
            has_second_factor=row.person.totp_enabled_at is not None,
            seen_at=row.person.seen_at,
            joined_at=row.created_at,
        )
        for row in rows
    ]
    return sorted(listed, key=lambda one: ROLES.index(one.role))


def add(workspace_id: int, *, person_id: int, role: Role) -> bool:
    """Make a person a member, in the caller's transaction; returns whether they were none before:
    who is one already keeps their role.

    Raises Conflict where the workspace or the person has as many as can be.
    """
    workspaces.take_turns(workspace_id)
    this = Member.select().where(Member.workspace == workspace_id, Member.person == person_id)
    if this.exists():
        return False
    if Member.select().where(Member.workspace == workspace_id).count() >= MEMBERS_MAX:
        raise Conflict(f"The workspace has {MEMBERS_MAX} members, which is the most.")
    belongs = Member.select().where(Member.person == person_id).count()
    if belongs >= WORKSPACES_MAX:
        raise Conflict(
            f"You belong to {WORKSPACES_MAX} workspaces, which is the most. Leave one first."
        )
    Member.insert(workspace=workspace_id, person=person_id, role=role).execute()
    return True


def change_role(workspace_id: int, *, person_id: int, role: str, by: Actor) -> Role:
    """Give a member another role; returns the one before. Raises InvalidFields, NotFound, and
    Conflict where nobody would be left to be admin.
    """
    if role not in ROLES:
        raise people.invalid(FieldError("role", "must be one of " + ", ".join(ROLES)))
    with database.atomic():
        workspaces.take_turns(workspace_id)
        member = _get(workspace_id, person_id)
        before: Role = member.role
        if before == role:
            return before
        _keep_an_admin(workspace_id, member)
        Member.update(role=Role(role)).where(
            Member.workspace == workspace_id, Member.person == person_id
        ).execute()
        audit.record(
            workspace_id,
            by,
            action="member.role_changed",
            target=member.person.email,
            before={"role": before},
            after={"role": role},
        )
    logger.warning("member.role_changed", workspace_id=workspace_id, person_id=person_id)
    return before


def remove(workspace_id: int, *, person_id: int, by: Actor) -> Role:
    """Let a person be a member no more; returns what they were. Raises NotFound, and Conflict for
    the last admin.
    """
    return _end(workspace_id, person_id, action="member.removed", by=by)


def leave(workspace_id: int, *, person_id: int, by: Actor) -> None:
    """Go oneself. Raises NotFound, and Conflict for the last admin."""
    _end(workspace_id, person_id, action="member.left", by=by)


def restore(workspace_id: int, *, person_id: int, role: Role, by: Actor) -> None:
    """Take back a removal. The caller has made sure that there was one. Who has come back already
    keeps their role. Raises NotFound, Conflict.
    """
    with database.atomic():
        person = people.get(person_id)
        if not add(workspace_id, person_id=person_id, role=role):
            return
        audit.record(
            workspace_id,
            by,
            action="member.restored",
            target=person.email,
            after={"role": role},
        )


def _end(workspace_id: int, person_id: int, *, action: str, by: Actor) -> Role:
    with database.atomic():
        workspaces.take_turns(workspace_id)
        member = _get(workspace_id, person_id)
        _keep_an_admin(workspace_id, member)
        Member.delete().where(
            Member.workspace == workspace_id, Member.person == person_id
        ).execute()
        audit.record(
            workspace_id,
            by,
            action=action,
            target=member.person.email,
            before={"role": member.role},
        )
    logger.warning(action, workspace_id=workspace_id, person_id=person_id)
    role: Role = member.role
    return role


def _get(workspace_id: int, person_id: int) -> Member:
    row: Member | None = (
        Member.select(Member, Person)
        .join(Person)
        .where(Member.workspace == workspace_id, Member.person == person_id)
        .first()
    )
    if row is None:
        raise NotFound(NO_SUCH)
    return row


def _keep_an_admin(workspace_id: int, member: Member) -> None:
    """Raises Conflict where this member is the only admin."""
    if member.role is not Role.ADMIN:
        return
    others = Member.select().where(
        Member.workspace == workspace_id,
        Member.role == Role.ADMIN,
        Member.person != member.person_id,
    )
    if not others.exists():
        raise Conflict(LAST_ADMIN)

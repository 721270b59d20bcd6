"""What whoever runs the instance does for people, on the command line: letting the first one in,
and helping who is locked out.

Nobody is asked for a password here: who may start maild's commands with its settings could change
the database as well. Each change stands in the audit log.
"""

from dataclasses import dataclass
from datetime import datetime

import peewee

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.role import Role
from maild.errors import Forbidden, NotFound
from maild.models import Person
from maild.services import (
    audit,
    invitations,
    mailed_links,
    people,
    second_factors,
    sessions,
    sign_ups,
    workspace_changes,
    workspaces,
)
from maild.services.invitations import Made
from maild.services.workspaces import MAILDS_OWN_ID, Membership

LIST_MAX = 500

_LIST = """
SELECT p.email, p.name, p.email_verified_at IS NOT NULL, p.totp_enabled_at IS NOT NULL, p.seen_at, (
    SELECT json_agg(json_build_array(w.id, w.name, m.role) ORDER BY w.id)
    FROM members m JOIN workspaces w ON w.id = m.workspace_id WHERE m.person_id = p.id)
FROM people p
WHERE %(workspace)s IS NULL
    OR EXISTS (SELECT FROM members WHERE person_id = p.id AND workspace_id = %(workspace)s)
ORDER BY p.email
LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A person, as the list shows them."""

    email: str
    name: str
    is_confirmed: bool
    has_second_factor: bool
    seen_at: datetime
    workspaces: tuple[Membership, ...]


def list_all(*, workspace_id: int | None = None) -> tuple[list[Listed], bool]:
    """The first LIST_MAX people by their address, of one workspace or of all; and whether there
    are more. Raises NotFound.
    """
    if workspace_id is not None:
        workspaces.require(workspace_id)
    values = {"workspace": workspace_id, "limit": LIST_MAX + 1}
    rows = database.execute_sql(_LIST, values).fetchall()
    listed = [
        Listed(email, name, is_confirmed, has_second_factor, seen_at, _memberships(found))
        for email, name, is_confirmed, has_second_factor, seen_at, found in rows[:LIST_MAX]
    ]
    return listed, len(rows) > LIST_MAX


def get(email: str) -> Person:
    """The person with this address. Raises NotFound."""
    person = people.find_by_email(email)
    if person is None:
        raise NotFound(f"Nobody here has the address {email}.")
    return person


def invite(workspace_id: int, *, email: str, role: str, by: Actor) -> Made:
    """A link that lets somebody in, new or known. Raises as `invitations.make`, and Forbidden where
    nobody new is taken.
    """
    _check_taken(email)
    return invitations.make(workspace_id, email=email, role=role, by=by)


def invite_into_new(name: str, *, email: str, role: str, by: Actor) -> Made:
    """The same, into a workspace that is made for it. Raises as `invite`."""
    _check_taken(email)
    with database.atomic():
        workspace = workspace_changes.create(name, by=by)
        return invitations.make(workspace.id, email=email, role=role, by=by)


def make_reset_url(email: str, *, by: Actor) -> str:
    """A link to choose a new password; it works once, for an hour. Raises NotFound."""
    person = get(email)
    with database.atomic():
        url = mailed_links.make_reset_url(person)
        _record(person, by, "reset_link_made")
    return url


def confirm(email: str, *, by: Actor) -> bool:
    """Take an address for confirmed; returns whether it was not before. Raises NotFound."""
    person = get(email)
    with database.atomic():
        confirmed = (
            Person.update(email_verified_at=peewee.fn.now())
            .where(Person.id == person.id, Person.email_verified_at.is_null())
            .execute()
        )
        if confirmed:
            _record(person, by, "email_confirmed")
    return bool(confirmed)


def remove_second_factor(email: str, *, by: Actor) -> Person | None:
    """Let the password alone sign somebody in; returns them, or None where there was no second
    factor. Raises NotFound.
    """
    person = get(email)
    if person.totp_enabled_at is None:
        return None
    second_factors.remove(person.id, by=by)
    return person


def sign_out(email: str, *, by: Actor) -> int:
    """End all sessions of a person; returns how many there were. Raises NotFound."""
    person = get(email)
    with database.atomic():
        count = sessions.end_all(person.id)
        if count:
            _record(person, by, "signed_out", after={"sessions": count})
    return count


def _check_taken(email: str) -> None:
    """Raises Forbidden where this would be a new person, and none is taken; InvalidFields."""
    email = people.normal_email(email)
    is_closed = sign_ups.find_refusal(is_invited=True) is not None
    if is_closed and people.find_by_email(email) is None:
        raise Forbidden(
            f"SIGNUP_MODE is {sign_ups.CLOSED}: no new people are taken, and nobody has the address"
            f" {email} yet. Set it to {sign_ups.INVITE} first, here and for the web processes."
        )


def _memberships(found: list[tuple[int, str, str]] | None) -> tuple[Membership, ...]:
    return tuple(Membership(id_, name, Role(role)) for id_, name, role in found or ())


def _record(
    person: Person, by: Actor, what: str, *, after: dict[str, object] | None = None
) -> None:
    audit.record(MAILDS_OWN_ID, by, action=f"person.{what}", target=person.email, after=after)

"""The people of the demo, their workspaces and their keys; made through the services, and once."""

from dataclasses import dataclass
from datetime import timedelta

from maild import clock
from maild.db import database
from maild.domain.actor import COMMAND_LINE, Actor
from maild.domain.role import Role
from maild.models import ApiKey, Invitation, Member, Person, Workspace
from maild.services import (
    api_keys,
    invitations,
    members,
    people,
    people_desk,
    sign_ups,
    tokens,
    workspace_changes,
)
from maild.services.api_keys import NewApiKey

PASSWORD = "paper boats on the canal"
SHOP, QUIET = "Demo shop", "Demo shop (staging)"
ADMIN = "demo@maild.test"
PEOPLE = (
    (ADMIN, "Ada Brandt", Role.ADMIN),
    ("operator@maild.test", "Omar Haddad", Role.OPERATOR),
    ("viewer@maild.test", "Vera Lindqvist", Role.VIEWER),
)
OPEN_INVITATION, EXPIRED_INVITATION = "newcomer@maild.test", "too-late@maild.test"
OPS_KEY_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Cast:
    """Whose the demo is. The keys are of this run: a key is told once."""

    workspace_id: int
    quiet_id: int
    shop_key: str
    letters_key: str
    ops_key: str
    is_new: bool
    has_password: bool
    """Whether PASSWORD still is the admin's."""


def make() -> Cast:
    """Make what is not there yet, and new keys. Raises MaildError."""
    refusal = sign_ups.find_refusal(is_invited=True)
    if refusal is not None and not all(people.find_by_email(email) for email, _, _ in PEOPLE):
        raise refusal
    admin = people.find_by_email(ADMIN)
    workspace = _find_workspace(admin, SHOP)
    is_new = workspace is None
    if workspace is None:
        workspace = workspace_changes.create(SHOP, by=COMMAND_LINE)
    for email, name, role in PEOPLE:
        _let_in(workspace.id, email, name, role)
    admin = people_desk.get(ADMIN)
    quiet = _find_workspace(admin, QUIET)
    if quiet is None:
        quiet = workspace_changes.create_for(admin.id, QUIET, by=Actor(ADMIN))
    if is_new:
        _invite(workspace.id, OPEN_INVITATION)
        _invite(workspace.id, EXPIRED_INVITATION, is_over=True)
    return Cast(
        workspace.id,
        quiet.id,
        shop_key=_make_key(workspace.id, "shop backend", Role.SENDER),
        letters_key=_make_key(workspace.id, "newsletter", Role.SENDER),
        ops_key=_make_key(workspace.id, "demo operations", Role.ADMIN, OPS_KEY_LIFETIME),
        is_new=is_new,
        has_password=people.authenticate(ADMIN, PASSWORD) is not None,
    )


def make_quiet_key(workspace_id: int) -> str:
    """A key of the second workspace."""
    return _make_key(workspace_id, "staging", Role.SENDER)


def _find_workspace(person: Person | None, name: str) -> Workspace | None:
    """The one of this name that the person belongs to."""
    if person is None:
        return None
    row: Workspace | None = (
        Workspace.select()
        .join(Member, on=(Member.workspace == Workspace.id))
        .where(Member.person == person.id, Workspace.name == name)
        .first()
    )
    return row


def _let_in(workspace_id: int, email: str, name: str, role: Role) -> None:
    """Sign somebody up by an invitation: their address is confirmed by it."""
    person = people.find_by_email(email)
    if person is not None:
        with database.atomic():
            members.add(workspace_id, person_id=person.id, role=role)
        return
    made = invitations.make(workspace_id, email=email, role=role, by=COMMAND_LINE)
    token = made.url.rpartition("/")[2]
    sign_ups.sign_up_invited(token, name=name, password=PASSWORD, ip=None, request_id=None)


def _invite(workspace_id: int, email: str, *, is_over: bool = False) -> None:
    made = invitations.invite(
        workspace_id, email=email, role=Role.OPERATOR, by=Actor(ADMIN), inviter=PEOPLE[0][1]
    )
    if is_over:
        ago = clock.now() - invitations.LIFETIME - timedelta(hours=3)
        over = {"created_at": ago, "sent_at": ago, "expires_at": ago + invitations.LIFETIME}
        Invitation.update(**over).where(Invitation.id == made.invitation.id).execute()


def _make_key(workspace_id: int, name: str, role: Role, lifetime: timedelta | None = None) -> str:
    """A new key, in place of the one of that name."""
    by = Actor(ADMIN)
    expires_at = clock.now() + lifetime if lifetime else None
    _, key = api_keys.create(workspace_id, NewApiKey(name, role, expires_at), by=by)
    others = ApiKey.select().where(
        ApiKey.workspace == workspace_id,
        ApiKey.name == name,
        ApiKey.revoked_at.is_null(),
        ApiKey.key_hash != tokens.hash_of(key),
    )
    for row in list(others):
        api_keys.revoke(workspace_id, key_id=row.id, by=by, reason="replaced by a newer one")
    return key

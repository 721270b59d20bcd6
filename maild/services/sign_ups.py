"""Signing up: a new person, with a workspace of their own or by an invitation."""

from dataclasses import dataclass

import peewee

from maild import config, log
from maild.db import database
from maild.domain.actor import Actor
from maild.domain.role import Role
from maild.errors import FieldError, Forbidden, InvalidFields
from maild.models import Invitation, Member, Person, Workspace
from maild.services import (
    audit,
    invitations,
    members,
    passwords,
    people,
    workspace_changes,
    workspaces,
)
from maild.services.workspaces import DEFAULT_WORKSPACE_ID, MAILDS_OWN_ID

OPEN, INVITE, CLOSED = "open", "invite", "closed"
"""SIGNUP_MODE: whoever wants to; who was invited; nobody new."""
DEFAULT_WORKSPACE_NAME = "Default"

_REFUSALS = {
    INVITE: "maild takes new people by invitation only here. Ask an admin of your workspace for"
    " one, or whoever runs this maild.",
    CLOSED: "This maild takes no new people. Ask whoever runs it.",
}

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Somebody as they sign up; nothing is checked yet."""

    name: str
    email: str
    password: str


def find_refusal(*, is_invited: bool = False) -> Forbidden | None:
    """Why nobody new is taken now, or None."""
    mode = config.current().signup_mode
    if mode == OPEN or (mode == INVITE and is_invited):
        return None
    return Forbidden(_REFUSALS[mode])


def sign_up(
    new: NewPerson, *, workspace_name: str, ip: str | None, request_id: str | None
) -> tuple[Person, Workspace]:
    """A person and their workspace, whose admin they are. Their address is still to be confirmed.

    Raises Forbidden, and InvalidFields: also where the address has an account already.
    """
    if (refusal := find_refusal()) is not None:
        raise refusal
    errors, checked = _check(new)
    try:
        workspace_name = workspace_changes.check_name(workspace_name)
    except InvalidFields as error:
        errors += [FieldError("workspace_name", one.message) for one in error.errors]
    if errors:
        raise people.invalid(*errors)
    by = Actor(checked.email, ip=ip, request_id=request_id)
    password_hash = passwords.make_hash(checked.password)
    with database.atomic():
        person = _insert(checked, password_hash, is_verified=False)
        workspace = _take_first(person, workspace_name, by=by)
        if workspace is None:
            workspace = workspace_changes.create_for(person.id, workspace_name, by=by)
        _record(person, by=by)
    return person, workspace


def sign_up_invited(
    token: str, *, name: str, password: str, ip: str | None, request_id: str | None
) -> tuple[Person, Invitation]:
    """A new person in the workspace that they are invited to. The link has shown that the address
    is theirs.

    Raises NotFound, Forbidden, and InvalidFields: also where the address has an account already.
    """
    invitation = invitations.open_link(token)
    if (refusal := find_refusal(is_invited=True)) is not None:
        raise refusal
    errors, checked = _check(NewPerson(name, invitation.email, password))
    if errors:
        raise people.invalid(*errors)
    by = Actor(checked.email, ip=ip, request_id=request_id)
    password_hash = passwords.make_hash(checked.password)
    with database.atomic():
        person = _insert(checked, password_hash, is_verified=True)
        invitations.accept(token, person_id=person.id, by=by)
        _record(person, by=by)
    return person, invitation


def _check(new: NewPerson) -> tuple[list[FieldError], NewPerson]:
    """All that is wrong, and the same in normal form."""
    errors: list[FieldError] = []
    name, email = new.name, new.email
    try:
        name = people.check_name(new.name)
    except InvalidFields as error:
        errors += error.errors
    try:
        email = people.normal_email(new.email)
    except InvalidFields as error:
        errors += error.errors
    if not errors and people.find_by_email(email):
        errors.append(_taken())
    if fault := passwords.find_fault(new.password, about=(email, name)):
        errors.append(FieldError("password", fault))
    return errors, NewPerson(name, email, new.password)


def _insert(new: NewPerson, password_hash: str, *, is_verified: bool) -> Person:
    try:
        with database.atomic():
            row: Person = (
                Person.insert(
                    name=new.name,
                    email=new.email,
                    password_hash=password_hash,
                    email_verified_at=peewee.fn.now() if is_verified else None,
                )
                .returning(Person)
                .execute()[0]
            )
    except peewee.IntegrityError:  # two at once
        raise people.invalid(_taken()) from None
    return row


def _record(person: Person, *, by: Actor) -> None:
    """Last of all: whatever is written of people waits for this entry until the end."""
    audit.record(MAILDS_OWN_ID, by, action="person.signed_up", target=person.email)
    logger.info("person.signed_up", person_id=person.id)


def _taken() -> FieldError:
    return FieldError("email", "has an account already: log in, or choose a new password")


def _take_first(person: Person, name: str, *, by: Actor) -> Workspace | None:
    """In development the first person takes the workspace that came with the installation, where
    the mail of the instance keys is; in production it is handed over on the command line.
    """
    if config.current().is_production:
        return None
    row: Workspace | None = (
        Workspace.select().where(Workspace.id == DEFAULT_WORKSPACE_ID).for_update().first()
    )
    if row is None or row.name != DEFAULT_WORKSPACE_NAME:
        return None
    if Member.select().where(Member.workspace == DEFAULT_WORKSPACE_ID).exists():
        return None
    members.add(DEFAULT_WORKSPACE_ID, person_id=person.id, role=Role.ADMIN)
    audit.record(
        DEFAULT_WORKSPACE_ID,
        by,
        action="member.joined",
        target=person.email,
        after={"role": Role.ADMIN},
    )
    workspace_changes.rename(DEFAULT_WORKSPACE_ID, name, by=by)
    return workspaces.get(DEFAULT_WORKSPACE_ID)

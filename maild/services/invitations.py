"""Invitations into a workspace: mailed as a link, accepted by a new or a known person, once.

The link shows that whoever follows it reads the mail of the address that was invited. So it is
accepted for that address alone, and is never shown to the one who invites; but for whoever runs the
instance, on the command line.
"""

from dataclasses import dataclass
from datetime import timedelta

import peewee

from maild import clock, log
from maild.db import database
from maild.domain.actor import Actor
from maild.domain.role import Role
from maild.errors import Conflict, FieldError, Forbidden, MaildError, NotFound
from maild.models import Invitation, Member, Person
from maild.services import audit, members, people, people_mail, tokens, workspaces

LIFETIME = timedelta(days=7)
OPEN_MAX = 100
"""Of a workspace, at a time: they are all shown at once, and nobody invites the world."""
PATH = "/invitations/"

GONE = "The invitation does not work: it was used, taken back or sent again, or has run out."
NOT_OPEN = "There is no such open invitation in this workspace."
NOT_REVOKED = "There is no such revoked invitation in this workspace."

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """A new link. `will_arrive` is false for an address that mail came back from."""

    invitation: Invitation
    url: str
    will_arrive: bool


def list_open(workspace_id: int) -> list[Invitation]:
    """Those that were neither accepted nor revoked, newest first; also those that have run out."""
    return list(
        Invitation.select()
        .where(Invitation.workspace == workspace_id, *_IS_OPEN)
        .order_by(Invitation.id.desc())
        .limit(OPEN_MAX)
    )


def invite(workspace_id: int, *, email: str, role: str, by: Actor, inviter: str) -> Made:
    """Invite an address. One whose invitation has run out is invited anew.

    `inviter` is who the mail says it is from. Raises InvalidFields, Conflict (a member, invited
    already, too many), NotFound; and as `people_mail.send`, where nothing is left of it but what
    the audit log tells.
    """
    email, token = _check(email, role), tokens.make()
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = _insert(workspace_id, email, role, token, by)
    try:
        will_arrive = _send(row, token, inviter)
    except MaildError as error:
        with database.atomic():
            Invitation.delete().where(Invitation.id == row.id).execute()
            _record(row, by, "not_sent", reason=error.detail)
        raise
    return Made(row, people_mail.link(PATH + token), will_arrive)


def make(workspace_id: int, *, email: str, role: str, by: Actor) -> Made:
    """Invite an address without a mail: the link is for whoever runs the instance to pass on. For
    an address that is invited already, a new link in this role; the one before ends.

    Raises InvalidFields, Conflict (a member, too many), NotFound.
    """
    email, token = _check(email, role), tokens.make()
    with database.atomic():
        workspaces.take_turns(workspace_id)
        is_this = (Invitation.workspace == workspace_id, Invitation.email == email, *_IS_OPEN)
        known: Invitation | None = Invitation.select().where(*is_this).first()
        if known is None:
            row = _insert(workspace_id, email, role, token, by)
        else:
            row = _change(
                workspace_id,
                known.id,
                role=Role(role),
                token_hash=tokens.hash_of(token),
                sent_at=peewee.fn.now(),
                expires_at=clock.now() + LIFETIME,
            )
            _record(row, by, "sent_again", after={"role": role})
    return Made(row, people_mail.link(PATH + token), will_arrive=False)


def mail(made: Made, *, inviter: str) -> bool:
    """Mail the link that `make` has made; returns whether it will arrive. Raises as
    `people_mail.send`, where the link works all the same.
    """
    return _send(made.invitation, made.url.rpartition("/")[2], inviter)


def send_again(workspace_id: int, *, invitation_id: int, by: Actor, inviter: str) -> Made:
    """Mail a new link, which works as long as one of a new invitation; the one before ends.

    Raises NotFound, and as `people_mail.send`, where the link before works on.
    """
    token = tokens.make()
    row = _get_open(workspace_id, invitation_id)
    row.expires_at = clock.now() + LIFETIME
    # The mail first: as long as it may be refused, nothing is changed.
    will_arrive = _send(row, token, inviter)
    with database.atomic():
        row = _change(
            workspace_id,
            invitation_id,
            token_hash=tokens.hash_of(token),
            sent_at=peewee.fn.now(),
            expires_at=row.expires_at,
        )
        _record(row, by, "sent_again")
    return Made(row, people_mail.link(PATH + token), will_arrive)


def revoke(workspace_id: int, *, invitation_id: int, by: Actor) -> Invitation:
    """Take an invitation back: its link works no more. Raises NotFound."""
    with database.atomic():
        row = _change(workspace_id, invitation_id, revoked_at=peewee.fn.now())
        _record(row, by, "revoked")
    return row


def restore(workspace_id: int, *, invitation_id: int, by: Actor) -> Invitation:
    """Undo `revoke`: the link that was mailed works again. Raises NotFound, and Conflict (a member
    by now, invited anew, too many).
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        is_this = (Invitation.id == invitation_id, Invitation.workspace == workspace_id)
        row: Invitation | None = (
            Invitation.select().where(*is_this, Invitation.revoked_at.is_null(False)).first()
        )
        if row is None:
            raise NotFound(NOT_REVOKED)
        _check_new(workspace_id, row.email)
        Invitation.update(revoked_at=None).where(*is_this).execute()
        row.revoked_at = None
        _record(row, by, "restored")
    return row


def open_link(token: str) -> Invitation:
    """The invitation behind a link, with its workspace. Raises NotFound."""
    row: Invitation | None = (
        Invitation.select()
        .where(
            Invitation.token_hash == tokens.hash_of(token),
            Invitation.expires_at > clock.now(),
            *_IS_OPEN,
        )
        .first()
    )
    if row is None:
        raise NotFound(GONE)
    return row


def accept(token: str, *, person_id: int, by: Actor) -> Invitation:
    """Make the person a member; who is one already keeps their role. Raises NotFound, Conflict, and
    Forbidden where the invitation was mailed to another address than theirs.
    """
    with database.atomic():
        row = open_link(token)
        # The workspace before its invitations, as everybody does: nobody waits in a circle.
        workspaces.take_turns(row.workspace_id)
        person = people.get(person_id)
        if person.email != row.email:
            raise Forbidden(
                f"The invitation is for {row.email}, and you are signed in as {person.email}. Log"
                " out first, or have this address invited."
            )
        this_link = (Invitation.token_hash == row.token_hash, *_IS_OPEN)
        if not Invitation.update(accepted_at=peewee.fn.now()).where(*this_link).execute():
            raise NotFound(GONE)  # somebody was faster, or another link was sent
        is_new = members.add(row.workspace_id, person_id=person.id, role=row.role)
        Person.update(email_verified_at=peewee.fn.now()).where(
            Person.id == person.id, Person.email_verified_at.is_null()
        ).execute()
        if is_new:
            audit.record(
                row.workspace_id,
                by,
                action="member.joined",
                target=person.email,
                after={"role": row.role, "invited_by": row.created_by},
            )
    logger.info("member.joined", workspace_id=row.workspace_id, person_id=person.id)
    return row


_IS_OPEN = (Invitation.accepted_at.is_null(), Invitation.revoked_at.is_null())


def _check(email: str, role: str) -> str:
    """The address in normal form. Raises InvalidFields."""
    email = people.normal_email(email)
    if role not in members.ROLES:
        raise people.invalid(FieldError("role", "must be one of " + ", ".join(members.ROLES)))
    return email


def _insert(workspace_id: int, email: str, role: str, token: str, by: Actor) -> Invitation:
    """Raises Conflict."""
    _check_new(workspace_id, email)
    row: Invitation = (
        Invitation.insert(
            workspace=workspace_id,
            email=email,
            role=Role(role),
            token_hash=tokens.hash_of(token),
            created_by=by.name,
            expires_at=clock.now() + LIFETIME,
        )
        .returning(Invitation)
        .execute()[0]
    )
    _record(row, by, "created", after={"role": role})
    return row


def _check_new(workspace_id: int, email: str) -> None:
    """Raises Conflict. What has run out makes room."""
    is_member = (
        Member.select()
        .join(Person)
        .where(Member.workspace == workspace_id, Person.email == email)
        .exists()
    )
    if is_member:
        raise Conflict(f"{email} is a member already.")
    Invitation.update(revoked_at=peewee.fn.now()).where(
        Invitation.workspace == workspace_id,
        Invitation.email == email,
        Invitation.expires_at <= clock.now(),
        *_IS_OPEN,
    ).execute()
    known = Invitation.select().where(Invitation.workspace == workspace_id, *_IS_OPEN)
    if known.where(Invitation.email == email).exists():
        raise Conflict(f"{email} is invited already. Send the invitation again instead.")
    if known.count() < OPEN_MAX:
        return
    has_run_out = known.where(Invitation.expires_at <= clock.now())
    oldest: Invitation | None = has_run_out.order_by(Invitation.expires_at).first()
    if oldest is None:
        raise Conflict(f"{OPEN_MAX} invitations are open, which is the most. Revoke some first.")
    _change(workspace_id, oldest.id, revoked_at=peewee.fn.now())


def _get_open(workspace_id: int, invitation_id: int) -> Invitation:
    """Raises NotFound."""
    row: Invitation | None = (
        Invitation.select()
        .where(Invitation.id == invitation_id, Invitation.workspace == workspace_id, *_IS_OPEN)
        .first()
    )
    if row is None:
        raise NotFound(NOT_OPEN)
    return row


def _change(workspace_id: int, invitation_id: int, **values: object) -> Invitation:
    """Change an open invitation, and return it. Raises NotFound."""
    rows = (
        Invitation.update(**values)
        .where(Invitation.id == invitation_id, Invitation.workspace == workspace_id, *_IS_OPEN)
        .returning(Invitation)
        .execute()
    )
    row: Invitation | None = next(iter(rows), None)
    if row is None:
        raise NotFound(NOT_OPEN)
    return row


def _record(
    row: Invitation,
    by: Actor,
    what: str,
    *,
    after: dict[str, object] | None = None,
    reason: str | None = None,
) -> None:
    audit.record(
        row.workspace_id,
        by,
        action=f"invitation.{what}",
        target=row.email,
        after=after,
        reason=reason,
    )


def _send(row: Invitation, token: str, inviter: str) -> bool:
    name = workspaces.get(row.workspace_id).name
    return people_mail.send(
        row.email,
        subject=f"{inviter} invites you to a workspace on maild",
        text=(
            "Hello,\n\n"
            f"{inviter} invites you to the workspace “{name}” on maild, as {row.role.value}.\n\n"
            "Accept here; the link works once, for seven days:\n"
            f"{people_mail.link(PATH + token)}\n\n"
            "If you do not know what this is about, there is nothing to do.\n"
        ),
        expires_at=row.expires_at,
    )

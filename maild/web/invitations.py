"""Invitations into the workspace: sending, revoking. They are accepted in `joining`."""

from collections.abc import Callable

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import EmailField, RadioField

from maild import clock, db
from maild.domain.role import ADMINS, Role
from maild.errors import (
    Conflict,
    InvalidRequest,
    MaildError,
    NotFound,
    RateLimited,
    Unavailable,
)
from maild.models import Invitation
from maild.services import invitations, members
from maild.services.invitations import Made
from maild.web import access, render, roles, throttle, toasts, verified
from maild.web.badges import Badge
from maild.web.forms import Form, text

HAS_RUN_OUT = Badge("has run out", "clock", "warn")

_REFUSALS = (InvalidRequest, Conflict, RateLimited, Unavailable)
"""Why an invitation, or its mail, is not taken."""

blueprint = Blueprint("invitations", __name__, url_prefix="/ui/settings/invitations")


class InviteForm(Form):
    email = EmailField("E-mail address")
    role = RadioField("Role", choices=roles.choices(members.ROLES))


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """The form, and the invitations that are open."""
    return _page(InviteForm(role=Role.VIEWER.value))


@blueprint.post("")
@access.allow(ADMINS)
@throttle.mails_of_visitor
@throttle.mails_to_account
@db.connection()
def invite() -> BaseResponse:
    """Invite an address."""
    verified.require()
    form = InviteForm()
    try:
        made = invitations.invite(
            access.current_workspace_id(),
            email=text(form.email.data),
            role=text(form.role.data),
            by=access.actor(),
            inviter=access.visitor().email,
        )
    except _REFUSALS as error:
        form.show(error, to_email="email")
        return _page(form, status=422)
    _tell(made, f"The invitation is on its way to {made.invitation.email}.")
    return _back()


@blueprint.post("/again")
@access.allow(ADMINS)
@throttle.mails_of_visitor
@throttle.mails_of_invitation
@db.connection()
def send_again() -> BaseResponse:
    """Mail a new link; the one before ends."""
    verified.require()
    try:
        made = invitations.send_again(
            access.current_workspace_id(),
            invitation_id=_invitation_id(invitations.NOT_OPEN),
            by=access.actor(),
            inviter=access.visitor().email,
        )
    except _REFUSALS as error:
        return _refuse(error)
    _tell(
        made,
        f"A new link is on its way to {made.invitation.email}. The one before works no more.",
    )
    return _back()


@blueprint.post("/revoke")
@access.allow(ADMINS)
@db.connection()
def revoke() -> BaseResponse:
    """Take an invitation back; the toast undoes it."""
    row = _change(invitations.revoke, invitations.NOT_OPEN)
    undo = (url_for("invitations.restore"), {"invitation": row.id})
    toasts.show(f"The invitation of {row.email} is revoked.", kind="ok", undo=undo)
    return _back()


@blueprint.post("/restore")
@access.allow(ADMINS)
@db.connection()
def restore() -> BaseResponse:
    """Undo a revoking: the link that was mailed works again."""
    try:
        row = _change(invitations.restore, invitations.NOT_REVOKED)
    except Conflict as error:
        return _refuse(error)
    toasts.show(f"The invitation of {row.email} is open again.", kind="ok")
    return _back()


def _change(change: Callable[..., Invitation], else_: str) -> Invitation:
    """Raises as `change`, and NotFound."""
    return change(
        access.current_workspace_id(), invitation_id=_invitation_id(else_), by=access.actor()
    )


def _invitation_id(else_: str) -> int:
    invitation_id = request.form.get("invitation", type=int)
    if invitation_id is None:
        raise NotFound(else_)
    return invitation_id


def _tell(made: Made, what: str) -> None:
    if made.will_arrive:
        toasts.show(what, kind="ok")
        return
    toasts.show(
        f"Mail to {made.invitation.email} came back before, so maild does not mail it. The"
        " invitation is open, and nobody has got it: invite another address instead.",
        kind="bad",
    )


def _refuse(error: MaildError) -> BaseResponse:
    toasts.show(error.detail, kind="bad")
    return _back()


def _back() -> BaseResponse:
    return redirect(url_for("invitations.index"), 303)


def _page(form: InviteForm, *, status: int = 200) -> BaseResponse:
    return render.page(
        "pages/settings_invitations.html",
        status=status,
        form=form,
        invitations=invitations.list_open(access.current_workspace_id()),
        now=clock.now(),
        lifetime_days=invitations.LIFETIME.days,
        role_badges=roles.BADGES,
        has_run_out=HAS_RUN_OUT,
        locked_why=verified.find_lock(),
    )

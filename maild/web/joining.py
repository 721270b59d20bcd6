"""Accepting an invitation, as somebody new or as somebody who has an account already."""

from typing import Any

from flask import Blueprint, g, redirect, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import PasswordField, StringField

from maild import db
from maild.errors import InvalidFields
from maild.models import Invitation
from maild.services import invitations, passwords, people, sessions, sign_ups, workspaces
from maild.web import access, render, sign_in, throttle, toasts
from maild.web.forms import Form, text

blueprint = Blueprint("joining", __name__)


class JoinForm(Form):
    name = StringField("Your name")
    password = PasswordField("Password")


@blueprint.route(f"{invitations.PATH}<token>", methods=["GET", "POST"])
@access.public
@throttle.failures_of_caller
@db.connection()
def show(token: str) -> BaseResponse:
    """Who is invited to what, and a button, or what a new person has to fill in."""
    invitation = invitations.open_link(token)
    visitor = access.find_visitor()
    if visitor is None:
        session[access.AFTER] = request.path  # for who logs in first
    if request.method == "POST" and visitor is not None:
        invitations.accept(token, person_id=visitor.id, by=access.actor())
        sessions.switch(
            visitor.session_id, person_id=visitor.id, workspace_id=invitation.workspace_id
        )
        return _welcome(invitation)
    form = JoinForm()
    shown: dict[str, Any] = {
        "form": form,
        "token": token,
        "invitation": invitation,
        "workspace_name": workspaces.get(invitation.workspace_id).name,
        "has_account": people.find_by_email(invitation.email) is not None,
        "refusal": sign_ups.find_refusal(is_invited=True),
        "min_chars": passwords.MIN_CHARS,
    }
    if request.method == "GET":
        return render.page("pages/invitation.html", **shown)
    try:
        person, invitation = sign_ups.sign_up_invited(
            token,
            name=text(form.name.data),
            password=text(form.password.data),
            ip=access.client_ip(),
            request_id=g.get("request_id"),
        )
    except InvalidFields as error:
        form.show(error)
        return render.page("pages/invitation.html", status=422, **shown)
    response = sign_in.enter(person, workspace_id=invitation.workspace_id)
    toasts.show(f"Welcome to “{shown['workspace_name']}”.", kind="ok")
    return response


def _welcome(invitation: Invitation) -> BaseResponse:
    toasts.show(f"Welcome to “{workspaces.get(invitation.workspace_id).name}”.", kind="ok")
    return redirect(url_for("dashboard.index"), 303)

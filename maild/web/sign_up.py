"""Signing up: a new person with a workspace of their own."""

from typing import Any

from flask import Blueprint, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import EmailField, PasswordField, StringField

from maild import db, log
from maild.errors import InvalidFields, MaildError
from maild.services import mailed_links, passwords, sign_ups
from maild.services.sign_ups import NewPerson
from maild.web import access, render, sign_in, throttle
from maild.web.forms import Form, text

blueprint = Blueprint("sign_up", __name__)
logger = log.get(__name__)


class SignUpForm(Form):
    name = StringField("Your name")
    email = EmailField("E-mail address")
    password = PasswordField("Password")
    workspace_name = StringField("Name of your workspace")


@blueprint.route("/signup", methods=["GET", "POST"])
@access.public
@throttle.sign_ups
@db.connection()
def index() -> BaseResponse:
    """The form; where nobody new is taken, the page says who to ask."""
    if request.method == "GET" and access.find_visitor() is not None:
        return redirect(url_for("dashboard.index"), 303)
    refusal = sign_ups.find_refusal()
    if refusal is not None:
        return render.page("pages/sign_up_closed.html", status=403, refusal=refusal)
    form = SignUpForm()
    shown: dict[str, Any] = {"form": form, "min_chars": passwords.MIN_CHARS}
    if request.method == "GET":
        return render.page("pages/sign_up.html", **shown)
    try:
        person, workspace = sign_ups.sign_up(
            NewPerson(text(form.name.data), text(form.email.data), text(form.password.data)),
            workspace_name=text(form.workspace_name.data),
            ip=access.client_ip(),
            request_id=g.get("request_id"),
        )
    except InvalidFields as error:
        form.show(error)
        return render.page("pages/sign_up.html", status=422, **shown)
    try:
        mailed_links.send_confirmation(person)
    except MaildError as error:  # they are signed up all the same, and can have it sent again
        logger.warning("person.confirmation_not_sent", person_id=person.id, detail=error.detail)
    return sign_in.enter(
        person, workspace_id=workspace.id, after=url_for("onboarding.show", step="workspace")
    )

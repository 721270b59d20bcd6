"""A password that is forgotten: asking for a link, and choosing another one with it.

Whoever asks is told the same, and as fast, whether there is such a person or not: the mail is
written after the answer.
"""

from typing import Any

from flask import Blueprint, Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import EmailField, PasswordField

from maild import db, log
from maild.domain.actor import Actor
from maild.errors import InvalidFields, NotFound
from maild.services import mailed_links, passwords, people, people_mail
from maild.web import access, render, throttle, toasts
from maild.web.forms import Form, text

blueprint = Blueprint("password_resets", __name__)
logger = log.get(__name__)


class AskForm(Form):
    email = EmailField("E-mail address")


class ChooseForm(Form):
    new = PasswordField("New password")


@blueprint.route("/reset", methods=["GET", "POST"])
@access.public
@throttle.mails_of_caller
@throttle.mails_to_account
def ask() -> Response:
    """Have a link mailed."""
    form = AskForm(email=request.args.get("email"))
    if request.method == "GET":
        return render.page("pages/reset_ask.html", form=form)
    try:
        email = people.normal_email(text(form.email.data))
    except InvalidFields as error:
        form.show(error)
        return render.page("pages/reset_ask.html", status=422, form=form)
    response = render.page("pages/reset_sent.html", email=email)
    response.call_on_close(lambda: _send(email))
    return response


@blueprint.route(f"{mailed_links.RESET_PATH}<token>", methods=["GET", "POST"])
@access.public
@throttle.failures_of_caller
@db.connection()
def choose(token: str) -> BaseResponse:
    """Choose another password. It signs nobody in: a second factor would be left out."""
    try:
        opened = mailed_links.open_reset(token)
    except NotFound as error:
        return render.page("pages/reset_gone.html", status=404, why=error.detail)
    form = ChooseForm()
    shown: dict[str, Any] = {"form": form, "email": opened.email, "min_chars": passwords.MIN_CHARS}
    if request.method == "GET":
        return render.page("pages/reset_choose.html", **shown)
    by = Actor(opened.person.email, ip=access.client_ip(), request_id=g.get("request_id"))
    try:
        person = mailed_links.reset_password(token, text(form.new.data), by=by)
    except InvalidFields as error:
        form.show(error)
        return render.page("pages/reset_choose.html", status=422, **shown)
    people_mail.send_news(person.email, name=person.name, what="your password was changed")
    toasts.show("The password is changed. Log in with it.", kind="ok")
    return redirect(url_for("sign_in.password", email=person.email), 303)


def _send(email: str) -> None:
    """Nobody waits for this any more, and nobody is told what becomes of it."""
    try:
        with db.connection():
            mailed_links.send_reset(email)
    except Exception:
        logger.exception("person.reset_not_sent")

"""A person's own name and address."""

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import EmailField, PasswordField, StringField

from maild import db
from maild.errors import InvalidFields
from maild.services import email_changes, people
from maild.web import access, render, throttle, toasts
from maild.web.forms import Form, text

blueprint = Blueprint("profile", __name__, url_prefix="/ui/settings/profile")


class NameForm(Form):
    name = StringField("Name")


class EmailForm(Form):
    email = EmailField("New address")
    password = PasswordField("Your password")


@blueprint.get("")
@access.personal
@db.connection()
def show() -> BaseResponse:
    """The page."""
    return _page()


@blueprint.post("")
@access.personal
@db.connection()
def rename() -> BaseResponse:
    """Another name."""
    form = NameForm()
    try:
        people.rename(access.visitor().id, text(form.name.data))
    except InvalidFields as error:
        form.show(error)
        return _page(name_form=form)
    toasts.show("Your name is changed.", kind="ok")
    return redirect(url_for("profile.show"), 303)


@blueprint.post("/email")
@access.personal
@throttle.failures_of_visitor
@throttle.mails_of_visitor
@throttle.mails_to_account
@throttle.hashes_of_visitor
@db.connection()
def change_email() -> BaseResponse:
    """Ask for another address; it is theirs once the link that goes there is followed."""
    form = EmailForm()
    try:
        email = email_changes.ask(
            access.visitor().id, email=text(form.email.data), password=text(form.password.data)
        )
    except InvalidFields as error:
        form.show(error)
        return _page(email_form=form)
    toasts.show(f"Follow the link that we have sent to {email}. Until then nothing changes.")
    return redirect(url_for("profile.show"), 303)


def _page(
    *, name_form: NameForm | None = None, email_form: EmailForm | None = None
) -> BaseResponse:
    is_wrong = name_form is not None or email_form is not None
    with_own = name_form or NameForm(name=access.visitor().name, formdata=None)
    return render.page(
        "pages/settings_profile.html",
        status=422 if is_wrong else 200,
        name_form=with_own,
        email_form=email_form or EmailForm(formdata=None),
        is_email_open=email_form is not None,
    )

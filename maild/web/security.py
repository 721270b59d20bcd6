"""A person's password, second factor, and the browsers in which they are signed in."""

import segno
from flask import Blueprint, redirect, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse
from wtforms import PasswordField, StringField

from maild import db
from maild.errors import InvalidFields
from maild.services import passwords, people, people_mail, second_factors, sessions
from maild.web import access, render, sign_in, throttle, toasts, user_agents
from maild.web.forms import Form, text

blueprint = Blueprint("security", __name__, url_prefix="/ui/settings/security")


class PasswordForm(Form):
    current = PasswordField("Current password")
    new = PasswordField("New password")


class EnableForm(Form):
    code = StringField("Code that the app shows")
    password = PasswordField("Your password")


class ConfirmForm(Form):
    password = PasswordField("Your password")


@blueprint.get("")
@access.personal
@db.connection()
def show() -> BaseResponse:
    """The page."""
    return _page()


@blueprint.post("/password")
@access.personal
@throttle.failures_of_visitor
@throttle.hashes_of_visitor
@db.connection()
def change_password() -> BaseResponse:
    """Another password; all other browsers are signed out."""
    form, visitor = PasswordForm(), access.visitor()
    try:
        people.change_password(
            visitor.id,
            current=text(form.current.data),
            new=text(form.new.data),
            by=access.actor(),
            keep_session=visitor.session_id,
        )
    except InvalidFields as error:
        form.show(error)
        return _page(password_form=form)
    sign_in.renew()
    people_mail.send_news(visitor.email, name=visitor.name, what="your password was changed")
    toasts.show("The password is changed. Your other sessions have ended.", kind="ok")
    return redirect(url_for("security.show"), 303)


@blueprint.get("/second-factor")
@access.personal
@db.connection()
def set_up() -> BaseResponse:
    """The QR code, and what shows that the app has read it."""
    if access.visitor().has_second_factor:
        return redirect(url_for("security.show"), 303)
    return _set_up(EnableForm(formdata=None))


@blueprint.post("/second-factor")
@access.personal
@throttle.failures_of_visitor
@throttle.hashes_of_visitor
@db.connection()
def enable() -> BaseResponse:
    """Turn it on. The recovery codes are shown in the answer, and never again."""
    form, visitor = EnableForm(), access.visitor()
    try:
        codes = second_factors.enable(
            visitor.id,
            password=text(form.password.data),
            code=text(form.code.data),
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _set_up(form)
    sessions.end_all(visitor.id, but=visitor.session_id)
    sign_in.renew()
    people_mail.send_news(visitor.email, name=visitor.name, what="a second factor was turned on")
    return render.page("pages/recovery_codes.html", codes=codes, is_new=True)


@blueprint.post("/recovery-codes")
@access.personal
@throttle.failures_of_visitor
@throttle.hashes_of_visitor
@db.connection()
def renew_codes() -> BaseResponse:
    """New recovery codes in place of the ones before."""
    form, visitor = ConfirmForm(), access.visitor()
    try:
        codes = second_factors.renew_codes(
            visitor.id, password=text(form.password.data), by=access.actor()
        )
    except InvalidFields as error:
        form.show(error)
        return _page(codes_form=form)
    people_mail.send_news(visitor.email, name=visitor.name, what="new recovery codes were made")
    return render.page("pages/recovery_codes.html", codes=codes, is_new=False)


@blueprint.post("/second-factor/off")
@access.personal
@throttle.failures_of_visitor
@throttle.hashes_of_visitor
@db.connection()
def disable() -> BaseResponse:
    """Turn it off."""
    form, visitor = ConfirmForm(), access.visitor()
    try:
        second_factors.disable(visitor.id, password=text(form.password.data), by=access.actor())
    except InvalidFields as error:
        form.show(error)
        return _page(disable_form=form)
    people_mail.send_news(visitor.email, name=visitor.name, what="the second factor was turned off")
    toasts.show("The second factor is off. The password alone logs you in now.")
    return redirect(url_for("security.show"), 303)


@blueprint.post("/sessions/end")
@access.personal
@db.connection()
def end_session() -> BaseResponse:
    """Sign another browser out, or with `all` every one but this."""
    visitor = access.visitor()
    if request.form.get("all"):
        count = sessions.end_all(visitor.id, but=visitor.session_id)
        sign_in.renew()
        toasts.show(
            "There was no other session." if not count else "Your other sessions have ended."
        )
    else:
        session_id = request.form.get("session", type=int)
        if session_id is not None and sessions.end(session_id, person_id=visitor.id):
            toasts.show("The session has ended.")
        else:
            toasts.show("That session had ended already.")
    return redirect(url_for("security.show"), 303)


def _page(
    *,
    password_form: PasswordForm | None = None,
    codes_form: ConfirmForm | None = None,
    disable_form: ConfirmForm | None = None,
) -> BaseResponse:
    visitor = access.visitor()
    is_wrong = any(form is not None for form in (password_form, codes_form, disable_form))
    return render.page(
        "pages/settings_security.html",
        status=422 if is_wrong else 200,
        password_form=password_form or PasswordForm(formdata=None),
        codes_form=codes_form or ConfirmForm(formdata=None),
        disable_form=disable_form or ConfirmForm(formdata=None),
        is_codes_open=codes_form is not None,
        is_disable_open=disable_form is not None,
        min_chars=passwords.MIN_CHARS,
        codes_left=second_factors.count_codes(visitor.id) if visitor.has_second_factor else None,
        sessions=[(row, user_agents.name(row.user_agent)) for row in sessions.list_of(visitor.id)],
    )


def _set_up(form: EnableForm) -> BaseResponse:
    enrolment = second_factors.begin(access.visitor().id)
    # Black on white whatever the colours of the page are, for scanners; and no text of ours in it.
    code = segno.make(enrolment.uri, micro=False)
    drawn = code.svg_inline(scale=4, border=4, dark="#000", light="#fff")
    qr = Markup(drawn)  # noqa: S704  # nosec B704
    return render.page(
        "pages/second_factor.html",
        status=422 if form.errors else 200,
        form=form,
        enrolment=enrolment,
        qr=qr,
    )

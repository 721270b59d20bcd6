"""Logging in and out: a password, and where the person has set it up a second factor."""

from typing import Any

from flask import Blueprint, g, redirect, request, session, url_for
from flask_login import login_user, logout_user
from werkzeug.wrappers import Response as BaseResponse
from wtforms import BooleanField, EmailField, PasswordField, StringField

from maild import clock, db, log
from maild.domain.actor import Actor
from maild.models import Person
from maild.services import people, people_mail, second_factors, sessions
from maild.services.second_factors import Proof
from maild.web import access, render, throttle
from maild.web.forms import Form, text

CODE_SECONDS = 600
"""So long after the password the code may come."""
_PENDING = "pending"

blueprint = Blueprint("sign_in", __name__)
logger = log.get(__name__)


class PasswordForm(Form):
    email = EmailField("E-mail address")
    password = PasswordField("Password")
    remember = BooleanField("Stay logged in for 30 days")


class CodeForm(Form):
    code = StringField("Code")


@blueprint.route("/login", methods=["GET", "POST"])
@access.public
@throttle.failures_of_caller
@throttle.failures_of_account
@db.connection()
def password() -> BaseResponse:
    """The first step."""
    after = access.safe_path(request.values.get("next") or session.get(access.AFTER))
    if request.method == "GET":
        if access.find_visitor() is not None:
            return redirect(after or url_for("dashboard.index"), 303)
        form = PasswordForm(email=request.args.get("email"))
        return render.page("pages/login.html", form=form, next=after)
    form = PasswordForm()
    person = people.authenticate(text(form.email.data), text(form.password.data))
    if person is None:
        # Not the address itself: now and then somebody types the password into its field.
        logger.warning(
            "session.refused", ip=access.client_ip(), account=throttle.account_hash()[:12]
        )
        form.problem = "The address or the password is not right."
        return render.page("pages/login.html", status=422, form=form, next=after)
    if person.totp_enabled_at is None:
        return enter(person, is_remembered=form.remember.data, after=after)
    _leave()
    session.clear()
    session[_PENDING] = {
        "person": person.id,
        "since": int(clock.now().timestamp()),
        "password": person.password_changed_at.isoformat(),
        "remember": bool(form.remember.data),
        "next": after,
    }
    return redirect(url_for("sign_in.code"), 303)


@blueprint.route("/login/code", methods=["GET", "POST"])
@access.public
@throttle.failures_of_caller
@throttle.codes
@db.connection()
def code() -> BaseResponse:
    """The second step, for those who have one."""
    found = _find_pending()
    if found is None:
        return redirect(url_for("sign_in.password"), 303)
    person, pending = found
    form = CodeForm()
    if request.method == "GET":
        return render.page("pages/login_code.html", form=form)
    by = Actor(person.email, ip=access.client_ip(), request_id=g.get("request_id"))
    proof = second_factors.check(person.id, text(form.code.data), by=by)
    if proof is None:
        logger.warning("session.code_refused", person_id=person.id, ip=access.client_ip())
        form.complain("code", "is not the code that the app shows now, nor a recovery code")
        return render.page("pages/login_code.html", status=422, form=form)
    if proof is Proof.RECOVERY_CODE:
        people_mail.send_news(
            person.email, name=person.name, what="a recovery code was used to log in"
        )
    return enter(person, is_remembered=pending["remember"], after=pending["next"])


@blueprint.post("/logout")
@access.public
@db.connection()
def out() -> BaseResponse:
    """End this session; whoever is not signed in is out already."""
    _leave()
    logout_user()
    session.clear()
    return redirect(url_for("home.index"), 303)


def enter(
    person: Person,
    *,
    is_remembered: bool = False,
    after: str | None = None,
    workspace_id: int | None = None,
) -> BaseResponse:
    """Sign a person in, and go on. The session is a new one, whatever was there before."""
    _leave()
    ip = access.client_ip()
    token = sessions.start(
        person.id,
        is_remembered=is_remembered,
        ip=ip,
        user_agent=request.headers.get("User-Agent", ""),
        workspace_id=workspace_id,
        password_changed_at=person.password_changed_at,
        totp_enabled_at=person.totp_enabled_at,
    )
    session.clear()
    session.permanent = is_remembered
    visitor = sessions.find(token, ip=ip)
    assert visitor is not None
    login_user(access.User(token, visitor))
    return redirect(after or url_for("dashboard.index"), 303)


def renew() -> None:
    """Give the present session another token: after a change of how one logs in, who has copied the
    cookie is out as well.
    """
    visitor = access.visitor()
    token = sessions.renew(visitor.session_id, person_id=visitor.id)
    login_user(access.User(token, visitor))


def _leave() -> None:
    """End the session of this browser, if there is one."""
    if (visitor := access.find_visitor()) is not None:
        sessions.end(visitor.session_id, person_id=visitor.id)


def _find_pending() -> tuple[Person, dict[str, Any]] | None:
    """Whose password was right a moment ago, and is still the same."""
    pending = session.get(_PENDING)
    if pending is None or clock.now().timestamp() - pending["since"] > CODE_SECONDS:
        return None
    person = people.find(pending["person"])
    if person is None or person.password_changed_at.isoformat() != pending["password"]:
        return None
    return person, pending

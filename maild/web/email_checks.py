"""Showing that an address is one's own: the link in the mail, and having it sent again."""

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import ADMINS
from maild.errors import Forbidden
from maild.services import mailed_links, onboarding_steps, people
from maild.web import access, render, throttle, toasts

blueprint = Blueprint("email_checks", __name__)


@blueprint.route(f"{mailed_links.CONFIRM_PATH}<token>", methods=["GET", "POST"])
@access.personal
@db.connection()
def confirm(token: str) -> BaseResponse:
    """A page with a button: opening the link alone changes nothing.

    It takes both the mail and the log-in. By the mail alone somebody would confirm the account that
    a stranger has made with their address.
    """
    opened = mailed_links.open_confirmation(token)
    is_theirs = opened.person.id == access.visitor().id
    if request.method == "GET":
        return render.page("pages/confirm_email.html", opened=opened, is_theirs=is_theirs)
    if not is_theirs:
        raise Forbidden("The link is for another account than the one that you are logged in to.")
    confirmed = mailed_links.confirm(token, by=access.actor())
    toasts.show(f"{confirmed.email} is confirmed.", kind="ok")
    return redirect(_next_url(), 303)


def _next_url() -> str:
    """For who sets a workspace up, back to where they were."""
    workspace = access.visitor().workspace
    is_setting_up = (
        workspace is not None
        and workspace.role in ADMINS
        and onboarding_steps.find(workspace.id).current is not None
    )
    return url_for("onboarding.index" if is_setting_up else "dashboard.index")


@blueprint.post("/confirm")
@access.personal
@throttle.mails_of_visitor
@throttle.mails_to_oneself
@db.connection()
def send_again() -> BaseResponse:
    """Mail the link once more."""
    person = people.get(access.visitor().id)
    if person.email_verified_at is None:
        mailed_links.send_confirmation(person)
        toasts.show(f"We have sent another link to {person.email}.")
    return redirect(access.safe_path(request.form.get("next")) or url_for("dashboard.index"), 303)

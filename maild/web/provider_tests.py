"""Sending a test message through one SMTP account, and watching what becomes of it."""

import uuid

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField

from maild import db
from maild.domain.role import OPERATORS
from maild.errors import Forbidden, InvalidRequest, NotFound, RateLimited
from maild.models import Message
from maild.services import messages, provider_tests
from maild.web import access, provider_parts, render, verified
from maild.web.forms import Form, text

blueprint = Blueprint("provider_tests", __name__, url_prefix="/ui/providers/<int:account_id>")


class ToForm(Form):
    to_email = StringField("To")


@blueprint.get("/test")
@db.connection()
def show(account_id: int) -> BaseResponse:
    """The form, and the story of the test that was just sent, if one is named."""
    form = ToForm(formdata=None, to_email=access.visitor().email)
    return _page(account_id, form, message=_find_message())


@blueprint.post("/test")
@access.allow(OPERATORS)
@db.connection()
def send(account_id: int) -> BaseResponse:
    """Send the test."""
    if (lock := _lock()) is not None:
        raise Forbidden(lock)
    form = ToForm()
    try:
        message = provider_tests.send(
            access.current_workspace_id(),
            account_id,
            to_email=text(form.to_email.data).strip(),
            by=access.actor(),
        )
    except (InvalidRequest, RateLimited) as error:
        form.show(error)
        return _page(account_id, form)
    url = url_for("provider_tests.show", account_id=account_id, message=message.id)
    return redirect(url, 303)


def _find_message() -> Message | None:
    """The message that the address names. Raises NotFound."""
    named = request.args.get("message")
    if not named:
        return None
    try:
        message_id = uuid.UUID(named)
    except ValueError:
        raise NotFound("There is no such message.") from None
    return messages.get(access.current_workspace_id(), message_id)


def _lock() -> str | None:
    """Why the visitor may not send; None where they may."""
    if (lock := provider_parts.operator_lock()) is not None:
        return lock
    return None if access.visitor().is_verified else verified.NEEDED


def _page(account_id: int, form: ToForm, *, message: Message | None = None) -> BaseResponse:
    is_wrong = form.problem or form.errors
    return render.page(
        "pages/provider_test.html",
        status=422 if is_wrong else 200,
        **provider_parts.head(account_id, tab="test"),
        form=form,
        message=message,
        lock=_lock(),
    )

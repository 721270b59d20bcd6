"""The mail that asks a contact to confirm its address: its words, a preview, and asking once more.

Everybody reads it, admins write it; an operator may have a pending contact asked again.
"""

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import HiddenField, StringField, TextAreaField

from maild import config, db
from maild.domain.role import ADMINS, OPERATORS
from maild.errors import Conflict, InvalidFields, InvalidRequest, NotFound, RateLimited
from maild.services import confirmation_links, confirmation_mails, confirmations, contacts
from maild.services.confirmation_mails import Words
from maild.web import access, render, toasts, verified
from maild.web.forms import Form, text

EXAMPLE_TOKEN = "…"

blueprint = Blueprint("confirmation_mails", __name__, url_prefix="/ui/audience")


class WordsForm(Form):
    from_email = StringField("From address")
    from_name = StringField("From name")
    subject = StringField("Subject")
    body_text = TextAreaField("Text")
    version = HiddenField()


@blueprint.get("/confirmation")
@db.connection()
def show() -> BaseResponse:
    """The mail as it is sent now, and the form that changes it."""
    return _page()


@blueprint.post("/confirmation")
@access.allow(ADMINS)
@db.connection()
def save() -> BaseResponse:
    """Write the mail anew."""
    verified.require()
    form = WordsForm()
    if "preview" in request.form:
        return _page(form)
    version = text(form.version.data)
    words = Words(
        text(form.from_email.data),
        text(form.from_name.data) or None,
        text(form.subject.data),
        text(form.body_text.data),
        int(version) if version.isdecimal() and len(version) < 10 else -1,
    )
    try:
        confirmation_mails.save(access.current_workspace_id(), words, by=access.actor())
    except InvalidFields as error:
        form.show(error)
        return _page(form, status=422)
    except Conflict as error:
        form.problem = f"{error.detail} Saving again puts yours in the place of theirs."
        return _page(form, status=409)
    toasts.show("The mail is saved. Who is asked from now on gets it so.", kind="ok")
    return redirect(url_for("confirmation_mails.show"), 303)


@blueprint.post("/contacts/<int:contact_id>/ask")
@access.allow(OPERATORS)
@db.connection()
def ask(contact_id: int) -> BaseResponse:
    """Ask a pending contact once more."""
    workspace_id = access.current_workspace_id()
    contact = contacts.get(workspace_id, contact_id)
    try:
        asked = confirmations.ask(workspace_id, contact, by=access.actor())
    except (Conflict, RateLimited, InvalidRequest, NotFound) as error:
        toasts.show(f"Nothing was sent. {error.detail}", kind="bad")
    else:
        toasts.show(f"{asked.message.to_email} is asked. The mail is on its way.", kind="ok")
    return redirect(url_for("contacts.show", contact_id=contact_id), 303)


def _page(form: WordsForm | None = None, *, status: int = 200) -> BaseResponse:
    words = confirmation_mails.get(access.current_workspace_id())
    example = f"{config.current().public_url}{confirmation_links.PATH}{EXAMPLE_TOKEN}"
    if form is None:
        form = WordsForm(formdata=None, **words._asdict())
    if status == 409:
        form.version.data = str(words.version)
    typed = text(form.body_text.data)
    return render.page(
        "pages/confirmation_mail.html",
        status=status,
        form=form,
        words=words,
        preview=confirmation_mails.render(typed, url=example),
        is_stale=status == 409,
        link=confirmation_mails.LINK,
        locked_why=verified.find_lock(),
        days=confirmation_links.LIFETIME.days,
        per_hour=confirmations.PER_HOUR,
        per_day=confirmations.PER_DAY,
        subject_max_chars=confirmation_mails.SUBJECT_MAX_CHARS,
        name_max_chars=confirmation_mails.NAME_MAX_CHARS,
        text_max_chars=confirmation_mails.TEXT_MAX_CHARS,
    )

"""Unsubscribes: who wants to hear no more of what, and from which message that came. What people do
themselves, by the links in their mail, is in `unsubscribe_links`.
"""

from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice

from maild import clock, db
from maild.domain.role import ADMINS, OPERATORS, READERS
from maild.domain.states import Stream
from maild.errors import Conflict, InvalidFields, NotFound, SearchTooLong
from maild.models import Unsubscribe
from maild.services import (
    held_back,
    suppression_exports,
    suppression_lists,
    unsubscribe_lists,
    unsubscribes,
)
from maild.services.unsubscribe_lists import State
from maild.web import access, held, paging, provenance, render, toasts, unsubscribe_filter, words
from maild.web.forms import Form, text
from maild.web.suppressions import csv_file

PAGE_ROWS = 50
_BY_MISTAKE = "taken back right after it was recorded"
_BOTH = "both"

blueprint = Blueprint("unsubscribes", __name__, url_prefix="/ui/unsubscribes")


class AddForm(Form):
    email = StringField("Address")
    topic = StringField("Topic")
    stream = SelectField(
        "Stops",
        choices=[
            SelectChoice(Stream.MARKETING.value, "marketing mail only"),
            SelectChoice(_BOTH, "all mail, important mail included"),
        ],
    )
    reason = StringField("How they asked")


class RemoveForm(Form):
    reason = StringField("How they asked for it")


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """The list, newest first, as the filter in the URL asks for it."""
    form = unsubscribe_filter.read(request.args, now=clock.now())
    older_than, page, cut = paging.older_than(), None, None
    workspace_id = access.current_workspace_id()
    if not form.errors:
        try:
            page = unsubscribe_lists.list_page(
                workspace_id, filter_=form.filter_, limit=PAGE_ROWS, older_than=older_than
            )
        except SearchTooLong as error:
            cut = error.detail
    rows = page.unsubscribes if page else []
    return render.page_or_partial(
        "pages/unsubscribes.html",
        "partials/unsubscribe_answer.html",
        status=422 if form.errors else 200,
        form=form,
        rows=None if page is None else [_tell(row) for row in rows],
        causes=held_back.find_causes(workspace_id, rows),
        older=paging.mark(page.older) if page else None,
        is_newest=older_than is None,
        cut=cut,
        topics=unsubscribe_lists.list_topics(workspace_id),
        **unsubscribe_filter.CHOICES,
    )


@blueprint.post("/export")
@access.allow(READERS)
def export() -> BaseResponse:
    """All that the filter finds, as a file. The audit log keeps who took it."""
    form = unsubscribe_filter.read(MultiDict(request.form), now=clock.now())
    if form.errors:
        raise InvalidFields("The filter cannot be used. Mend it in the list, and export again.")
    workspace_id = access.current_workspace_id()
    rows = unsubscribe_lists.export(workspace_id, filter_=form.filter_)
    with db.connection():
        suppression_exports.note(
            workspace_id, what="unsubscribes", asked=form.query(), by=access.actor()
        )
    return csv_file(suppression_exports.write_unsubscribes(rows), "unsubscribes.csv")


@blueprint.get("/add")
@access.allow(OPERATORS)
@db.connection()
def new() -> BaseResponse:
    """The form for what somebody has said in another way than by a link."""
    form = AddForm(formdata=None, email=request.args.get("address", ""))
    return _add_page(form)


@blueprint.post("/add")
@access.allow(OPERATORS)
@db.connection()
def add() -> BaseResponse:
    """Record that somebody wants to hear no more; the toast takes it back."""
    form, stream = AddForm(), request.form.get("stream", "")
    try:
        if stream not in (_BOTH, Stream.MARKETING):
            raise held.invalid("stream", "must be one of those in the list")
        added = unsubscribes.opt_out(
            access.current_workspace_id(),
            text(form.email.data).strip(),
            topic=text(form.topic.data).strip() or None,
            stream=None if stream == _BOTH else Stream(stream),
            reason=text(form.reason.data).strip(),
            source=unsubscribes.CONSOLE,
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _add_page(form, status=422)
    row = added.unsubscribe
    if added.is_new:
        # Whoever may record it may not take it back: that needs an admin.
        undo = (
            url_for("unsubscribes.remove", unsubscribe_id=row.id),
            {"reason": _BY_MISTAKE, "sure": "yes"},
        )
        can_undo = access.current_workspace().role in ADMINS
        toasts.show(
            f"{row.email} is {words.unsubscribed(row.stream, row.topic)} from now on.",
            kind="ok",
            undo=undo if can_undo else None,
        )
    else:
        toasts.show(f"{row.email} was {words.unsubscribed(row.stream, row.topic)} already.")
    return _to(row)


@blueprint.get("/<int:unsubscribe_id>")
@db.connection()
def show(unsubscribe_id: int) -> BaseResponse:
    """One unsubscribe: how it came, from which message, and what it has stopped since."""
    row = unsubscribes.get(access.current_workspace_id(), unsubscribe_id)
    return _page(row)


@blueprint.get("/<int:unsubscribe_id>/remove")
@access.allow(ADMINS)
@db.connection()
def ask_to_remove(unsubscribe_id: int) -> BaseResponse:
    """What it means to mail somebody who did not want it, and the form that does."""
    row = unsubscribes.get(access.current_workspace_id(), unsubscribe_id)
    return _remove_page(row, RemoveForm(formdata=None))


@blueprint.post("/<int:unsubscribe_id>/remove")
@access.allow(ADMINS)
@db.connection()
def remove(unsubscribe_id: int) -> BaseResponse:
    """Record that the person has asked for this mail again; only for who says that they have."""
    workspace_id = access.current_workspace_id()
    row = unsubscribes.get(workspace_id, unsubscribe_id)
    form = RemoveForm()
    if request.form.get("sure") != "yes":
        return _remove_page(row, form, is_unsure=True)
    try:
        removal = unsubscribes.remove(
            workspace_id,
            row.email,
            topic=row.topic,
            stream=row.stream,
            reason=text(form.reason.data).strip(),
            unsubscribe_id=row.id,
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _remove_page(row, form)
    except NotFound:
        toasts.show("It was not in force any more. Nothing was changed.", kind="bad")
        return _to(row)
    left = "" if not removal.remaining else " Something else that they left stays."
    undo: toasts.Undo = (url_for("unsubscribes.restore", unsubscribe_id=row.id), {})
    toasts.show(f"{row.email} gets this mail again.{left}", kind="ok", undo=undo)
    return _to(row)


@blueprint.post("/<int:unsubscribe_id>/restore")
@access.allow(ADMINS)
@db.connection()
def restore(unsubscribe_id: int) -> BaseResponse:
    """Take a removal back, for some minutes."""
    workspace_id = access.current_workspace_id()
    row = unsubscribes.get(workspace_id, unsubscribe_id)
    try:
        unsubscribes.restore(workspace_id, unsubscribe_id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    else:
        toasts.show(f"{row.email} is unsubscribed again, as before.", kind="ok")
    return _to(row)


@blueprint.post("/<int:unsubscribe_id>/resend")
@access.allow(OPERATORS)
@db.connection()
def resend(unsubscribe_id: int) -> BaseResponse:
    """Send copies of what it has held back, once it is taken back."""
    row = unsubscribes.get(access.current_workspace_id(), unsubscribe_id)
    if unsubscribe_lists.state_of(row) is State.IN_FORCE:
        toasts.show("It is still in force, and would stop the copies as well.", kind="bad")
        return _to(row)
    held.resend(row, reason=f"{row.email} wants this mail again")
    return _to(row)


def _add_page(form: AddForm, *, status: int = 200) -> BaseResponse:
    return render.page(
        "pages/unsubscribe_add.html",
        status=status,
        form=form,
        reason_max_chars=unsubscribes.REASON_MAX_CHARS,
        topics=unsubscribe_lists.list_topics(access.current_workspace_id()),
    )


def _page(row: Unsubscribe) -> BaseResponse:
    workspace_id, older_than = access.current_workspace_id(), held.older_than()
    return render.page(
        "pages/unsubscribe_one.html",
        row=row,
        told=_tell(row),
        history=[_tell(one) for one in unsubscribe_lists.list_history(workspace_id, row.email)],
        suppressed=[
            (one, provenance.STATES[suppression_lists.state_of(one)])
            for one in suppression_lists.list_history(workspace_id, row.email)
        ],
        causes=held_back.find_causes(workspace_id, [row]),
        stopped=held.look(row, older_than=older_than),
        is_newest=older_than is None,
        is_over=unsubscribe_lists.state_of(row) is not State.IN_FORCE,
        restore_minutes=unsubscribes.RESTORE_MINUTES,
    )


def _remove_page(row: Unsubscribe, form: RemoveForm, *, is_unsure: bool = False) -> BaseResponse:
    if unsubscribe_lists.state_of(row) is not State.IN_FORCE:
        toasts.show("It is not in force any more.")
        return _to(row)
    is_wrong = is_unsure or bool(form.problem) or bool(form.reason.errors)
    return render.page(
        "pages/unsubscribe_remove.html",
        status=422 if is_wrong else 200,
        row=row,
        told=_tell(row),
        form=form,
        is_unsure=is_unsure,
        stopped=held.look(row, limit=held.PREVIEW_ROWS),
        reason_max_chars=unsubscribes.REASON_MAX_CHARS,
        restore_minutes=unsubscribes.RESTORE_MINUTES,
    )


def _tell(row: Unsubscribe) -> dict[str, Any]:
    """A row with its badge, what it is about, and how it came, in words."""
    return {
        "row": row,
        "state": provenance.UNSUBSCRIBE_STATES[unsubscribe_lists.state_of(row)],
        "left": words.unsubscribed(row.stream, row.topic).removeprefix("unsubscribed from "),
        "provenance": provenance.of_unsubscribe(row),
    }


def _to(row: Unsubscribe) -> BaseResponse:
    return redirect(url_for("unsubscribes.show", unsubscribe_id=row.id), 303)

"""Suppressions: who must not be mailed and why, adding one, and ending one. Files come in by
`suppression_imports`.
"""

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse
from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from maild import clock, db
from maild.domain.role import ADMINS, OPERATORS, READERS
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass, SuppressionState
from maild.errors import Conflict, InvalidFields, NotFound, SearchTooLong
from maild.models import Suppression
from maild.services import (
    held_back,
    suppression_batches,
    suppression_exports,
    suppression_lists,
    suppressions,
    unsubscribe_lists,
)
from maild.web import access, held, paging, provenance, render, suppression_filter, toasts
from maild.web.forms import Form, text

PAGE_ROWS = 50
_LIFETIMES = {"never": None, "1": 1, "7": 7, "30": 30, "90": 90, "365": 365}
"""In days, by what the form sends."""
_BY_MISTAKE = "taken back right after it was added"

blueprint = Blueprint("suppressions", __name__, url_prefix="/ui/suppressions")


def _lifetime(days: int | None) -> str:
    if days is None:
        return "until somebody removes it"
    return "for a day" if days == 1 else f"for {days} days"


class AddForm(Form):
    emails = TextAreaField("Addresses")
    reason = StringField("Reason")
    class_ = SelectField(
        "Kind",
        name="class",
        choices=[
            SelectChoice(one.value, provenance.CLASSES[one].word)
            for one in (
                SuppressionClass.MANUAL,
                SuppressionClass.HARD_BOUNCE,
                SuppressionClass.COMPLAINT,
            )
        ],
    )
    stream = SelectField(
        "Stops",
        choices=[
            SelectChoice("", "all mail"),
            *(SelectChoice(one.value, f"{one.value} mail only") for one in Stream),
        ],
    )
    expires = SelectField(
        "Holds",
        choices=[SelectChoice(value, _lifetime(days)) for value, days in _LIFETIMES.items()],
    )


class RemoveForm(Form):
    reason = StringField("Reason")


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """The list, newest first, as the filter in the URL asks for it."""
    form = suppression_filter.read(request.args, now=clock.now())
    older_than, page, cut = paging.older_than(), None, None
    workspace_id = access.current_workspace_id()
    if not form.errors:
        try:
            page = suppression_lists.list_page(
                workspace_id, filter_=form.filter_, limit=PAGE_ROWS, older_than=older_than
            )
        except SearchTooLong as error:
            cut = error.detail
    rows = page.suppressions if page else []
    return render.page_or_partial(
        "pages/suppressions.html",
        "partials/suppression_answer.html",
        status=422 if form.errors else 200,
        form=form,
        rows=None if page is None else [_tell(row) for row in rows],
        causes=held_back.find_causes(workspace_id, rows),
        older=paging.mark(page.older) if page else None,
        is_newest=older_than is None,
        cut=cut,
        **suppression_filter.CHOICES,
    )


@blueprint.post("/export")
@access.allow(READERS)
def export() -> BaseResponse:
    """All that the filter finds, as a file. The audit log keeps who took it."""
    form = suppression_filter.read(MultiDict(request.form), now=clock.now())
    if form.errors:
        raise InvalidFields("The filter cannot be used. Mend it in the list, and export again.")
    workspace_id = access.current_workspace_id()
    rows = suppression_lists.export(workspace_id, filter_=form.filter_)
    with db.connection():
        suppression_exports.note(
            workspace_id, what="suppressions", asked=form.query(), by=access.actor()
        )
    return csv_file(suppression_exports.write_suppressions(rows), "suppressions.csv")


@blueprint.get("/add")
@access.allow(ADMINS)
@db.connection()
def new() -> BaseResponse:
    """The form for one address or several."""
    form = AddForm(formdata=None, emails=request.args.get("address", ""))
    return _add_page(form)


@blueprint.post("/add")
@access.allow(ADMINS)
@db.connection()
def add() -> BaseResponse:
    """Suppress what was typed; of several addresses, the answer tells of each."""
    form = AddForm()
    emails = [line for line in map(str.strip, text(form.emails.data).splitlines()) if line]
    if not emails:
        form.complain("emails", "must not be empty")
        return _add_page(form, status=422)
    try:
        outcomes = suppression_batches.add_each(
            access.current_workspace_id(),
            emails,
            source=suppressions.CONSOLE,
            by=access.actor(),
            **_read(form),
        )
    except InvalidFields as error:
        form.show(error, expires_at="expires", **{"class": "class_"})
        return _add_page(form, status=422)
    if len(outcomes) > 1:
        return render.page("pages/suppressions_added.html", outcomes=outcomes)
    [one] = outcomes
    if one.suppression is None:
        form.complain("emails", one.problem or "")
        return _add_page(form, status=422)
    _tell_added(one.suppression, is_new=one.is_new)
    return redirect(url_for("suppressions.show", suppression_id=one.suppression.id), 303)


@blueprint.get("/<int:suppression_id>")
@db.connection()
def show(suppression_id: int) -> BaseResponse:
    """One suppression: where it comes from, what else there was, and what it has stopped."""
    row = suppressions.get(access.current_workspace_id(), suppression_id)
    return _page(row)


@blueprint.get("/<int:suppression_id>/remove")
@access.allow(ADMINS)
@db.connection()
def ask_to_remove(suppression_id: int) -> BaseResponse:
    """What it has held back, and the form that ends it."""
    row = suppressions.get(access.current_workspace_id(), suppression_id)
    return _remove_page(row, RemoveForm(formdata=None))


@blueprint.post("/<int:suppression_id>/remove")
@access.allow(ADMINS)
@db.connection()
def remove(suppression_id: int) -> BaseResponse:
    """End it. A complaint is ended only by who says that they know what that means."""
    workspace_id = access.current_workspace_id()
    row = suppressions.get(workspace_id, suppression_id)
    form = RemoveForm()
    is_sure = request.form.get("sure") == "yes"
    if row.class_ is SuppressionClass.COMPLAINT and not is_sure:
        return _remove_page(row, form, is_unsure=True)
    try:
        removal = suppressions.remove(
            workspace_id,
            row.email,
            reason=text(form.reason.data).strip(),
            stream=row.stream,
            suppression_id=row.id,
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _remove_page(row, form)
    except NotFound:
        toasts.show("It was not in force any more. Nothing was changed.", kind="bad")
        return _to(row)
    left = "" if not removal.remaining else " Another suppression of it is still in force."
    undo: toasts.Undo = (url_for("suppressions.restore", suppression_id=row.id), {})
    toasts.show(f"The suppression of {row.email} is removed.{left}", kind="ok", undo=undo)
    return _to(row)


@blueprint.post("/<int:suppression_id>/restore")
@access.allow(ADMINS)
@db.connection()
def restore(suppression_id: int) -> BaseResponse:
    """Take a removal back, for some minutes."""
    workspace_id = access.current_workspace_id()
    row = suppressions.get(workspace_id, suppression_id)
    try:
        suppressions.restore(workspace_id, suppression_id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    else:
        toasts.show(f"{row.email} is suppressed again, as it was before.", kind="ok")
    return _to(row)


@blueprint.post("/<int:suppression_id>/resend")
@access.allow(OPERATORS)
@db.connection()
def resend(suppression_id: int) -> BaseResponse:
    """Send copies of what it has held back, once it has ended."""
    row = suppressions.get(access.current_workspace_id(), suppression_id)
    if suppression_lists.state_of(row) is SuppressionState.IN_FORCE:
        toasts.show("It is still in force, and would stop the copies as well.", kind="bad")
        return _to(row)
    held.resend(row, reason=f"the suppression of {row.email} has ended")
    return _to(row)


def csv_file(lines: Any, name: str) -> Response:
    """A file to keep, written while it is read."""
    response = Response(lines, content_type="text/csv; charset=utf-8; header=present")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _read(form: AddForm) -> dict[str, Any]:
    """What goes for all addresses of the form. Raises InvalidFields."""
    choices: dict[str, tuple[str, ...]] = {
        "class": (
            SuppressionClass.MANUAL,
            SuppressionClass.HARD_BOUNCE,
            SuppressionClass.COMPLAINT,
        ),
        "stream": ("", *Stream),
        "expires": tuple(_LIFETIMES),
    }
    for name, known in choices.items():
        if request.form.get(name, "") not in known:
            raise held.invalid(name, "must be one of those in the list")
    days, stream = _LIFETIMES[form.expires.data], text(form.stream.data)
    return {
        "reason": text(form.reason.data).strip(),
        "class_": SuppressionClass(form.class_.data),
        "stream": Stream(stream) if stream else None,
        "expires_at": None if days is None else clock.now() + timedelta(days=days),
    }


def _tell_added(row: Suppression, *, is_new: bool) -> None:
    if not is_new:
        toasts.show(f"{row.email} was suppressed already. What holds longer counts.")
        return
    sure = {"sure": "yes"} if row.class_ is SuppressionClass.COMPLAINT else {}
    undo = (
        url_for("suppressions.remove", suppression_id=row.id),
        {"reason": _BY_MISTAKE, **sure},
    )
    toasts.show(f"{row.email} is suppressed from now on.", kind="ok", undo=undo)


def _add_page(form: AddForm, *, status: int = 200) -> BaseResponse:
    return render.page(
        "pages/suppression_add.html",
        status=status,
        form=form,
        emails_max=suppression_batches.EMAILS_MAX,
        reason_max_chars=suppressions.REASON_MAX_CHARS,
    )


def _page(row: Suppression) -> BaseResponse:
    workspace_id, older_than = access.current_workspace_id(), held.older_than()
    history = suppression_lists.list_history(workspace_id, row.email)
    opt_outs = unsubscribe_lists.list_history(workspace_id, row.email)
    return render.page(
        "pages/suppression.html",
        row=row,
        told=_tell(row),
        history=[_tell(one) for one in history],
        opt_outs=[
            (one, provenance.UNSUBSCRIBE_STATES[unsubscribe_lists.state_of(one)])
            for one in opt_outs
        ],
        causes=held_back.find_causes(workspace_id, [row]),
        stopped=held.look(row, older_than=older_than),
        is_newest=older_than is None,
        is_over=suppression_lists.state_of(row) is not SuppressionState.IN_FORCE,
        restore_minutes=suppressions.RESTORE_MINUTES,
    )


def _remove_page(row: Suppression, form: RemoveForm, *, is_unsure: bool = False) -> BaseResponse:
    state = suppression_lists.state_of(row)
    if state is not SuppressionState.IN_FORCE:
        toasts.show("It is not in force any more.", kind="info")
        return _to(row)
    is_wrong = is_unsure or bool(form.errors) or bool(form.problem) or bool(form.reason.errors)
    return render.page(
        "pages/suppression_remove.html",
        status=422 if is_wrong else 200,
        row=row,
        told=_tell(row),
        form=form,
        is_unsure=is_unsure,
        stopped=held.look(row, limit=held.PREVIEW_ROWS),
        reason_max_chars=suppressions.REASON_MAX_CHARS,
        restore_minutes=suppressions.RESTORE_MINUTES,
    )


def _tell(row: Suppression) -> dict[str, Any]:
    """A row with its badges and its provenance in words."""
    return {
        "row": row,
        "state": provenance.STATES[suppression_lists.state_of(row)],
        "class_": provenance.CLASSES[row.class_],
        "provenance": provenance.of_suppression(row),
    }


def _to(row: Suppression) -> BaseResponse:
    return redirect(url_for("suppressions.show", suppression_id=row.id), 303)

"""Lists of contacts: making, naming and deleting them, and who is on one. To put on a list those
who are contacts already, or to take them off it, one ticks them (`contacts.act`).
"""

from flask import Blueprint, redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField, TextAreaField

from maild import db
from maild.domain.role import OPERATORS
from maild.errors import Conflict, InvalidFields
from maild.models import Audience
from maild.services import audience_members, audiences
from maild.web import access, contact_filter, contact_parts, contact_words, render, toasts
from maild.web.forms import Form, text

LONGEST_BYTES = 400_000
"""Of a form with pasted addresses: as many as there may be, of the usual length several times."""

blueprint = Blueprint("audiences", __name__, url_prefix="/ui/audience/lists")


class ListForm(Form):
    name = StringField("Name")
    description = StringField("What it is for")


class PasteForm(Form):
    emails = TextAreaField("Addresses")


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """All lists, by name, and the form for another."""
    return _index_page(ListForm(formdata=None))


@blueprint.post("")
@access.allow(OPERATORS)
@db.connection()
def create() -> BaseResponse:
    """Make a list, and go there."""
    form = ListForm()
    try:
        row = audiences.create(
            access.current_workspace_id(),
            name=text(form.name.data),
            description=text(form.description.data),
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _index_page(form, status=422)
    except Conflict as error:
        form.problem = error.detail
        return _index_page(form, status=409)
    toasts.show(f"“{row.name}” is made. Put somebody on it.", kind="ok")
    return _to(row)


@blueprint.get("/<int:audience_id>")
@db.connection()
def show(audience_id: int) -> BaseResponse:
    """One list, and who is on it, as the filter in the URL asks for them."""
    row = contact_parts.find_audience(audience_id)
    return _page(row)


@blueprint.post("/<int:audience_id>")
@access.allow(OPERATORS)
@db.connection()
def change(audience_id: int) -> BaseResponse:
    """Give it another name, or other words; the toast takes that back."""
    row, form = contact_parts.find_audience(audience_id), ListForm()
    before = {"name": row.name, "description": row.description}
    try:
        changed = audiences.change(
            row.workspace_id,
            row.id,
            name=text(form.name.data),
            description=text(form.description.data),
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _page(row, form, status=422)
    except Conflict as error:
        form.problem = error.detail
        return _page(row, form, status=409)
    if (changed.name, changed.description) != (row.name, row.description):
        undo = (url_for("audiences.change", audience_id=row.id), before)
        toasts.show(f"“{changed.name}” is saved.", kind="ok", undo=undo)
    return _to(changed)


@blueprint.post("/<int:audience_id>/delete")
@access.allow(OPERATORS)
@db.connection()
def delete(audience_id: int) -> BaseResponse:
    """Take it away; the toast brings it back. Its contacts stay."""
    row = contact_parts.find_audience(audience_id)
    audiences.delete(row.workspace_id, row.id, by=access.actor())
    undo: toasts.Undo = (url_for("audiences.restore", audience_id=row.id), {})
    toasts.show(f"“{row.name}” is deleted. Its contacts stay contacts.", kind="ok", undo=undo)
    return redirect(url_for("audiences.index"), 303)


@blueprint.post("/<int:audience_id>/restore")
@access.allow(OPERATORS)
@db.connection()
def restore(audience_id: int) -> BaseResponse:
    """Take a deletion back, for some minutes."""
    try:
        row = audiences.restore(access.current_workspace_id(), audience_id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
        return redirect(url_for("audiences.index"), 303)
    toasts.show(f"“{row.name}” is back, with all who were on it.", kind="ok")
    return _to(row)


@blueprint.get("/<int:audience_id>/add")
@access.allow(OPERATORS)
@db.connection()
def paste(audience_id: int) -> BaseResponse:
    """The form for addresses, one a line."""
    return _paste_page(contact_parts.find_audience(audience_id), PasteForm(formdata=None))


@blueprint.post("/<int:audience_id>/add")
@access.allow(OPERATORS)
@access.takes_long_form(LONGEST_BYTES)
@db.connection()
def add(audience_id: int) -> BaseResponse:
    """Put addresses on the list, and tell what became of each."""
    row, form = contact_parts.find_audience(audience_id), PasteForm()
    emails = [line for line in map(str.strip, text(form.emails.data).splitlines()) if line]
    most = audience_members.MEMBERS_MAX
    if not 1 <= len(emails) <= most:
        form.complain("emails", f"must be 1 to {most:,} addresses; import a file for more")
        return _paste_page(row, form, status=422)
    results = audience_members.add_emails(row.workspace_id, row.id, emails, by=access.actor())
    return render.page(
        "pages/audience_added.html",
        audience=row,
        results=results,
        standings=audience_members.look_up(row.workspace_id, results),
        outcomes=contact_words.OUTCOMES,
        states_of=contact_words.STATES,
        Outcome=audience_members.MemberOutcome,
    )


def _page(row: Audience, form: ListForm | None = None, *, status: int = 200) -> BaseResponse:
    """`form` is one that came back, with another name for it."""
    args = MultiDict([*request.args.items(multi=True)])
    args.setlist("audience", [str(row.id)])
    names = audiences.list_names(row.workspace_id)
    asked = contact_filter.read(args, audiences=names)
    return render.page_or_partial(
        "pages/audience.html",
        "partials/contact_answer.html",
        status=422 if asked.errors else status,
        list_url=url_for("audiences.show", audience_id=row.id),
        audience=row,
        counted=contact_words.count(audiences.count(row)),
        change_form=form or ListForm(formdata=None, name=row.name, description=row.description),
        is_changing=form is not None,
        name_max_chars=audiences.NAME_MAX_CHARS,
        description_max_chars=audiences.DESCRIPTION_MAX_CHARS,
        restore_minutes=audiences.RESTORE_MINUTES,
        **contact_parts.list_context(asked, names),
    )


def _index_page(form: ListForm, *, status: int = 200) -> BaseResponse:
    return render.page(
        "pages/audiences.html",
        status=status,
        form=form,
        rows=audiences.list_all(access.current_workspace_id()),
        count_words=contact_words.count,
        name_max_chars=audiences.NAME_MAX_CHARS,
        description_max_chars=audiences.DESCRIPTION_MAX_CHARS,
    )


def _paste_page(row: Audience, form: PasteForm, *, status: int = 200) -> BaseResponse:
    return render.page(
        "pages/audience_add.html",
        status=status,
        audience=row,
        form=form,
        most=audience_members.MEMBERS_MAX,
    )


def _to(row: Audience) -> BaseResponse:
    return redirect(url_for("audiences.show", audience_id=row.id), 303)

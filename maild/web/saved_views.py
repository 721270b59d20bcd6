"""Views of the log: filters under a name. Some come with maild, the others are saved by people of
the workspace, for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from flask import Blueprint, redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse
from wtforms import BooleanField, StringField

from maild import clock, db
from maild.domain.role import OPERATORS
from maild.errors import Conflict, InvalidFields, InvalidRequest
from maild.models import SavedView
from maild.services import saved_views
from maild.web import access, log_filter, render, toasts
from maild.web.forms import Form, text
from maild.web.log_filter import FilterForm

BUILT_IN = (
    ("Failed, last 24 hours", "status=failed&range=24h"),
    ("Unknown outcomes", "status=unknown"),
    ("Held", "status=held"),
    ("Bounced, last 7 days", "status=bounced&range=7d"),
)
"""Names and query strings, as the filter bar writes them."""

blueprint = Blueprint("saved_views", __name__, url_prefix="/ui/logs/views")


class SaveForm(Form):
    name = StringField("Name")
    replace = BooleanField("Replace the view of this name, if there is one")


@dataclass(frozen=True, slots=True)
class Way:
    """A view as a link. `is_open`: the page shows just what it asks for."""

    name: str
    query: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A saved view, and what it asks for in words; `is_good`: its filter can still be used."""

    view: SavedView
    words: str
    is_good: bool


def list_ways(workspace_id: int, form: FilterForm) -> list[Way]:
    """All views, those of maild first."""
    shown = form.query()
    saved = [(view.name, view.query) for view in saved_views.list_all(workspace_id)]
    return [Way(name, query, query == shown) for name, query in (*BUILT_IN, *saved)]


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """What people have saved, with what one can do about each; and, with a filter in the URL, the
    form that saves it.
    """
    form = log_filter.read(request.args, now=clock.now())
    return _page(SaveForm(formdata=None), form)


@blueprint.post("")
@access.allow(OPERATORS)
@db.connection()
def save() -> BaseResponse:
    """Keep a filter under a name."""
    form, asked = SaveForm(), _read(request.form.get("query", ""))
    if asked.errors or not asked.is_set:
        raise InvalidRequest(
            "There is no filter to save, or it cannot be used. Go back, and set one."
        )
    try:
        view, before = saved_views.save(
            access.current_workspace_id(),
            name=text(form.name.data),
            query=asked.query(),
            replace=bool(form.replace.data),
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error)
        return _page(form, asked, status=422)
    except Conflict as error:
        form.problem = error.detail
        return _page(form, asked, status=409)
    if before is None:
        undo: toasts.Undo = (url_for("saved_views.remove", view_id=view.id), {})
    else:
        undo = (
            url_for("saved_views.save"),
            {"name": view.name, "query": before, "replace": "y"},
        )
    toasts.show(f"Saved as “{view.name}”, for everybody here.", kind="ok", undo=undo)
    return redirect(f"{url_for('logs.index')}?{view.query}", 303)


@blueprint.post("/<int:view_id>/rename")
@access.allow(OPERATORS)
@db.connection()
def rename(view_id: int) -> BaseResponse:
    """Give it another name."""
    workspace_id, name = access.current_workspace_id(), request.form.get("name", "")
    old = saved_views.get(workspace_id, view_id).name
    try:
        view = saved_views.rename(workspace_id, view_id, name=name, by=access.actor())
    except (InvalidFields, Conflict) as error:
        status = 409 if isinstance(error, Conflict) else 422
        form = _read("")
        return _page(
            SaveForm(formdata=None), form, status=status, wrong=(view_id, name, error.detail)
        )
    if view.name != old:
        undo = (url_for("saved_views.rename", view_id=view.id), {"name": old})
        toasts.show(f"“{old}” is called “{view.name}” from now on.", kind="ok", undo=undo)
    return redirect(url_for("saved_views.index"), 303)


@blueprint.post("/<int:view_id>/remove")
@access.allow(OPERATORS)
@db.connection()
def remove(view_id: int) -> BaseResponse:
    """Take it away; the toast takes that back."""
    view = saved_views.remove(access.current_workspace_id(), view_id, by=access.actor())
    undo: toasts.Undo = (url_for("saved_views.restore", view_id=view.id), {})
    toasts.show(f"The view “{view.name}” is removed.", kind="ok", undo=undo)
    return redirect(url_for("saved_views.index"), 303)


@blueprint.post("/<int:view_id>/restore")
@access.allow(OPERATORS)
@db.connection()
def restore(view_id: int) -> BaseResponse:
    """Take a removal back."""
    try:
        view = saved_views.restore(access.current_workspace_id(), view_id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    else:
        toasts.show(f"The view “{view.name}” is there again.", kind="ok")
    return redirect(url_for("saved_views.index"), 303)


def _page(
    save_form: SaveForm,
    asked: FilterForm,
    *,
    status: int = 200,
    wrong: tuple[int, str, str] | None = None,
) -> BaseResponse:
    """`wrong` is a view whose new name cannot be taken: its id, the name, and why."""
    return render.page(
        "pages/saved_views.html",
        status=status,
        save_form=save_form,
        asked=asked if asked.is_set and not asked.errors else None,
        asked_words=log_filter.say(asked),
        views=_list(saved_views.list_all(access.current_workspace_id())),
        built_in=[(name, query, log_filter.say(_read(query))) for name, query in BUILT_IN],
        name_max_chars=saved_views.NAME_MAX_CHARS,
        wrong=wrong,
    )


def _list(views: Sequence[SavedView]) -> list[Listed]:
    found = []
    for view in views:
        form = _read(view.query)
        found.append(Listed(view, log_filter.say(form), not form.errors))
    return found


def _read(query: str) -> FilterForm:
    pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True)
    return log_filter.read(MultiDict(pairs), now=clock.now())

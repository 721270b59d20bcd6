"""Workspaces: going over to another one, making one, its name, and leaving it."""

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField

from maild import db
from maild.domain.role import ADMINS, READERS
from maild.errors import Forbidden, InvalidFields, NotFound
from maild.services import members, sessions, workspace_changes, workspaces
from maild.web import access, render, toasts
from maild.web.forms import Form, text

blueprint = Blueprint("workspaces", __name__)


class NameForm(Form):
    name = StringField("Name")


@blueprint.post("/workspaces/switch")
@access.personal
@db.connection()
def switch() -> BaseResponse:
    """Show another workspace from now on, in every tab of this session."""
    try:
        workspace_id = int(request.form.get("to", ""))
    except ValueError:
        raise NotFound("You belong to no such workspace.") from None
    visitor = access.visitor()
    if visitor.membership(workspace_id) is None:
        raise NotFound("You belong to no such workspace.")
    sessions.switch(visitor.session_id, person_id=visitor.id, workspace_id=workspace_id)
    return redirect(access.safe_path(request.form.get("next")) or url_for("overview.index"), 303)


@blueprint.route("/workspaces/new", methods=["GET", "POST"])
@access.personal
@db.connection()
def create() -> BaseResponse:
    """A further workspace, whose admin is who makes it."""
    form, visitor = NameForm(), access.visitor()
    refusal = workspace_changes.find_refusal(visitor)
    if request.method == "GET":
        return render.page("pages/workspace_new.html", form=form, refusal=refusal)
    if refusal is not None:
        raise Forbidden(refusal)
    try:
        row = workspace_changes.create_for(visitor.id, text(form.name.data), by=access.actor())
    except InvalidFields as error:
        form.show(error)
        return render.page("pages/workspace_new.html", status=422, form=form, refusal=None)
    sessions.switch(visitor.session_id, person_id=visitor.id, workspace_id=row.id)
    toasts.show(f"“{row.name}” is made.", kind="ok")
    return redirect(url_for("onboarding.show", step="workspace"), 303)


@blueprint.get("/ui/settings/workspace")
@db.connection()
def show() -> BaseResponse:
    """Its name and number, and the way out."""
    row = workspaces.get(access.current_workspace_id())
    return _page(NameForm(name=row.name))


@blueprint.post("/ui/settings/workspace")
@access.allow(ADMINS)
@db.connection()
def rename() -> BaseResponse:
    """Give it another name; the toast takes it back."""
    form = NameForm()
    workspace_id = access.current_workspace_id()
    before = workspaces.get(workspace_id).name
    try:
        row = workspace_changes.rename(workspace_id, text(form.name.data), by=access.actor())
    except InvalidFields as error:
        form.show(error)
        return _page(form, status=422)
    if row.name != before:
        undo = (url_for("workspaces.rename"), {"name": before})
        toasts.show(f"The workspace is called “{row.name}” now.", kind="ok", undo=undo)
    return redirect(url_for("workspaces.show"), 303)


@blueprint.post("/ui/settings/workspace/leave")
@access.allow(READERS)
@db.connection()
def leave() -> BaseResponse:
    """Be a member no more."""
    membership = access.current_workspace()
    members.leave(membership.id, person_id=access.visitor().id, by=access.actor())
    toasts.show(f"You have left “{membership.name}”.")
    return redirect(url_for("dashboard.index"), 303)


def _page(form: NameForm, *, status: int = 200) -> BaseResponse:
    return render.page("pages/settings_workspace.html", status=status, form=form)

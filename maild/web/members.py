"""Members: who belongs to the workspace, in which role. New ones come by `invitations`."""

from flask import Blueprint, current_app, redirect, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import ADMINS, Role
from maild.errors import Conflict, InvalidFields, NotFound
from maild.services import members, people
from maild.web import access, render, roles, toasts
from maild.web.badges import Badge

UNDO_SECONDS = 600
"""How long a removal can be taken back."""
UNDO_GONE = (
    "That cannot be taken back any more: invite them again instead. A removal can be taken back for"
    f" {UNDO_SECONDS // 60} minutes."
)
LEAVE_INSTEAD = "That is you. To go yourself, leave the workspace."

SECOND_FACTOR = {True: Badge("on", "lock", "ok"), False: Badge("off", "minus", "neutral")}

blueprint = Blueprint("members", __name__, url_prefix="/ui/settings/members")


@blueprint.get("")
@db.connection()
def index() -> BaseResponse:
    """The list."""
    return _page()


@blueprint.post("/role")
@access.allow(ADMINS)
@db.connection()
def change_role() -> BaseResponse:
    """Give a member another role; the toast takes it back, unless it was one's own."""
    workspace_id, person_id = access.current_workspace_id(), _person_id()
    role = request.form.get("role", "")
    try:
        before = members.change_role(
            workspace_id, person_id=person_id, role=role, by=access.actor()
        )
    except InvalidFields as error:
        return _page(problem=error.detail)
    except Conflict as error:
        return _refuse(error.detail)
    if before == role:
        return _back()
    # Who has given away their own role cannot take it again.
    undo = None
    if person_id != access.visitor().id:
        undo = (url_for("members.change_role"), {"person": person_id, "role": before.value})
    name = people.get(person_id).name
    toasts.show(f"{name} was {before.value}, and is {role} now.", kind="ok", undo=undo)
    return _back()


@blueprint.post("/remove")
@access.allow(ADMINS)
@db.connection()
def remove() -> BaseResponse:
    """Let somebody be a member no more; the toast takes it back."""
    workspace_id, person_id = access.current_workspace_id(), _person_id()
    if person_id == access.visitor().id:
        return _refuse(LEAVE_INSTEAD)
    try:
        role = members.remove(workspace_id, person_id=person_id, by=access.actor())
    except Conflict as error:
        return _refuse(error.detail)
    removal = {"workspace": workspace_id, "person": person_id, "role": role.value}
    undo = (url_for("members.restore"), {"removal": _serializer().dumps(removal)})
    toasts.show(f"{people.get(person_id).name} is a member no more.", kind="ok", undo=undo)
    return _back()


@blueprint.post("/restore")
@access.allow(ADMINS)
@db.connection()
def restore() -> BaseResponse:
    """Take a removal back. What is signed names it: nobody makes a member of a person by number."""
    workspace_id = access.current_workspace_id()
    try:
        removal = _serializer().loads(request.form.get("removal", ""), max_age=UNDO_SECONDS)
    except BadSignature:  # or it is too old
        return _refuse(UNDO_GONE)
    if removal["workspace"] != workspace_id:
        return _refuse(UNDO_GONE)
    person_id, role = removal["person"], Role(removal["role"])
    try:
        members.restore(workspace_id, person_id=person_id, role=role, by=access.actor())
        name = people.get(person_id).name
    except (Conflict, NotFound) as error:
        return _refuse(error.detail)
    toasts.show(f"{name} is a member again.", kind="ok")
    return _back()


def _person_id() -> int:
    person_id = request.form.get("person", type=int)
    if person_id is None:
        raise NotFound(members.NO_SUCH)
    return person_id


def _serializer() -> URLSafeTimedSerializer:
    """With the keys before the present one as well, as cookies are read: they may change."""
    keys = [*current_app.config["SECRET_KEY_FALLBACKS"], current_app.config["SECRET_KEY"]]
    return URLSafeTimedSerializer(keys, salt="a removal of a member")


def _refuse(why: str) -> BaseResponse:
    toasts.show(why, kind="bad")
    return _back()


def _back() -> BaseResponse:
    return redirect(url_for("members.index"), 303)


def _page(*, problem: str = "") -> BaseResponse:
    listed = members.list_all(access.current_workspace_id())
    admin_count = sum(one.role is Role.ADMIN for one in listed)
    is_admin = access.current_workspace().role is Role.ADMIN
    return render.page(
        "pages/settings_members.html",
        status=422 if problem else 200,
        problem=problem,
        members=listed,
        is_last_admin=is_admin and admin_count == 1,
        last_admin=members.LAST_ADMIN,
        roles=members.ROLES,
        role_badges=roles.BADGES,
        role_does=roles.DOES,
        second_factor=SECOND_FACTOR,
        undo_minutes=UNDO_SECONDS // 60,
    )

"""What holds for all campaigns of the workspace: whether each needs a second person."""

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import ADMINS
from maild.errors import Conflict
from maild.services import campaign_settings
from maild.web import access, render, template_forms, toasts

blueprint = Blueprint("campaign_settings", __name__, url_prefix="/ui/campaigns/settings")


@blueprint.get("")
@db.connection()
def show() -> Response:
    """What holds now."""
    return _page()


@blueprint.post("")
@access.allow(ADMINS)
@db.connection()
def save() -> BaseResponse:
    """Change it, for what is scheduled from now on."""
    is_needed = request.form.get("needs_second_person") == "yes"
    version = template_forms.parse_number(request.form.get("version"))
    try:
        campaign_settings.save(
            access.current_workspace_id(),
            needs_second_person=is_needed,
            version=version,
            by=access.actor(),
        )
    except Conflict as error:
        return _page(problem=error.detail, status=409)
    toasts.show("It is saved.", kind="ok")
    return redirect(url_for("campaign_settings.show"), 303)


def _page(*, problem: str = "", status: int = 200) -> Response:
    return render.page(
        "pages/campaign_settings.html",
        status=status,
        settings=campaign_settings.get(access.current_workspace_id()),
        problem=problem,
    )

"""The front page of the settings: it leads on to the first of them."""

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild.web import access

blueprint = Blueprint("settings", __name__, url_prefix="/ui/settings")


@blueprint.get("")
@access.personal
def index() -> BaseResponse:
    """A person's own come first: they are there for everybody."""
    return redirect(url_for("profile.show"), 303)

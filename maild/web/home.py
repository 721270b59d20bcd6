"""The front door: what maild is, and the way in."""

from flask import Blueprint, Response

from maild.web import access, render

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@access.public
def index() -> Response:
    """In plain words, for somebody who has never heard of it."""
    return render.page("pages/home.html")

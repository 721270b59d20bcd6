"""The front door: what maild is, and the way in."""

from flask import Blueprint, render_template

from maild.web import access

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
def index() -> str:
    """In plain words, for somebody who has never heard of it."""
    return render_template("pages/home.html", refusal=access.find_refusal())

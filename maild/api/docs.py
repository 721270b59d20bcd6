"""GET /v1/docs: the reference of /v1, to read in a browser, a page for each chapter.

Rendered once in a process: it is the same for everybody, and holds nothing of any workspace.
"""

import re
from functools import lru_cache

from flask import Blueprint, Response, current_app

from maild.api import openapi, reference
from maild.api.reference import Reference
from maild.errors import NotFound

blueprint = Blueprint("docs", __name__, url_prefix="/v1/docs")

_BETWEEN_TAGS = re.compile(r">\s+<")


@blueprint.get("")
def show() -> Response:
    """What holds for all operations. Public, as the document is that it is made from."""
    return openapi.cacheable(_render(openapi.present(), None), "text/html; charset=utf-8")


@blueprint.get("/<anchor>")
def show_chapter(anchor: str) -> Response:
    """The operations about one thing."""
    return openapi.cacheable(_render(openapi.present(), anchor), "text/html; charset=utf-8")


@lru_cache(maxsize=64)
def _render(given: openapi.Given, anchor: str | None) -> str:
    api = _read(given)
    found = [one for one in api.chapters if one.anchor == anchor]
    if anchor is not None and not found:
        raise NotFound("There is no such chapter.")
    # Not by render_template: what that gives to every page is of the person who looks.
    template = current_app.jinja_env.get_template("reference/page.html")
    page = template.render(api=api, chapter=found[0] if found else None)
    return _BETWEEN_TAGS.sub(">\n<", page)


@lru_cache(maxsize=2)
def _read(given: openapi.Given) -> Reference:
    return reference.read(openapi.document_of(given))

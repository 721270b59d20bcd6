"""Answers: a page for a browser, a partial for htmx. Only this module knows of HX headers."""

import hashlib
from urllib.parse import urlsplit

from flask import Response, make_response, redirect, render_template
from htmx_flask import make_response as make_htmx_response
from htmx_flask import request
from werkzeug.wrappers import Response as BaseResponse


def page(template: str, /, *, status: int = 200, **context: object) -> Response:
    """A page that has no partial."""
    return make_response(render_template(template, **context), status)


def page_or_partial(
    page: str, partial: str, /, *, status: int = 200, **context: object
) -> Response:
    """`page` for a browser, and `partial`, which the page includes, for htmx."""
    template = partial if wants_partial() else page
    response = make_response(render_template(template, **context), status)
    response.vary.add("HX-Request")
    return response


def parts(template: str, /, **context: object) -> Response:
    """For htmx: parts of the page that are named in the partial itself (`hx-swap-oob`); what asked
    for them stays as it is.
    """
    return make_htmx_response(render_template(template, **context), 200, reswap="none")


def wants_partial() -> bool:
    """Whether htmx asks for a part of the page that it shows."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def nothing_new() -> Response:
    """To a poll: leave the page as it is."""
    return make_response("", 204)


def go_to(url: str) -> BaseResponse:
    """Show another page."""
    if wants_partial():
        return make_htmx_response("", 200, redirect=url)
    return redirect(url, 303)


def reload() -> Response:
    """Show the page anew; for what it shows a part of has become another."""
    return make_htmx_response("", 200, refresh=True)


def current_path() -> str:
    """The path, with its query, of the page that the person sees."""
    url = request.htmx.current_url if wants_partial() else request.full_path
    try:
        parts = urlsplit(url or "/")
    except ValueError:  # no URL at all
        return "/"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def digest(*facts: object) -> str:
    """A short mark of what a partial shows; a poll sends it back, and hears when it has changed."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def has_seen(mark: str) -> bool:
    """Whether this is a poll from a partial that already shows `mark`."""
    return wants_partial() and request.args.get("seen") == mark


def previous_path() -> str | None:
    """The path, with its query, of the page of maild's own that led here; None where there was
    none, or it is this one.
    """
    try:
        parts = urlsplit(request.referrer or "")
    except ValueError:  # no URL at all
        return None
    path = parts._replace(scheme="", netloc="", fragment="").geturl()
    is_ours = parts.netloc == request.host and path.startswith("/") and not path.startswith("//")
    is_here = request.method == "GET" and path == request.full_path.rstrip("?")
    return path if is_ours and not is_here else None

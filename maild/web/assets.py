"""Static files: htmx out of its wheel, and addresses that change with the content."""

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

from flask import Flask, Response, current_app, request, send_file, url_for

_HTMX = "vendor/htmx.min.js"
_YEAR_SECONDS = 31_536_000


def register(app: Flask) -> None:
    """Serve htmx, give templates `asset()`, and let versioned files be kept."""
    app.add_url_rule(f"/static/{_HTMX}", endpoint="htmx", view_func=_send_htmx)
    app.add_template_global(asset)
    app.after_request(_cache)


def asset(name: str) -> str:
    """The address of a static file, with a version made from its content."""
    version = _version(name)
    if name == _HTMX:
        return url_for("htmx", v=version)
    return url_for("static", filename=name, v=version)


def _send_htmx() -> Response:
    return send_file(_path(_HTMX), mimetype="text/javascript")


def _path(name: str) -> Path:
    if name == _HTMX:
        return Path(str(resources.files("js_lib_htmx") / "static/htmx/htmx.min.js"))
    assert current_app.static_folder is not None
    return Path(current_app.static_folder, name)


@cache
def _version(name: str) -> str:
    """Read once a process, as templates are: a page names some forty files, and a changed one comes
    with a new process.
    """
    return hashlib.sha256(_path(name).read_bytes()).hexdigest()[:12]


def _cache(response: Response) -> Response:
    if request.path.startswith("/static/") and "v" in request.args and response.status_code == 200:
        response.headers["Cache-Control"] = f"public, max-age={_YEAR_SECONDS}, immutable"
    return response

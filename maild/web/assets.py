"""Static files: htmx out of its wheel, and addresses that change with the content."""

import hashlib
from functools import cache, lru_cache
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
    """What this process calls the file: a page names some forty, and looks at none of them."""
    path = _path(name)
    return _digest(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, _mtime_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _cache(response: Response) -> Response:
    """A file may be kept for a year under the version that it has. While maild is upgraded, it is
    asked for by others too: of the process that made the page, or of the one before.
    """
    if request.endpoint in {"static", "htmx"} and response.status_code == 200:
        path = _path((request.view_args or {}).get("filename", _HTMX))
        if request.args.get("v") == _digest(path, path.stat().st_mtime_ns):
            response.headers["Cache-Control"] = f"public, max-age={_YEAR_SECONDS}, immutable"
    return response

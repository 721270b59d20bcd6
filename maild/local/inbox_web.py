"""The inbox's pages, and Mailpit's read API, so that tools written for Mailpit read this one too.

In charge of HTTP only: `inbox_message.py` reads a message, `inbox_store.py` keeps it. Whatever a
message contains is shown as text; its HTML is shown in a frame that may do nothing.
"""

import ipaddress
import re
import socket
import sqlite3
from pathlib import Path
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    g,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler
from werkzeug.serving import make_server as make_wsgi_server
from werkzeug.wrappers import Response as AnyResponse

from maild.config import Addr
from maild.local import inbox_rules, inbox_store
from maild.local.inbox_message import Parsed

ROOT = Path(__file__).resolve().parents[2]
PAGE_ROWS = 50
MAX_ROWS = 10_000
SHOWN_CHARS = 200_000
REFRESH_SECONDS = 3
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
MESSAGE = "<int(max=999999999999999):message_id>"

# No script at all, and no style but our own file.
PAGE_CSP = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
PREVIEW_CSP = (
    "default-src 'none'; img-src data: cid:; style-src 'unsafe-inline'; sandbox; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:]+)(?::\d+)?")
# Without the full stop or the bracket that ends the sentence around it.
_LINK = re.compile(r"(https?://[^\s<>\"]*[^\s<>\".,;:!?')\]])")

routes = Blueprint("inbox", __name__)


def create_app(store_path: Path, *, smtp_addr: Addr, web_addr: Addr) -> Flask:
    """The app over the store at `store_path`, which exists. Its pages show the addresses."""
    app = Flask(__name__, template_folder=str(ROOT / "templates"), static_folder=None)
    app.config.update(STORE_PATH=store_path, SMTP_ADDR=smtp_addr, WEB_ADDR=web_addr)
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(routes)
    app.register_error_handler(HTTPException, _problem)
    return app


def make_server(app: Flask, listener: socket.socket) -> BaseWSGIServer:
    """A threaded HTTP server for `app` on a socket that listens already."""
    host, port = listener.getsockname()[:2]
    server = make_wsgi_server(
        host, port, app, threaded=True, request_handler=_Handler, fd=listener.fileno()
    )
    listener.close()  # the server has a copy of its own
    return server


class _Handler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: pages that refresh themselves would fill the terminal."""


@routes.before_app_request
def refuse_strangers() -> None:
    """403 for requests that another site makes a browser send.

    A name that somebody else's DNS points to loopback shows in Host; a form or script on another
    site shows in Sec-Fetch-Site, or in Origin where a browser sends no such header.
    """
    web_addr: Addr = current_app.config["WEB_ADDR"]
    if _is_loopback(web_addr.host):
        host = _HOST.fullmatch(request.host)
        if host is None or host[1].lower() not in LOOPBACK_NAMES | {web_addr.host}:
            abort(403, "The inbox answers to localhost only.")
    if request.method in ("GET", "HEAD"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    is_ours = site in ("same-origin", "none") if site else origin in (None, request.host_url[:-1])
    if not is_ours:
        abort(403, "This may be asked from the inbox's own pages only.")


@routes.after_app_request
def harden(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", PAGE_CSP)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.get("/")
def index() -> str:
    start, limit = _whole("start", 0), PAGE_ROWS
    total = inbox_store.count(_store())
    return render_template(
        "inbox/list.html",
        messages=inbox_store.list_summaries(_store(), start=start, limit=limit),
        total=total,
        start=start,
        newer=max(start - limit, 0) if start else None,
        older=start + limit if start + limit < total else None,
        is_live=start == 0 and request.args.get("live") != "off",
        refresh_seconds=REFRESH_SECONDS,
        smtp_addr=current_app.config["SMTP_ADDR"],
    )


@routes.get("/help")
def manual() -> str:
    return render_template(
        "inbox/help.html",
        rules=inbox_rules.explained(),
        smtp_addr=current_app.config["SMTP_ADDR"],
    )


@routes.get(f"/message/{MESSAGE}")
def message(message_id: int) -> str:
    summary, parsed = _summary(message_id), Parsed(_raw(message_id))
    mail_from, recipients = inbox_store.find_envelope(_store(), message_id) or ("", [])
    return render_template(
        "inbox/message.html",
        message=summary,
        mail_from=mail_from,
        recipients=recipients,
        headers=parsed.headers,
        text=parsed.text[:SHOWN_CHARS],
        is_cut=len(parsed.text) > SHOWN_CHARS,
        has_html=bool(parsed.html),
        files=parsed.files(inline=False) + parsed.files(inline=True),
    )


@routes.get(f"/message/{MESSAGE}/html")
def preview(message_id: int) -> Response:
    response = Response(Parsed(_raw(message_id)).html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = PREVIEW_CSP
    return response


@routes.post("/delete-all")
def delete_all() -> AnyResponse:
    inbox_store.delete_all(_store())
    return redirect(url_for("inbox.index"), 303)


@routes.get("/static/css/inbox.css")
def stylesheet() -> Response:
    css = (ROOT / "static/css/inbox.css").read_text(encoding="utf-8")
    return Response(css, mimetype="text/css")


@routes.get("/api/v1/messages")
def api_list() -> Response:
    start, limit = _whole("start", 0), min(_whole("limit", PAGE_ROWS), MAX_ROWS)
    messages = inbox_store.list_summaries(_store(), start=start, limit=limit)
    total = inbox_store.count(_store())
    return jsonify(
        total=total, messages_count=total, start=start, count=len(messages), messages=messages
    )


@routes.delete("/api/v1/messages")
def api_delete() -> Response:
    """Delete the messages named in `{"IDs": [...]}`, or all of them without a body."""
    body = request.get_json(force=True) if request.get_data() else {}
    ids = body.get("IDs", []) if isinstance(body, dict) else None
    if not isinstance(ids, list) or not all(isinstance(i, str) and _is_id(i) for i in ids):
        abort(400, 'The body must be {"IDs": ["1", "2"]}, or be left out to delete everything.')
    if ids:
        inbox_store.delete(_store(), [int(i) for i in ids])
    else:
        inbox_store.delete_all(_store())
    return Response("ok", mimetype="text/plain")


@routes.get(f"/api/v1/message/{MESSAGE}")
def api_message(message_id: int) -> Response:
    summary, parsed = _summary(message_id), Parsed(_raw(message_id))
    mail_from, recipients = inbox_store.find_envelope(_store(), message_id) or ("", [])
    body: dict[str, Any] = {
        **summary,
        "Date": parsed.sent_at() or summary["Created"],
        "ReturnPath": mail_from,
        "Recipients": recipients,
        "Text": parsed.text,
        "HTML": parsed.html,
        "Attachments": parsed.files(inline=False),
        "Inline": parsed.files(inline=True),
        "Headers": _grouped(parsed.headers),
    }
    return jsonify(body)


@routes.get(f"/api/v1/message/{MESSAGE}/headers")
def api_headers(message_id: int) -> Response:
    return jsonify(_grouped(Parsed(_raw(message_id)).headers))


@routes.get(f"/api/v1/message/{MESSAGE}/raw")
def api_raw(message_id: int) -> Response:
    return Response(_raw(message_id), mimetype="text/plain")


@routes.get(f"/api/v1/message/{MESSAGE}/part/<part_id>")
def api_part(message_id: int, part_id: str) -> Response:
    """A file of the message, always as a download: a browser must not run what is in it."""
    file = Parsed(_raw(message_id)).file(part_id)
    if file is None:
        abort(404, "The message has no such part.")
    name, content = file
    response = Response(content, mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@routes.app_template_filter("prose")
def readable_prose(text: str) -> Markup:
    """Text whose `backquoted` words are code."""
    words = enumerate(text.split("`"))
    return Markup().join(Markup("<code>{}</code>").format(w) if i % 2 else w for i, w in words)


@routes.app_template_filter("linked")
def readable_links(text: str) -> Markup:
    """Text whose addresses on the web can be clicked; the page that opens is not told of this."""
    link = Markup('<a href="{0}" rel="noreferrer nofollow">{0}</a>')
    parts = enumerate(_LINK.split(text))
    return Markup().join(link.format(part) if i % 2 else part for i, part in parts)


@routes.app_template_filter("size")
def readable_size(octets: int) -> str:
    """1,536 octets are `1.5 KB`."""
    if octets < 1024:
        return f"{octets} B"
    if octets < 1024 * 1024:
        return f"{octets / 1024:.1f} KB"
    return f"{octets / 1024 / 1024:.1f} MB"


@routes.app_template_filter("address")
def readable_address(address: dict[str, str]) -> str:
    """`{Name, Address}` as `Ann Lee <ann@example.com>`, or the address alone."""
    return f"{address['Name']} <{address['Address']}>" if address["Name"] else address["Address"]


@routes.app_template_filter("moment")
def readable_moment(created: str) -> str:
    """An RFC 3339 time in UTC as `2026-01-31 09:15:00`."""
    return created[:19].replace("T", " ")


def _store() -> sqlite3.Connection:
    if "store" not in g:
        g.store = inbox_store.connect(current_app.config["STORE_PATH"])
    return g.store


@routes.teardown_app_request
def close_store(error: BaseException | None) -> None:
    if "store" in g:
        g.pop("store").close()


def _summary(message_id: int) -> dict[str, Any]:
    summary = inbox_store.find_summary(_store(), message_id)
    if summary is None:
        abort(404, "There is no such message: it may have been deleted.")
    return summary


def _raw(message_id: int) -> bytes:
    raw = inbox_store.find_raw(_store(), message_id)
    if raw is None:
        abort(404, "There is no such message: it may have been deleted.")
    return raw


def _whole(name: str, default: int) -> int:
    text = request.args.get(name, "")
    return int(text) if _is_id(text) else default


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16


def _grouped(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return grouped


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _problem(error: HTTPException) -> tuple[Response | str, int]:
    code = error.code or 500
    if request.path.startswith("/api/"):
        return jsonify(Error=error.description), code
    return render_template("inbox/problem.html", title=error.name, detail=error.description), code

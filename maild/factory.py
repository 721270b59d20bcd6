"""The web application: wiring only."""

import gc
import re
import secrets
import time
from pathlib import Path

from flask import Flask, Response, g, request
from werkzeug.wrappers import Response as BaseResponse

from maild import api, config, db_watch, log, metrics, queue, tracing, web
from maild.api import endpoint
from maild.api import errors as api_errors
from maild.errors import MaildError
from maild.services import api_key_uses, intake, metric_scrapes, processes
from maild.web import errors as web_errors
from maild.web import headers

ROOT = Path(__file__).resolve().parents[1]
DISCARD_MAX_BYTES = 64 * 1024 * 1024
"""How much of a refused body is read and dropped, so that its sender comes to read the answer."""
_DISCARD_CHUNK_BYTES = 256 * 1024
SLOW_REQUEST_SECONDS = 1.0
REFUSALS = frozenset({401, 403, 429})
"""Answers worth a log line: who gets many is up to something, or is set up wrongly."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

logger = log.get(__name__)


def create_app() -> Flask:
    """The application of a web process, with settings from the environment.

    Exits with a sentence where it cannot start: wrong settings, a migration pending, no database.
    """
    try:
        settings = config.load()
        processes.start(settings, name="web")
        metric_scrapes.start(settings, "web")
        processes.require_schema()
    except MaildError as error:
        raise SystemExit(f"maild: {error}") from None
    queue.start_ringer()
    db_watch.start(settings.postgres_dsn)
    api_key_uses.start()
    app = build_app()
    # What is there by now stays. To go through it takes longer than most requests, and would happen
    # in the middle of one.
    gc.collect()
    gc.freeze()
    return app


def build_app() -> Flask:
    """The routes and their manners, in a process that has been set up."""
    app = Flask(
        "maild",
        root_path=str(ROOT / "maild"),
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
    )
    app.config["MAX_CONTENT_LENGTH"] = endpoint.MAX_BODY_BYTES
    app.before_request(_begin_request)
    app.after_request(_end_request)
    app.register_error_handler(Exception, _answer_error)
    api.register(app)
    web.register(app, without_csrf=api.BLUEPRINTS)
    return app


def _begin_request() -> None:
    """Name the request, by the caller's X-Request-ID where it is a plain word."""
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    g.started = time.perf_counter()
    log.clear()
    log.bind(request_id=g.request_id)
    tracing.begin_request()


def _end_request(response: Response) -> Response:
    if response.status_code >= 400 and "caller" in g:
        _discard_body()
    response.headers["X-Request-ID"] = g.request_id
    seconds = time.perf_counter() - g.started
    rule = request.url_rule
    metrics.count_request(
        rule.rule if rule else None, request.method, response.status_code, seconds
    )
    _tell_request(response.status_code, seconds)
    return response


def _tell_request(status: int, seconds: float) -> None:
    """In the log, where it is worth a line, and in the traces, where there are any."""
    is_problem = status >= 500 or status in REFUSALS or seconds >= SLOW_REQUEST_SECONDS
    tell = logger.info if is_problem or config.current().log_detail == "all" else logger.debug
    tell(
        "request",
        method=request.method,
        path=_path_to_log(),
        status=status,
        ms=round(seconds * 1000, 1),
    )
    if tracing.is_on():
        _trace_request(status, seconds)


def _trace_request(status: int, seconds: float) -> None:
    """Its span; of its path the template alone, which holds no token."""
    rule = request.url_rule
    tracing.record_request(
        f"{request.method} {rule.rule if rule else 'unknown'}",
        seconds=seconds,
        headers=request.headers.items(),
        attributes={
            "http.request.method": request.method,
            "http.route": rule.rule if rule else "",
            "http.response.status_code": status,
            "maild.request_id": g.request_id,
        },
        is_error=status >= 500,
    )


def _path_to_log() -> str:
    """The path, but for the token of an unsubscribe link or a webhook endpoint: whoever has it can
    use it.
    """
    for start in (*headers.SECRET_PATHS, *intake.TOKEN_PATHS):
        if request.path.startswith(start):
            return f"{start}..."
    return request.path


def _discard_body() -> None:
    """Take in what is left of the body.

    A client that is still sending when the connection closes sees a broken pipe, and not why. Only
    for who has a key: a stranger could keep the thread busy by sending nothing.
    """
    stream = request.environ["wsgi.input"]
    left = DISCARD_MAX_BYTES
    while left > 0 and (chunk := stream.read(_DISCARD_CHUNK_BYTES)):
        left -= len(chunk)


def _answer_error(error: Exception) -> BaseResponse:
    """Every error goes to the edge that the path belongs to."""
    edge = api_errors if api_errors.owns(request.path) else web_errors
    return edge.answer(error)

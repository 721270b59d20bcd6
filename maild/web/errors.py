"""Errors as pages: the one place where an exception becomes HTML."""

from dataclasses import dataclass, field

from flask import Response, make_response, render_template, request
from flask_limiter import RateLimitExceeded
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response as BaseResponse

from maild import log
from maild.errors import MaildError
from maild.web import access, filters, render, throttle, unsent

logger = log.get(__name__)

_WORDS = {
    404: ("Page not found", "There is nothing at this address."),
    405: ("Method not allowed", "This address does not take that method."),
}
_TOLD = {400, 403, 429}
"""What may be an attack, or a page of ours that is wrong."""
_STALE_FORM = (
    "It was made for another session than yours is now, such as before you last logged in. Nothing"
    " was changed. Open the page anew, and send it from there."
)
_FILE_TOO_LARGE = (
    "Here a file may have up to {} MB. Nothing of it was taken. Go back, split it into smaller"
    " files, and send one after the other."
)
_FORM_TOO_LARGE = (
    "{} may have up to {} here. Nothing of it was taken. Send less at once; letters of other"
    " alphabets than this one, and most signs, take several times as much room as a plain letter."
)
_CRASH = (
    "Something failed inside maild. Try again; if it stays, the log tells more under the id of this"
    " request, which stands below."
)


@dataclass(frozen=True, slots=True)
class _Problem:
    status: int
    title: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)


def answer(error: Exception) -> BaseResponse:
    """The page for any exception. An unexpected one is logged whole and told in no detail."""
    if isinstance(error, HTTPException) and (error.code is None or error.code < 400):
        return error.get_response()  # a redirect
    problem = _problem(error)
    if problem.status in _TOLD:
        logger.warning(
            "request.refused",
            status=problem.status,
            title=problem.title,
            endpoint=request.endpoint,
            ip=access.client_ip(),
        )
    if render.wants_partial():  # maild.js shows it in a toast, and the page stays
        # 422 is a form with messages, which htmx would put in the place of what is there.
        status = 400 if problem.status == 422 else problem.status
        response = Response(problem.detail, status=status, mimetype="text/plain")
    else:
        page = render_template(
            "errors/error.html",
            problem=problem,
            previous=render.previous_path(),
            unsent=unsent.find(error, status=problem.status),
        )
        response = make_response(page, problem.status)
    response.headers.update(problem.headers)
    return response


def _problem(error: Exception) -> _Problem:
    if isinstance(error, MaildError) and (error.status < 500 or error.status == 503):
        retry_after = error.retry_after_seconds
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return _Problem(error.status, error.title, error.detail, headers)
    if isinstance(error, RateLimitExceeded):
        seconds = throttle.retry_after_seconds()
        return _Problem(
            429,
            "Too many tries",
            f"That was too often. Try again in {filters.span(-(-seconds // 60) * 60)}.",
            {"Retry-After": str(seconds)},
        )
    if isinstance(error, CSRFError):
        return _Problem(400, "The form is of another session", _STALE_FORM)
    if isinstance(error, HTTPException) and error.code is not None:
        title, detail = _WORDS.get(error.code, (error.name, error.description or error.name))
        if error.code == 413:
            title, detail = _too_large()
        headers = {}
        if isinstance(error, MethodNotAllowed):
            headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))  # RFC 9110 15.5.6
        return _Problem(error.code, title, detail, headers)
    logger.exception("request.crashed", exc_info=error)
    return _Problem(500, MaildError.title, _CRASH)


def _too_large() -> tuple[str, str]:
    """What was too large, and the limit that it has reached."""
    max_bytes, sent = access.find_max_bytes(), request.content_length
    if max_bytes is not None and (sent is None or sent > max_bytes):
        return "The file is too large", _FILE_TOO_LARGE.format(max_bytes // 1024 // 1024)
    what, limit = "A form", request.max_content_length
    if request.mimetype == "multipart/form-data" and not (sent and limit and sent > limit):
        # Werkzeug bounds the texts of these alone by themselves.
        what, limit = "The texts of a form", request.max_form_memory_size
    return "The form is too large", _FORM_TOO_LARGE.format(what, _size(limit or 0))


def _size(limit: int) -> str:
    mega = 1024 * 1024
    return filters.size(limit) if limit < mega else f"{limit // mega} MB"

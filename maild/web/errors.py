"""Errors as pages: the one place where an exception becomes HTML."""

from dataclasses import dataclass, field

from flask import Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response as BaseResponse

from maild import log
from maild.errors import MaildError
from maild.web import access, render

logger = log.get(__name__)

_WORDS = {
    404: ("Page not found", "There is nothing at this address."),
    405: ("Method not allowed", "This address does not take that method."),
    413: ("Request too large", "The request is larger than 10 MB."),
}
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
    if render.wants_partial():  # maild.js shows it in a toast, and the page stays
        response = Response(problem.detail, status=problem.status, mimetype="text/plain")
    else:
        in_console = access.is_console(request.path) and access.find_refusal() is None
        response = make_response(
            render_template("errors/error.html", problem=problem, in_console=in_console),
            problem.status,
        )
    response.headers.update(problem.headers)
    return response


def _problem(error: Exception) -> _Problem:
    if isinstance(error, MaildError) and (error.status < 500 or error.status == 503):
        retry_after = error.retry_after_seconds
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return _Problem(error.status, error.title, error.detail, headers)
    if isinstance(error, HTTPException) and error.code is not None:
        title, detail = _WORDS.get(error.code, (error.name, error.description or error.name))
        headers = {}
        if isinstance(error, MethodNotAllowed):
            headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))  # RFC 9110 15.5.6
        return _Problem(error.code, title, detail, headers)
    logger.exception("request.crashed", exc_info=error)
    return _Problem(500, MaildError.title, _CRASH)

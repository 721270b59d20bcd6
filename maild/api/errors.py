"""Errors of /v1 as RFC 9457 problem documents: the one place where they become answers."""

import json
from collections.abc import Sequence
from typing import Any

from flask import Response, g
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from maild import log, metrics
from maild.api.schemas import Input
from maild.errors import (
    BadSignature,
    FieldError,
    InvalidFields,
    InvalidRequest,
    MaildError,
    MalformedJSON,
    PayloadTooLarge,
    summarise,
)

logger = log.get(__name__)

API_ROOT = "/v1"
ERRORS_MAX = 100
"""As many complaints are listed; a body of 10 MB can hold millions of mistakes."""
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: PayloadTooLarge.code}
_HTTP_DETAILS = {
    404: "There is no such route.",
    405: "This route does not take that method.",
    413: "The request body is larger than 10 MB.",
}


def owns(path: str) -> bool:
    """Whether errors below this path are answered as problem documents."""
    return path == API_ROOT or path.startswith(f"{API_ROOT}/")


def answer(error: Exception) -> Response:
    """The problem document for any exception. An unexpected one is logged whole and told in no
    detail.
    """
    if isinstance(error, MaildError):
        return problem(error)
    if isinstance(error, HTTPException) and error.code is not None:
        response = problem(_from_http(error))
        if isinstance(error, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(
                sorted(error.valid_methods or ())
            )  # RFC 9110 15.5.6
        return response
    logger.exception("request.crashed", exc_info=error)
    return problem(
        MaildError("Something failed inside maild; nothing more is known to the caller.")
    )


def from_body(error: ValidationError, model: type[Input]) -> InvalidRequest:
    """What was wrong with a JSON body: 400 for what is not JSON, 422 for a field that is wrong or
    missing; a model with `missing_is_400` says so.
    """
    if error.error_count() > ERRORS_MAX:  # listing them would cost more than the request did
        return InvalidFields(f"The body has {error.error_count()} mistakes, too many to list.")
    details = error.errors(include_url=False)
    if details[0]["type"] == "json_invalid":
        reason = details[0]["msg"].removeprefix("Invalid JSON: ")
        return MalformedJSON(f"The body is not valid JSON: {reason}")
    required = {name for name, info in model.model_fields.items() if info.is_required()}
    required |= model.needed_without.keys()
    problems, is_missing = [], False
    for item in details:
        field = ".".join(str(part) for part in item["loc"]) or "body"
        if field in required and (item["type"] == "missing" or item["input"] is None):
            is_missing = True
            problems.append(FieldError(field, "is required and must not be empty"))
        else:
            problems.append(FieldError(field, _message(item)))
    if is_missing:  # of what is there so far nobody complains but for these
        problems += _needed_too(model, details)
    summary = summarise(problems)
    is_bad_request = is_missing and model.missing_is_400
    return (InvalidRequest if is_bad_request else InvalidFields)(summary, errors=problems)


def _needed_too(model: type[Input], details: Sequence[Any]) -> list[FieldError]:
    """The fields that are missing as well, beside those that every body has."""
    given = next((item["input"] for item in details if item["type"] == "missing"), None)
    if not isinstance(given, dict):
        return []
    return [
        FieldError(field, "is required and must not be empty")
        for field, other in model.needed_without.items()
        if field not in given and other not in given
    ]


def from_query(error: ValidationError) -> InvalidRequest:
    """What was wrong with the query string: always 400."""
    problems = [
        FieldError(".".join(str(part) for part in item["loc"]), _message(item))
        for item in error.errors(include_url=False)
    ]
    return InvalidRequest(summarise(problems), errors=problems)


def bad_query(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {message}", errors=[FieldError(field, message)])


def bad_field(field: str, message: str) -> InvalidFields:
    return InvalidFields(f"{field}: {message}", errors=[FieldError(field, message)])


def problem(error: MaildError) -> Response:
    """The answer for an error: RFC 9457 with maild's `code`, `request_id`, `error`, `errors`, and
    what the error itself adds.
    """
    metrics.API_ERRORS.labels(error.code).inc()
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": g.get("request_id", ""),
        "error": error.detail,
    }
    if error.errors:
        listed = error.errors[:ERRORS_MAX]
        document["errors"] = [{"field": e.field, "message": e.message} for e in listed]
    document |= error.extensions
    response = Response(
        json.dumps(document), status=error.status, content_type="application/problem+json"
    )
    response.headers.update(error.headers)
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        # RFC 9110 11.6.1. Webhooks know basic authentication beside signatures.
        scheme = "Basic" if isinstance(error, BadSignature) else "Bearer"
        response.headers["WWW-Authenticate"] = f'{scheme} realm="maild"'
    return response


def _from_http(error: HTTPException) -> MaildError:
    """Flask's own complaints (no route, wrong method, body too large) as ours."""
    code = error.code or 500
    ours = MaildError(_HTTP_DETAILS.get(code, error.description or error.name))
    ours.status, ours.title = code, error.name
    ours.code = _HTTP_CODES.get(code, error.name.lower().replace(" ", "_"))
    return ours


def _message(item: Any) -> str:
    """Pydantic's complaint as a sentence about the field."""
    if item["type"] == "extra_forbidden":
        return "is not a known field"
    if item["type"] == "missing":
        return "is required"
    if item["type"] == "too_long":
        return f"has more than {item['ctx']['max_length']} entries"
    if item["type"] == "timezone_aware":
        return "needs a time zone, such as Z"
    if item["type"].startswith("datetime_"):
        return "is not a time that exists; it must be one such as 2026-01-31T09:30:00Z"
    text: str = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]

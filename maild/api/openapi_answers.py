"""What the OpenAPI document says of errors and of headers: each once, as a component.

Every operation has the errors that any route can have; what a route declares beyond them
(`raises`) is told with its codes.
"""

from collections.abc import Iterable
from http import HTTPStatus
from itertools import groupby
from typing import Any

from maild.api.endpoint import Endpoint
from maild.errors import (
    Forbidden,
    InvalidFields,
    InvalidRequest,
    MaildError,
    MalformedJSON,
    NotFound,
    PayloadTooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

PROBLEM = {"$ref": "#/components/schemas/Problem"}
REQUEST_ID = "0c5d7f8a1b2e4d36"

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "Names this request in maild's logs. A caller may choose it: 1 to 64"
        " letters, digits, dots, hyphens and underscores.",
        "schema": {"type": "string"},
        "example": REQUEST_ID,
    },
    "Retry-After": {
        "description": "In how many seconds to try again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 30,
    },
    "WWW-Authenticate": {
        "description": "How to show who you are (RFC 9110 11.6.1).",
        "schema": {"type": "string"},
        "example": 'Bearer realm="maild"',
    },
    "RateLimit-Policy": {
        "description": "How many requests (`q`) the API key may make in a window of `w` seconds."
        " Only where the key has a limit.",
        "schema": {"type": "string"},
        "example": '"key";q=6000;w=60',
    },
    "RateLimit": {
        "description": "How many of them are left (`r`), and in how many seconds all are there"
        " again (`t`).",
        "schema": {"type": "string"},
        "example": '"key";r=5999;t=1',
    },
    "RateLimit-Limit": {
        "description": "Messages an hour that the policy allows, by the limit with the least room."
        " Only where a limit applies.",
        "schema": {"type": "integer"},
        "example": 1000,
    },
    "RateLimit-Remaining": {
        "description": "How many messages are left of that limit.",
        "schema": {"type": "integer"},
        "example": 996,
    },
    "RateLimit-Reset": {
        "description": "In how many seconds the oldest messages are not counted any more.",
        "schema": {"type": "integer"},
        "example": 3300,
    },
    "Idempotent-Replayed": {
        "description": "This is the answer of an earlier request with the same Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
        "example": "true",
    },
    "Content-Disposition": {
        "description": "The name under which to save it.",
        "schema": {"type": "string"},
        "example": 'attachment; filename="suppressions.csv"',
    },
    "Deprecation": {
        "description": "Since when this is not to be used any more (RFC 9745): `@`, unix seconds.",
        "schema": {"type": "string"},
        "example": "@1798761600",
    },
    "Sunset": {
        "description": "When it is gone (RFC 8594).",
        "schema": {"type": "string"},
        "example": "Sat, 01 Jan 2028 00:00:00 GMT",
    },
    "Link": {
        "description": 'Where to read about it: `rel="deprecation"`.',
        "schema": {"type": "string"},
        "example": '</v1/docs#versions>; rel="deprecation"',
    },
}

_KEYED = ("RateLimit-Policy", "RateLimit")
_SUBMITTING = ("Idempotent-Replayed", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_OF_STATUS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}

_SENTENCES = {
    400: "The request cannot be read: its query string, its JSON, or a header.",
    401: "There is no API key, or none that is known and in force.",
    403: "The key may not do this: its role, its workspace, or the address that it is used from.",
    404: "There is no such thing in this workspace, or no such workspace.",
    409: "Not as things stand.",
    413: "The body is too large.",
    422: "A field has a value that it cannot have.",
    429: "Too many requests, or no room in a limit. `Retry-After` says when to try again.",
    500: "Something failed inside maild. It is in maild's log under `request_id`.",
    503: "The database or something else that is needed is away. Nothing was done; try again.",
}
_ALWAYS: dict[int, type[MaildError]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    429: TooManyRequests,
    500: MaildError,
    503: Unavailable,
}
_OF_BODIES: dict[int, type[MaildError]] = {413: PayloadTooLarge, 422: InvalidFields}
_OF_OPEN_ROUTES: dict[int, type[MaildError]] = {
    404: NotFound,
    429: TooManyRequests,
    500: MaildError,
    503: Unavailable,
}

_DETAILS: dict[type[MaildError], str] = {
    InvalidRequest: "limit: should be less than or equal to 200",
    MalformedJSON: "The body is not valid JSON: expected value at line 1 column 2",
    Unauthenticated: "The API key is missing. Send it in the header X-API-Key, or as Authorization:"
    " Bearer.",
    Forbidden: "This needs the role admin; the key has the role operator.",
    NotFound: "There is no such message.",
    PayloadTooLarge: "The request body is larger than 10 MB.",
    InvalidFields: "to_email: must be one address, such as ann@example.org",
    TooManyRequests: "This API key makes more than 6000 requests a minute. Wait, or put more into"
    " each: a batch takes 500 messages.",
    Unavailable: "The database cannot be reached. Try again in a moment.",
    MaildError: "Something failed inside maild; nothing more is known to the caller.",
}
_FIELDS: dict[type[MaildError], tuple[str, str]] = {
    InvalidRequest: ("limit", "should be less than or equal to 200"),
    InvalidFields: ("to_email", "must be one address, such as ann@example.org"),
}


def components() -> dict[str, Any]:
    """The answers that many operations share, by name."""
    shared = dict(sorted({**_ALWAYS, **_OF_BODIES}.items()))
    written = {_component(status): _response(status, [kind]) for status, kind in shared.items()}
    return {**written, _component(400): _response(400, [InvalidRequest, MalformedJSON])}


def headers(names: Iterable[str]) -> dict[str, Any]:
    """References to these headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def of_success(e: Endpoint) -> dict[str, Any]:
    """The headers of an answer that went well."""
    names = ["X-Request-ID"]
    names += _KEYED if e.allow is not None else ()
    names += _SUBMITTING if e.takes_idempotency_key else ()
    names += ("Content-Disposition",) if isinstance(e.answer, str) or e.also else ()
    names += ("Deprecation", "Sunset", "Link") if e.deprecated else ()
    return headers(names)


def of_errors(e: Endpoint) -> dict[str, Any]:
    """Every error that an operation can answer, by its status."""
    usual = dict(_ALWAYS if e.allow is not None else _OF_OPEN_ROUTES)
    if isinstance(e.body, str):
        usual[413] = PayloadTooLarge
    elif e.body is not None:
        usual |= _OF_BODIES
    declared = sorted(e.raises, key=lambda kind: kind.status)
    special = {
        status: list(kinds) for status, kinds in groupby(declared, key=lambda kind: kind.status)
    }
    answers = {}
    for status in sorted(usual.keys() | special.keys()):
        if status in special:
            kinds = [*([usual[status]] if status in usual else []), *special[status]]
            answers[str(status)] = _response(status, list(dict.fromkeys(kinds)))
        else:
            answers[str(status)] = {"$ref": f"#/components/responses/{_component(status)}"}
    return answers


def _component(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _response(status: int, kinds: list[type[MaildError]]) -> dict[str, Any]:
    codes = ", ".join(dict.fromkeys(f"`{kind.code}`" for kind in kinds))
    names = ["X-Request-ID", *_OF_STATUS.get(status, ())]
    return {
        "description": f"{_SENTENCES[status]} Code: {codes}.",
        "headers": headers(names),
        "content": {
            "application/problem+json": {
                "schema": PROBLEM,
                "examples": {kind.code: {"value": _example(kind)} for kind in kinds},
            }
        },
    }


def _example(kind: type[MaildError]) -> dict[str, Any]:
    detail = _DETAILS.get(kind, f"{kind.title}.")
    written: dict[str, Any] = {
        "type": "about:blank",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": kind.code,
        "request_id": REQUEST_ID,
        "error": detail,
    }
    if kind in _FIELDS:
        field, message = _FIELDS[kind]
        written["errors"] = [{"field": field, "message": message}]
    return written

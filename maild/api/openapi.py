"""GET /v1/openapi.json: OpenAPI 3.1, generated from the declarations of the endpoints.

Puts together what the declarations (`endpoint.py`), the shapes (`openapi_schemas`), the errors
(`openapi_answers`), the chapters (`openapi_tags`) and the examples say; `tests/test_openapi.py`
finds what is missing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from flask import Blueprint, Response, request
from pydantic import BaseModel

from maild import __version__, config
from maild.api import (
    examples,
    openapi_answers,
    openapi_outside,
    openapi_schemas,
    openapi_tags,
    schemas,
)
from maild.api.auth import words
from maild.api.endpoint import ENDPOINTS, Endpoint
from maild.api.examples import Example

blueprint = Blueprint("openapi", __name__)

CACHE_SECONDS = 300
_PARAMETER = re.compile(r"<(\w+)>")
_ID_MAX = 2**31 - 1

_PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "message_id": {
        "description": "The id of the message.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "incident_id": {
        "description": "The number of the incident.",
        "schema": {"type": "integer", "minimum": 1, "maximum": _ID_MAX},
    },
    "contact_id": {
        "description": "The number of the contact.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
    },
    "audience_id": {
        "description": "The number of the list.",
        "schema": {"type": "integer", "minimum": 1, "maximum": _ID_MAX},
    },
    "import_id": {
        "description": "The number of the import.",
        "schema": {"type": "integer", "minimum": 1, "maximum": _ID_MAX},
    },
    "segment_id": {
        "description": "The number of the segment.",
        "schema": {"type": "integer", "minimum": 1, "maximum": _ID_MAX},
    },
    "campaign_id": {
        "description": "The number of the campaign.",
        "schema": {"type": "integer", "minimum": 1, "maximum": _ID_MAX},
    },
    "template_id": {
        "description": "The number of the template.",
        "schema": {"type": "integer", "minimum": 1, "maximum": _ID_MAX},
    },
    "provider": {
        "description": "Who reports: `ses`, `sendgrid`, `mailgun`, ...",
        "schema": {"type": "string"},
    },
    "token": {
        "description": "The last part of the endpoint's `url`. Whoever has it may report.",
        "schema": {"type": "string"},
    },
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names this request for 24 hours: the same again gives the first answer, and no"
    " second message.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 256,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    },
    "example": "order-1234",
}
_ANY_BODY: dict[str, dict[str, Any]] = {
    "*/*": {
        "application/json": {"schema": {"type": ["object", "array"]}},
        "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
        "text/plain": {"schema": {"type": "string"}},
    },
    "text/csv": {"text/csv": {"schema": {"type": "string", "format": "binary"}}},
    "message/rfc822": {"message/rfc822": {"schema": {"type": "string"}}},
}
_DESCRIPTION = """\
A control plane for outbound email: it accepts mail durably, decides by your policy whether it may
go, delivers it through your SMTP accounts, and explains what became of every message.

JSON in, JSON out, UTF-8; times are RFC 3339. Every answer has `X-Request-ID`. Errors are problem
documents (RFC 9457) with a stable `code`. A path that is no route is `404`, and a method that a
route does not take is `405` with `Allow`. Unknown fields and parameters are refused, never ignored.
Lists come in pages: pass `next_cursor` as `cursor` until it is null.
"""


@blueprint.get("/v1/openapi.json")
def openapi() -> Response:
    """The contract of /v1. Public: it holds nothing of any workspace."""
    return cacheable(json.dumps(document()), "application/json")


def cacheable(text: str, content_type: str) -> Response:
    """An answer that is the same for everybody, and that need not be sent twice."""
    response = Response(text, content_type=content_type)
    response.cache_control.public = True
    response.cache_control.max_age = CACHE_SECONDS
    response.add_etag()
    return response.make_conditional(request)  # type: ignore[return-value]


class Given(NamedTuple):
    """The settings that the document tells of."""

    key_header: str
    public_url: str
    timestamp_header: str
    signature_header: str


def present() -> Given:
    """As they are now."""
    settings = config.current()
    return Given(
        settings.api_key_header,
        settings.public_url,
        settings.webhooks.timestamp_header,
        settings.webhooks.signature_header,
    )


def document() -> dict[str, Any]:
    """The OpenAPI document as plain data. It is made once, and belongs to all: copy to change."""
    return document_of(present())


@lru_cache(maxsize=2)
def document_of(given: Given) -> dict[str, Any]:
    """The document for these settings."""
    written = build(ENDPOINTS, key_header=given.key_header, public_url=given.public_url)
    reports = written["paths"]["/v1/webhooks/events"]["post"]
    reports["parameters"] += _signature(given.timestamp_header, given.signature_header)
    return written


def build(endpoints: Sequence[Endpoint], *, key_header: str, public_url: str) -> dict[str, Any]:
    """The document for these endpoints."""
    inputs = {shape for e in endpoints for shape in (e.body, e.shape) if isinstance(shape, type)}
    outputs = {e.answer for e in endpoints if isinstance(e.answer, type)}
    outputs |= openapi_outside.SHAPES | {schemas.Problem}
    refs, definitions = openapi_schemas.components(inputs, outputs)
    paths: dict[str, dict[str, Any]] = {}
    for e in endpoints:
        path = _PARAMETER.sub(r"{\1}", e.path)
        paths.setdefault(path, {})[e.method.lower()] = _operation(e, refs)
    paths |= openapi_outside.paths()
    for path, methods in paths.items():
        for operation in methods.values():
            operation["tags"] = [openapi_tags.tag_of(path).name]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "maild",
            "version": __version__,
            "summary": "Accept mail durably, decide, deliver, explain.",
            "description": _DESCRIPTION,
            "license": {"name": "AGPL-3.0-only", "identifier": "AGPL-3.0-only"},
        },
        "externalDocs": {"description": "The reference, to read", "url": f"{public_url}/v1/docs"},
        "servers": [{"url": public_url, "description": "This instance (PUBLIC_URL)"}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "tags": [{"name": tag.name, "description": tag.description} for tag in openapi_tags.TAGS],
        "paths": paths,
        "webhooks": openapi_outside.webhooks(),
        "components": {
            "schemas": definitions,
            "responses": openapi_answers.components(),
            "headers": openapi_answers.HEADERS,
            "securitySchemes": {
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": key_header,
                    "description": "An instance key, or a workspace's key (`mk_...`).",
                },
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The same key, as `Authorization: Bearer KEY`.",
                },
            },
        },
    }


def _operation(e: Endpoint, refs: Mapping[Any, Any]) -> dict[str, Any]:
    example = examples.find(e.name) or Example()
    whose = f"For the role {words(e.allow)}." if e.allow else "Asks for no API key."
    told = [e.description, whose, str(e.deprecated) if e.deprecated else ""]
    operation: dict[str, Any] = {
        "operationId": e.name,
        "summary": e.summary,
        "description": "\n\n".join(" ".join(text.split()) for text in told if text),
        "parameters": _parameters(e, example),
        "responses": {**_successes(e, example, refs), **openapi_answers.of_errors(e)},
    }
    if e.deprecated:
        operation["deprecated"] = True
    if e.allow is None:
        operation["security"] = []
    if e.body is not None:
        operation["requestBody"] = {"required": True, "content": _body(e, example, refs)}
    return operation


def _parameters(e: Endpoint, example: Example) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]}
        for name in _PARAMETER.findall(e.path)
    ]
    if e.query is not None:
        found += openapi_schemas.parameters(e.query)
    if e.takes_idempotency_key:
        found.append(_IDEMPOTENCY_KEY)
    given = {**example.path, **example.query, **example.headers}
    return [
        {**one, "example": given[one["name"]]} if one["name"] in given else one for one in found
    ]


def _successes(e: Endpoint, example: Example, refs: Mapping[Any, Any]) -> dict[str, Any]:
    answer = _success(e, example, refs)
    found = {str(e.status): answer}
    if e.status_if_known is not None:
        found[str(e.status_if_known)] = {**answer, "description": "Known before."}
    return found


def _success(e: Endpoint, example: Example, refs: Mapping[Any, Any]) -> dict[str, Any]:
    if isinstance(e.answer, str):
        content: dict[str, Any] = {e.answer: {"schema": {"type": "string"}}}
    else:
        content = {"application/json": {"schema": refs[e.answer, "serialization"]}}
    [written] = content.values()
    if example.answer is not None:
        written["example"] = example.answer
    if e.also:
        content[e.also] = {"schema": {"type": "string", "format": "binary"}}
    return {
        "description": _DONE.get(e.status, "Done."),
        "headers": openapi_answers.of_success(e),
        "content": content,
    }


_DONE = {201: "Stored.", 202: "Taken; it is worked on in a moment."}


def _body(e: Endpoint, example: Example, refs: Mapping[Any, Any]) -> dict[str, Any]:
    if isinstance(e.body, str) and e.shape is None:
        content = {name: dict(one) for name, one in _ANY_BODY[e.body].items()}
    else:
        shape: type[BaseModel] | str | None = e.shape or e.body
        content = {"application/json": {"schema": refs[shape, "validation"]}}
    if example.body is not None:
        next(iter(content.values()))["example"] = example.body
    return content


def _signature(timestamp_header: str, signature_header: str) -> list[dict[str, Any]]:
    """What shows whose a report in maild's own format is."""
    return [
        {
            "name": timestamp_header,
            "in": "header",
            "required": True,
            "description": "When it is sent, in unix seconds.",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
            "example": "1772357400",
        },
        {
            "name": signature_header,
            "in": "header",
            "required": True,
            "description": "`v1=` and the hex HMAC-SHA256 of `timestamp.body`. Several, with commas"
            " between, are tried in turn.",
            "schema": {"type": "string"},
            "example": f"v1={'9f' * 32}",
        },
    ]

"""One way to declare a route of /v1: who may call it, what it takes, what it answers.

The same declaration authenticates, validates, opens the database, serialises, and writes the
OpenAPI document (`openapi.py`), so that none of them can disagree with the others.
"""

import inspect
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, after_this_request, g, request
from pydantic import BaseModel, ValidationError

from maild import db, log
from maild.api import auth, deprecation, errors, limits
from maild.api.auth import Caller, Roles
from maild.api.deprecation import Deprecated
from maild.api.schemas import Input
from maild.errors import InvalidRequest, MaildError, PayloadTooLarge

MAX_BODY_BYTES = 10 * 1024 * 1024
BLOCK_BYTES = 256 * 1024
"""A file is taken in by as much at once."""

blueprint = Blueprint("api", __name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A declared route, as `openapi.py` reads it."""

    method: str
    path: str
    summary: str
    allow: Roles | None
    """None: no key is asked for; something else of the request says whose it is."""
    body: type[Input] | str | None
    """A media type for what is no JSON of ours."""
    query: type[BaseModel] | None
    answer: type[BaseModel] | str
    status: int
    also: str | None = None
    """A media type that it answers as well, where the query asks for it."""
    raises: tuple[type[MaildError], ...] = ()
    """What it may answer beside the errors that every route has."""
    takes_idempotency_key: bool = False
    deprecated: Deprecated | None = None
    name: str = ""
    """The view's: the operation's id, by which programs know it. It does not change."""
    description: str = ""
    """The view's docstring, in Markdown."""
    shape: type[BaseModel] | None = None
    """Of a body that is no JSON of ours: what the document says of it."""
    status_if_known: int | None = None
    """Of the same answer, where nothing new was made: the view says so (`answer_with`)."""


@dataclass(frozen=True, slots=True)
class File:
    """A body that is a file, and larger than others may be: the view gets its `blocks` as they
    come, and is not connected to the database meanwhile.
    """

    media_type: str
    max_bytes: int


ENDPOINTS: list[Endpoint] = []
_PARAMETER = re.compile(r"<(\w+)>")


def endpoint(
    method: str,
    path: str,
    *,
    summary: str,
    allow: Roles,
    answer: type[BaseModel] | str,
    body: type[Input] | File | None = None,
    query: type[BaseModel] | None = None,
    status: int = 200,
    connects: bool = True,
    also: str | None = None,
    raises: tuple[type[MaildError], ...] = (),
    takes_idempotency_key: bool = False,
    deprecated: Deprecated | None = None,
    status_if_known: int | None = None,
) -> Callable[[Callable[..., BaseModel | Response]], Callable[..., Response]]:
    """Declare `view(caller, [body], [query], **path_parameters) -> answer` as a route.

    `answer` is a media type for what is no JSON: the view makes the response itself, as it does for
    `also`. The database
    is open meanwhile, unless `connects` is false and the view sees to that itself.
    """
    declared = Endpoint(
        method,
        path,
        summary,
        allow,
        body.media_type if isinstance(body, File) else body,
        query,
        answer,
        status,
        also,
        raises,
        takes_idempotency_key,
        deprecated,
        status_if_known=status_if_known,
    )
    shape = None if isinstance(body, File) else body
    in_body, in_query = deprecation.marks_of(shape), deprecation.marks_of(query)
    is_marked = bool(deprecated or in_body or in_query)

    def decorate(view: Callable[..., BaseModel | Response]) -> Callable[..., Response]:
        _declare(declared, view)

        def announce(arguments: dict[str, Any]) -> None:
            marks = [deprecated] if deprecated else []
            marks += deprecation.used(in_body, arguments.get("body"))
            marks += deprecation.used(in_query, arguments.get("query"))
            if told := deprecation.headers(marks):
                after_this_request(lambda response: _add_headers(response, told))

        def handle(**parameters: uuid.UUID | int) -> Response:
            caller = g.caller = auth.authenticate(request)
            limits.take(caller)
            caller.require(allow)
            arguments: dict[str, Any] = {name: str(value) for name, value in parameters.items()}
            arguments |= _parse_query(query)
            if isinstance(body, File):
                arguments["blocks"] = _read_blocks(body)
            elif body is not None:
                arguments["body"] = _parse_body(body)
            if is_marked:
                announce(arguments)
            log.bind(role=caller.role.value, **_bound(caller))
            with db.connection() if connects else nullcontext():
                result = view(caller, **arguments)
            if isinstance(result, Response):
                return result
            return answer_with(result, status=status)

        # Every parameter is an id; a word in its place is another route, or none.
        rule = _PARAMETER.sub(_typed, path)
        blueprint.add_url_rule(rule, endpoint=view.__name__, view_func=handle, methods=[method])
        return handle

    return decorate


def answer_with(result: BaseModel, *, status: int) -> Response:
    """An answer of a view that has two statuses."""
    return Response(result.model_dump_json(), status=status, content_type="application/json")


def _declare(declared: Endpoint, view: Callable[..., Any]) -> None:
    """Add a route to the list, under its view's name and with what its docstring says."""
    description = inspect.getdoc(view) or ""
    ENDPOINTS.append(replace(declared, name=view.__name__, description=description))


def _add_headers(response: Response, headers: dict[str, str]) -> Response:
    response.headers.update(headers)
    return response


def _typed(parameter: re.Match[str]) -> str:
    """A path parameter as a rule has it: ids of messages are UUIDs, all others numbers."""
    return f"<{'uuid' if parameter[1] == 'message_id' else 'int'}:{parameter[1]}>"


def open_endpoint(
    method: str,
    path: str,
    *,
    summary: str,
    takes: str | None,
    answer: type[BaseModel],
    status: int,
    shape: type[BaseModel] | None = None,
    raises: tuple[type[MaildError], ...] = (),
) -> Callable[[Callable[..., BaseModel]], Callable[..., Response]]:
    """Declare `view(**path_parameters) -> answer` as a route without an API key: for those who show
    in another way who they are, which is for the view to check, on the raw request.

    `takes` is the media type of the body, if there is one, and `shape` what the document tells of
    it. The view opens the database itself. Its path parameters are words.
    """
    declared = Endpoint(
        method, path, summary, None, takes, None, answer, status, raises=raises, shape=shape
    )

    def decorate(view: Callable[..., BaseModel]) -> Callable[..., Response]:
        _declare(declared, view)

        def handle(**parameters: str) -> Response:
            result = view(**parameters)
            return Response(
                result.model_dump_json(exclude_none=True),
                status=status,
                content_type="application/json",
            )

        blueprint.add_url_rule(path, endpoint=view.__name__, view_func=handle, methods=[method])
        return handle

    return decorate


@blueprint.after_request
def _forbid_keeping(response: Response) -> Response:
    """What one key may read is kept by no cache (RFC 9111 3.5 knows of Authorization only)."""
    response.headers["Cache-Control"] = "no-store"
    limits.tell(response)
    return response


def _bound(caller: Caller) -> dict[str, object]:
    """What log lines tell of a workspace's key."""
    if caller.key_id is None:
        return {}
    return {"caller": caller.actor.name, "workspace_id": caller.bound_workspace_id}


def _parse_body(model: type[Input]) -> BaseModel:
    data = request.get_data(cache=False)
    if request.content_length is None and len(data) >= MAX_BODY_BYTES:
        # Werkzeug refuses a Content-Length over the limit; a chunked body it only cuts off there.
        raise PayloadTooLarge("The request body is larger than 10 MB.")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise errors.from_body(error, model) from None


def _read_blocks(file: File) -> Iterator[bytes]:
    """The body as it comes. Raises PayloadTooLarge and InvalidRequest, at once; of a body that does
    not say how long it is, the view has to see when it is too long.
    """
    if (request.content_length or 0) > file.max_bytes:
        raise PayloadTooLarge(f"The file is larger than {file.max_bytes // 1024 // 1024} MB.")
    if request.mimetype.startswith("multipart/"):
        raise InvalidRequest(f"Send the file itself as the body, as {file.media_type}.")
    request.max_content_length = file.max_bytes + 1
    stream = request.stream
    return iter(lambda: stream.read(BLOCK_BYTES), b"")


def _parse_query(model: type[BaseModel] | None) -> dict[str, BaseModel]:
    """The `query` argument of the view, if it takes one. Anything else is refused, not ignored."""
    for name, values in request.args.lists():
        if model is None:
            raise errors.bad_query(name, "is not taken in the query string here")
        if len(values) > 1:
            raise errors.bad_query(name, "is given more than once")
    if model is None:
        return {}
    try:
        return {"query": model.model_validate(request.args.to_dict())}
    except ValidationError as error:
        raise errors.from_query(error) from None

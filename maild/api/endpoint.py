"""One way to declare a route of /v1: who may call it, what it takes, what it answers.

The same declaration authenticates, validates, opens the database, serialises, and writes the
OpenAPI document (`openapi.py`), so that none of them can disagree with the others.
"""

import re
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, g, request
from pydantic import BaseModel, ValidationError

from maild import db, log
from maild.api import auth, errors
from maild.api.auth import Caller, Roles
from maild.api.schemas import Input
from maild.errors import PayloadTooLarge

MAX_BODY_BYTES = 10 * 1024 * 1024

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


ENDPOINTS: list[Endpoint] = []
_PARAMETER = re.compile(r"<(\w+)>")


def endpoint(
    method: str,
    path: str,
    *,
    summary: str,
    allow: Roles,
    answer: type[BaseModel] | str,
    body: type[Input] | None = None,
    query: type[BaseModel] | None = None,
    status: int = 200,
    connects: bool = True,
    also: str | None = None,
) -> Callable[[Callable[..., BaseModel | Response]], Callable[..., Response]]:
    """Declare `view(caller, [body], [query], **path_parameters) -> answer` as a route.

    `answer` is a media type for what is no JSON: the view makes the response itself, as it does for
    `also`. The database
    is open meanwhile, unless `connects` is false and the view sees to that itself.
    """
    declared = Endpoint(method, path, summary, allow, body, query, answer, status, also)
    ENDPOINTS.append(declared)

    def decorate(view: Callable[..., BaseModel | Response]) -> Callable[..., Response]:
        def handle(**parameters: uuid.UUID | int) -> Response:
            caller = g.caller = auth.authenticate(request)
            caller.require(allow)
            arguments: dict[str, Any] = {name: str(value) for name, value in parameters.items()}
            arguments |= _parse_query(query)
            if body is not None:
                arguments["body"] = _parse_body(body)
            log.bind(role=caller.role.value, **_bound(caller))
            with db.connection() if connects else nullcontext():
                result = view(caller, **arguments)
            if isinstance(result, Response):
                return result
            return Response(
                result.model_dump_json(), status=status, content_type="application/json"
            )

        # Every parameter is an id; a word in its place is another route, or none.
        rule = _PARAMETER.sub(_typed, path)
        blueprint.add_url_rule(rule, endpoint=view.__name__, view_func=handle, methods=[method])
        return handle

    return decorate


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
) -> Callable[[Callable[..., BaseModel]], Callable[..., Response]]:
    """Declare `view(**path_parameters) -> answer` as a route without an API key: for those who show
    in another way who they are, which is for the view to check, on the raw request.

    `takes` is the media type of the body, if there is one. The view opens the database itself. Its
    path parameters are words.
    """
    ENDPOINTS.append(Endpoint(method, path, summary, None, takes, None, answer, status))

    def decorate(view: Callable[..., BaseModel]) -> Callable[..., Response]:
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

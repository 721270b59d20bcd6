"""/v1/incidents/bundle: the evidence of what became of a message, as a file to keep."""

from flask import Response

from maild.api import schemas
from maild.api.auth import READERS, Caller
from maild.api.endpoint import endpoint
from maild.domain import ids
from maild.errors import NotFound
from maild.services import bundles


@endpoint(
    "GET",
    "/v1/incidents/bundle",
    summary="Everything known about a message, as one JSON file",
    allow=READERS,
    query=schemas.BundleQuery,
    answer=schemas.BundleOut,
)
def get_bundle(caller: Caller, query: schemas.BundleQuery) -> Response:
    message_id = ids.parse_id(query.message_id)
    if message_id is None:
        raise NotFound("There is no such message.")
    bundle = bundles.of_message(caller.workspace_id(query.workspace_id), message_id)
    answer = schemas.BundleOut(**bundles.to_json(bundle))
    response = Response(answer.model_dump_json(), content_type="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{bundles.name_of(bundle)}"'
    return response

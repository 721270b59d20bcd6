"""/v1/incidents/bundle: the evidence of what became of a message, or of an incident, as a file to
keep.
"""

from flask import Response

from maild.api import schemas
from maild.api.auth import READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.errors import bad_query
from maild.domain import ids
from maild.errors import NotFound
from maild.services import bundles, incidents
from maild.services.bundle_documents import Bundle
from maild.services.bundles import Form

INCIDENT_ID_MAX = 2**31 - 1


@endpoint(
    "GET",
    "/v1/incidents/bundle",
    summary="Everything known about a message or an incident, as one file",
    allow=READERS,
    query=schemas.BundleQuery,
    answer=schemas.BundleOut,
    also="application/zip",
)
def get_incident_bundle(caller: Caller, query: schemas.BundleQuery) -> Response:
    """Give `message_id` or `incident_id`. The JSON is signed by its own SHA-256; `format=zip`
    answers an archive for people instead. It holds no body and no secret.
    """
    if (query.message_id is None) == (query.incident_id is None):
        raise bad_query("message_id", "give message_id or incident_id, one of the two")
    file = bundles.render(_find(caller.workspace_id(query.workspace_id), query), Form(query.format))
    response = Response(file.content, content_type=file.content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response


def _find(workspace_id: int, query: schemas.BundleQuery) -> Bundle:
    """Raises NotFound, for what is no id as well."""
    if query.message_id is not None:
        message_id = ids.parse_id(query.message_id)
        if message_id is None:
            raise NotFound("There is no such message.")
        return bundles.of_message(workspace_id, message_id)
    text = query.incident_id or ""
    is_id = text.isascii() and text.isdigit() and len(text) <= len(str(INCIDENT_ID_MAX))
    if not is_id or int(text) > INCIDENT_ID_MAX:
        raise NotFound(incidents.NO_SUCH)
    return bundles.of_incident(workspace_id, int(text))

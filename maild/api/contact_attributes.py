"""/v1/contacts/attributes: what a workspace may know of its contacts, and of which kind it is."""

from flask import Response

from maild.api import schemas
from maild.api.auth import OPERATORS, READERS, Caller
from maild.api.endpoint import answer_with, endpoint
from maild.errors import Conflict
from maild.models import ContactAttribute
from maild.services import contact_attribute_jobs, contact_attributes


@endpoint(
    "GET",
    "/v1/contacts/attributes",
    summary="The attributes that contacts may have",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.AttributeList,
)
def list_contact_attributes(caller: Caller, query: schemas.WorkspaceQuery) -> schemas.AttributeList:
    """All of them, by name; there are 100 at most."""
    workspace_id = caller.workspace_id(query.workspace_id)
    rows = contact_attributes.list_all(workspace_id)
    return schemas.AttributeList(
        workspace_id=workspace_id, count=len(rows), attributes=[_shape(row) for row in rows]
    )


@endpoint(
    "POST",
    "/v1/contacts/attributes",
    summary="Declare an attribute",
    allow=OPERATORS,
    body=schemas.AttributeIn,
    answer=schemas.AttributeSaved,
    status=201,
    status_if_known=200,
    raises=(Conflict,),
)
def declare_contact_attribute(caller: Caller, body: schemas.AttributeIn) -> Response:
    """201 for a new one, 200 where it is there already. A day must be declared so, or it is a text;
    all else is declared by its first value.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    row, is_new = contact_attributes.declare(workspace_id, body.name, body.kind, by=caller.actor)
    return answer_with(
        schemas.AttributeSaved(**_shape(row).model_dump(), workspace_id=workspace_id),
        status=201 if is_new else 200,
    )


@endpoint(
    "DELETE",
    "/v1/contacts/attributes",
    summary="Delete an attribute, and its values",
    allow=OPERATORS,
    body=schemas.AttributeName,
    answer=schemas.AttributeRemoved,
    status=202,
    raises=(Conflict,),
)
def delete_contact_attribute(
    caller: Caller, body: schemas.AttributeName
) -> schemas.AttributeRemoved:
    """A job takes its values away from all contacts, which cannot be taken back. Until that is
    done the name cannot be used.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    job = contact_attribute_jobs.start(workspace_id, body.name, by=caller.actor)
    return schemas.AttributeRemoved(workspace_id=workspace_id, name=body.name, job_id=job.id)


def _shape(row: ContactAttribute) -> schemas.AttributeOut:
    return schemas.AttributeOut(
        name=row.name, kind=row.kind, created_by=row.created_by, created_at=row.created_at
    )

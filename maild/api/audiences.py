"""/v1/audiences: the lists of contacts that people and programs put together."""

from collections.abc import Sequence
from typing import Any

from maild.api import contacts as contacts_api
from maild.api import schemas
from maild.api.auth import OPERATORS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.errors import Conflict, NotFound
from maild.models import Audience
from maild.services import audience_members, audiences
from maild.services.audience_members import MemberOutcome, Result
from maild.services.contact_lists import Filter

_ID_MAX = 2**31 - 1


@endpoint(
    "GET",
    "/v1/audiences",
    summary="The lists of a workspace",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.AudienceList,
)
def list_audiences(caller: Caller, query: schemas.WorkspaceQuery) -> schemas.AudienceList:
    """All of them, by name; there are 200 at most. Contacts are counted up to 10,000."""
    workspace_id = caller.workspace_id(query.workspace_id)
    found = audiences.list_all(workspace_id)
    return schemas.AudienceList(
        workspace_id=workspace_id,
        count=len(found),
        audiences=[
            schemas.AudienceCounted(
                **_fields(one.audience),
                contact_count=one.count.number,
                has_more=one.count.has_more,
            )
            for one in found
        ],
    )


@endpoint(
    "POST",
    "/v1/audiences",
    summary="Make a list",
    allow=OPERATORS,
    body=schemas.AudienceIn,
    answer=schemas.AudienceOut,
    status=201,
    raises=(Conflict,),
)
def create_audience(caller: Caller, body: schemas.AudienceIn) -> schemas.AudienceOut:
    """409 where there is one of that name, in any case."""
    row = audiences.create(
        caller.workspace_id(body.workspace_id),
        name=body.name,
        description=body.description,
        by=caller.actor,
    )
    return schemas.AudienceOut(**_fields(row))


@endpoint(
    "GET",
    "/v1/audiences/<audience_id>",
    summary="One list",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.AudienceCounted,
)
def get_audience(
    caller: Caller, query: schemas.WorkspaceQuery, audience_id: str
) -> schemas.AudienceCounted:
    """Its contacts are counted up to 1,000,000."""
    workspace_id = caller.workspace_id(query.workspace_id)
    if int(audience_id) > _ID_MAX:
        raise NotFound(audiences.NO_SUCH)
    row = audiences.get(workspace_id, int(audience_id))
    count = audiences.count(row)
    return schemas.AudienceCounted(
        **_fields(row), contact_count=count.number, has_more=count.has_more
    )


@endpoint(
    "POST",
    "/v1/audiences/change",
    summary="Give a list another name, or another description",
    allow=OPERATORS,
    body=schemas.AudienceChange,
    answer=schemas.AudienceOut,
    raises=(Conflict,),
)
def change_audience(caller: Caller, body: schemas.AudienceChange) -> schemas.AudienceOut:
    """What is left out stays as it is."""
    row = audiences.change(
        caller.workspace_id(body.workspace_id),
        body.audience_id,
        name=body.name,
        description=body.description,
        by=caller.actor,
    )
    return schemas.AudienceOut(**_fields(row))


@endpoint(
    "DELETE",
    "/v1/audiences",
    summary="Delete a list; its contacts stay",
    allow=OPERATORS,
    body=schemas.AudienceRef,
    answer=schemas.AudienceRemoved,
)
def delete_audience(caller: Caller, body: schemas.AudienceRef) -> schemas.AudienceRemoved:
    """It can be brought back for 10 minutes, with all who were on it."""
    row = audiences.delete(
        caller.workspace_id(body.workspace_id), body.audience_id, by=caller.actor
    )
    return schemas.AudienceRemoved(**_fields(row))


@endpoint(
    "POST",
    "/v1/audiences/restore",
    summary="Bring a list back that was deleted just now",
    allow=OPERATORS,
    body=schemas.AudienceRef,
    answer=schemas.AudienceOut,
    raises=(Conflict,),
)
def restore_audience(caller: Caller, body: schemas.AudienceRef) -> schemas.AudienceOut:
    """409 where that is too late, or where another list has its name by now."""
    row = audiences.restore(
        caller.workspace_id(body.workspace_id), body.audience_id, by=caller.actor
    )
    return schemas.AudienceOut(**_fields(row))


@endpoint(
    "GET",
    "/v1/audiences/members",
    summary="The contacts of a list, the newest contact first, in pages",
    allow=READERS,
    query=schemas.MembersQuery,
    answer=schemas.MemberPage,
)
def list_audience_members(caller: Caller, query: schemas.MembersQuery) -> schemas.MemberPage:
    """Each with how it stands at this moment."""
    workspace_id = caller.workspace_id(query.workspace_id)
    audience = audiences.get(workspace_id, query.audience_id)
    page = contacts_api.page(
        workspace_id, Filter(audience_id=audience.id), limit=query.limit, cursor=query.cursor
    )
    return schemas.MemberPage(audience_id=audience.id, **dict(page))


@endpoint(
    "POST",
    "/v1/audiences/members",
    summary="Put up to 1,000 contacts on a list",
    allow=OPERATORS,
    body=schemas.MembersIn,
    answer=schemas.MembersOut,
)
def add_audience_members(caller: Caller, body: schemas.MembersIn) -> schemas.MembersOut:
    """An address that is no contact yet becomes one. One bad entry does not spoil the rest: see
    `results`.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    if body.emails is not None:
        results = audience_members.add_emails(
            workspace_id, body.audience_id, body.emails, by=caller.actor
        )
    else:
        results = audience_members.add(
            workspace_id, body.audience_id, body.contact_ids or (), by=caller.actor
        )
    return _answer(workspace_id, body.audience_id, results)


@endpoint(
    "DELETE",
    "/v1/audiences/members",
    summary="Take up to 1,000 contacts off a list",
    allow=OPERATORS,
    body=schemas.MembersIn,
    answer=schemas.MembersOut,
)
def remove_audience_members(caller: Caller, body: schemas.MembersIn) -> schemas.MembersOut:
    """They stay contacts."""
    workspace_id = caller.workspace_id(body.workspace_id)
    if body.emails is not None:
        results = audience_members.remove_emails(
            workspace_id, body.audience_id, body.emails, by=caller.actor
        )
    else:
        results = audience_members.remove(
            workspace_id, body.audience_id, body.contact_ids or (), by=caller.actor
        )
    return _answer(workspace_id, body.audience_id, results)


def _answer(workspace_id: int, audience_id: int, results: Sequence[Result]) -> schemas.MembersOut:
    outcomes = [one.outcome for one in results]
    return schemas.MembersOut(
        workspace_id=workspace_id,
        audience_id=audience_id,
        done=outcomes.count(MemberOutcome.ADDED) + outcomes.count(MemberOutcome.REMOVED),
        rejected=outcomes.count(MemberOutcome.REJECTED),
        results=[
            schemas.MemberResult(
                index=index,
                contact_id=one.contact.id if one.contact else None,
                email=one.contact.email if one.contact else None,
                outcome=one.outcome,
                error=one.problem,
            )
            for index, one in enumerate(results)
        ],
    )


def _fields(row: Audience) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace_id": row.workspace_id,
        "name": row.name,
        "description": row.description,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }

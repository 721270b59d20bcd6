"""/v1/segments: rules that say who belongs to a group of contacts, and whom they mean now."""

from typing import Any

from maild.api import contacts as contacts_api
from maild.api import schemas
from maild.api.auth import OPERATORS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.query import parse_serial_cursor
from maild.domain import segment, serial_cursor
from maild.errors import Conflict, NotFound
from maild.services import segment_members, segment_rules, segments
from maild.services.segments import Told

_ID_MAX = 2**31 - 1


@endpoint(
    "GET",
    "/v1/segments",
    summary="The segments of a workspace, newest first, in pages",
    allow=READERS,
    query=schemas.SegmentQuery,
    answer=schemas.SegmentPage,
)
def list_segments(caller: Caller, query: schemas.SegmentQuery) -> schemas.SegmentPage:
    """Each with its rules, and these in words."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = segments.list_page(
        workspace_id, limit=query.limit, older_than=parse_serial_cursor(query.cursor)
    )
    return schemas.SegmentPage(
        workspace_id=workspace_id,
        count=len(page.segments),
        segments=[schemas.SegmentOut(**_fields(told)) for told in page.segments],
        next_cursor=serial_cursor.write(page.older) if page.older else None,
    )


@endpoint(
    "POST",
    "/v1/segments",
    summary="Make a segment",
    allow=OPERATORS,
    body=schemas.SegmentIn,
    answer=schemas.SegmentOut,
    status=201,
    raises=(Conflict,),
)
def create_segment(caller: Caller, body: schemas.SegmentIn) -> schemas.SegmentOut:
    """409 where there is one of that name, in any case. Try the rules with `POST
    /v1/segments/preview` first.
    """
    told = segments.create(
        caller.workspace_id(body.workspace_id), name=body.name, rules=body.rules, by=caller.actor
    )
    return schemas.SegmentOut(**_fields(told))


@endpoint(
    "GET",
    "/v1/segments/<segment_id>",
    summary="One segment",
    allow=READERS,
    query=schemas.WorkspaceQuery,
    answer=schemas.SegmentOut,
)
def get_segment(
    caller: Caller, query: schemas.WorkspaceQuery, segment_id: str
) -> schemas.SegmentOut:
    """With its rules, and these in words."""
    workspace_id = caller.workspace_id(query.workspace_id)
    if int(segment_id) > _ID_MAX:
        raise NotFound(segments.NO_SUCH)
    return schemas.SegmentOut(**_fields(segments.get(workspace_id, int(segment_id))))


@endpoint(
    "POST",
    "/v1/segments/change",
    summary="Give a segment another name, or other rules",
    allow=OPERATORS,
    body=schemas.SegmentChange,
    answer=schemas.SegmentOut,
    raises=(Conflict,),
)
def change_segment(caller: Caller, body: schemas.SegmentChange) -> schemas.SegmentOut:
    """What is left out, or null, stays as it is. With `version` it is 409 where somebody else has
    changed the segment since.
    """
    told = segments.change(
        caller.workspace_id(body.workspace_id),
        body.segment_id,
        name=body.name,
        rules=body.rules,
        version=body.version,
        by=caller.actor,
    )
    return schemas.SegmentOut(**_fields(told))


@endpoint(
    "DELETE",
    "/v1/segments",
    summary="Delete a segment; its contacts stay",
    allow=OPERATORS,
    body=schemas.SegmentRef,
    answer=schemas.SegmentRemoved,
)
def delete_segment(caller: Caller, body: schemas.SegmentRef) -> schemas.SegmentRemoved:
    """It can be brought back for 10 minutes."""
    workspace_id = caller.workspace_id(body.workspace_id)
    told = segments.delete(workspace_id, body.segment_id, by=caller.actor)
    return schemas.SegmentRemoved(**_fields(told))


@endpoint(
    "POST",
    "/v1/segments/restore",
    summary="Bring a segment back that was deleted just now",
    allow=OPERATORS,
    body=schemas.SegmentRef,
    answer=schemas.SegmentOut,
    raises=(Conflict,),
)
def restore_segment(caller: Caller, body: schemas.SegmentRef) -> schemas.SegmentOut:
    """409 where that is too late, or where another segment has its name by now."""
    workspace_id = caller.workspace_id(body.workspace_id)
    told = segments.restore(workspace_id, body.segment_id, by=caller.actor)
    return schemas.SegmentOut(**_fields(told))


@endpoint(
    "POST",
    "/v1/segments/preview",
    summary="Look whom some rules mean now; nothing is kept",
    allow=READERS,
    body=schemas.SegmentPreviewIn,
    answer=schemas.SegmentPreviewOut,
)
def preview_segment(caller: Caller, body: schemas.SegmentPreviewIn) -> schemas.SegmentPreviewOut:
    """How many there are, how many of those a campaign may mail, and the newest ten."""
    workspace_id = caller.workspace_id(body.workspace_id)
    rules = segment_rules.read(workspace_id, body.rules)
    tree = rules.require()
    look = segment_members.look(workspace_id, rules)
    return schemas.SegmentPreviewOut(
        workspace_id=workspace_id,
        rules=segment.to_json(tree),
        sentence=rules.sentence,
        count=look.count,
        mailable_count=look.mailable_count,
        sample=[
            schemas.ContactOut(**contacts_api.fields(row, look.standings[row.id]))
            for row in look.sample
        ],
    )


@endpoint(
    "GET",
    "/v1/segments/members",
    summary="The contacts of a segment, newest first, in pages",
    allow=READERS,
    query=schemas.SegmentMembersQuery,
    answer=schemas.SegmentMemberPage,
    raises=(Conflict,),
)
def list_segment_members(
    caller: Caller, query: schemas.SegmentMembersQuery
) -> schemas.SegmentMemberPage:
    """Whom the rules mean at this moment, each with how it stands. 409 where something that the
    rules name was deleted.
    """
    workspace_id = caller.workspace_id(query.workspace_id)
    told = segments.get(workspace_id, query.segment_id)
    page = segment_members.list_page(
        workspace_id,
        told.rules,
        limit=query.limit,
        older_than=parse_serial_cursor(query.cursor),
    )
    return schemas.SegmentMemberPage(
        workspace_id=workspace_id,
        segment_id=told.segment.id,
        count=len(page.contacts),
        contacts=[
            schemas.ContactOut(**contacts_api.fields(row, page.standings[row.id]))
            for row in page.contacts
        ],
        next_cursor=serial_cursor.write(page.older) if page.older else None,
    )


def _fields(told: Told) -> dict[str, Any]:
    row = told.segment
    return {
        "id": row.id,
        "workspace_id": row.workspace_id,
        "name": row.name,
        "rules": told.json,
        "sentence": told.rules.sentence,
        "problems": [
            schemas.SegmentProblem(field=field, message=message)
            for field, message in told.rules.problems
        ],
        "version": row.version,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "updated_by": row.updated_by,
        "updated_at": row.updated_at,
    }

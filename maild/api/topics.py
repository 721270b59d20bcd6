"""/v1/topics: what a workspace mails about, as its recipients are told of it."""

from typing import Any

from maild.api import schemas
from maild.api.auth import OPERATORS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.errors import Conflict
from maild.models import Topic
from maild.services import topics
from maild.services.topics import NewTopic


@endpoint(
    "GET",
    "/v1/topics",
    summary="The topics of a workspace, by what people read",
    allow=READERS,
    query=schemas.TopicQuery,
    answer=schemas.TopicList,
)
def list_topics(caller: Caller, query: schemas.TopicQuery) -> schemas.TopicList:
    """All of them: there are 100 at most. Messages may name topics that are not declared."""
    workspace_id = caller.workspace_id(query.workspace_id)
    rows = topics.list_all(workspace_id)
    return schemas.TopicList(
        workspace_id=workspace_id,
        count=len(rows),
        topics=[schemas.TopicOut(**_fields(row)) for row in rows],
    )


@endpoint(
    "POST",
    "/v1/topics",
    summary="Declare a topic, or change what is said of one",
    allow=OPERATORS,
    body=schemas.TopicIn,
    answer=schemas.TopicSaved,
    raises=(Conflict,),
)
def save_topic(caller: Caller, body: schemas.TopicIn) -> schemas.TopicSaved:
    """Known by its name, of which “News” and “news” are one. All that is said of it is as in the
    request. More than 100 topics are a conflict.
    """
    row, is_new = topics.save(
        caller.workspace_id(body.workspace_id),
        NewTopic(body.name, body.label, body.description, body.is_public),
        by=caller.actor,
    )
    return schemas.TopicSaved(**_fields(row), status="declared" if is_new else "saved")


@endpoint(
    "DELETE",
    "/v1/topics",
    summary="Declare a topic no more",
    allow=OPERATORS,
    body=schemas.TopicNamed,
    answer=schemas.TopicDeleted,
)
def delete_topic(caller: Caller, body: schemas.TopicNamed) -> schemas.TopicDeleted:
    """Whoever left it stays out of it, and messages may still name it."""
    row = topics.delete(caller.workspace_id(body.workspace_id), body.name, by=caller.actor)
    return schemas.TopicDeleted(**_fields(row))


def _fields(row: Topic) -> dict[str, Any]:
    return {
        "workspace_id": row.workspace_id,
        "name": row.name,
        "label": row.label,
        "description": row.description,
        "is_public": row.is_public,
        "created_by": row.created_by,
        "created_at": row.created_at,
    }

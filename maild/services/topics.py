"""Topics: what a workspace mails about, as its recipients are told of it.

A topic is a name that messages and unsubscribes carry, declared or not. Declaring one says what
people read in its place, and whether the preference centre offers it. Who left one is in
`unsubscribes`, and stays there when the topic is changed or deleted.
"""

from dataclasses import dataclass
from typing import Any

import peewee

from maild.db import database
from maild.domain import submission
from maild.domain.actor import Actor
from maild.domain.suppression import normalise_topic
from maild.errors import Conflict, FieldError, InvalidFields, NotFound, summarise
from maild.models import Topic
from maild.services import audit, workspaces

TOPICS_MAX = 100
"""Of one workspace."""
LABEL_MAX_CHARS = 100
DESCRIPTION_MAX_CHARS = 300

NO_SUCH = "There is no such topic in this workspace."


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic as a person declares it; `name` in any form. Without a label it is the name."""

    name: str
    label: str | None = None
    description: str = ""
    is_public: bool = True


def save(workspace_id: int, new: NewTopic, *, by: Actor) -> tuple[Topic, bool]:
    """Declare a topic, or change what is said of one that is declared; returns its row, and
    whether it is new. Raises InvalidFields, Conflict (there are too many), NotFound (the
    workspace).
    """
    values = _check(new)
    name = normalise_topic(new.name)
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = _find(workspace_id, name)
        before = None if row is None else _facts(row)
        if row is None:
            if Topic.select().where(Topic.workspace == workspace_id).count() >= TOPICS_MAX:
                raise Conflict(f"There are {TOPICS_MAX} topics already. Delete one first.")
            row = Topic.create(workspace=workspace_id, name=name, created_by=by.name, **values)
            row = Topic.get_by_id(row.id)
        else:
            for field, value in values.items():
                setattr(row, field, value)
            row.save(only=list(values))
        after = _facts(row)
        if before != after:
            audit.record(
                workspace_id,
                by,
                action="topic.declared" if before is None else "topic.changed",
                target=_target(row),
                before=before,
                after=after,
            )
    return row, before is None


def delete(workspace_id: int, name: str, *, by: Actor) -> Topic:
    """Declare a topic no more; returns what it was. Whoever left it stays out of it, and contacts
    keep saying that they asked for it. Raises NotFound.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        row = find(workspace_id, name)
        if row is None:
            raise NotFound(NO_SUCH)
        row.delete_instance()
        audit.record(
            workspace_id, by, action="topic.deleted", target=_target(row), before=_facts(row)
        )
    return row


def list_all(workspace_id: int) -> list[Topic]:
    """All topics of a workspace, by what people read: TOPICS_MAX at most. Raises NotFound."""
    query = Topic.select().where(Topic.workspace == workspace_id)
    rows = list(query.order_by(peewee.fn.lower(Topic.label), Topic.name).limit(TOPICS_MAX))
    if not rows:
        workspaces.require(workspace_id)
    return rows


def get(workspace_id: int, topic_id: int) -> Topic:
    """Raises NotFound, also for another workspace's."""
    row: Topic | None = Topic.get_or_none(Topic.id == topic_id, Topic.workspace == workspace_id)
    if row is None:
        raise NotFound(NO_SUCH)
    return row


def find(workspace_id: int, name: str) -> Topic | None:
    """The topic of a name in any form; None where it is not declared."""
    if list(submission.check_topic("name", name)):
        return None
    return _find(workspace_id, normalise_topic(name))


def _find(workspace_id: int, name: str) -> Topic | None:
    row: Topic | None = Topic.get_or_none(Topic.workspace == workspace_id, Topic.name == name)
    return row


def _check(new: NewTopic) -> dict[str, Any]:
    """What is said of it, without the spaces around. Raises InvalidFields."""
    complaints = list(submission.check_topic("name", new.name))
    label = new.name.strip() if new.label is None else new.label.strip()
    if not label and new.name.strip():
        complaints.append(("label", "must not be empty"))
    description = new.description.strip()
    complaints += submission.check_line("label", label, max_chars=LABEL_MAX_CHARS)
    complaints += submission.check_line("description", description, max_chars=DESCRIPTION_MAX_CHARS)
    if complaints:
        # A label that is made of the name is wrong in the same way: told once.
        told = [c for c in complaints if new.label is not None or c[0] != "label"]
        errors = [FieldError(name, message) for name, message in told]
        raise InvalidFields(summarise(errors), errors=errors)
    return {"label": label, "description": description, "is_public": new.is_public}


def _facts(row: Topic) -> dict[str, Any]:
    return {"label": row.label, "description": row.description, "is_public": row.is_public}


def _target(row: Topic) -> str:
    return f"topic {row.name}"

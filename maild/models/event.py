"""An event: an append-only fact in a timeline."""

import uuid

import peewee

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.message import Message
from maild.models.workspace import Workspace


class Event(BaseModel):
    id = peewee.BigAutoField()
    workspace_id: int | None
    workspace = peewee.ForeignKeyField(Workspace, null=True, on_delete="CASCADE", index=False)
    """None: of the whole instance, such as the environment's SMTP account."""
    message_id: uuid.UUID | None
    message = peewee.ForeignKeyField(Message, null=True, on_delete="CASCADE", index=False)
    type = peewee.TextField()
    data = JsonField()
    created_at = TimestampField()

    class Meta:
        table_name = "events"


Event.add_index(Event.message, Event.id, name="events_by_message")
Event.add_index(
    Event.workspace,
    Event.id,
    where=peewee.SQL("message_id IS NULL"),
    name="events_of_workspace",
)
"""What happened to a workspace's providers, and to the instance's."""
Event.add_index(
    Event.id,
    where=peewee.SQL(
        "type IN ('message.deferred', 'message.failed', 'message.outcome_unknown',"
        " 'message.bounced')"
    ),
    name="events_of_trouble",
)
"""What incidents are made of."""

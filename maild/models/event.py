"""An event: an append-only fact in a timeline."""

import uuid

import peewee

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.message import Message
from maild.models.workspace import Workspace


class Event(BaseModel):
    id = peewee.BigAutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    message_id: uuid.UUID | None
    message = peewee.ForeignKeyField(Message, null=True, on_delete="CASCADE", index=False)
    type = peewee.TextField()
    data = JsonField()
    created_at = TimestampField()

    class Meta:
        table_name = "events"


Event.add_index(Event.message, Event.id, name="events_by_message")

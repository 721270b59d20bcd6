"""An idempotency key: which request it came with, and what was answered."""

import peewee

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.workspace import Workspace


class IdempotencyKey(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    key = peewee.TextField()
    request_hash = peewee.BlobField()
    """SHA-256 of what was asked."""
    answer = JsonField()
    """What the request cannot tell about the messages that it made (`services/acceptance.py`)."""
    created_at = TimestampField()

    class Meta:
        table_name = "idempotency_keys"
        primary_key = peewee.CompositeKey("workspace", "key")


IdempotencyKey.add_index(IdempotencyKey.created_at, name="idempotency_keys_by_time")

"""A block of the log: a stretch of some hundred messages of a workspace, one after the other, and
the terms of all of them.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField, TSVectorField

from maild.db import BaseModel
from maild.models.workspace import Workspace


class LogBlock(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    first_at = DateTimeTZField()
    """`created_at` of its first message, the oldest."""
    first_id = peewee.UUIDField()
    last_at = DateTimeTZField()
    last_id = peewee.UUIDField()
    terms = TSVectorField(index=False)
    """Each with the workspace and the kind before it (`domain/log_terms.py`)."""

    class Meta:
        table_name = "log_blocks"
        primary_key = peewee.CompositeKey("workspace", "first_at", "first_id")


LogBlock.add_index(LogBlock.terms, using="gin", name="log_blocks_by_term")

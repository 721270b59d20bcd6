"""A segment: the contacts to whom some rules apply, whoever that is at the moment."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.workspace import Workspace


class Segment(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    rules = JsonField()
    """A tree (`domain/segment.py`)."""
    version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 1")])
    """Grows with each change."""
    created_by = peewee.TextField()
    created_at = TimestampField()
    updated_by = peewee.TextField()
    updated_at = TimestampField()
    removed_at = DateTimeTZField(null=True)
    """When somebody deleted it; for some minutes that can be taken back."""

    class Meta:
        table_name = "segments"


Segment.add_index(
    Segment.workspace,
    peewee.fn.lower(Segment.name),
    unique=True,
    where=Segment.removed_at.is_null(),
    name="segments_by_name",
)
"""A name stands for one segment at a time."""
Segment.add_index(Segment.workspace, Segment.id, name="segments_by_workspace")
"""The list, newest first."""

"""A saved view: a filter of the log that somebody has given a name, for all of the workspace."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace


class SavedView(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    query = peewee.TextField()
    """The query string of the log's filter bar."""
    created_by = peewee.TextField()
    created_at = TimestampField()
    removed_at = DateTimeTZField(null=True)
    """When somebody removed it; for some minutes that can be taken back."""

    class Meta:
        table_name = "saved_views"


SavedView.add_index(
    SavedView.workspace,
    peewee.fn.lower(SavedView.name),
    unique=True,
    where=SavedView.removed_at.is_null(),
    name="saved_views_by_name",
)
"""A name stands for one view at a time."""

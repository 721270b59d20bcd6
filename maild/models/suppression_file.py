"""A file of suppressions that somebody has sent: what is in it, how it is read, and what an import
of it would do. It goes by itself after some days.
"""

import peewee

from maild.db import BaseModel
from maild.domain.suppression import SuppressionClass
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.workspace import Workspace


class SuppressionFile(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    """As its sender's machine calls it."""
    content = peewee.TextField()
    layout = JsonField()
    """What each column is (`domain/suppression_layout.py`)."""
    default_reason = peewee.TextField()
    class_ = TextEnumField(SuppressionClass, column_name="class")
    """Of lines that name none, as the reason."""
    foreseen = JsonField()
    """What an import would do, as of the last look at it (`services/suppression_files.py`)."""
    created_by = peewee.TextField()
    created_at = TimestampField()
    job_id = peewee.IntegerField(null=True)
    """The job that imports it; None before."""

    class Meta:
        table_name = "suppression_files"
        constraints = (
            peewee.Check(
                "class IN ('hard_bounce', 'soft_bounce', 'complaint', 'manual')",
                "suppression_files_class",
            ),
        )


SuppressionFile.add_index(
    SuppressionFile.workspace, SuppressionFile.id, name="suppression_files_by_workspace"
)
SuppressionFile.add_index(SuppressionFile.created_at, name="suppression_files_by_age")
"""What has been kept for long enough."""

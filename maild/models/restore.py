"""A restore, as one workspace meets it: its mail is as it was when the backup was taken, and stands
still until a person has looked at it.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.freeze import Freeze
from maild.models.message import Message
from maild.models.workspace import Workspace


class Restore(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    taken_at = DateTimeTZField()
    """The moment that the database went back to."""
    restored_at = TimestampField()
    freeze_id: int | None
    freeze = peewee.ForeignKeyField(Freeze, null=True, on_delete="SET NULL", index=False)
    """What keeps new mail back."""
    held_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """Messages that may have been sent since the backup, and were held for that."""
    unknown_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """Messages that were being sent at that very moment."""
    stopped_job_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    settled_at = DateTimeTZField(null=True)
    """Since when nobody needs to be reminded of it."""
    settled_by = peewee.TextField(null=True)

    class Meta:
        table_name = "restores"
        constraints = (
            peewee.Check("(settled_at IS NULL) = (settled_by IS NULL)", "restores_settled"),
        )


Restore.add_index(Restore.workspace, Restore.id, name="restores_by_workspace")


class RestoredMessage(BaseModel):
    """A message that may have been sent since the backup that a restore brought back."""

    restore_id: int
    restore = peewee.ForeignKeyField(Restore, on_delete="CASCADE", index=False)
    message = peewee.ForeignKeyField(Message, on_delete="CASCADE", index=False)

    class Meta:
        table_name = "restored_messages"
        primary_key = peewee.CompositeKey("restore", "message")


RestoredMessage.add_index(RestoredMessage.message, name="restored_messages_by_message")

"""A freeze: a lane of a workspace (one stream, or all) stands still, with a reason and an end."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.states import Stream
from maild.models.fields import TextEnumField, TimestampField
from maild.models.workspace import Workspace


class Freeze(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    stream = TextEnumField(Stream, null=True)
    """None: all of them."""
    reason = peewee.TextField()
    expires_at = DateTimeTZField(null=True)
    lifted_at = DateTimeTZField(null=True)
    created_at = TimestampField()

    class Meta:
        table_name = "freezes"
        constraints = (peewee.Check("stream IN ('transactional', 'marketing')", "freezes_stream"),)


Freeze.add_index(Freeze.workspace, where=peewee.SQL("lifted_at IS NULL"), name="freezes_in_force")

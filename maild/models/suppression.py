"""A suppression: an address that must not be mailed, in one stream or in all of them."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.states import Stream
from maild.models.fields import TextEnumField, TimestampField
from maild.models.workspace import Workspace


class Suppression(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    email = peewee.TextField(collation="pg_c_utf8")
    """In the normal form of addresses, in lower case."""
    stream = TextEnumField(Stream, null=True)
    """None: all of them."""
    reason = peewee.TextField()
    source = peewee.TextField()
    expires_at = DateTimeTZField(null=True)
    created_at = TimestampField()

    class Meta:
        table_name = "suppressions"
        constraints = (
            peewee.Check("stream IN ('transactional', 'marketing')", "suppressions_stream"),
            peewee.Check("email = lower(email)", "suppressions_email"),
        )


Suppression.add_index(
    peewee.SQL(
        "CREATE UNIQUE INDEX suppressions_by_email ON suppressions (workspace_id, email, stream)"
        " NULLS NOT DISTINCT"
    )
)

"""An unsubscribe: an address whose owner opted out, of everything, a stream or a topic.

Only the person takes it back; the row then keeps saying what was.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.states import Stream
from maild.models.fields import TextEnumField, TimestampField
from maild.models.workspace import Workspace


class Unsubscribe(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    email = peewee.TextField(collation="pg_c_utf8")
    """In the normal form of addresses, in lower case."""
    stream = TextEnumField(Stream, null=True)
    """None: all of them."""
    topic = peewee.TextField(null=True)
    """In normal form. None: all of them."""
    reason = peewee.TextField(null=True)
    source = peewee.TextField()
    """How it came: `one_click`, `page`, `preferences`, `api`, ..."""
    message_id = peewee.UUIDField(null=True)
    """The message whose link was used."""
    created_by = peewee.TextField()
    created_at = TimestampField()
    removed_at = DateTimeTZField(null=True)
    removed_by = peewee.TextField(null=True)
    removal_reason = peewee.TextField(null=True)

    class Meta:
        table_name = "unsubscribes"
        constraints = (
            peewee.Check("stream IN ('transactional', 'marketing')", "unsubscribes_stream"),
            peewee.Check("email = lower(email)", "unsubscribes_email"),
        )


Unsubscribe.add_index(
    peewee.SQL(
        "CREATE UNIQUE INDEX unsubscribes_in_force ON unsubscribes"
        " (workspace_id, email, stream, topic) NULLS NOT DISTINCT WHERE removed_at IS NULL"
    )
)
Unsubscribe.add_index(Unsubscribe.workspace, Unsubscribe.id, name="unsubscribes_by_workspace")
"""The list, newest first."""
Unsubscribe.add_index(
    Unsubscribe.workspace, Unsubscribe.email, Unsubscribe.id, name="unsubscribes_of_email"
)
Unsubscribe.add_index(
    peewee.SQL(
        "CREATE INDEX unsubscribes_of_domain ON unsubscribes"
        " (workspace_id, split_part(email, '@', 2), id)"
    )
)
Unsubscribe.add_index(
    Unsubscribe.workspace, Unsubscribe.topic, Unsubscribe.id, name="unsubscribes_of_topic"
)

"""A suppression: an address that must not be mailed, in one stream or in all of them.

A row is never deleted: one that has expired or was removed keeps saying what was. Of one in force,
only maild's own words ever change, for a person's or for those of a longer one.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.states import Stream
from maild.domain.suppression import SuppressionClass
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
    """Where it came from: `api`, `import`, `smtp_reply`, ..."""
    expires_at = DateTimeTZField(null=True)
    created_at = TimestampField()
    class_ = TextEnumField(SuppressionClass, column_name="class")
    message_id = peewee.UUIDField(null=True)
    """The message whose fate led to it."""
    created_by = peewee.TextField()
    removed_at = DateTimeTZField(null=True)
    removed_by = peewee.TextField(null=True)
    removal_reason = peewee.TextField(null=True)

    class Meta:
        table_name = "suppressions"
        constraints = (
            peewee.Check("stream IN ('transactional', 'marketing')", "suppressions_stream"),
            peewee.Check("email = lower(email)", "suppressions_email"),
            peewee.Check(
                "class IN ('hard_bounce', 'soft_bounce', 'complaint', 'manual')",
                "suppressions_class",
            ),
        )


Suppression.add_index(
    peewee.SQL(
        "CREATE UNIQUE INDEX suppressions_in_force ON suppressions (workspace_id, email, stream)"
        " NULLS NOT DISTINCT WHERE removed_at IS NULL"
    )
)
Suppression.add_index(Suppression.workspace, Suppression.id, name="suppressions_by_workspace")
"""The list, newest first."""
Suppression.add_index(
    Suppression.workspace, Suppression.email, Suppression.id, name="suppressions_of_email"
)
"""All that ever was about one address."""
Suppression.add_index(
    peewee.SQL(
        "CREATE INDEX suppressions_of_domain ON suppressions"
        " (workspace_id, split_part(email, '@', 2), id)"
    )
)

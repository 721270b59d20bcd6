"""A soft bounce: a message that an address refused for a reason that may pass. They are counted,
and a delivery wipes the older ones out.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.workspace import Workspace


class SoftBounce(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    email = peewee.TextField(collation="pg_c_utf8")
    """In the normal form of addresses, in lower case."""
    cause = peewee.TextField()
    """The message that bounced, by its id, which counts once; or the event, where no message is
    known.
    """
    occurred_at = DateTimeTZField()

    class Meta:
        table_name = "soft_bounces"
        primary_key = peewee.CompositeKey("workspace", "email", "cause")
        constraints = (peewee.Check("email = lower(email)", "soft_bounces_email"),)


SoftBounce.add_index(SoftBounce.occurred_at, name="soft_bounces_by_time")
"""What is old is pruned."""

"""That a contact was asked by mail whether it wants to be one (double opt-in): when, and with which
message. The answer itself is in `Contact`.
"""

import peewee

from maild.db import BaseModel
from maild.models.contact import Contact
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace


class OptInAsk(BaseModel):
    id = peewee.BigAutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    contact_id: int
    contact = peewee.ForeignKeyField(Contact, on_delete="CASCADE", index=False)
    message_id = peewee.UUIDField(null=True)
    """The mail that asks; None only within the transaction that makes it."""
    asked_by = peewee.TextField()
    asked_at = TimestampField()

    class Meta:
        table_name = "opt_in_asks"


OptInAsk.add_index(OptInAsk.contact, OptInAsk.asked_at, name="opt_in_asks_of_contact")
OptInAsk.add_index(OptInAsk.asked_at, name="opt_in_asks_by_age")

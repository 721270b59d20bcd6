"""An audience: a list of contacts that somebody has put together, by hand or from a file."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace


class Audience(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    description = peewee.TextField(constraints=[peewee.SQL("DEFAULT ''")])
    created_by = peewee.TextField()
    created_at = TimestampField()
    updated_at = TimestampField()
    removed_at = DateTimeTZField(null=True)
    """When somebody deleted it. For some minutes that can be taken back; to everybody else it is
    gone, and then it goes with its members.
    """

    class Meta:
        table_name = "audiences"


Audience.add_index(
    Audience.workspace,
    peewee.fn.lower(Audience.name),
    unique=True,
    where=Audience.removed_at.is_null(),
    name="audiences_by_name",
)
"""A name stands for one list at a time."""
Audience.add_index(
    Audience.removed_at, where=Audience.removed_at.is_null(False), name="audiences_removed"
)
"""What is to go."""


class AudienceMember(BaseModel):
    """Who is on which list. Triggers take the members off whose list or contact is deleted, all at
    once: a foreign key is looked at row by row, which took half the time of an import.
    """

    audience_id = peewee.IntegerField()
    contact_id = peewee.BigIntegerField()
    added_at = TimestampField()

    class Meta:
        table_name = "audience_members"
        primary_key = peewee.CompositeKey("audience_id", "contact_id")


AudienceMember.add_index(AudienceMember.contact_id, name="audience_members_by_contact")

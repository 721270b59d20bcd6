"""A conservation check: whether every message that was accepted is still in exactly one state."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.workspace import Workspace


class ConservationCheck(BaseModel):
    """The latest check of one workspace. `difference` is accepted minus found and pruned: 0 where
    all is well.
    """

    workspace_id: int
    workspace = peewee.ForeignKeyField(
        Workspace, primary_key=True, on_delete="CASCADE", index=False
    )
    accepted_count = peewee.BigIntegerField()
    by_status = JsonField()
    difference = peewee.BigIntegerField()
    broken_since = DateTimeTZField(null=True)
    checked_at = TimestampField()
    pruned_count = peewee.BigIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """Of those accepted, how many were removed since, for they were old."""

    class Meta:
        table_name = "conservation_checks"

    @property
    def found_count(self) -> int:
        """How many messages were there."""
        return int(self.accepted_count - self.pruned_count - self.difference)

"""Counts that are kept as things happen, so that nobody has to count rows.

`AccountTally`: tries and faults of an SMTP account, by worker and slot of a few seconds; the
breaker looks at the last minute. `AcceptedTally`: how many messages a workspace has submitted,
ever; conservation compares it with what there is. Both are written by many at once, hence the
worker and the shard in their keys: nobody waits for another's row. `LimitTally`: how many messages
are due when, for the policy's limits; whoever accepts holds its workspace's lock.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.workspace import Workspace


class AccountTally(BaseModel):
    account_id = peewee.IntegerField()
    slot_at = DateTimeTZField()
    worker_id = peewee.UUIDField()
    try_count = peewee.IntegerField()
    fault_count = peewee.IntegerField()

    class Meta:
        table_name = "account_tallies"
        primary_key = peewee.CompositeKey("account_id", "slot_at", "worker_id")


class AcceptedTally(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    shard = peewee.SmallIntegerField()
    accepted_count = peewee.BigIntegerField()

    class Meta:
        table_name = "accepted_tallies"
        primary_key = peewee.CompositeKey("workspace", "shard")


class LimitTally(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    domain = peewee.TextField()
    """The recipients' domain in normal form; empty: all of the workspace."""
    slot = peewee.IntegerField()
    """Five minutes, counted since 1970: those in which the messages are due."""
    message_count = peewee.IntegerField()

    class Meta:
        table_name = "limit_tallies"
        primary_key = peewee.CompositeKey("workspace", "domain", "slot")


LimitTally.add_index(LimitTally.slot, name="limit_tallies_by_slot")
"""What is over is pruned."""

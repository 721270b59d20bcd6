"""The audit log: who did what. A trigger refuses to change or delete an entry.

Nothing goes but what is old, and covered by a cut.

Each entry holds the hash of the one before it; the head holds the last number and hash, and is what
writers of one workspace wait for in turn.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.workspace import Workspace


class AuditHead(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(
        Workspace, primary_key=True, on_delete="CASCADE", index=False
    )
    seq = peewee.BigIntegerField()
    hash = peewee.BlobField()

    class Meta:
        table_name = "audit_heads"


class AuditCut(BaseModel):
    """Up to where the log was cut off, for its entries were old enough. A trigger lets nothing go
    that is not told here, in the transaction that tells it.
    """

    workspace_id: int
    workspace = peewee.ForeignKeyField(
        Workspace, primary_key=True, on_delete="CASCADE", index=False
    )
    seq = peewee.BigIntegerField()
    """Of the last entry that went."""
    hash = peewee.BlobField()
    """Its hash: the first entry that is left follows it."""
    cut_count = peewee.BigIntegerField()
    """How many entries went, ever."""
    cut_at = TimestampField()
    transaction_id = peewee.BigIntegerField()
    """Set by the database."""

    class Meta:
        table_name = "audit_cuts"


class AuditEntry(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    seq = peewee.BigIntegerField()
    at = DateTimeTZField()
    actor = peewee.TextField()
    actor_ip = peewee.TextField(null=True)
    request_id = peewee.TextField(null=True)
    action = peewee.TextField()
    """`policy.changed`, `suppression.removed`, ..."""
    target = peewee.TextField()
    """What it was done to, as people name it."""
    before = JsonField(null=True)
    after = JsonField(null=True)
    reason = peewee.TextField(null=True)
    previous_hash = peewee.BlobField()
    hash = peewee.BlobField()

    class Meta:
        table_name = "audit_entries"
        primary_key = peewee.CompositeKey("workspace", "seq")

"""Retention: what a workspace has chosen, how far each rule of the pruner has come, and what that
had to leave.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace


class RetentionPolicy(BaseModel):
    """For how many days a workspace keeps what; None: as the instance does."""

    workspace_id: int
    workspace = peewee.ForeignKeyField(
        Workspace, primary_key=True, on_delete="CASCADE", index=False
    )
    bodies_days = peewee.IntegerField(null=True)
    messages_days = peewee.IntegerField(null=True)
    webhooks_days = peewee.IntegerField(null=True)
    audit_days = peewee.IntegerField(null=True)
    version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 1")])
    """Counts its changes: two at once notice each other by it."""
    updated_by = peewee.TextField()
    updated_at = TimestampField()

    class Meta:
        table_name = "retention_policies"
        constraints = (
            peewee.Check("bodies_days BETWEEN 1 AND 3650", "retention_policies_bodies"),
            peewee.Check("messages_days BETWEEN 7 AND 3650", "retention_policies_messages"),
            peewee.Check("webhooks_days BETWEEN 1 AND 3650", "retention_policies_webhooks"),
            peewee.Check("audit_days BETWEEN 90 AND 3650", "retention_policies_audit"),
        )


class RetentionProgress(BaseModel):
    """How far a rule has come in a workspace, and what it has removed there, ever."""

    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    rule = peewee.TextField()
    after_at = DateTimeTZField(constraints=[peewee.SQL("DEFAULT '-infinity'")])
    """All up to here was looked at."""
    after_ref = peewee.TextField(null=True)
    pruned_count = peewee.BigIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    pruned_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "retention_progress"
        primary_key = peewee.CompositeKey("workspace", "rule")


class RetentionLeftover(BaseModel):
    """What was old, and could not go yet: it is looked at again."""

    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    rule = peewee.TextField()
    ref = peewee.TextField()
    """Its id."""
    look_at = DateTimeTZField()

    class Meta:
        table_name = "retention_leftovers"
        primary_key = peewee.CompositeKey("workspace", "rule", "ref")


RetentionLeftover.add_index(
    RetentionLeftover.workspace,
    RetentionLeftover.rule,
    RetentionLeftover.look_at,
    name="retention_leftovers_due",
)

"""One version of a workspace's policy. A version is never changed; the highest one is in force."""

import peewee
from playhouse.postgres_ext import ArrayField

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.workspace import Workspace


class PolicyVersion(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    version = peewee.IntegerField()
    rate_limit_workspace_per_hour = peewee.IntegerField(null=True)
    rate_limit_domain_per_hour = peewee.IntegerField(null=True)
    on_limit = peewee.TextField()
    blocked_recipient_domains = ArrayField(peewee.TextField, index=False)
    allowed_from_domains = ArrayField(peewee.TextField, index=False)
    transactional = JsonField()
    """The stream's rules: `max_attempts`, `lifetime_seconds`, `unknown_outcome`."""
    marketing = JsonField()
    soft_bounce_threshold = peewee.IntegerField()
    reason = peewee.TextField(null=True)
    restored_version = peewee.IntegerField(null=True)
    """The version that a rollback brought back."""
    created_by = peewee.TextField()
    created_at = TimestampField()

    class Meta:
        table_name = "policies"
        primary_key = peewee.CompositeKey("workspace", "version")
        constraints = (
            peewee.Check("version >= 1", "policies_version"),
            peewee.Check("on_limit IN ('reject', 'defer')", "policies_on_limit"),
        )

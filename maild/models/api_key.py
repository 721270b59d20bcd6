"""A workspace's API key: kept as a SHA-256 hash, recognised by its visible prefix."""

import peewee
from playhouse.postgres_ext import ArrayField, DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace


class ApiKey(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    prefix = peewee.TextField()
    key_hash = peewee.BlobField()
    role = peewee.TextField()
    allowed_networks = ArrayField(peewee.TextField, index=False, null=True)
    expires_at = DateTimeTZField(null=True)
    revoked_at = DateTimeTZField(null=True)
    last_used_at = DateTimeTZField(null=True)
    created_at = TimestampField()
    created_by = peewee.TextField()
    revoked_by = peewee.TextField(null=True)
    requests_per_minute = peewee.IntegerField(null=True)
    """Its own limit; without one the instance's, and 0 is none."""

    class Meta:
        table_name = "api_keys"
        constraints = (
            peewee.Check("role IN ('admin', 'operator', 'viewer', 'sender')", "api_keys_role"),
            peewee.Check("octet_length(key_hash) = 32", "api_keys_key_hash"),
            peewee.Check("requests_per_minute >= 0", "api_keys_requests_per_minute"),
        )


ApiKey.add_index(ApiKey.key_hash, unique=True, name="api_keys_key_hash_unique")
ApiKey.add_index(ApiKey.workspace, name="api_keys_by_workspace")

"""A key that maild signs the mail of one domain with (RFC 6376). The private half is only ever
ciphertext, and is gone once the key is retired.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.dkim import Algorithm, KeyState, RecordState
from maild.models.fields import TextEnumField, TimestampField
from maild.models.workspace import Workspace


class DkimKey(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    domain = peewee.TextField()
    """Its `d=`: lower case, A-labels."""
    selector = peewee.TextField()
    algorithm = TextEnumField(Algorithm)
    public_key = peewee.TextField()
    """The `p=` of its record: base64."""
    private_key_encrypted = peewee.BlobField(null=True)
    """PKCS #8 as PEM."""
    state = TextEnumField(KeyState)
    record_state = TextEnumField(RecordState, constraints=[peewee.SQL("DEFAULT 'unchecked'")])
    """What the DNS said of its record, last time."""
    record_found = peewee.TextField(null=True)
    """The record that stands there, or why it could not be looked up."""
    checked_at = DateTimeTZField(null=True)
    seen_at = DateTimeTZField(null=True)
    """When its record was first found as it must be."""
    next_check_at = TimestampField()
    created_at = TimestampField()
    created_by = peewee.TextField()
    activated_at = DateTimeTZField(null=True)
    retiring_at = DateTimeTZField(null=True)
    retire_at = DateTimeTZField(null=True)
    """When a retiring key is retired by itself."""
    retired_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "dkim_keys"
        constraints = (
            peewee.Check("algorithm IN ('rsa-sha256', 'ed25519-sha256')", "dkim_keys_algorithm"),
            peewee.Check(
                "state IN ('prepared', 'active', 'retiring', 'retired')", "dkim_keys_state"
            ),
            peewee.Check(
                "record_state IN ('unchecked', 'published', 'missing', 'different', 'revoked',"
                " 'unknown')",
                "dkim_keys_record_state",
            ),
            peewee.Check(
                "(private_key_encrypted IS NULL) = (state = 'retired')", "dkim_keys_private_key"
            ),
            peewee.Check(
                "(retire_at IS NULL) OR (state IN ('retiring', 'retired'))", "dkim_keys_retiring"
            ),
        )


DkimKey.add_index(
    DkimKey.workspace, DkimKey.domain, DkimKey.selector, unique=True, name="dkim_keys_unique"
)
DkimKey.add_index(
    DkimKey.workspace,
    DkimKey.domain,
    DkimKey.algorithm,
    unique=True,
    where=peewee.SQL("state = 'active'"),
    name="dkim_keys_one_active",
)
DkimKey.add_index(
    DkimKey.workspace,
    DkimKey.domain,
    DkimKey.algorithm,
    unique=True,
    where=peewee.SQL("state = 'prepared'"),
    name="dkim_keys_one_prepared",
)
DkimKey.add_index(
    DkimKey.next_check_at, where=peewee.SQL("state <> 'retired'"), name="dkim_keys_due"
)

"""An invitation into a workspace, mailed as a link. Of the link's token only the hash is kept."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.role import Role
from maild.models.fields import TextEnumField, TimestampField
from maild.models.workspace import Workspace


class Invitation(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    email = peewee.TextField(collation="pg_c_utf8")
    """In the normal form of addresses, in lower case."""
    role = TextEnumField(Role)
    token_hash = peewee.BlobField()
    created_by = peewee.TextField()
    created_at = TimestampField()
    sent_at = TimestampField()
    """When the link that works now was made."""
    expires_at = DateTimeTZField()
    accepted_at = DateTimeTZField(null=True)
    revoked_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "invitations"
        constraints = (
            peewee.Check("email = lower(email)", "invitations_email"),
            peewee.Check("role IN ('admin', 'operator', 'viewer')", "invitations_role"),
            peewee.Check("octet_length(token_hash) = 32", "invitations_token_hash"),
            peewee.Check("workspace_id > 0", "invitations_not_of_maild"),
            peewee.Check("accepted_at IS NULL OR revoked_at IS NULL", "invitations_one_end"),
        )


Invitation.add_index(Invitation.token_hash, unique=True, name="invitations_by_token")
Invitation.add_index(
    Invitation.workspace,
    Invitation.email,
    unique=True,
    where=Invitation.accepted_at.is_null() & Invitation.revoked_at.is_null(),
    name="invitations_open",
)
"""An address is invited once at a time."""
Invitation.add_index(Invitation.workspace, Invitation.id, name="invitations_by_workspace")
"""The list, newest first."""

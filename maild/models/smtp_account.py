"""An SMTP account: a provider that a workspace has configured. Its password is only ever
ciphertext.
"""

import peewee

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace


class SmtpAccount(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    host = peewee.TextField()
    port = peewee.IntegerField()
    security = peewee.TextField()
    username = peewee.TextField(null=True)
    password_encrypted = peewee.BlobField(null=True)
    from_email = peewee.TextField()
    is_active = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    created_at = TimestampField()
    updated_at = TimestampField()

    class Meta:
        table_name = "smtp_accounts"
        constraints = (
            peewee.Check("port BETWEEN 1 AND 65535", "smtp_accounts_port"),
            peewee.Check(
                "security IN ('auto', 'starttls', 'tls', 'none')", "smtp_accounts_security"
            ),
            peewee.Check(
                "username IS NOT NULL OR password_encrypted IS NULL", "smtp_accounts_credentials"
            ),
        )


SmtpAccount.add_index(
    SmtpAccount.workspace, SmtpAccount.name, unique=True, name="smtp_accounts_workspace_id_name"
)
SmtpAccount.add_index(
    SmtpAccount.workspace,
    unique=True,
    where=SmtpAccount.is_active,
    name="smtp_accounts_active",
)
"""At most one account of a workspace is active."""

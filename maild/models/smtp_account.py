"""An SMTP account: a provider that a workspace has configured. Its password is only ever
ciphertext.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace

ENVIRONMENT = 0
"""What stands for the id of the account of the environment, which has no row."""
DEFAULT_ACCOUNT = "default"
"""The name under which it appears."""


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
    max_connections = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 10")])
    """Connections at once, of all workers together."""
    max_per_second = peewee.FloatField(null=True)
    """Messages a second, of all workers together; None: as fast as it goes."""
    priority = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 100")])
    """The order of fail-over: lower first."""
    paused_at = DateTimeTZField(null=True)
    pause_reason = peewee.TextField(null=True)
    return_path = peewee.TextField(null=True)
    """Where bounces of its mail go to, each message with an address of its own made of this one.
    None: to the sender of each message.
    """
    is_sandbox = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    """Its mail reaches nobody, so it stands in for no other account, and no other for it."""

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
            peewee.Check("max_connections BETWEEN 1 AND 1000", "smtp_accounts_max_connections"),
            peewee.Check("max_per_second > 0", "smtp_accounts_max_per_second"),
            peewee.Check("priority BETWEEN 0 AND 1000", "smtp_accounts_priority"),
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

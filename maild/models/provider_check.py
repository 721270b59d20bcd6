"""A check of an SMTP account: it was tried up to signing in, without a message."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import JsonField, TimestampField
from maild.models.smtp_account import SmtpAccount
from maild.models.workspace import Workspace


class ProviderCheck(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    smtp_account_id: int | None
    smtp_account = peewee.ForeignKeyField(SmtpAccount, null=True, on_delete="CASCADE", index=False)
    """None: the account of the environment."""
    created_by = peewee.TextField()
    created_at = TimestampField()
    claimed_until = DateTimeTZField(null=True)
    """Until when the worker that has it is believed to be at work."""
    started_at = DateTimeTZField(null=True)
    finished_at = DateTimeTZField(null=True)
    is_valid = peewee.BooleanField(null=True)
    """Whether mail could be handed over; None until that is known."""
    steps = JsonField()
    """Those taken so far: `stage`, `ok`, `text`, `ms`."""
    result = JsonField()
    """What was found, once it is finished (`services/provider_checks.py`)."""

    class Meta:
        table_name = "provider_checks"
        constraints = (
            peewee.Check("(finished_at IS NULL) = (is_valid IS NULL)", "provider_checks_finished"),
        )


ProviderCheck.add_index(
    ProviderCheck.workspace,
    ProviderCheck.smtp_account,
    ProviderCheck.id,
    name="provider_checks_by_account",
)
ProviderCheck.add_index(
    ProviderCheck.id,
    where=peewee.SQL("finished_at IS NULL"),
    name="provider_checks_due",
)

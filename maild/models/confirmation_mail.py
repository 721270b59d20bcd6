"""The mail of a workspace that asks whoever gave an address whether they want its mail."""

import peewee

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace


class ConfirmationMail(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(
        Workspace, primary_key=True, on_delete="CASCADE", index=False
    )
    from_email = peewee.TextField()
    from_name = peewee.TextField(null=True)
    subject = peewee.TextField()
    body_text = peewee.TextField()
    """With `{{ link }}` where the link goes."""
    version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 1")])
    updated_by = peewee.TextField()
    updated_at = TimestampField()

    class Meta:
        table_name = "confirmation_mails"

"""A freeze: some mail of a workspace stands still, with a reason and an end."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.freeze import NEVER, FreezeKind
from maild.models.fields import TextEnumField, TimestampField
from maild.models.workspace import Workspace


class Freeze(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    kind = TextEnumField(FreezeKind)
    target = peewee.TextField(null=True)
    """As its kind says."""
    reason = peewee.TextField()
    expires_at = DateTimeTZField()
    lifted_at = DateTimeTZField(null=True)
    lifted_by = peewee.TextField(null=True)
    lift_reason = peewee.TextField(null=True)
    created_by = peewee.TextField()
    created_at = TimestampField()

    @property
    def has_end(self) -> bool:
        """Whether it ends by itself: those of a restore do not."""
        return bool(self.expires_at < NEVER)

    class Meta:
        table_name = "freezes"
        constraints = (
            peewee.Check(
                "kind IN ('workspace', 'stream', 'smtp_account', 'api_key', 'from_email',"
                " 'recipient_domain')",
                "freezes_kind",
            ),
            peewee.Check("(kind = 'workspace') = (target IS NULL)", "freezes_target"),
        )


Freeze.add_index(Freeze.workspace, where=peewee.SQL("lifted_at IS NULL"), name="freezes_in_force")

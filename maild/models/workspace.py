"""The tenant: every row hangs from one workspace."""

import peewee

from maild.db import BaseModel
from maild.models.fields import TimestampField


class Workspace(BaseModel):
    id = peewee.AutoField()
    name = peewee.TextField()
    created_at = TimestampField()

    class Meta:
        table_name = "workspaces"

"""A session: one browser in which a person is signed in. Its token is kept as a SHA-256 hash, and a
session that has ended has no row.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.person import Person
from maild.models.workspace import Workspace


class Session(BaseModel):
    id = peewee.AutoField()
    person_id: int
    person = peewee.ForeignKeyField(Person, on_delete="CASCADE", index=False)
    token_hash = peewee.BlobField()
    workspace_id: int | None
    workspace = peewee.ForeignKeyField(Workspace, on_delete="SET NULL", index=False, null=True)
    """Which one the console shows."""
    is_remembered = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    ip = peewee.TextField(null=True)
    user_agent = peewee.TextField()
    created_at = TimestampField()
    seen_at = TimestampField()
    expires_at = DateTimeTZField()

    class Meta:
        table_name = "sessions"
        constraints = (peewee.Check("octet_length(token_hash) = 32", "sessions_token_hash"),)


Session.add_index(Session.token_hash, unique=True, name="sessions_by_token")
Session.add_index(Session.person, name="sessions_by_person")
Session.add_index(Session.workspace, name="sessions_by_workspace")

"""Who belongs to a workspace, and what they may do in it."""

import peewee

from maild.db import BaseModel
from maild.domain.role import Role
from maild.models.fields import TextEnumField, TimestampField
from maild.models.person import Person
from maild.models.workspace import Workspace


class Member(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    person_id: int
    person = peewee.ForeignKeyField(Person, on_delete="CASCADE", index=False)
    role = TextEnumField(Role)
    created_at = TimestampField()

    class Meta:
        table_name = "members"
        primary_key = peewee.CompositeKey("workspace", "person")
        constraints = (
            peewee.Check("role IN ('admin', 'operator', 'viewer')", "members_role"),
            peewee.Check("workspace_id > 0", "members_not_of_maild"),
        )


Member.add_index(Member.person, name="members_by_person")

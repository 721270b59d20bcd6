"""A topic that a workspace mails about, as its recipients are told of it. Who left one is in
`unsubscribes`; who asked for one says `Contact.topics`.
"""

import peewee

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace


class Topic(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    """In normal form, as messages and unsubscribes name it."""
    label = peewee.TextField()
    """What recipients read."""
    description = peewee.TextField(constraints=[peewee.SQL("DEFAULT ''")])
    is_public = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT true")])
    """Whether the preference centre offers it to those who have not asked for it."""
    created_by = peewee.TextField()
    created_at = TimestampField()

    class Meta:
        table_name = "topics"


Topic.add_index(Topic.workspace, Topic.name, unique=True, name="topics_by_name")

"""A workspace's key for the links in its mail. Only ever ciphertext; old ones are kept, so that
links in old mail go on working.
"""

import peewee

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace


class LinkKey(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    secret_encrypted = peewee.BlobField()
    created_at = TimestampField()

    class Meta:
        table_name = "link_keys"


LinkKey.add_index(LinkKey.workspace, LinkKey.id, name="link_keys_by_workspace")

"""A worker process and its lease: what it holds is its own while `seen_at` is fresh.

One row renewed every few seconds stands for the lease of every message that the worker holds, so
that renewing costs the same for ten messages and for ten thousand.
"""

import peewee

from maild.db import BaseModel
from maild.models.fields import TimestampField


class Worker(BaseModel):
    id = peewee.UUIDField(primary_key=True)
    host = peewee.TextField()
    pid = peewee.IntegerField()
    started_at = TimestampField()
    seen_at = TimestampField()
    has_marks = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    """Whether Redis knows what it has on the wire (`maild.marks`). Without, a message that it held
    when it died cannot be known to be unsent.
    """

    class Meta:
        table_name = "workers"

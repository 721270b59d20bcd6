"""How much happened to a workspace's mail, by the time, by what happened, by the stream and by the
SMTP account of the message's latest attempt (empty: it had none).

A trigger on `events` adds to `TrafficTally`, a row for each connection that writes (`shard`), so
that nobody waits for another's. `services/rollups.py` folds those of minutes that are over into
`Rollup`, once by the minute and once by the hour. What happened is what is folded, by either of
them, and what is not folded yet.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.workspace import Workspace


class TrafficTally(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    at = DateTimeTZField()
    """The minute, as it begins."""
    kind = peewee.TextField()
    """`domain/traffic.py` has the words."""
    stream = peewee.TextField()
    smtp_account = peewee.TextField()
    shard = peewee.IntegerField()
    message_count = peewee.IntegerField()

    class Meta:
        table_name = "traffic_tallies"
        primary_key = peewee.CompositeKey(
            "workspace", "at", "kind", "stream", "smtp_account", "shard"
        )


class Rollup(BaseModel):
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    grain = peewee.TextField()
    """How long a time it is about: a minute, or an hour."""
    at = DateTimeTZField()
    """When that begins."""
    kind = peewee.TextField()
    stream = peewee.TextField()
    smtp_account = peewee.TextField()
    message_count = peewee.BigIntegerField()

    class Meta:
        table_name = "rollups"
        primary_key = peewee.CompositeKey(
            "workspace", "grain", "at", "kind", "stream", "smtp_account"
        )
        constraints = (peewee.Check("grain IN ('minute', 'hour')", "rollups_grain"),)


Rollup.add_index(Rollup.at, where=peewee.SQL("grain = 'minute'"), name="rollups_minutes")
"""Those that are old enough to go: hours tell of them."""

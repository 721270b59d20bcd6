"""A breaker: what the workers know together about the health of one SMTP account.

`account_id` is the account's id, or `smtp_account.ENVIRONMENT` for the account of the environment,
which has no row of its own; hence no foreign key.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.breaker import State
from maild.models.fields import TextEnumField, TimestampField


class Breaker(BaseModel):
    account_id = peewee.IntegerField(primary_key=True)
    state = TextEnumField(State)
    error_class = peewee.TextField(null=True)
    """What kind of fault it was at last, and in `reason` the words of it."""
    reason = peewee.TextField(null=True)
    opened_at = DateTimeTZField(null=True)
    retry_at = DateTimeTZField(null=True)
    """When an open breaker lets a canary try."""
    closed_at = DateTimeTZField(null=True)
    """Since when it has been trusted again; faults before that do not count any more."""
    open_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """How often it opened without closing in between; each time it stays open for longer."""
    canary_worker_id = peewee.UUIDField(null=True)
    """The one worker that tries while it is half open."""
    canary_until = DateTimeTZField(null=True)
    """When another worker may take the canary over."""
    passed_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """How many messages have passed since it is half open."""
    last_fault_at = DateTimeTZField(null=True)
    slowed_to = peewee.DoubleField(null=True)
    """Messages a second to which a worker has slowed down last, after throttling."""
    slowed_at = DateTimeTZField(null=True)
    updated_at = TimestampField()

    class Meta:
        table_name = "breakers"
        constraints = (peewee.Check("state IN ('closed', 'open', 'half_open')", "breakers_state"),)

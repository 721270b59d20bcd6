"""An attempt: one try of one message through one SMTP account, written when it ended.

The one that is under way is told by the message itself: `sending`, with its number in
`attempt_count`, committed before anything is on the wire.
"""

import uuid

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.states import AttemptStatus
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.message import Message


class Attempt(BaseModel):
    message_id: uuid.UUID
    message = peewee.ForeignKeyField(Message, on_delete="CASCADE", index=False)
    attempt_no = peewee.SmallIntegerField()
    status = TextEnumField(AttemptStatus)
    worker_id = peewee.UUIDField()
    smtp_account_name = peewee.TextField()
    remote = peewee.TextField(null=True)
    """Where we dialled: `host:port`."""
    started_at = TimestampField()
    finished_at = DateTimeTZField()
    duration_ms = peewee.IntegerField(null=True)
    stage = peewee.TextField(null=True)
    """The step of the SMTP dialogue that decided: `rcpt_to`, `final_dot`, ..."""
    smtp_code = peewee.SmallIntegerField(null=True)
    enhanced_code = peewee.TextField(null=True)
    response = peewee.TextField(null=True)
    error_class = peewee.TextField(null=True)
    timings = JsonField(null=True)
    """Milliseconds per step, by the step's name."""
    is_excused = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    """Not the message's doing: it does not count against the attempts that a message has."""
    policy_version = peewee.IntegerField(null=True)
    """The version of the policy that its claim went by; 0 is the instance's defaults."""
    route = peewee.TextField(null=True)
    """Why it went through this account: `domain/policy.py: Route`."""

    class Meta:
        table_name = "attempts"
        primary_key = peewee.CompositeKey("message", "attempt_no")
        constraints = (
            peewee.Check(
                "status IN ('sent', 'deferred', 'failed', 'unknown', 'interrupted')",
                "attempts_status",
            ),
            peewee.Check("attempt_no >= 1", "attempts_attempt_no"),
        )

    @property
    def is_success(self) -> bool:
        """Whether the provider took the message on this try."""
        return bool(self.status is AttemptStatus.SENT)

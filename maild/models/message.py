"""A message: one mail to one recipient. This row is narrow; the content is in `MessageBody`.

The table's checks refuse what no code should write: an unknown status, a `sending` message that
nobody holds, a `queued` one without a time, an address or a subject with a line break.
"""

import peewee
from playhouse.postgres_ext import ArrayField, DateTimeTZField

from maild.db import BaseModel
from maild.domain.address import to_wire
from maild.domain.ids import message_id_header
from maild.domain.states import Status, Stream
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.workspace import Workspace


class Message(BaseModel):
    id = peewee.UUIDField(primary_key=True)
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    status = TextEnumField(Status)
    stream = TextEnumField(Stream)
    priority = peewee.SmallIntegerField()
    from_email = peewee.TextField()
    to_email = peewee.TextField()
    subject = peewee.TextField()
    size_bytes = peewee.IntegerField()
    tags = ArrayField(peewee.TextField, index=False)
    metadata = JsonField()
    scheduled_at = DateTimeTZField(null=True)
    next_attempt_at = DateTimeTZField(null=True)
    attempt_count = peewee.SmallIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    worker_id = peewee.UUIDField(null=True)
    smtp_account_name = peewee.TextField(null=True)
    """The SMTP account of the latest attempt."""
    last_error = peewee.TextField(null=True)
    error_class = peewee.TextField(null=True)
    created_at = TimestampField()
    updated_at = TimestampField()

    class Meta:
        table_name = "messages"
        constraints = (
            peewee.Check(
                "status IN ('queued', 'sending', 'sent', 'delivered', 'bounced', 'complained', "
                "'failed', 'suppressed', 'cancelled', 'expired', 'held', 'unknown')",
                "messages_status",
            ),
            peewee.Check("stream IN ('transactional', 'marketing')", "messages_stream"),
            peewee.Check(
                "(status = 'queued') = (next_attempt_at IS NOT NULL)", "messages_queued_has_time"
            ),
            peewee.Check(
                "(status = 'sending') = (worker_id IS NOT NULL)", "messages_sending_is_held"
            ),
            peewee.Check("attempt_count >= 0", "messages_attempt_count"),
            peewee.Check(
                "from_email !~ '[\\r\\n]' AND to_email !~ '[\\r\\n]' AND subject !~ '[\\r\\n]'",
                "messages_one_line",
            ),
        )

    @property
    def message_id_header(self) -> str:
        """The Message-ID on the wire, with its angle brackets: the same on every attempt."""
        return message_id_header(self.id, to_wire(self.from_email).rpartition("@")[2])


Message.add_index(
    Message.priority,
    Message.next_attempt_at,
    where=peewee.SQL("status = 'queued'"),
    name="messages_due",
)
"""Claims: what is due, oldest first within priority."""
Message.add_index(Message.worker_id, where=peewee.SQL("status = 'sending'"), name="messages_held")
"""Rescue: what a worker holds."""
Message.add_index(Message.workspace, Message.created_at, Message.id, name="messages_by_time")
"""The log, newest first, and its pages."""
Message.add_index(
    Message.workspace, Message.status, Message.created_at, Message.id, name="messages_by_status"
)
Message.add_index(
    Message.workspace,
    Message.to_email,
    Message.created_at,
    Message.id,
    name="messages_by_recipient",
)

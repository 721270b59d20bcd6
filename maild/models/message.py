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
from maild.models.freeze import Freeze
from maild.models.suppression import Suppression
from maild.models.unsubscribe import Unsubscribe
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
    expires_at = DateTimeTZField(constraints=[peewee.SQL("DEFAULT now() + interval '2 days'")])
    """The end of its lifetime: it is not sent after that."""
    excused_count = peewee.SmallIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """Attempts that the message is not to blame for; the others are limited."""
    path_fault_count = peewee.SmallIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """How often its provider was at fault since it was submitted, or retried by a person."""
    hold_reason = peewee.TextField(null=True)
    freeze_id: int | None
    freeze = peewee.ForeignKeyField(Freeze, null=True, on_delete="SET NULL", index=False)
    """The freeze that holds it; None where a person does."""
    submission_id = peewee.UUIDField(null=True)
    """The id of the first message of the same submission, which has the content of them all; None
    where there is one recipient.
    """
    topic = peewee.TextField(null=True)
    """In normal form (`domain/suppression.py`)."""
    api_key_id = peewee.IntegerField(null=True)
    """The workspace's key that submitted it; None where an instance key did."""
    suppression_id: int | None
    suppression = peewee.ForeignKeyField(Suppression, null=True, on_delete="SET NULL", index=False)
    """What stopped it."""
    unsubscribe_id: int | None
    unsubscribe = peewee.ForeignKeyField(Unsubscribe, null=True, on_delete="SET NULL", index=False)
    policy_version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """The version of the policy by which it was accepted; 0 is the instance's defaults."""
    pinned_account = peewee.TextField(constraints=[peewee.SQL("DEFAULT ''")])
    """The name of the one SMTP account that it may go through, as its sender wished; empty where
    any of the workspace's will do.
    """
    not_before = DateTimeTZField(null=True)
    """When a limit of the policy has room for it, where it had none at its own time: a hold that
    ends sooner does not make it due.
    """
    recipient_id = peewee.BigIntegerField(null=True)
    """The row in a campaign's ledger that it was made of; None: of none."""

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
            peewee.Check("excused_count BETWEEN 0 AND attempt_count", "messages_excused_count"),
            peewee.Check(
                "(status = 'held') = (hold_reason IS NOT NULL)", "messages_held_has_reason"
            ),
            peewee.Check(
                "from_email !~ '[\\r\\n]' AND to_email !~ '[\\r\\n]' AND subject !~ '[\\r\\n]'",
                "messages_one_line",
            ),
        )

    @property
    def message_id_header(self) -> str:
        """The Message-ID on the wire, with its angle brackets: the same on every attempt, and for
        all recipients of a submission.
        """
        return message_id_header(
            self.submission_id or self.id, to_wire(self.from_email).rpartition("@")[2]
        )


Message.add_index(
    Message.priority,
    Message.workspace,
    Message.pinned_account,
    Message.next_attempt_at,
    where=peewee.SQL("status = 'queued'"),
    name="messages_due",
)
"""Claims: which lanes have something due, and what is oldest in each."""
Message.add_index(
    Message.expires_at,
    where=peewee.SQL("status IN ('queued', 'held')"),
    name="messages_expiring",
)
Message.add_index(Message.freeze, where=peewee.SQL("freeze_id IS NOT NULL"), name="messages_frozen")
"""What a freeze that is lifted lets go."""
Message.add_index(
    Message.submission_id,
    where=peewee.SQL("submission_id IS NOT NULL"),
    name="messages_by_submission",
)
Message.add_index(
    Message.suppression, where=peewee.SQL("suppression_id IS NOT NULL"), name="messages_suppressed"
)
"""What a suppression has stopped."""
Message.add_index(
    Message.unsubscribe,
    where=peewee.SQL("unsubscribe_id IS NOT NULL"),
    name="messages_unsubscribed",
)
Message.add_index(Message.worker_id, where=peewee.SQL("status = 'sending'"), name="messages_held")
"""Rescue: what a worker holds."""
Message.add_index(Message.workspace, Message.created_at, Message.id, name="messages_by_time")
"""The log, newest first, and its pages."""
Message.add_index(
    Message.workspace, Message.status, Message.created_at, Message.id, name="messages_by_status"
)
Message.add_index(
    Message.workspace,
    Message.status,
    Message.updated_at,
    where=peewee.SQL("status IN ('failed', 'unknown')"),
    name="messages_gone_wrong",
)
"""What has gone wrong lately, however much went wrong before."""
Message.add_index(
    Message.workspace,
    Message.smtp_account_name,
    Message.created_at,
    Message.id,
    Message.status,
    where=peewee.SQL("smtp_account_name IS NOT NULL"),
    name="messages_by_account",
)
Message.add_index(
    Message.workspace,
    Message.error_class,
    Message.created_at,
    Message.id,
    Message.smtp_account_name,
    Message.status,
    where=peewee.SQL("error_class IS NOT NULL"),
    name="messages_by_class",
)
"""A message is in neither until it was tried: accepting costs nothing for them."""
Message.add_index(
    Message.workspace,
    Message.to_email,
    Message.created_at,
    Message.id,
    name="messages_by_recipient",
)
Message.add_index(
    Message.recipient_id,
    unique=True,
    where=peewee.SQL("recipient_id IS NOT NULL"),
    name="messages_of_recipient",
)
"""A recipient of a campaign gets one message."""

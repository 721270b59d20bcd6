"""A provider event: one thing that a provider has reported about one recipient.

A row without a report is a payload that could not be read at all: a dead letter as a whole, or one
that a person has dismissed.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.provider_event import ReportStatus
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.webhook_payload import WebhookPayload
from maild.models.workspace import Workspace


class ProviderEvent(BaseModel):
    id = peewee.BigAutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    payload_id: int
    payload = peewee.ForeignKeyField(WebhookPayload, on_delete="CASCADE", index=False)
    position = peewee.IntegerField(null=True)
    """Its place among the events of its payload, from 0."""
    provider = peewee.TextField()
    smtp_account_name = peewee.TextField(null=True)
    status = TextEnumField(ReportStatus)
    event_type = peewee.TextField(null=True)
    """`domain/provider_event.py: ProviderEventType`."""
    email = peewee.TextField(null=True, collation="pg_c_utf8")
    """In the normal form of addresses, where it is one; else as the provider wrote it."""
    report = JsonField(null=True)
    """The event in its normal form, `raw` included."""
    dedupe_key = peewee.BlobField(null=True)
    """What is the same when the event comes again. None: it did, or could not be read."""
    duplicate_of = peewee.BigIntegerField(null=True)
    """The event that it repeats."""
    message_id = peewee.UUIDField(null=True)
    """The message that it tells of. None: none was found."""
    effects = JsonField(null=True)
    """What applying it has done (`services/provider_events.py`)."""
    attempt_count = peewee.SmallIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    next_attempt_at = DateTimeTZField(null=True)
    last_error = peewee.TextField(null=True)
    occurred_at = DateTimeTZField(null=True)
    """When it happened, as the provider says."""
    created_at = TimestampField()
    updated_at = TimestampField()

    class Meta:
        table_name = "provider_events"
        constraints = (
            peewee.Check(
                "status IN ('received', 'applied', 'ignored', 'duplicate', 'dead_letter',"
                " 'replayed')",
                "provider_events_status",
            ),
            peewee.Check(
                "(status = 'received') = (next_attempt_at IS NOT NULL)",
                "provider_events_received_has_time",
            ),
            peewee.Check(
                "(position IS NULL) = (report IS NULL) AND (report IS NULL) = (event_type IS NULL)"
                " AND (status IN ('dead_letter', 'ignored') OR report IS NOT NULL)",
                "provider_events_readable",
            ),
        )


ProviderEvent.add_index(
    ProviderEvent.workspace,
    ProviderEvent.provider,
    ProviderEvent.dedupe_key,
    unique=True,
    where=peewee.SQL("dedupe_key IS NOT NULL"),
    name="provider_events_once",
)
ProviderEvent.add_index(
    ProviderEvent.next_attempt_at,
    where=peewee.SQL("status = 'received'"),
    name="provider_events_due",
)
ProviderEvent.add_index(
    ProviderEvent.workspace, ProviderEvent.id, name="provider_events_by_workspace"
)
"""The list, newest first."""
ProviderEvent.add_index(
    ProviderEvent.workspace,
    ProviderEvent.status,
    ProviderEvent.id,
    name="provider_events_by_status",
)
ProviderEvent.add_index(
    ProviderEvent.workspace,
    ProviderEvent.email,
    ProviderEvent.id,
    name="provider_events_by_email",
)
ProviderEvent.add_index(
    ProviderEvent.workspace, ProviderEvent.created_at, name="provider_events_by_time"
)
ProviderEvent.add_index(
    ProviderEvent.message_id,
    where=peewee.SQL("message_id IS NOT NULL"),
    name="provider_events_by_message",
)
ProviderEvent.add_index(ProviderEvent.payload, name="provider_events_by_payload")

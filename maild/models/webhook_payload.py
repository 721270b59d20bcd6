"""A payload: what a provider has sent, as it came, stored before anything else is done with it."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.provider_event import PayloadStatus
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.workspace import Workspace


class WebhookPayload(BaseModel):
    id = peewee.BigAutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    endpoint_id = peewee.IntegerField(null=True)
    """Through which it came, whether that is still there or not."""
    provider = peewee.TextField()
    """Whose format it is: `generic`, `dsn`, or the provider's name."""
    smtp_account_name = peewee.TextField(null=True)
    content_type = peewee.TextField()
    headers = JsonField()
    """Those that reading needs, by their names in lower case."""
    body = peewee.BlobField()
    status = TextEnumField(PayloadStatus)
    attempt_count = peewee.SmallIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    next_attempt_at = DateTimeTZField(null=True)
    created_at = TimestampField()
    pruned_at = DateTimeTZField(null=True)
    """When its body and headers were removed, for they were old."""

    class Meta:
        table_name = "webhook_payloads"
        constraints = (
            peewee.Check("status IN ('received', 'read')", "webhook_payloads_status"),
            peewee.Check(
                "(status = 'received') = (next_attempt_at IS NOT NULL)",
                "webhook_payloads_received_has_time",
            ),
        )


WebhookPayload.add_index(
    WebhookPayload.next_attempt_at,
    where=peewee.SQL("status = 'received'"),
    name="webhook_payloads_due",
)
WebhookPayload.add_index(
    WebhookPayload.workspace, WebhookPayload.id, name="webhook_payloads_by_workspace"
)

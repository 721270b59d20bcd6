"""Where a provider reports to: an endpoint of a workspace, of one of its SMTP accounts, with a
token in its address. Token and secrets are only ever ciphertext; the token is found by its hash.

`WebhookTally`: how many requests came in and how many were refused, in slots of an hour; by the
endpoint's id, or 0 for maild's own format, which has no endpoint.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.models.fields import TimestampField
from maild.models.workspace import Workspace

GENERIC_ENDPOINT_ID = 0
"""What stands for the id of the endpoint of maild's own format."""


class WebhookEndpoint(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    provider = peewee.TextField()
    """`ses`, `sendgrid`, ..., or `dsn` for bounce mails."""
    smtp_account_name = peewee.TextField()
    """Whose mail it reports on; `default` is the account of the environment."""
    token_hash = peewee.BlobField()
    token_encrypted = peewee.BlobField(null=True)
    """None only between the two statements that make a row."""
    topic_arn = peewee.TextField(null=True)
    """Amazon SNS: the one topic that it hears."""
    created_by = peewee.TextField()
    created_at = TimestampField()
    last_event_at = DateTimeTZField(null=True)
    reports_deliveries = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    """Whether it has ever told of a delivery. Of one that tells of bounces alone, silence is good
    news.
    """
    usual_delay_seconds = peewee.DoubleField(null=True)
    """How long after a message was sent its report comes: a running mean."""
    silent_since = DateTimeTZField(null=True)
    """Since when mail goes out and nothing is reported, where that is so."""
    last_refused_at = DateTimeTZField(null=True)
    last_refusal = peewee.TextField(null=True)
    """Why the last request that was refused was."""
    refusing_since = DateTimeTZField(null=True)
    """Since when signatures keep failing, where they do."""

    class Meta:
        table_name = "webhook_endpoints"
        constraints = (
            peewee.Check("octet_length(token_hash) = 32", "webhook_endpoints_token_hash"),
        )


WebhookEndpoint.add_index(
    WebhookEndpoint.token_hash, unique=True, name="webhook_endpoints_by_token"
)
WebhookEndpoint.add_index(
    WebhookEndpoint.workspace, WebhookEndpoint.id, name="webhook_endpoints_by_workspace"
)


class WebhookSecret(BaseModel):
    """A secret of an endpoint; during a rotation there are two of a kind."""

    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    endpoint_id: int
    endpoint = peewee.ForeignKeyField(WebhookEndpoint, on_delete="CASCADE", index=False)
    kind = peewee.TextField()
    """`signing`, or `basic_auth`: `user:password`."""
    value_encrypted = peewee.BlobField(null=True)
    """None only between the two statements that make a row."""
    expires_at = DateTimeTZField(null=True)
    created_by = peewee.TextField()
    created_at = TimestampField()

    class Meta:
        table_name = "webhook_secrets"
        constraints = (peewee.Check("kind IN ('signing', 'basic_auth')", "webhook_secrets_kind"),)


WebhookSecret.add_index(
    WebhookSecret.endpoint, WebhookSecret.id, name="webhook_secrets_by_endpoint"
)


class WebhookTally(BaseModel):
    endpoint_id = peewee.IntegerField()
    slot_at = DateTimeTZField()
    received_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    refused_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])

    class Meta:
        table_name = "webhook_tallies"
        primary_key = peewee.CompositeKey("endpoint_id", "slot_at")

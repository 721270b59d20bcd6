"""Who is told of incidents, and what they were told: a workspace's channels, their secrets, and
each notification.
"""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.incident import Severity
from maild.domain.notification import ChannelKind, NotificationStatus, Occasion
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.incident import Incident
from maild.models.workspace import Workspace


class NotificationChannel(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    kind = TextEnumField(ChannelKind)
    target = peewee.TextField()
    """A mail address; of an address on the web, what may be shown of it."""
    min_severity = TextEnumField(Severity)
    """What is less bad is not told."""
    occasions = JsonField()
    """The values of the occasions that it is told of."""
    is_active = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT true")])
    off_reason = peewee.TextField(null=True)
    """Why maild has switched it off, where it has."""
    failing_since = DateTimeTZField(null=True)
    """Since when nothing gets through to it, where that is so."""
    last_error = peewee.TextField(null=True)
    last_sent_at = DateTimeTZField(null=True)
    version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 1")])
    created_by = peewee.TextField()
    created_at = TimestampField()

    class Meta:
        table_name = "notification_channels"
        constraints = (
            peewee.Check("kind IN ('webhook', 'slack', 'email')", "notification_channels_kind"),
            peewee.Check(
                "min_severity IN ('minor', 'major', 'critical')", "notification_channels_severity"
            ),
        )


NotificationChannel.add_index(
    NotificationChannel.workspace,
    NotificationChannel.name,
    unique=True,
    name="notification_channels_by_name",
)


class NotificationSecret(BaseModel):
    """An address on the web, or what a webhook is signed with; during a rotation there are two of
    the latter.
    """

    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    channel_id: int
    channel = peewee.ForeignKeyField(NotificationChannel, on_delete="CASCADE", index=False)
    kind = peewee.TextField()
    value_encrypted = peewee.BlobField(null=True)
    """None only between the two statements that make a row."""
    expires_at = DateTimeTZField(null=True)
    created_at = TimestampField()

    class Meta:
        table_name = "notification_secrets"
        constraints = (peewee.Check("kind IN ('url', 'signing')", "notification_secrets_kind"),)


NotificationSecret.add_index(
    NotificationSecret.channel, NotificationSecret.id, name="notification_secrets_by_channel"
)


class Notification(BaseModel):
    id = peewee.BigAutoField()
    uid = peewee.UUIDField(constraints=[peewee.SQL("DEFAULT gen_random_uuid()")])
    """By which a receiver knows one that comes again."""
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    channel_id: int
    channel = peewee.ForeignKeyField(NotificationChannel, on_delete="CASCADE", index=False)
    incident_id: int | None
    incident = peewee.ForeignKeyField(Incident, null=True, on_delete="CASCADE", index=False)
    """None: a test."""
    occasion = TextEnumField(Occasion)
    round = peewee.IntegerField()
    """Which time it is that this happens to the incident."""
    data = JsonField()
    """The incident as it was."""
    status = TextEnumField(NotificationStatus, constraints=[peewee.SQL("DEFAULT 'waiting'")])
    folded_into_id: int | None
    folded_into = peewee.ForeignKeyField("self", null=True, on_delete="SET NULL", index=False)
    """The one that tells this one as well."""
    due_at = TimestampField()
    """When it is tried next; while somebody tries it, when it may be taken over."""
    attempt_count = peewee.SmallIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    message_id = peewee.UUIDField(null=True)
    """The mail that it became."""
    code = peewee.IntegerField(null=True)
    """What the server answered, an HTTP status."""
    outcome = peewee.TextField(null=True)
    """What came of the latest attempt, in a sentence."""
    settled_at = DateTimeTZField(null=True)
    created_at = TimestampField()

    class Meta:
        table_name = "notifications"
        constraints = (
            peewee.Check(
                "occasion IN ('opened', 'escalated', 'resolved', 'reopened', 'test')",
                "notifications_occasion",
            ),
            peewee.Check(
                "status IN ('waiting', 'sent', 'failed', 'folded')", "notifications_status"
            ),
            peewee.Check("(settled_at IS NULL) = (status = 'waiting')", "notifications_settled"),
        )


Notification.add_index(
    Notification.channel,
    Notification.incident,
    Notification.occasion,
    Notification.round,
    unique=True,
    where=peewee.SQL("incident_id IS NOT NULL"),
    name="notifications_once",
)
Notification.add_index(Notification.workspace, Notification.id, name="notifications_by_workspace")
Notification.add_index(Notification.channel, Notification.id, name="notifications_by_channel")
Notification.add_index(
    Notification.incident,
    Notification.id,
    where=peewee.SQL("incident_id IS NOT NULL"),
    name="notifications_by_incident",
)
Notification.add_index(
    Notification.due_at,
    where=peewee.SQL("status = 'waiting'"),
    name="notifications_due",
)
Notification.add_index(
    Notification.channel,
    Notification.settled_at,
    where=peewee.SQL("status = 'sent'"),
    name="notifications_sent",
)
Notification.add_index(
    Notification.folded_into,
    where=peewee.SQL("folded_into_id IS NOT NULL"),
    name="notifications_folded",
)
Notification.add_index(
    Notification.workspace,
    Notification.settled_at,
    where=peewee.SQL("settled_at IS NOT NULL"),
    name="notifications_by_end",
)
"""What has been kept for long enough."""

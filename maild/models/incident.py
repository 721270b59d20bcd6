"""An incident: what goes wrong with a workspace's mail, grouped by why, with what was seen of it,
which messages it touched, and its timeline.
"""

import uuid

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.incident import EntryKind, IncidentKind, IncidentStatus, Severity
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.message import Message
from maild.models.workspace import Workspace


class Incident(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    kind = TextEnumField(IncidentKind)
    title = peewee.TextField()
    """What goes wrong, in a line."""
    status = TextEnumField(IncidentStatus)
    severity = TextEnumField(Severity)
    is_severity_set = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    """A person chose the severity: it does not change by itself."""
    smtp_account = peewee.TextField(null=True)
    """The name of the account it is about, if it is about one."""
    recipient_domain = peewee.TextField(null=True)
    """The family of recipient domains it is about, if it is about one."""
    message_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    recipient_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    opened_at = TimestampField()
    opened_by = peewee.TextField()
    since_at = TimestampField()
    """When it began; that is known only after it has gone on for a while."""
    last_seen_at = TimestampField()
    """When there was something new of it."""
    acknowledged_at = DateTimeTZField(null=True)
    acknowledged_by = peewee.TextField(null=True)
    assigned_to = peewee.TextField(null=True)
    """The address of the member who looks after it."""
    resolved_at = DateTimeTZField(null=True)
    resolved_by = peewee.TextField(null=True)
    cause = peewee.TextField(null=True)
    """What it was, as whoever resolved it says."""
    reopen_count = peewee.SmallIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    merged_into_id: int | None
    merged_into = peewee.ForeignKeyField("self", null=True, on_delete="SET NULL", index=False)
    """The one that it has become part of."""
    version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 1")])
    """Counts what people do to it: two at once notice each other by it."""
    updated_at = TimestampField()

    class Meta:
        table_name = "incidents"
        constraints = (
            peewee.Check(
                "kind IN ('delivery', 'provider', 'unknown_outcomes', 'silent_provider',"
                " 'dead_letters', 'conservation', 'domain', 'manual')",
                "incidents_kind",
            ),
            peewee.Check("status IN ('open', 'acknowledged', 'resolved')", "incidents_status"),
            peewee.Check("severity IN ('minor', 'major', 'critical')", "incidents_severity"),
            peewee.Check("(resolved_at IS NULL) = (status <> 'resolved')", "incidents_resolved"),
        )


Incident.add_index(Incident.workspace, Incident.id, name="incidents_by_workspace")
Incident.add_index(
    Incident.workspace,
    Incident.last_seen_at,
    where=peewee.SQL("status <> 'resolved'"),
    name="incidents_unresolved",
)
Incident.add_index(
    Incident.merged_into,
    where=peewee.SQL("merged_into_id IS NOT NULL"),
    name="incidents_by_merged_into",
)
Incident.add_index(
    Incident.workspace,
    Incident.resolved_at,
    where=peewee.SQL("resolved_at IS NOT NULL"),
    name="incidents_by_end",
)
"""What has been kept for long enough."""


class IncidentSignal(BaseModel):
    """One thing that goes wrong, known by its fingerprint. Most stay rare, and belong to no
    incident.
    """

    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    fingerprint = peewee.TextField()
    kind = TextEnumField(IncidentKind)
    error_class = peewee.TextField(null=True)
    smtp_account = peewee.TextField(null=True)
    recipient_domain = peewee.TextField(null=True)
    """A family of domains; None: many, or none in particular."""
    pattern = peewee.TextField(null=True)
    """The reply, without what differs from message to message."""
    sample = peewee.TextField(null=True)
    """The latest reply as it was."""
    detail = JsonField()
    """What else is known, as its kind has it."""
    incident_id: int | None
    incident = peewee.ForeignKeyField(Incident, null=True, on_delete="SET NULL", index=False)
    is_state = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    """It is so until it is not, rather than happening again and again."""
    is_active = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    """A state that holds now."""
    first_seen_at = TimestampField()
    since_at = TimestampField()
    """Since when it belongs to the present incident."""
    last_seen_at = TimestampField()
    message_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """How many messages it was ever seen of."""
    news_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """How often it was seen since its incident was resolved."""

    class Meta:
        table_name = "incident_signals"


IncidentSignal.add_index(
    IncidentSignal.workspace,
    IncidentSignal.fingerprint,
    unique=True,
    name="incident_signals_unique",
)
IncidentSignal.add_index(
    IncidentSignal.incident,
    where=peewee.SQL("incident_id IS NOT NULL"),
    name="incident_signals_by_incident",
)
IncidentSignal.add_index(IncidentSignal.last_seen_at, name="incident_signals_by_age")
IncidentSignal.add_index(
    IncidentSignal.workspace, where=peewee.SQL("is_active"), name="incident_signals_active"
)


class IncidentTally(BaseModel):
    """How often a signal was seen in five minutes."""

    signal = peewee.ForeignKeyField(IncidentSignal, on_delete="CASCADE", index=False)
    slot_at = TimestampField()
    seen_count = peewee.IntegerField()

    class Meta:
        table_name = "incident_tallies"
        primary_key = peewee.CompositeKey("signal", "slot_at")


class IncidentMessage(BaseModel):
    """A message that a signal was seen of, when it was last."""

    signal = peewee.ForeignKeyField(IncidentSignal, on_delete="CASCADE", index=False)
    message_id: uuid.UUID
    message = peewee.ForeignKeyField(Message, on_delete="CASCADE", index=False)
    seen_at = TimestampField()

    class Meta:
        table_name = "incident_messages"
        primary_key = peewee.CompositeKey("signal", "message")


IncidentMessage.add_index(IncidentMessage.message, name="incident_messages_by_message")


class IncidentCursor(BaseModel):
    """How far the watch has read the events; there is one row. The next it reads up to `mark_id`,
    once whoever was writing at `mark_at` has finished.
    """

    id = peewee.SmallIntegerField(primary_key=True)
    last_id = peewee.BigIntegerField()
    mark_id = peewee.BigIntegerField()
    mark_at = TimestampField()

    class Meta:
        table_name = "incident_cursors"
        constraints = (peewee.Check("id = 1", "incident_cursors_one"),)


class IncidentEntry(BaseModel):
    """An entry of an incident's timeline; never changed."""

    id = peewee.BigAutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    incident_id: int
    incident = peewee.ForeignKeyField(Incident, on_delete="CASCADE", index=False)
    kind = TextEnumField(EntryKind)
    actor = peewee.TextField()
    """Who did it, as the audit log names them; maild itself for what it saw."""
    text = peewee.TextField(null=True)
    """What a person wrote."""
    data = JsonField()
    created_at = TimestampField()

    class Meta:
        table_name = "incident_entries"


IncidentEntry.add_index(
    IncidentEntry.incident, IncidentEntry.id, name="incident_entries_by_incident"
)

"""A campaign: one mail to many contacts. And its ledger: who is meant to get it, and who did."""

import peewee
from playhouse.postgres_ext import DateTimeTZField

from maild.db import BaseModel
from maild.domain.campaign import AudienceKind, CampaignStatus, RecipientStatus, TestMetric, Variant
from maild.models.audience import Audience
from maild.models.contact import Contact
from maild.models.fields import JsonField, TextEnumField, TimestampField
from maild.models.segment import Segment
from maild.models.template import Template
from maild.models.workspace import Workspace


class Campaign(BaseModel):
    id = peewee.AutoField()
    workspace_id: int
    workspace = peewee.ForeignKeyField(Workspace, on_delete="CASCADE", index=False)
    name = peewee.TextField()
    status = TextEnumField(CampaignStatus, constraints=[peewee.SQL("DEFAULT 'draft'")])
    version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 1")])
    """Grows with each change by a person."""
    audience_kind = TextEnumField(AudienceKind)
    audience_id: int | None
    audience = peewee.ForeignKeyField(Audience, null=True, on_delete="SET NULL", index=False)
    segment_id: int | None
    segment = peewee.ForeignKeyField(Segment, null=True, on_delete="SET NULL", index=False)
    topic = peewee.TextField(null=True)
    """In normal form; who left it gets nothing of this."""
    from_email = peewee.TextField()
    from_name = peewee.TextField(null=True)
    reply_to = peewee.TextField(null=True)
    smtp_account = peewee.TextField(null=True)
    """The one account that it goes through; None: any."""
    template_id: int | None
    template = peewee.ForeignKeyField(Template, null=True, on_delete="SET NULL", index=False)
    template_version = peewee.IntegerField(null=True)
    """What is sent, fixed when it is submitted or scheduled; None in a draft: the latest."""
    subject = peewee.TextField(null=True)
    """In place of the template's."""
    subject_b = peewee.TextField(null=True)
    """The other one of a test."""
    test_percent = peewee.SmallIntegerField(null=True)
    """So many of a hundred contacts are in the test, half of them with each subject."""
    test_minutes = peewee.IntegerField(null=True)
    """How long the test is waited for, from when the last of it was handed over."""
    test_metric = TextEnumField(TestMetric, null=True)
    winner = TextEnumField(Variant, null=True)
    decide_at = DateTimeTZField(null=True)
    per_hour = peewee.IntegerField(null=True)
    """At most so many messages an hour; None: as fast as the policy and the providers allow."""
    ramp = JsonField(null=True)
    """At most so many messages on the first day, the second, ...; then as many as there are."""
    send_at = peewee.DateTimeField(null=True)
    """When it is to begin, by the clocks of `time_zone`; None: as soon as it is scheduled."""
    time_zone = peewee.TextField(constraints=[peewee.SQL("DEFAULT 'UTC'")])
    starts_at = DateTimeTZField(null=True)
    changed_by = peewee.TextField(null=True)
    """Who changed what it says last; None where nobody has since it was made."""
    submitted_by = peewee.TextField(null=True)
    approved_by = peewee.TextField(null=True)
    paused_from = TextEnumField(CampaignStatus, null=True)
    """Where it goes on when it is resumed."""
    paused_by = peewee.TextField(null=True)
    pause_reason = peewee.TextField(null=True)
    cancelled_by = peewee.TextField(null=True)
    rules = JsonField(null=True)
    """The rules of its segment as they were when it began."""
    cursor = peewee.BigIntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """The id of the last contact that was looked at for the ledger."""
    audience_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """Rows of the ledger."""
    handed_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    """Those of which a message was made."""
    pace = JsonField(null=True)
    """What its pace has used up (`domain/campaign_pace.py`)."""
    fault = peewee.TextField(null=True)
    """Why its latest step was not done; None where it was."""
    fault_count = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 0")])
    step_at = TimestampField()
    """Its next step is not taken before."""
    created_by = peewee.TextField()
    created_at = TimestampField()
    updated_at = TimestampField()
    started_at = DateTimeTZField(null=True)
    prepared_at = DateTimeTZField(null=True)
    """When the ledger was complete."""
    ended_at = DateTimeTZField(null=True)
    settled_at = DateTimeTZField(null=True)
    """When nothing was left to be done for it: after a cancellation, later than `ended_at`."""

    class Meta:
        table_name = "campaigns"
        constraints = (
            peewee.Check(
                "status IN ('draft', 'in_review', 'scheduled', 'preparing', 'sending', 'paused', "
                "'finished', 'cancelled')",
                "campaigns_status",
            ),
            peewee.Check("audience_kind IN ('everyone', 'list', 'segment')", "campaigns_audience"),
            peewee.Check(
                "num_nulls(test_percent, test_minutes, test_metric) IN (0, 3)"
                " AND (test_percent BETWEEN 1 AND 100)"
                " AND (test_metric IN ('opens', 'clicks'))",
                "campaigns_test",
            ),
            peewee.Check("winner IN ('a', 'b')", "campaigns_winner"),
            peewee.Check("(status = 'paused') = (paused_from IS NOT NULL)", "campaigns_paused"),
            peewee.Check(
                "(status IN ('finished', 'cancelled')) = (ended_at IS NOT NULL)",
                "campaigns_ended",
            ),
            peewee.Check(
                "status IN ('draft', 'in_review', 'cancelled') OR starts_at IS NOT NULL",
                "campaigns_scheduled",
            ),
        )


Campaign.add_index(Campaign.workspace, Campaign.id, name="campaigns_by_workspace")
Campaign.add_index(
    Campaign.audience, where=peewee.SQL("audience_id IS NOT NULL"), name="campaigns_of_audience"
)
Campaign.add_index(
    Campaign.segment, where=peewee.SQL("segment_id IS NOT NULL"), name="campaigns_of_segment"
)
Campaign.add_index(
    Campaign.template, where=peewee.SQL("template_id IS NOT NULL"), name="campaigns_of_template"
)
Campaign.add_index(
    Campaign.step_at,
    where=peewee.SQL(
        "status IN ('scheduled', 'preparing', 'sending', 'cancelled') AND settled_at IS NULL"
    ),
    name="campaigns_to_step",
)


class CampaignRecipient(BaseModel):
    """A row of the ledger. Once it has a message, a trigger lets its status follow that one's."""

    id = peewee.BigAutoField()
    campaign_id: int
    campaign = peewee.ForeignKeyField(Campaign, on_delete="CASCADE", index=False)
    contact_id = peewee.BigIntegerField()
    """Of a contact that may be gone by now."""
    email = peewee.TextField(collation="pg_c_utf8")
    variant = TextEnumField(Variant, null=True)
    """Which subject it gets; None: no test, or the winner's."""
    status = TextEnumField(RecipientStatus, constraints=[peewee.SQL("DEFAULT 'queued'")])
    reason = peewee.TextField(null=True)
    """Why it did not get it, in a word."""
    message_id = peewee.UUIDField(null=True)
    handed_at = DateTimeTZField(null=True)
    """When the message was made."""
    opened_at = DateTimeTZField(null=True)
    """The first time; so are the three below."""
    clicked_at = DateTimeTZField(null=True)
    complained_at = DateTimeTZField(null=True)
    unsubscribed_at = DateTimeTZField(null=True)
    updated_at = TimestampField()

    class Meta:
        table_name = "campaign_recipients"
        constraints = (
            peewee.Check(
                "status IN ('queued', 'sent', 'delivered', 'bounced', 'suppressed', 'failed', "
                "'cancelled', 'unknown')",
                "campaign_recipients_status",
            ),
            peewee.Check("variant IN ('a', 'b')", "campaign_recipients_variant"),
            peewee.Check(
                "(message_id IS NULL) = (handed_at IS NULL)", "campaign_recipients_handed"
            ),
        )


CampaignRecipient.add_index(
    CampaignRecipient.campaign,
    CampaignRecipient.email,
    unique=True,
    name="campaign_recipients_once",
)
"""Nobody is meant twice: not even who was deleted and added again meanwhile."""
CampaignRecipient.add_index(
    CampaignRecipient.campaign,
    CampaignRecipient.status,
    CampaignRecipient.id,
    name="campaign_recipients_by_status",
)
"""The figures, and the list behind each."""
CampaignRecipient.add_index(
    CampaignRecipient.campaign,
    CampaignRecipient.variant,
    CampaignRecipient.id,
    where=peewee.SQL("status = 'queued' AND message_id IS NULL"),
    name="campaign_recipients_waiting",
)
CampaignRecipient.add_index(
    CampaignRecipient.campaign,
    CampaignRecipient.id,
    where=peewee.SQL("status = 'queued' AND message_id IS NOT NULL"),
    name="campaign_recipients_under_way",
)
"""Those whose message has not come to its end: some thousands at most."""
CampaignRecipient.add_index(
    CampaignRecipient.contact_id,
    CampaignRecipient.campaign,
    unique=True,
    name="campaign_recipients_of_contact",
)


class ContactEngagement(BaseModel):
    """The last times that something came of a campaign's mail to a contact, for segments.

    What the ledgers say of the contact over all campaigns, so that nobody has to go through them.
    """

    contact_id: int
    contact = peewee.ForeignKeyField(Contact, primary_key=True, on_delete="CASCADE", index=False)
    mailed_at = DateTimeTZField()
    """When a message to them was queued."""
    opened_at = DateTimeTZField(null=True)
    clicked_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "contact_engagements"


class CampaignSettings(BaseModel):
    """What holds for all campaigns of a workspace."""

    workspace_id: int
    workspace = peewee.ForeignKeyField(
        Workspace, primary_key=True, on_delete="CASCADE", index=False
    )
    needs_second_person = peewee.BooleanField(constraints=[peewee.SQL("DEFAULT false")])
    """Whether somebody else than who submitted a campaign has to approve it."""
    version = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 1")])
    updated_by = peewee.TextField()
    updated_at = TimestampField()

    class Meta:
        table_name = "campaign_settings"

"""What people did to a campaign, and which campaigns a contact was in, for the console."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.campaign import RecipientStatus
from maild.models import AuditEntry, Campaign, CampaignRecipient
from maild.services import campaigns, message_log

ENTRIES_MAX = 100
CAMPAIGNS_MAX = 20


@dataclass(frozen=True, slots=True)
class Part:
    """A contact's part in a campaign. `handed_at` is when a message was made of it, if one was."""

    campaign_id: int
    name: str
    status: RecipientStatus
    reason: str | None
    handed_at: datetime | None
    updated_at: datetime


def list_entries(campaign: Campaign) -> list[AuditEntry]:
    """The newest ENTRIES_MAX entries of the audit log about a campaign, newest first. Raises
    SearchTooLong.
    """
    query = (
        AuditEntry.select()
        .where(
            AuditEntry.workspace == campaign.workspace_id,
            AuditEntry.at >= campaign.created_at,
            AuditEntry.action.startswith("campaign."),
            AuditEntry.target == f"campaign {campaign.id}",
        )
        .order_by(AuditEntry.seq.desc())
        .limit(ENTRIES_MAX)
    )
    with message_log.bounded():
        return list(query)


def list_of_contact(workspace_id: int, contact_id: int) -> list[Part]:
    """The newest CAMPAIGNS_MAX campaigns that had this contact in their audience."""
    row = CampaignRecipient
    query = (
        row.select(row, Campaign.name.alias("name"))
        .join(Campaign, on=row.campaign == Campaign.id)
        .where(row.contact_id == contact_id, Campaign.workspace == workspace_id)
        .order_by(row.campaign.desc())
        .limit(CAMPAIGNS_MAX)
    )
    rows: list[Any] = list(query.objects())
    return [
        Part(one.campaign_id, one.name, one.status, one.reason, one.handed_at, one.updated_at)
        for one in rows
    ]


def note_export(campaign: Campaign, *, asked: str, by: Actor) -> None:
    """Keep in the audit log that somebody takes the recipients away; `asked` is the filter."""
    with database.atomic():
        campaigns.record(campaign, by, "recipients_exported", after={"filter": asked})

"""What tests of campaigns share: contacts, a template, a campaign that is ready, and steps."""

from collections.abc import Iterable
from typing import Any

from maild import clock
from maild.db import database
from maild.domain.actor import SYSTEM
from maild.domain.campaign import AudienceKind, CampaignStatus, RecipientStatus
from maild.domain.template import TemplateFormat
from maild.models import Campaign, CampaignRecipient, Contact, Message, Template, TemplateVersion
from maild.services import campaign_ledger, campaign_steps, policies
from tests.conftest import WORKSPACE_A

HTML = (
    "<p>Hello {{ contact.name | default: 'you' }}</p><p><a href='{{ unsubscribe_url }}'>x</a></p>"
)


def make_contacts(
    count: int, *, who: str = "ann", workspace_id: int = WORKSPACE_A, **fields: Any
) -> list[Contact]:
    """So many contacts: `ann1@example.net` and so on."""
    rows = [
        {
            "workspace_id": workspace_id,
            "email": f"{who}{n}@example.net",
            "created_by": "test",
            **fields,
        }
        for n in range(1, count + 1)
    ]
    return list(Contact.insert_many(rows).returning(Contact).execute()) if rows else []


def make_template(
    *, workspace_id: int = WORKSPACE_A, name: str = "News", **fields: Any
) -> TemplateVersion:
    """A template with one version; any field of it may be given."""
    template = Template.create(workspace=workspace_id, name=name, created_by="test")
    values: dict[str, Any] = {
        "subject": "News for {{ contact.email }}",
        "format": TemplateFormat.HTML,
        "source": HTML,
        "html": HTML,
        "body_text": "Hello. {{ unsubscribe_url }}",
        "fields": [],
        "created_by": "test",
    }
    return TemplateVersion.create(template=template.id, version=1, **{**values, **fields})


def make_campaign(*, workspace_id: int = WORKSPACE_A, **fields: Any) -> Campaign:
    """A campaign to everybody that is scheduled for now; any field may be given."""
    values: dict[str, Any] = {
        "name": "Spring",
        "status": CampaignStatus.SCHEDULED,
        "audience_kind": AudienceKind.EVERYONE,
        "from_email": "news@example.com",
        "starts_at": clock.now(),
        "created_by": "test",
    }
    if "template" not in fields:
        version = make_template(workspace_id=workspace_id)
        values |= {"template": version.template_id, "template_version": version.version}
    made = Campaign.create(workspace=workspace_id, **{**values, **fields})
    return again(made)


def again(campaign: Campaign) -> Campaign:
    """The campaign as it is now."""
    found: Campaign = Campaign.get_by_id(campaign.id)
    return found


def due(campaign: Campaign) -> None:
    """Let its next step be due."""
    database.execute_sql(
        "UPDATE campaigns SET step_at = now() - interval '1 second' WHERE id = %s", (campaign.id,)
    )


def step(campaign: Campaign, count: int = 1) -> Campaign:
    """Take so many steps of it, whenever they are due."""
    for _ in range(count):
        due(campaign)
        assert campaign_steps.take_step()
    return again(campaign)


def step_until(campaign: Campaign, *statuses: CampaignStatus, at_most: int = 50) -> Campaign:
    """Take steps of it until it has one of these statuses."""
    for _ in range(at_most):
        if again(campaign).status in statuses:
            return again(campaign)
        step(campaign)
    raise AssertionError(f"it is still {again(campaign).status}")


def hand_all(campaign: Campaign) -> Campaign:
    """Take steps until every row has a message, or has come to its end."""
    for _ in range(50):
        current = again(campaign)
        if current.prepared_at is not None and not campaign_ledger.figures(current).waiting_count:
            return current
        step(campaign)
    raise AssertionError("some rows still wait")


def rows_of(campaign: Campaign) -> list[CampaignRecipient]:
    query = CampaignRecipient.select().where(CampaignRecipient.campaign == campaign.id)
    return list(query.order_by(CampaignRecipient.id))


def messages_of(campaign: Campaign) -> list[Message]:
    ids = [row.message_id for row in rows_of(campaign) if row.message_id]
    return list(Message.select().where(Message.id << ids).order_by(Message.id)) if ids else []


def counts(campaign: Campaign) -> dict[str, int]:
    """Rows by status, without those that are 0; and the ledger adds up."""
    figures = campaign_ledger.figures(again(campaign))
    assert figures.difference == 0
    assert all(check.is_whole for check in campaign_ledger.check([campaign.id]))
    return {status.value: n for status, n in figures.by_status.items() if n}


def reasons(campaign: Campaign, status: RecipientStatus) -> dict[str | None, int]:
    return campaign_ledger.figures(again(campaign)).reasons(status)


def send_some(messages: Iterable[Message], status: str) -> None:
    """Move messages by hand, as if a worker had sent them."""
    path = {
        "sending": ["sending"],
        "sent": ["sending", "sent"],
        "delivered": ["sending", "sent", "delivered"],
        "failed": ["sending", "failed"],
        "unknown": ["sending", "unknown"],
    }[status]
    for message in messages:
        for new in path:
            database.execute_sql(
                "UPDATE messages SET status = %s, next_attempt_at = NULL,"
                " worker_id = CASE WHEN %s = 'sending' THEN gen_random_uuid() END WHERE id = %s",
                (new, new, message.id),
            )


def set_policy(**changes: Any) -> None:
    """Change the policy of workspace A."""
    policies.save(WORKSPACE_A, changes=changes, by=SYSTEM)

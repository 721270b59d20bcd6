"""A tour of campaigns: every state of one, long names, what stops it, what is wrong."""

import pytest

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus
from maild.domain.role import Role
from maild.domain.states import Status
from maild.models import CampaignRecipient
from maild.services import (
    campaign_approvals,
    campaign_handover,
    campaign_settings,
    campaign_states,
    campaigns,
)
from tests.browser import hard_rows
from tests.browser.guide import posted, tour
from tests.conftest import WORKSPACE_A
from tests.services.campaigning import (
    hand_all,
    make_campaign,
    make_contacts,
    make_template,
    messages_of,
    send_some,
    step,
    step_until,
)

PATH = "/ui/campaigns"
BY = Actor(hard_rows.LONG_ADDRESS)


@pytest.fixture
def first_campaigner(admin):
    """The admin of a workspace that has no campaigns yet."""
    return tour(admin, PATH, f"{PATH}?status=paused", f"{PATH}/new", f"{PATH}/settings")


def thaw(monkeypatch):
    """Another tour may stand beside this one, and have frozen all mail."""
    monkeypatch.setattr(campaign_handover, "is_frozen", lambda campaign: False)


@pytest.fixture
def campaigner(admin, monkeypatch):
    """The admin, among campaigns in every state."""
    thaw(monkeypatch)
    make_contacts(12)
    template = make_template(name="c" * 100)
    ready = draft(template.template_id, name="d" * 200)
    broken = draft(None, topic="t" * 60)
    waiting = draft(template.template_id, name="Waits")
    campaign_approvals.submit(WORKSPACE_A, waiting.id, by=BY)
    timed = draft(template.template_id, name="Timed", time_zone="America/Argentina/Buenos_Aires")
    campaign_approvals.schedule(WORKSPACE_A, timed.id, by=BY)
    mixed = hand_all(step_until(of(template, name="Mixed"), CampaignStatus.SENDING))
    queued = [message for message in messages_of(mixed) if message.status is Status.QUEUED]
    for status, some in (
        ("delivered", slice(5)),
        ("failed", slice(5, 8)),
        ("unknown", slice(8, 9)),
    ):
        send_some(queued[some], status)
    tell(mixed)
    testing = of(
        template, name="Testing", subject="s" * 300, subject_b="{{ contact.email }}",
        test_percent=50, test_minutes=60, test_metric="clicks",
    )  # fmt: skip
    testing = step(step_until(testing, CampaignStatus.SENDING))
    paused = hand_all(step_until(of(template, name="Paused"), CampaignStatus.SENDING))
    campaign_states.pause(WORKSPACE_A, paused.id, reason="r" * 300, by=BY)
    stopped = hand_all(step_until(of(template, name="Stopped"), CampaignStatus.SENDING))
    campaign_states.cancel(WORKSPACE_A, stopped.id, by=BY)
    wrong = {
        "name": "n" * 300, "audience_kind": "list", "audience_id": "99", "from_email": "x",
        "begins": "at", "send_at": "soon", "time_zone": "Nowhere", "per_hour": "x", "ramp": "1 x",
        "subject": "{{", "subject_b": "B", "test_percent": "500", "reply_to": "y",
        "workspace_id": str(WORKSPACE_A),
    }  # fmt: skip
    right = {
        "name": "Mine", "audience_kind": "everyone", "template_id": str(template.template_id),
        "from_email": "news@example.com", "begins": "now", "time_zone": "UTC", "version": "9",
        "workspace_id": str(WORKSPACE_A),
    }  # fmt: skip
    return tour(
        admin,
        PATH,
        f"{PATH}/{ready.id}",
        f"{PATH}/{ready.id}/edit",
        f"{PATH}/{ready.id}/send",
        f"{PATH}/{ready.id}/test",
        f"{PATH}/{broken.id}/send",
        f"{PATH}/{waiting.id}",
        f"{PATH}/{waiting.id}/send",
        f"{PATH}/{timed.id}",
        f"{PATH}/{mixed.id}",
        f"{PATH}/{mixed.id}/report",
        f"{PATH}/{mixed.id}/recipients",
        f"{PATH}/{mixed.id}/recipients?status=nonsense",
        f"{PATH}/{testing.id}",
        f"{PATH}/{testing.id}/report",
        f"{PATH}/{paused.id}",
        f"{PATH}/{stopped.id}",
        posted(f"{PATH}/new", 422, **wrong),
        posted(f"{PATH}/{ready.id}/edit", 409, **right),
        posted(f"{PATH}/{ready.id}/edit", 200, act="look", **right),
        posted(
            f"{PATH}/{ready.id}/schedule", 409, by=f"{PATH}/{ready.id}/send", version="9",
            workspace_id=str(WORKSPACE_A),
        ),
    )  # fmt: skip


@pytest.fixture
def spectator(make_person, monkeypatch):
    """A viewer, who changes no campaign, where each needs a second person."""
    thaw(monkeypatch)
    campaign_settings.save(WORKSPACE_A, needs_second_person=True, by=BY)
    make_contacts(2, who="bob")
    template = make_template(name="Plain")
    ready = draft(template.template_id)
    sent = hand_all(step_until(of(template), CampaignStatus.SENDING))
    person = make_person("viola@a.example", Role.VIEWER)
    paths = (f"/{ready.id}", f"/{ready.id}/send", f"/{ready.id}/test", f"/{sent.id}", "/settings")
    return tour(person, PATH, *(f"{PATH}{path}" for path in paths))


def draft(template_id, **fields):
    values = {
        "name": "Draft", "audience_kind": "everyone", "from_email": "news@example.com",
        "template_id": template_id, **fields,
    }  # fmt: skip
    return campaigns.create(WORKSPACE_A, values, by=BY)


def of(template, **fields):
    return make_campaign(template=template.template_id, template_version=1, **fields)


def tell(campaign):
    """Let some of its recipients have done all that can be done, and one be of a long reason."""
    rows = CampaignRecipient.select().where(CampaignRecipient.campaign == campaign.id)
    for row in rows.order_by(CampaignRecipient.id).limit(2):
        database.execute_sql(
            "UPDATE campaign_recipients SET opened_at = now(), clicked_at = now(),"
            " complained_at = now(), unsubscribed_at = now(), reason = %s WHERE id = %s",
            ("r" * 300, row.id),
        )

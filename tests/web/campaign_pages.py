"""What tests of the pages of campaigns share: campaigns in several states, and reading pages."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus
from maild.services import (
    campaigns,
)
from tests.conftest import WORKSPACE_A
from tests.services.campaigning import (
    hand_all,
    make_campaign,
    make_contacts,
    make_template,
    step,
    step_until,
)

PATH = "/ui/campaigns"
BY = Actor("ann@a.example")


@pytest.fixture
def template(database):
    return make_template(name="Letter")


@pytest.fixture
def people(database):
    return make_contacts(3)


@pytest.fixture
def typed(template, people):
    """What a person types into the composer."""
    return {
        "name": "Spring",
        "audience_kind": "everyone",
        "template_id": str(template.template_id),
        "from_email": "news@example.com",
        "begins": "now",
        "time_zone": "UTC",
        "act": "save",
    }


@pytest.fixture
def draft(typed):
    """A draft that is ready, to three contacts."""
    fields = {name: typed[name] for name in ("name", "audience_kind", "from_email")}
    template_id = int(typed["template_id"])
    return campaigns.create(WORKSPACE_A, {**fields, "template_id": template_id}, by=BY)


@pytest.fixture
def sending(people):
    """A campaign to three contacts, each with a message that waits."""
    return hand_all(step_until(make_campaign(), CampaignStatus.SENDING))


@pytest.fixture
def begun(database):
    """A campaign whose test of two subjects is on its way."""
    make_contacts(20)
    version = make_template()
    row = make_campaign(
        template=version.template_id,
        template_version=1,
        subject="First",
        subject_b="Second",
        test_percent=50,
        test_minutes=60,
        test_metric="opens",
    )
    row = step_until(row, CampaignStatus.SENDING)
    return step(row)


def soup_of(response, status=200):
    assert response.status_code == status, response.text
    return BeautifulSoup(response.text, "html.parser")


def squeeze(node):
    return " ".join(node.text.split())


def follow(response):
    assert response.status_code == 303, response.text
    return response.location


def url(row, rest=""):
    return f"{PATH}/{row.id}{rest}"


def toasts(client):
    page = soup_of(client.get(PATH))
    return " ".join(squeeze(one) for one in page.select("[data-toast]"))


def htmx(client, post, path, **fields):
    client.environ_base["HTTP_HX_REQUEST"] = "true"
    try:
        return post(client, path, **fields)
    finally:
        del client.environ_base["HTTP_HX_REQUEST"]

"""Parts of pages that are put anew while somebody looks: htmx gives the focus back by an id."""

from collections import Counter

import pytest

from maild.domain.states import Status
from tests.services.incidenting import make_incident
from tests.web.provider_helpers import save

FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]"


@pytest.fixture
def full(accept, move, client):
    """A workspace with something of all that the pages show; returns a message and an incident."""
    messages = [accept(subject=f"Message {number}") for number in range(3)]
    move(messages[1], Status.SENDING)
    move(messages[2], Status.HELD)
    save(active=True)
    save("spare")
    return messages[0], make_incident([one.id for one in messages], smtp_account="main")


def named_of(soup):
    """How often each id is on a page."""
    return Counter(one["id"] for one in soup.select("[id]"))


@pytest.mark.parametrize(
    "path",
    [
        "/ui",
        "/ui?span=7d",
        "/ui/providers",
        "/ui/incidents",
        "/ui/incidents/{incident}",
        "/ui/messages/{message}",
    ],
)
def test_what_can_have_the_focus_has_an_id_of_its_own(page, full, path):
    message, incident = full
    soup = page(path.format(message=message.id, incident=incident.id))
    regions = soup.select("main [hx-trigger^=every]")
    assert regions
    nameless = [
        str(one)[:120]
        for region in regions
        for one in region.select(FOCUSABLE)
        if not one.get("id") and one.find_parent("dialog") is None
    ]
    assert nameless == []
    assert [name for name, count in named_of(soup).items() if count > 1] == []


def test_an_empty_overview_too(page):
    soup = page("/ui")
    assert all(one.get("id") for one in soup.select_one("#overview").select(FOCUSABLE))

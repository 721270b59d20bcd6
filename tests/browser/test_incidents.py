"""From triage to resolved: a card is acknowledged, a remedy is looked at and carried out, and the
incident is resolved; and the page looks again without disturbing who types.
"""

import re

import pytest
from playwright.sync_api import expect

from maild.domain.incident import IncidentStatus
from maild.models import Incident
from maild.services import incidents, job_steps, workers
from tests.conftest import WORKSPACE_A
from tests.services.bulking import put, statuses
from tests.services.incidenting import make_incident
from tests.services.test_incident_remedies import BY

pytestmark = pytest.mark.browser


def start_and_resolve(tab, incident):
    """The remedy of an incident's page, its job, and the way back to resolve it."""
    tab.get_by_role("link", name="Retry what has failed…").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Retry what has failed?")
    tab.get_by_role("button", name="Retry 5 messages").click()
    expect(tab).to_have_url(re.compile(r"/ui/jobs/\d+$"))
    job_steps.drain()
    assert statuses() == {"queued": 5}
    tab.goto(f"/ui/incidents/{incident.id}")
    expect(tab.locator(".timeline")).to_contain_text("Retry what has failed")
    tab.locator("#act-resolve > summary").click()
    tab.locator("#cause").fill("An outage, which is over.")
    tab.get_by_role("button", name="Resolve", exact=True).click()
    expect(tab.locator(".state")).to_contain_text("An outage, which is over.")
    assert Incident.get_by_id(incident.id).status is IncidentStatus.RESOLVED


def test_from_triage_to_resolved_with_the_keyboard_and_a_remedy(tab, lease):
    make_incident(title="Another one")
    incident = make_incident(put(5), title="The server says later")
    tab.goto("/ui/incidents")
    tab.keyboard.press("j")
    expect(tab.locator(f"#incident-{incident.id}")).to_be_focused()
    card = tab.get_by_role("article", name="The server says later")
    card.get_by_role("button", name="Acknowledge").click()
    expect(card).to_contain_text("has seen it")
    tab.keyboard.press("j")
    tab.keyboard.press("o")
    expect(tab.get_by_role("heading", level=1)).to_have_text("The server says later")
    start_and_resolve(tab, incident)


def test_it_looks_again_but_not_while_somebody_types(tab, forgive):
    incident = make_incident()
    tab.goto(f"/ui/incidents/{incident.id}")
    tab.locator("#act-note > summary").click()
    tab.get_by_role("textbox", name="Note").fill("I am writing")
    incidents.note(WORKSPACE_A, incident.id, text="Somebody else wrote this.", by=BY)
    tab.clock.run_for(5_100)
    expect(tab.get_by_role("textbox", name="Note")).to_have_value("I am writing")
    tab.get_by_role("button", name="Add it to the timeline").click()
    expect(tab.locator(".trouble-told")).to_contain_text("Somebody else wrote this.")
    forgive(409)
    expect(tab.get_by_role("textbox", name="Note")).to_have_value("I am writing")
    tab.get_by_role("button", name="Add it to the timeline").click()
    expect(tab.locator(".timeline")).to_contain_text("I am writing")
    incidents.note(WORKSPACE_A, incident.id, text="And this comes by itself.", by=BY)
    tab.clock.run_for(5_100)
    expect(tab.locator(".timeline")).to_contain_text("And this comes by itself.")


@pytest.mark.long
def test_it_works_without_scripts(open_context):
    workers.enter()
    incident = make_incident(put(5))
    tab = open_context(java_script_enabled=False).new_page()
    tab.goto("/ui/incidents")
    tab.get_by_role("button", name="Acknowledge").click()
    tab.get_by_role("link", name=incident.title).click()
    start_and_resolve(tab, incident)

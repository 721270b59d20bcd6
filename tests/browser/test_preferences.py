"""How people choose, in a browser: from a newsletter to the preference centre, and from a form to
a confirmed address. The mail goes out by real SMTP.
"""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from maild import config, db
from maild.domain.actor import Actor
from maild.domain.contact import ContactStatus
from maild.models import Contact, Unsubscribe
from maild.services import topics
from maild.services.topics import NewTopic
from tests.conftest import ADMIN_KEY, WORKSPACE_A

pytestmark = pytest.mark.browser

ADDRESS = "ann@example.org"
OLAF = Actor("olaf@a.example")


@pytest.fixture
def send_out(deliver):
    """Let the mail go out."""

    def in_a_thread():
        with db.connection():
            return deliver()

    def send():
        with ThreadPoolExecutor(1) as pool:  # Playwright has the event loop of this one
            pool.submit(in_a_thread).result()

    return send


@pytest.fixture
def stranger(open_context):
    """The browser of somebody who reads their mail."""
    return open_context(person=None).new_page()


def in_force():
    rows = Unsubscribe.select().where(Unsubscribe.removed_at.is_null())
    return {(row.topic, row.source) for row in rows}


def test_from_a_newsletter_to_the_topics_that_one_wants(stranger, accept, inbox, send_out):
    topics.save(WORKSPACE_A, NewTopic("news", "Our newsletter", "Once a month."), by=OLAF)
    topics.save(WORKSPACE_A, NewTopic("offers", "Offers"), by=OLAF)
    accept(stream="marketing", topic="news", subject="Our news")
    send_out()
    link = inbox.only()["List-Unsubscribe"].strip("<>").removeprefix(config.current().public_url)
    stranger.goto(link)
    stranger.get_by_role("link", name="Choose what you hear of").click()
    news, offers = (stranger.get_by_label(name) for name in ("Our newsletter", "Offers"))
    expect(news).to_be_checked()
    expect(offers).to_be_checked()
    assert in_force() == set()
    news.uncheck()
    stranger.get_by_role("button", name="Save my choice").click()
    expect(stranger.locator(".saved")).to_contain_text("Your choice is saved")
    expect(news).not_to_be_checked()
    assert in_force() == {("news", "preferences")}
    stranger.get_by_role("button", name="Stop all newsletters and offers").click()
    expect(stranger.locator(".saved")).to_contain_text("no more newsletters and offers")
    assert in_force() == {("news", "preferences"), (None, "preferences")}
    offers.check()
    stranger.get_by_role("button", name="Save my choice").click()
    expect(offers).to_be_checked()
    assert in_force() == {("news", "preferences")}


def test_from_a_form_to_a_confirmed_address(stranger, inbox, send_out, base_url, tab):
    topics.save(WORKSPACE_A, NewTopic("news", "Our newsletter"), by=OLAF)
    answer = stranger.request.post(
        f"{base_url}/v1/contacts",
        headers={config.current().api_key_header: ADMIN_KEY},
        data={"email": ADDRESS, "topics": ["news"], "double_opt_in": True},
    )
    assert answer.status == 201
    told = answer.json()
    assert (told["status"], told["confirmation"]["asked"]) == ("pending", True)
    send_out()
    mail = inbox.only()
    assert mail["Subject"] == "Please confirm your address"
    assert mail["Auto-Submitted"] == "auto-generated"
    [link] = re.findall(
        re.escape(config.current().public_url) + r"(/opt-in/\S+)", mail.get_content()
    )
    stranger.goto(link)
    expect(stranger.get_by_role("heading", level=1)).to_have_text("Do you want this mail?")
    expect(stranger.locator("main")).to_contain_text("Our newsletter")
    assert Contact.get().status is ContactStatus.PENDING
    stranger.get_by_role("button", name="Yes, I want this mail").click()
    expect(stranger.get_by_role("heading", level=1)).to_contain_text("Thank you")
    contact = Contact.get()
    assert (contact.status, contact.consent_source) == (ContactStatus.ACTIVE, "double_opt_in")
    assert told["confirmation"]["message_id"] in contact.consent_proof
    tab.goto(f"/ui/audience/contacts/{contact.id}")
    expect(tab.locator("main")).to_contain_text("double_opt_in")

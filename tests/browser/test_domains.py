"""A person adds a domain, sees what it lacks appear, mends it, and sees that it is ready."""

import threading

import pytest
from playwright.sync_api import expect

from maild import db
from maild.services import domain_check_loop
from tests import dns_zones

pytestmark = pytest.mark.browser
NAME = "shop.example"


@pytest.fixture
def worker(database):
    """Checks what is due, as a worker does."""
    stopping = threading.Event()

    def work():
        while not stopping.wait(0.1):
            with db.connection():
                domain_check_loop.drain()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stopping.set()
    thread.join()


@pytest.mark.proves("explain-domains")
def test_from_nothing_to_ready(open_context, admin, worker, dns_server, use_settings):
    use_settings(dns_resolvers=(dns_server.addr,), dns_timeout_seconds=1)
    dns_zones.publish(dns_server, NAME)
    dns_server.remove(f"_dmarc.{NAME}")
    tab = open_context(person=admin).new_page()
    tab.goto("/ui/domains")
    tab.get_by_label("Domain", exact=True).fill(NAME)
    tab.get_by_label("DKIM selector").fill("s1")
    tab.get_by_role("button", name="Add it").click()
    health = tab.locator("#domain .verdict")
    expect(health).to_contain_text("Not ready")
    expect(tab.get_by_text("There is no DMARC record.")).to_be_visible()
    value = tab.get_by_role("button", name="Copy the value for DMARC").get_attribute("data-copy")
    dns_server.txt(f"_dmarc.{NAME}", value)
    tab.get_by_role("button", name="Check now").click()
    expect(health).to_contain_text("Ready")

"""A tour of sending domains: one in order, one that lacks all, one that drifted, long names."""

import threading

import pytest
from playwright.sync_api import expect

from maild import db
from maild.domain.actor import Actor
from maild.services import domain_check_loop, domains
from tests import dns_zones
from tests.browser import hard_rows
from tests.browser.guide import Sight, send, tour
from tests.conftest import WORKSPACE_A

PATH = "/ui/domains"


@pytest.fixture
def landlord(admin, dns_server, use_settings, settled):
    """The admin, with domains in every state."""
    use_settings(dns_resolvers=(dns_server.addr,), dns_timeout_seconds=1)
    settled(from_email=f"a@{'suggested.' * 10}example")
    by = Actor(hard_rows.LONG_ADDRESS)
    long_name = f"{'label.' * 30}example"
    dns_zones.publish(dns_server, "shop.example")
    dns_zones.publish(dns_server, "drifted.example")
    dns_server.txt("weak.example", "v=spf1 " + "ip4:192.0.2.1 " * 30 + "?all")
    dns_server.fail("_dmarc.weak.example")
    rows = {
        name: domains.add(WORKSPACE_A, name, dkim_selector="s1", by=by)
        for name in ("shop.example", "drifted.example", "weak.example", long_name)
    }
    check_what_is_due()
    dns_server.txt("s1._domainkey.drifted.example", "v=DKIM1; p=")
    domains.ask_again(WORKSPACE_A, rows["drifted.example"].id)
    check_what_is_due()
    waiting = domains.add(WORKSPACE_A, "waiting.example", by=by)
    pages = {name: f"{PATH}/{row.id}" for name, row in rows.items()}
    return tour(
        admin,
        PATH,
        f"{PATH}?after={long_name}",
        Sight(PATH, lambda tab: send(tab, PATH, domain="x", workspace_id=WORKSPACE_A), 422),
        *pages.values(),
        f"{PATH}/{waiting.id}",
        Sight(pages["shop.example"], ask_before_removing),
    )


def ask_before_removing(tab):
    tab.get_by_text("Remove…").click()
    expect(tab.get_by_role("button", name="Remove it")).to_be_visible()


def check_what_is_due():
    """In a thread: the one of the browser may have an event loop already."""

    def work():
        with db.connection():
            domain_check_loop.drain()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

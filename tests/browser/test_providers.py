"""SMTP accounts in a real browser, with real servers: added, checked step by step, tested,
activated, put in order, paused; and what a provider reports, as it comes in.
"""

import json
import re
import ssl
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from maild import db
from maild.domain.actor import SYSTEM
from maild.models import Message, SmtpAccount
from maild.services import check_loop, report_loop, smtp_accounts, webhook_endpoints
from maild.services.smtp_account_fields import NewSmtpAccount
from maild.transports import smtp_session
from tests.conftest import WORKSPACE_A
from tests.services.conftest import wait_until
from tests.transports.conftest import authenticator, certificates, smtpd

__all__ = ["authenticator", "certificates", "smtpd"]

pytestmark = pytest.mark.browser

PATIENCE_MS = 20_000


@pytest.fixture
def server(smtpd, certificates, authenticator, tmp_path, monkeypatch):
    """An SMTP server with TLS, which wants a password, and whose certificate is trusted here."""
    [der] = certificates.client.get_ca_certs(binary_form=True)
    path = tmp_path / "trusted.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(der))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    smtp_session._default_context.cache_clear()
    options = {"authenticator": authenticator, "auth_require_tls": True, "auth_required": True}
    with ThreadPoolExecutor(1) as pool:  # Playwright has the event loop of this one
        yield pool.submit(smtpd, tls_context=certificates.server, **options).result()
    smtp_session._default_context.cache_clear()


@pytest.fixture
def checking(database):
    """A worker's loop that takes checks."""
    stopping = threading.Event()
    loop = threading.Thread(target=lambda: check_loop.loop.work(stopping))
    loop.start()
    yield
    stopping.set()
    check_loop.loop.wake()
    loop.join()


@pytest.fixture
def aside():
    """Call to do something in a thread that has no event loop, with a connection of its own."""
    with ThreadPoolExecutor(1) as pool:

        def within(action):
            with db.connection():
                return action()

        yield lambda action: pool.submit(within, action).result()


def save(name, **fields):
    values = {"host": "smtp.example.com", "port": 587, "from_email": "shop@example.com"}
    account = NewSmtpAccount(name=name, **{**values, **fields})
    return smtp_accounts.save(WORKSPACE_A, account, by=SYSTEM)


def names_of(tab):
    return tab.locator(".provider-card h2").all_inner_texts()


def fill_in(tab, port, *, password="sécret"):
    tab.get_by_label("Name", exact=True).fill("main")
    tab.get_by_label("Host").fill("localhost")
    tab.get_by_label("Port").fill(str(port))
    tab.get_by_label("Security").select_option("starttls")
    tab.get_by_label("User name").fill("ann")
    tab.get_by_label("Password", exact=False).first.fill(password)
    tab.get_by_label("From address").fill("shop@example.com")
    tab.get_by_role("button", name="Save", exact=True).click()


def test_from_a_new_account_to_mail_that_arrives(open_context, server, checking, aside, deliver):
    tab = open_context().new_page()
    tab.goto("/ui/providers")
    tab.get_by_role("link", name="Add an account").first.click()
    fill_in(tab, server.port)
    expect(tab.locator("#toasts .toast")).to_contain_text("“main” is saved")

    tab.get_by_role("button", name="Check it").click()
    check_loop.loop.wake()
    expect(tab.locator("#check .verdict")).to_have_text("It works", timeout=PATIENCE_MS)
    badges = tab.locator(".check-steps .badge").all_inner_texts()
    assert badges == ["ok"] * 6
    facts = tab.locator(".certificate")
    expect(facts).to_contain_text("localhost")
    expect(facts).to_contain_text("0 days left soon")
    expect(tab.locator(".offers")).to_contain_text("Signs in with")

    tab.get_by_role("link", name="Send a test", exact=True).click()
    expect(tab.get_by_label("To", exact=True)).to_have_value("ann@a.example")
    tab.get_by_role("button", name="Send it").click()
    expect(tab.locator("#story .badge").first).to_have_text("queued")
    wait_until(lambda: aside(deliver) or server.envelopes)
    expect(tab.locator("#story .badge").first).to_have_text("sent", timeout=PATIENCE_MS)
    [envelope] = server.envelopes
    assert envelope.rcpt_tos == ["ann@a.example"]
    assert "maild-test" in Message.get().tags

    tab.locator("#activate > summary").click()
    expect(tab.locator("dialog:modal")).to_contain_text("goes through “main” first")
    tab.get_by_role("button", name="Activate", exact=True).click()
    expect(tab.locator(".provider-title .badge").first).to_have_text("active")
    assert SmtpAccount.get(name="main").is_active

    tab.locator("#pause > summary").click()
    tab.get_by_label("Reason").fill("the bill")
    tab.get_by_role("button", name="Pause", exact=True).click()
    expect(tab.locator(".health .verdict")).to_have_text("Paused")
    tab.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(tab.locator(".health .verdict")).to_have_text("Healthy")


def test_a_wrong_password_says_what_to_do_and_is_mended(open_context, server, checking):
    tab = open_context().new_page()
    tab.goto("/ui/providers/new")
    fill_in(tab, server.port, password="wrong")
    tab.get_by_role("button", name="Check it").click()
    check_loop.loop.wake()
    expect(tab.locator("#check .verdict")).to_have_text("It does not work", timeout=PATIENCE_MS)
    failed = tab.locator(".check-steps li.bad")
    expect(failed).to_contain_text("The server does not accept the user name and password.")
    expect(failed).to_contain_text("What to do:")
    tab.locator("#check").get_by_role("link", name="settings").click()
    assert tab.get_by_label("Password", exact=False).first.input_value() == ""
    tab.get_by_label("Password", exact=False).first.fill("sécret")
    tab.get_by_role("button", name="Save", exact=True).click()
    tab.get_by_role("link", name="Check", exact=True).click()
    tab.get_by_role("button", name="Check it again").click()
    check_loop.loop.wake()
    expect(tab.locator("#check .verdict")).to_have_text("It works", timeout=PATIENCE_MS)
    expect(tab.locator(".earlier li")).to_have_count(1)


def test_the_line_is_put_in_order_by_hand_and_by_button(open_context):
    for name in ("active", "one", "two", "three"):
        save(name)
    smtp_accounts.activate(WORKSPACE_A, name="active", by=SYSTEM)
    tab = open_context().new_page()
    tab.goto("/ui/providers")
    with tab.expect_navigation():
        tab.get_by_role("button", name="Move up “two”").press("Enter")
    assert names_of(tab) == ["active", "two", "one", "three", "Environment"]

    card = tab.locator(".provider-card", has_text="two").first
    with tab.expect_navigation():
        tab.locator(".provider-card", has_text="three").locator("[data-grip]").drag_to(
            card, target_position={"x": 60, "y": 4}
        )
    assert names_of(tab) == ["active", "three", "two", "one", "Environment"]
    tab.locator("#toasts").get_by_role("button", name="Undo").last.click()
    expect(tab.locator(".provider-card h2").nth(1)).to_have_text("two")
    assert names_of(tab) == ["active", "two", "one", "three", "Environment"]


def test_what_is_dropped_nowhere_stays_where_it_was(open_context):
    for name in ("active", "one", "two"):
        save(name)
    smtp_accounts.activate(WORKSPACE_A, name="active", by=SYSTEM)
    tab = open_context().new_page()
    tab.goto("/ui/providers")
    tab.locator(".provider-card", has_text="two").locator("[data-grip]").hover()
    tab.mouse.down()
    tab.locator(".provider-card").first.hover()
    tab.locator("h1").hover()
    tab.mouse.up()
    expect(tab.locator(".is-dragged")).to_have_count(0)
    assert names_of(tab) == ["active", "one", "two", "Environment"]


def test_the_list_tells_by_itself_what_has_changed(tab):
    save("main")
    tab.goto("/ui/providers")
    smtp_accounts.pause(WORKSPACE_A, name="main", reason="the bill", by=SYSTEM)
    tab.clock.run_for(5_100)
    expect(tab.locator(".provider-card", has_text="main")).to_contain_text("the bill")


@pytest.mark.long
def test_it_works_without_scripts(open_context, server, checking):
    tab = open_context(java_script_enabled=False).new_page()
    tab.goto("/ui/providers/new")
    fill_in(tab, server.port)
    tab.get_by_role("button", name="Check it").click()
    check_loop.loop.wake()
    expect(tab).to_have_url(re.compile("/check$"))
    wait_until(lambda: tab.reload() and "It works" in tab.locator("#check").inner_text())
    save("second")
    save("third")
    tab.goto("/ui/providers")
    assert names_of(tab) == ["Environment", "main", "second", "third"]
    tab.get_by_role("button", name="Move up “third”").click()
    assert names_of(tab) == ["Environment", "main", "third", "second"]


def test_the_first_event_that_a_provider_reports_appears_by_itself(open_context, aside, base_url):
    row = webhook_endpoints.add(WORKSPACE_A, provider="postmark", smtp_account="default", by=SYSTEM)
    tab = open_context().new_page()
    tab.goto(f"/ui/providers/webhooks/{row.id}")
    expect(tab.locator("#endpoint .verdict")).to_have_text("Waiting for a first event")
    report = {
        "RecordType": "Delivery",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Recipient": "ann@example.org",
        "DeliveredAt": "2026-01-31T12:00:00Z",
        "Details": "250 OK",
        "Metadata": {},
    }
    request = urllib.request.Request(
        base_url + urlsplit(webhook_endpoints.url_of(row)).path,
        data=json.dumps(report).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        assert response.status in {200, 202, 204}
    wait_until(lambda: aside(report_loop.drain))
    expect(tab.locator("#endpoint .verdict")).to_have_text("Events come in", timeout=PATIENCE_MS)
    expect(tab.locator(".arrivals li").first).to_contain_text("ann@example.org")

"""A new person, from signing up to a message that is delivered and confirmed by a webhook, by
following the wizard alone: in a real browser, on the product as `maild run` starts it.
"""

import re
import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import browser  # noqa: F401 - a fixture
from tests.crash.conftest import Stack

pytestmark = [pytest.mark.crash, pytest.mark.long, pytest.mark.browser]

PASSWORD = "paper boats on the canal"
MAX_SECONDS = 180.0
"""Of waiting and clicking."""


PATIENCE_MS = 30_000


def see(what: Locator) -> None:
    expect(what).to_be_visible(timeout=PATIENCE_MS)


@pytest.fixture
def tab(browser, stack: Stack) -> Page:  # noqa: F811 - the fixture
    context = browser.new_context(base_url=f"http://{stack.web}")
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def confirm_address(tab: Page, home: str) -> None:
    """Open the inbox from the page, the mail in it, and the link in that."""
    with tab.context.expect_page() as opened:
        tab.get_by_role("link", name="Open the inbox").click()
    inbox = opened.value
    mail = inbox.get_by_role("link", name=re.compile("onfirm"))
    for _ in range(100):
        if mail.count():
            break
        inbox.wait_for_timeout(200)
        inbox.reload()
    mail.first.click()
    inbox.goto(re.search(re.escape(home) + r"/\S+", inbox.inner_text("body"))[0])
    inbox.get_by_role("button", name=re.compile("onfirm|mine")).first.click()
    inbox.close()


@pytest.mark.proves("explain-first-steps")
def test_a_new_person_gets_to_a_confirmed_delivery(tab: Page, stack: Stack) -> None:
    begun = time.monotonic()
    tab.goto("/signup")
    tab.get_by_label("Your name").fill("Zoë")
    tab.get_by_label("E-mail address").fill("zoe@example.org")
    tab.get_by_label("Password", exact=True).fill(PASSWORD)
    tab.get_by_label("Name of your workspace").fill("Paper boats")
    tab.get_by_role("button", name="Sign up").click()

    see(tab.get_by_role("heading", name="Set up “Paper boats”"))
    confirm_address(tab, f"http://{stack.web}")
    see(tab.get_by_text("Workspace: done"))  # by itself
    tab.get_by_role("link", name="Next: Provider").click()

    tab.get_by_role("button", name="Use the sandbox").click()
    see(tab.get_by_text("It works", exact=True))
    tab.get_by_role("link", name="Next: Domain").click()
    tab.get_by_role("button", name="Skip for now").click()
    tab.get_by_role("button", name="This is fine for us").click()
    tab.get_by_role("link", name="Next: Test message").click()

    tab.get_by_role("button", name="Send it").click()
    story = tab.locator("#story")
    see(story.get_by_text("Accepted and stored"))
    see(story.get_by_text("Attempt 1 through “sandbox”"))
    see(story.get_by_text("Delivered: the provider reports"))
    see(tab.get_by_text("Test message: done"))
    tab.get_by_role("link", name="Next: Webhook").click()

    see(tab.get_by_text("Webhook: done"))
    see(tab.get_by_text("Events come in"))
    tab.get_by_role("link", name="Finish").click()
    see(tab.get_by_role("heading", name="What to do next"))
    assert time.monotonic() - begun < MAX_SECONDS

    # The sandbox's addresses rehearse what goes wrong, and one click takes it away again.
    tab.goto("/ui/onboarding/test-message")
    tab.get_by_label("To", exact=True).fill("bounce@example.org")
    tab.get_by_role("button", name="Send it").click()
    expect(tab.locator("#story .state .badge")).to_have_text("bounced", timeout=PATIENCE_MS)
    tab.goto("/ui/onboarding/provider")
    tab.get_by_text("Remove the sandbox…").click()
    tab.get_by_role("button", name="Remove it").click()
    see(tab.get_by_text("Provider: to do"))

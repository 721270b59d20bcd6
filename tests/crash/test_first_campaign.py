"""A person's first campaign, from a file of contacts to somebody who leaves by their link,
in a real browser, on the product as `maild run` starts it.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from maild.services import unsubscribe_links
from tests.browser.conftest import browser  # noqa: F401 - a fixture
from tests.crash.conftest import Stack
from tests.crash.test_first_steps import PASSWORD, PATIENCE_MS, confirm_address, see, tab  # noqa: F401

pytestmark = [pytest.mark.crash, pytest.mark.long, pytest.mark.browser]

PEOPLE = "email,name\nann@example.net,Ann\nbob@example.net,Bob\neve@example.org,Eve\n"


def test_a_campaign_from_a_file_to_its_report(
    tab: Page,  # noqa: F811 - the fixture
    stack: Stack,
    tmp_path: Path,
) -> None:
    sign_up(tab, f"http://{stack.web}")
    import_people(tab, tmp_path)
    make_segment(tab)
    make_template(tab)
    compose(tab)

    tab.get_by_role("button", name="Save, and send a test…").click()
    tab.get_by_role("button", name="Send it").click()
    see(tab.get_by_text("A test goes to zoe@example.org"))
    tab.get_by_role("link", name="Check and send").click()
    see(tab.get_by_text("2 contacts of “Example net”"))
    tab.get_by_role("button", name="Send it now").click()
    see(tab.locator("#live .badge", has_text="finished"))  # by itself
    expect(tab.locator("#sum")).to_contain_text("0 + 2 + 0 + 0 + 0 + 0 + 0 + 0 = 2, all")

    leave(tab, stack)
    tab.get_by_role("link", name="Report").click()
    unsubscribed = tab.locator(".figures > div", has_text="Unsubscribed")
    expect(unsubscribed).to_contain_text("1")
    unsubscribed.get_by_role("link").click()
    expect(tab.locator("#list tbody tr")).to_have_count(1)
    see(tab.get_by_role("link", name="bob@example.net"))


def sign_up(tab: Page, home: str) -> None:  # noqa: F811
    tab.goto("/signup")
    tab.get_by_label("Your name").fill("Zoë")
    tab.get_by_label("E-mail address").fill("zoe@example.org")
    tab.get_by_label("Password", exact=True).fill(PASSWORD)
    tab.get_by_label("Name of your workspace").fill("Paper boats")
    tab.get_by_role("button", name="Sign up").click()
    see(tab.get_by_role("heading", name="Set up “Paper boats”"))
    confirm_address(tab, home)


def import_people(tab: Page, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "people.csv"
    file.write_text(PEOPLE)
    tab.goto("/ui/campaigns")
    tab.get_by_role("link", name="1. Import contacts").click()
    tab.get_by_label("File", exact=True).set_input_files(file)
    tab.get_by_role("button", name="Send it").click()
    tab.get_by_role("button", name="Look what would happen").click()
    tab.get_by_role("button", name="Import 3 contacts").click()
    see(tab.get_by_role("heading", name="The import is done"))


def make_segment(tab: Page) -> None:  # noqa: F811
    tab.goto("/ui/audience/segments/new")
    tab.get_by_label("Name", exact=True).fill("Example net")
    for name, value in (("field", "email"), ("op", "contains")):
        with tab.expect_response(re.compile("segments/new")):
            tab.locator(f"[name='{name}:g.0']").select_option(value)
    tab.locator("[name='value:g.0']").fill("@example.net")
    tab.get_by_role("button", name="Save the segment").click()
    see(tab.get_by_role("heading", name="Example net"))


def make_template(tab: Page) -> None:  # noqa: F811
    tab.goto("/ui/templates/new?start=newsletter")
    tab.get_by_label("Name", exact=True).fill("Letter")
    tab.get_by_role("button", name="Save version 1").click()
    see(tab.get_by_text("“Letter” is saved."))


def compose(tab: Page) -> None:  # noqa: F811
    tab.goto("/ui/campaigns/new")
    tab.get_by_label("Name", exact=True).fill("Boats in spring")
    tab.get_by_label("A segment").check()
    tab.get_by_label("Segment", exact=True).select_option(label="Example net")
    tab.get_by_label("Template", exact=True).select_option(label="Letter (version 1)")
    tab.locator("#subject").fill("Boats for {{ contact.name }}")
    tab.locator("#subject").blur()
    look = tab.locator("#look")
    expect(look).to_contain_text("Boats for Ann", timeout=PATIENCE_MS)
    expect(look.locator(".figures dd").first).to_have_text("2")
    see(look.frame_locator("iframe").locator("body"))
    tab.get_by_role("button", name="Save the draft").click()
    see(tab.get_by_text("“Boats in spring” is saved as a draft."))


def leave(tab: Page, stack: Stack) -> None:  # noqa: F811
    """By the link in Bob's mail."""
    inbox = tab.context.new_page()
    inbox.goto(f"http://{stack.inbox}/")
    inbox.get_by_role("link", name=re.compile("Boats for Bob")).first.click()
    path = re.escape(f"http://{stack.web}{unsubscribe_links.PATH}")
    link = re.search(rf"{path}[^\s>\"]+", inbox.content() + inbox.inner_text("body"))
    assert link is not None
    inbox.goto(link[0])
    inbox.get_by_role("button", name=re.compile("nsubscribe")).first.click()
    see(inbox.get_by_text(re.compile("unsubscribed|no longer|not get")).first)
    inbox.close()

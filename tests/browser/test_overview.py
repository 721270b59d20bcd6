"""The overview in the browser: another span, news without a reload, what is unfolded stays so."""

import re

import pytest
from playwright.sync_api import expect

from maild import clock
from tests.services.counting import add_tally

pytestmark = pytest.mark.browser

POLL_MS = 5_100


def test_it_follows_what_happens_and_leads_to_the_log(tab, settled, fail_message, lease):
    add_tally(clock.now(), 3)
    tab.goto("/ui")
    tab.get_by_role("link", name="1 hour").click()
    expect(tab).to_have_url(re.compile(r"/ui\?span=1h$"))
    expect(tab.get_by_role("link", name="3 sent")).to_be_visible()
    tab.get_by_text("The numbers").click()
    expect(tab.get_by_role("table").filter(has_text="suppressed")).to_be_visible()
    tab.evaluate("window.isSamePage = true")
    failing = settled(subject="Broken")
    fail_message(failing)
    add_tally(clock.now(), 1, kind="failed")
    with tab.expect_response(lambda response: "/ui?span=1h" in response.url):
        tab.clock.run_for(POLL_MS)
    expect(tab.get_by_role("link", name="1 failed")).to_be_visible()
    expect(tab.get_by_role("table").filter(has_text="suppressed")).to_be_visible()
    assert tab.evaluate("window.isSamePage")
    tab.get_by_role("link", name="1 failed").click()
    expect(tab).to_have_url(re.compile(r"/ui/logs\?range=1h&status=failed$"))
    expect(tab.get_by_role("link", name="Broken")).to_be_visible()


def test_news_leave_the_focus_where_it_is(tab, settled, lease):
    settled(subject="First")
    tab.goto("/ui")
    link = tab.get_by_role("link", name="All messages", exact=True)
    link.focus()
    settled(subject="Second")
    with tab.expect_response(lambda response: "/ui?span=" in response.url):
        tab.clock.run_for(POLL_MS)
    expect(tab.get_by_role("link", name="Second")).to_be_visible()
    expect(link).to_be_focused()


@pytest.mark.long
def test_it_works_without_scripts(open_context, settled):
    settled(subject="Parcel")
    tab = open_context(java_script_enabled=False).new_page()
    tab.goto("/ui")
    tab.get_by_role("link", name="7 days").click()
    expect(tab.get_by_role("link", name="1 accepted")).to_be_visible()
    expect(tab.get_by_role("link", name="Parcel")).to_be_visible()

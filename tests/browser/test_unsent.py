"""A form that came to nothing, in the browser: what was typed is on the page of the error."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from maild.errors import Unavailable
from maild.models import Session

pytestmark = pytest.mark.browser

PATH = "/ui/settings/workspace"
RENAME = "maild.services.workspace_changes.rename"


def check(tab):
    results = Axe().run(tab)
    assert results.violations_count == 0, results.generate_report()
    root = "document.documentElement"
    assert tab.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0


def rename(tab, name):
    tab.locator("#name").fill(name)
    tab.get_by_role("button", name="Save", exact=True).click()


@pytest.mark.parametrize("has_scripts", [True, False])
def test_it_is_sent_again_once_all_is_well(open_context, forgive, monkeypatch, has_scripts):
    def fail(*args, **kwargs):
        raise Unavailable("The database cannot be reached. Try again in a moment.")

    narrow = {"width": 360, "height": 740}
    tab = open_context(java_script_enabled=has_scripts, viewport=narrow).new_page()
    tab.goto(PATH)
    with monkeypatch.context() as patched:
        patched.setattr(RENAME, fail)
        rename(tab, "Paper boats")
        expect(tab.locator("#unsent").get_by_label("Name")).to_have_value("Paper boats")
    if has_scripts:
        check(tab)
    tab.get_by_role("button", name="Send it again").click()
    expect(tab.locator("#toasts")).to_contain_text("called “Paper boats” now")
    forgive(503)


def test_it_can_be_copied_after_the_session_has_ended(open_context, forgive):
    tab = open_context().new_page()
    tab.goto(PATH)
    Session.delete().execute()
    rename(tab, "Paper boats")
    expect(tab.locator("#unsent").get_by_label("Name")).to_have_value("Paper boats")
    expect(tab.get_by_role("button", name="Send it again")).to_have_count(0)
    check(tab)
    with tab.context.expect_page() as opened:
        tab.get_by_role("link", name="Log in, in a new tab").click()
    expect(opened.value.get_by_label("E-mail address")).to_be_visible()
    forgive(401)

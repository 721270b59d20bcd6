"""A tour of the policy: its editor, what comes back wrong, two who save at once, its versions."""

import pytest
from playwright.sync_api import expect

from maild.domain.actor import Actor
from maild.services import policies
from tests.browser import hard_rows
from tests.browser.guide import Sight, tour
from tests.conftest import WORKSPACE_A

PATH, VERSIONS = "/ui/policy", "/ui/policy/versions"


@pytest.fixture
def lawgiver(admin, settled):
    """The admin, among versions with long lists and long reasons."""
    by = Actor(hard_rows.LONG_ADDRESS)
    settled(subject="word " * 60, to_email="a-very-long-local-part@" + "sub." * 20 + "example.com")
    settled()
    long_names = [f"{'label.' * 30}{number}.example" for number in range(120)]
    for changes in (
        {"blocked_recipient_domains": long_names, "on_limit": "defer"},
        {"allowed_from_domains": ["shop.example", "*.bücher.example"]},
        {"blocked_recipient_domains": []},
    ):
        policies.save(WORKSPACE_A, changes=changes, reason="r" * 300, by=by)
    policies.roll_back(WORKSPACE_A, version=2, by=by)
    return tour(
        admin,
        PATH,
        Sight(PATH, see_a_preview),
        Sight(PATH, see_what_is_wrong),
        Sight(PATH, collide, 409),
        VERSIONS,
        f"{VERSIONS}/3",
        f"{VERSIONS}/0",
        Sight(VERSIONS, roll_back),
    )


def see_a_preview(tab):
    tab.get_by_label("Blocked recipient domains").fill("example.org *.example.com x.example.com")
    expect(tab.locator(".policy-samples li")).to_have_count(2)


def see_what_is_wrong(tab):
    tab.get_by_label("Blocked recipient domains").fill("x" * 300 + "\n@")
    expect(tab.locator(".list-notes .bad li")).to_have_count(2)


def collide(tab):
    """Save while somebody else has done so; twice, as the first shows only what changes."""
    tab.get_by_label("Soft bounces in a row").fill("7")
    expect(tab.locator("#policy-changes")).to_contain_text("Soft bounces")
    tab.get_by_label("Reason").fill("mine")
    tab.evaluate("document.querySelector('#policy-form [name=version]').value = '1'")
    with tab.expect_navigation():
        tab.get_by_role("button", name="Save as a new version").click()


def roll_back(tab):
    with tab.expect_navigation():
        tab.get_by_role("button", name="Roll back… to version 1").click()

"""A tour after a restore: the plan, the release that asks for a word, and a page with the bar."""

import threading

import pytest
from playwright.sync_api import expect

from maild import db
from tests.browser.guide import Sight, tour
from tests.services.restoring import make_safe

PATH = "/ui/restore"


@pytest.fixture
def survivor(admin, settled):
    """The admin of a workspace whose database came back."""
    for number in range(3):
        settled(to_email=f"person+{number}@example.org", stream="marketing")
    settled(subject="A very long subject of a message that waits " * 4)
    restore()
    return tour(
        admin,
        PATH,
        Sight(PATH, ask_before_lifting),
        Sight(PATH, ask_before_releasing),
        Sight(PATH, release_without_word, 422),
        "/ui/freezes",
    )


def restore():
    """In a thread: the one of the browser may have an event loop already."""

    def work():
        with db.connection():
            make_safe()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def ask_before_lifting(tab):
    tab.get_by_text("Lift the freeze…").click()
    expect(tab.get_by_role("button", name="Lift it")).to_be_visible()


def ask_before_releasing(tab):
    with tab.expect_navigation():
        tab.get_by_role("button", name="Cancel… marketing").click()


def release_without_word(tab):
    lift(tab)
    with tab.expect_navigation():
        tab.get_by_role("button", name="Release… marketing").click()
    tab.get_by_label("Reason").fill("The provider has none of them.")
    tab.get_by_label("Type RELEASE").fill("yes")
    with tab.expect_navigation():
        tab.get_by_role("button", name="Release 3 messages").click()


def lift(tab):
    tab.get_by_text("Lift the freeze…").click()
    with tab.expect_navigation():
        tab.get_by_role("button", name="Lift it").click()

"""Unsubscribes in a browser: somebody leaves by the link of a mail, and that is seen here."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from maild import config, db
from maild.models import Unsubscribe

pytestmark = pytest.mark.browser

PATH = "/ui/unsubscribes"


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
def leave(tab, accept, inbox, send_out, open_context):
    """Send a marketing message, and click its one-click link as a mail program does."""

    def click(**fields):
        message = accept(stream="marketing", topic="news", subject="Our news", **fields)
        send_out()
        link = inbox.only()["List-Unsubscribe"].strip("<>")
        answer = open_context(person=None).request.post(
            link.removeprefix(config.current().public_url),
            form={"List-Unsubscribe": "One-Click"},
        )
        assert answer.ok
        return message

    return click


def test_who_left_by_one_click_is_listed_with_the_message_that_it_was_in(tab, leave):
    message = leave()
    tab.goto(PATH)
    row = tab.get_by_role("row").filter(has_text="ann@example.org")
    expect(row).to_contain_text("topic “news”")
    expect(row).to_contain_text("One click in their mail program")
    row.get_by_role("link", name="Our news").click()
    expect(tab).to_have_url(re.compile(f"/ui/messages/{message.id}$"))


def test_what_it_stops_is_told_on_both_pages(tab, leave, accept, send_out):
    leave()
    accept(stream="marketing", topic="news", subject="More news")
    send_out()
    tab.goto(PATH)
    tab.get_by_role("link", name="ann@example.org").click()
    tab.locator("#held-back").get_by_role("link", name="More news").click()
    facts = tab.locator("#facts")
    facts.get_by_role("link", name="an unsubscribe of the recipient").click()
    expect(tab).to_have_url(re.compile(rf"{PATH}/{Unsubscribe.get().id}$"))


def test_one_comes_back_only_with_their_consent(tab, leave, forgive):
    leave()
    tab.goto(f"{PATH}/{Unsubscribe.get().id}")
    tab.get_by_role("link", name="They came back…").click()
    expect(tab.get_by_text("This needs their consent")).to_be_visible()
    tab.get_by_label("How they asked for it").fill("signed up again")
    tab.get_by_role("button", name="Record that they came back").click()
    expect(tab.get_by_text("Tick this")).to_be_visible()
    forgive(422)
    tab.get_by_label("They have asked for this mail again").check()
    tab.get_by_role("button", name="Record that they came back").click()
    toast = tab.locator("#toasts .toast")
    expect(toast).to_contain_text("gets this mail again")
    toast.get_by_role("button", name="Undo").click()
    expect(tab.locator("#toasts .toast")).to_contain_text("is unsubscribed again")
    assert Unsubscribe.get().removed_at is None


def test_one_is_recorded_by_hand_and_found(tab):
    tab.goto(PATH)
    tab.get_by_role("link", name="Record one").click()
    tab.get_by_label("Address").fill("bob@example.org")
    tab.get_by_label("Topic").fill("offers")
    tab.get_by_label("How they asked").fill("in the shop")
    tab.get_by_role("button", name="Record it").click()
    expect(tab.locator("#toasts .toast")).to_contain_text("from now on")
    tab.goto(PATH)
    tab.get_by_label("Topic").fill("offers")
    tab.get_by_label("Topic").blur()
    expect(tab).to_have_url(re.compile(r"topic=offers"))
    expect(tab.locator("#list tbody tr")).to_have_count(1)
    expect(tab.locator("#list")).to_contain_text("in the shop")

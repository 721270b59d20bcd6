"""The live end of /ui/logs."""

import re
import threading
import time

import pytest
from playwright.sync_api import expect

from maild import db
from maild.models import Message
from maild.services import messages
from maild.services.submissions import NOBODY, NewMessage

pytestmark = pytest.mark.browser

LOAD_SECONDS, LOAD_PER_SECOND, LOAD_AT_ONCE = 4, 300, 30
NOTE_ROWS = """
window.cameIn = [];
new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) {
    if (node.matches?.("tr.message:not([hx-swap-oob])")) window.cameIn.push(node.id);
  }
}).observe(document, {childList: true, subtree: true});
"""
"""Keeps the id of every row that ever came into the page."""


def accept_many(seconds, per_second):
    """Accept so many messages, by the service, some at a time."""
    new = NewMessage(
        from_email="shop@example.com",
        to_email="ann@example.org",
        subject="One of many",
        body_text="Hello.",
    )
    begun = time.monotonic()
    with db.connection():
        for number in range(seconds * per_second // LOAD_AT_ONCE):
            messages.submit_many(1, [(new, NOBODY)] * LOAD_AT_ONCE)
            wait = begun + number * LOAD_AT_ONCE / per_second - time.monotonic()
            threading.Event().wait(max(0.0, wait))


def test_it_shows_a_new_message_and_its_changes_without_a_reload(tab, settled, fail_message):
    settled(subject="First")
    tab.goto("/ui/logs")
    tab.evaluate("window.isSamePage = true")
    message = settled(subject="Second")
    tab.clock.run_for(2_100)
    row = tab.locator(f"#message-{message.id}")
    expect(row).to_contain_text("Second")
    expect(row.locator(".badge")).to_have_text("queued")
    expect(tab.locator("tr.message")).to_have_count(2)
    fail_message(message)
    tab.clock.run_for(2_100)
    expect(row.locator(".badge")).to_have_text("failed")
    expect(tab.locator("tr.message").first).to_contain_text("Second")
    assert tab.evaluate("window.isSamePage")


def test_it_fills_an_empty_page(tab, settled):
    tab.goto("/ui/logs")
    expect(tab.get_by_text("No messages yet")).to_be_visible()
    settled(subject="First")
    tab.clock.run_for(2_100)
    expect(tab.get_by_role("link", name="First")).to_be_visible()
    expect(tab.get_by_text("No messages yet")).to_be_hidden()


def test_while_paused_it_counts_what_comes_and_brings_it_afterwards(tab, settled):
    tab.goto("/ui/logs")
    tab.get_by_role("button", name="Pause").click()
    expect(tab.locator("#live-state")).to_have_text("Paused")
    settled(subject="Later")
    tab.clock.run_for(2_100)
    expect(tab.locator("#live-state")).to_have_text("Paused, 1 new")
    settled(subject="Still later")
    tab.clock.run_for(2_100)
    expect(tab.locator("#live-state")).to_have_text("Paused, 2 new")
    expect(tab.locator("tr.message")).to_have_count(0)
    tab.get_by_role("button", name="Resume").click()
    tab.clock.run_for(2_100)
    expect(tab.locator("#live-state")).to_have_text("Live")
    expect(tab.locator("tr.message")).to_have_count(2)


def test_the_space_key_pauses_and_resumes(tab, settled):
    settled(subject="First")
    tab.goto("/ui/logs")
    tab.keyboard.press(" ")
    expect(tab.locator("#live-state")).to_have_text("Paused")
    tab.keyboard.press("j")
    tab.keyboard.press(" ")
    expect(tab.locator("#live-state")).to_have_text("Live")
    tab.locator("#q").press(" ")
    expect(tab.locator("#live-state")).to_have_text("Live")


def test_rows_stay_where_they_are_while_somebody_chooses(tab, settled):
    settled(subject="First")
    tab.goto("/ui/logs")
    box = tab.locator("#log-rows input[name=id]")
    box.check()
    settled(subject="Second")
    tab.clock.run_for(2_100)
    expect(tab.locator("#live-state")).to_have_text("Paused while you choose, 1 new")
    expect(tab.locator("tr.message")).to_have_count(1)
    box.uncheck()
    tab.clock.run_for(2_100)
    expect(tab.locator("tr.message")).to_have_count(2)


@pytest.mark.long
@pytest.mark.proves("explain-log")
def test_under_load_nothing_is_skipped_or_comes_twice_and_the_table_stays_small(
    open_context, database
):
    tab = open_context().new_page()
    tab.add_init_script(NOTE_ROWS)
    tab.goto("/ui/logs")
    sender = threading.Thread(target=accept_many, args=(LOAD_SECONDS, LOAD_PER_SECOND))
    sender.start()
    most = 0
    while sender.is_alive():
        most = max(most, tab.evaluate("document.querySelectorAll('tr.message').length"))
    sender.join()
    count = Message.select().count()
    assert count >= LOAD_SECONDS * LOAD_PER_SECOND
    tab.wait_for_function("count => window.cameIn.length >= count", arg=count)
    came = tab.evaluate("window.cameIn")
    assert len(came) == len(set(came)), "some came twice"
    assert set(came) == {f"message-{row.id}" for row in Message.select(Message.id)}
    assert most <= 500 + 500, "those that are kept, and those of one answer"
    expect(tab.locator("tr.message")).to_have_count(500)
    newest = Message.select().order_by(Message.created_at.desc(), Message.id.desc()).limit(500)
    shown = tab.evaluate("[...document.querySelectorAll('tr.message')].map((row) => row.id)")
    assert shown == [f"message-{row.id}" for row in newest]


def test_it_rests_in_a_hidden_tab(tab):
    polls = []
    tab.on("request", lambda request: polls.append(request) if "/ui" in request.url else None)
    for path in ("/ui", "/ui/logs"):
        tab.goto(path)
        tab.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
        polls.clear()
        tab.clock.run_for(20_000)
        assert polls == []


@pytest.mark.long
def test_it_keeps_500_rows_and_pages_on_below_the_last(tab, settled):
    for number in range(20):
        settled(subject=f"Old {number}")
    tab.goto("/ui/logs")
    for number in range(490):
        settled(subject=f"New {number}")
    tab.clock.run_for(2_100)
    expect(tab.get_by_role("link", name="New 489")).to_be_visible()
    expect(tab.locator("tr.message")).to_have_count(500)
    expect(tab.locator("tr.message").last).to_contain_text("Old 10")
    tab.get_by_role("link", name="Older").click()
    expect(tab.locator("tr.message").first).to_contain_text("Old 9")


def test_it_follows_a_status(tab, settled, fail_message):
    message = settled(subject="Soon failed")
    tab.goto("/ui/logs?status=failed")
    expect(tab.get_by_text("No message matches")).to_be_visible()
    fail_message(message)
    tab.clock.run_for(2_100)
    expect(tab.get_by_role("link", name="Soon failed")).to_be_visible()


def test_it_says_when_maild_does_not_answer_and_when_it_does_again(tab, complaints):
    tab.goto("/ui/logs")
    tab.route(re.compile("/tail"), lambda route: route.abort())
    tab.clock.run_for(2_100)
    expect(tab.locator("#toasts")).to_contain_text("does not answer")
    tab.unroute_all()
    tab.clock.run_for(2_100)
    expect(tab.locator("#toasts")).to_contain_text("answers again")
    complaints.clear()  # the browser tells of the failed request as well

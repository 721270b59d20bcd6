"""The live end of /ui/logs."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


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


def test_it_stops_while_paused(tab, settled):
    polls = []
    tab.on("request", lambda request: polls.append(request) if "/tail" in request.url else None)
    tab.goto("/ui/logs")
    tab.get_by_role("button", name="Pause").click()
    expect(tab.locator("#live-state")).to_have_text("Paused")
    settled(subject="Later")
    tab.clock.run_for(20_000)
    expect(tab.get_by_role("link", name="Later")).to_have_count(0)
    assert polls == []
    tab.get_by_role("button", name="Resume").click()
    tab.clock.run_for(2_100)
    expect(tab.get_by_role("link", name="Later")).to_be_visible()


def test_it_rests_in_a_hidden_tab(tab):
    polls = []
    tab.on("request", lambda request: polls.append(request) if "/ui" in request.url else None)
    for path in ("/ui", "/ui/logs"):
        tab.goto(path)
        tab.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
        polls.clear()
        tab.clock.run_for(20_000)
        assert polls == []


def test_it_keeps_200_rows_and_pages_on_below_the_last(tab, settled):
    for number in range(20):
        settled(subject=f"Old {number}")
    tab.goto("/ui/logs")
    for number in range(190):
        settled(subject=f"New {number}")
    tab.clock.run_for(2_100)
    expect(tab.get_by_role("link", name="New 189")).to_be_visible()  # the second of two polls
    expect(tab.locator("tr.message")).to_have_count(200)
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

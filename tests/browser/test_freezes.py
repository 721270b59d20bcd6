"""Freezes as an operator uses them: from the log in two clicks, the bar everywhere, and lifting."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from maild import db
from maild.domain.role import Role
from maild.domain.states import Status
from maild.models import Freeze, Message
from maild.services import freezes
from tests.services.freezing import BY, K, start

pytestmark = pytest.mark.browser


@pytest.fixture
def work(deliver):
    """Call to let a worker send what is due."""

    def in_a_thread():
        with db.connection():
            return deliver()

    def run():
        with ThreadPoolExecutor(1) as pool:  # Playwright has the event loop of this one
            pool.submit(in_a_thread).result()

    return run


def status_of(message):
    return Message.get_by_id(message.id).status


@pytest.mark.proves("decide-freeze")
def test_two_clicks_freeze_all_mail_and_a_lift_lets_it_go(tab, accept, inbox, work):
    tab.goto("/ui/logs?range=24h")
    tab.locator("#freeze-open").click()
    dialog = tab.get_by_role("dialog")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    tab.keyboard.type("the shop sends twice")
    dialog.get_by_role("button", name="Freeze it").click()
    expect(tab).to_have_url(re.compile(r"/ui/logs\?range=24h$"))
    expect(tab.locator("#toasts")).to_contain_text("All mail stands still until")
    message = accept()
    work()
    assert status_of(message) is Status.HELD
    for path in ("/ui", "/ui/webhooks", "/dashboard", "/ui/settings/members"):
        tab.goto(path)
        bar = tab.locator("#freeze-bar")
        expect(bar).to_contain_text("Frozen: all mail")
        expect(bar).to_contain_text("the shop sends twice")
        expect(bar).to_contain_text("1 message is held")
    tab.get_by_role("link", name="Lift or extend").click()
    tab.locator(".freeze summary", has_text="Lift…").click()
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_contain_text("1 message waits. They go out right away")
    dialog.get_by_label("Reason").fill("mended")
    dialog.get_by_role("button", name="Lift it").click()
    expect(tab.locator("#freeze-bar")).to_be_hidden()
    expect(tab.locator("main")).to_contain_text("Nothing is frozen")
    work()
    assert status_of(message) is Status.SENT
    inbox.only()


def test_a_page_that_is_open_hears_of_it_and_keeps_what_is_typed(tab):
    tab.goto("/ui/settings/profile")
    name = tab.get_by_role("textbox", name="Name")
    name.fill("Half a na")
    freeze = start(reason="the host melts")
    tab.clock.run_for(31_000)
    expect(tab.locator("#freeze-bar")).to_contain_text("the host melts")
    expect(tab.locator("#freeze-news")).to_contain_text("Frozen: all mail, until")
    expect(name).to_have_value("Half a na")
    freezes.lift(freeze, reason="r", by=BY)
    tab.clock.run_for(31_000)
    expect(tab.locator("#freeze-bar")).to_be_hidden()
    expect(tab.locator("#freeze-news")).to_have_text("Nothing is frozen any more.")


def test_the_form_asks_for_what_a_choice_needs_and_shows_what_it_would_hold(tab, accept):
    accept(to_email="ann@example.org")
    accept(to_email="bob@example.net")
    tab.goto("/ui")
    tab.locator("#freeze-open").click()
    dialog = tab.get_by_role("dialog")
    preview = tab.locator("#freeze-preview")
    expect(preview).to_contain_text("2 messages wait")
    which, until = dialog.get_by_label("Which one"), dialog.get_by_label("Until (UTC)")
    expect(which).to_be_hidden()
    dialog.get_by_label("What stands still").select_option("recipient_domain")
    expect(which).to_be_visible()
    expect(preview).to_contain_text("Say which one")
    which.fill("example.net")
    tab.clock.run_for(500)
    expect(preview).to_contain_text("1 message waits")
    expect(until).to_be_hidden()
    dialog.get_by_label("For how long").select_option("until")
    expect(until).to_be_visible()
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(tab.locator("#freeze-open")).to_be_focused()
    assert not Freeze.select().exists()


@pytest.mark.proves("console-keeps")
def test_what_is_wrong_comes_back_with_what_was_typed(tab, complaints):
    tab.goto("/ui/logs")
    tab.locator("#freeze-open").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("What stands still").select_option("from_email")
    dialog.get_by_label("Which one").fill("nobody")
    dialog.get_by_label("Reason").fill("it sends twice")
    dialog.get_by_role("button", name="Freeze it").click()
    expect(tab.get_by_label("Which one")).to_be_focused()
    expect(tab.get_by_label("Which one")).to_have_value("nobody")
    tab.get_by_label("Which one").fill("shop@example.com")
    tab.get_by_role("button", name="Freeze it").click()
    expect(tab).to_have_url(re.compile("/ui/logs$"))
    expect(tab.locator("#freeze-bar")).to_contain_text("mail from shop@example.com")
    complaints.clear()  # the browser tells of the 422 as well


def test_a_start_and_a_lift_are_taken_back_by_their_toasts(tab):
    start(K.STREAM, "marketing", reason="as it was")
    tab.goto("/ui/freezes")
    tab.locator(".freeze summary", has_text="Lift…").click()
    tab.get_by_role("dialog").get_by_label("Reason").fill("too soon")
    tab.get_by_role("button", name="Lift it").click()
    expect(tab.locator("#freeze-bar")).to_be_hidden()
    tab.get_by_role("button", name="Undo").click()
    expect(tab.locator("#freeze-bar")).to_contain_text("as it was")
    tab.get_by_role("button", name="Undo").click()
    expect(tab.locator("#freeze-bar")).to_be_hidden()


def test_a_viewer_reads_why_the_control_is_out_of_reach(open_context, make_person):
    start()
    tab = open_context(person=make_person("vera@a.example", Role.VIEWER)).new_page()
    tab.goto("/ui")
    button = tab.locator(".topbar").get_by_role("button", name="Freeze")
    expect(button).to_be_disabled()
    expect(button).to_have_accessible_description(re.compile("You are a viewer here"))
    tab.get_by_role("link", name="Show it").click()
    expect(tab.locator("main")).to_contain_text("All mail")


@pytest.mark.long
def test_it_works_without_scripts(open_context):
    tab = open_context(java_script_enabled=False).new_page()
    tab.goto("/ui/logs")
    tab.locator("#freeze-open").click()
    expect(tab.get_by_role("heading", name="Freeze mail")).to_be_visible()
    tab.get_by_label("What stands still").select_option("stream:marketing")
    tab.get_by_role("button", name="Show what it would hold").click()
    expect(tab.locator("#freeze-preview")).to_contain_text("Right now no message waits")
    expect(tab.get_by_label("What stands still")).to_have_value("stream:marketing")
    tab.get_by_label("Reason").fill("a broken template")
    tab.get_by_role("button", name="Freeze it").click()
    expect(tab.locator("#freeze-bar")).to_contain_text("Frozen: marketing mail")
    tab.get_by_role("link", name="Lift or extend").click()
    tab.locator(".freeze summary", has_text="Lift…").click()
    tab.locator("dialog[aria-labelledby^=lift-]").get_by_label("Reason").fill("mended")
    tab.get_by_role("button", name="Lift it").click()
    expect(tab.locator("main")).to_contain_text("Nothing is frozen")

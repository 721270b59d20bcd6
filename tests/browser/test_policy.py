"""The policy as an admin changes it: tried while typing, seen before it is saved, rolled back in
two clicks, and put together with what somebody else saved meanwhile.
"""

import re
import threading

import pytest
from playwright.sync_api import expect

from maild.domain.actor import Actor
from maild.domain.policy import OnLimit
from maild.models import PolicyVersion
from maild.services import policies, policy_previews
from tests.conftest import WORKSPACE_A

pytestmark = pytest.mark.browser

PATH = "/ui/policy"


def rules():
    policies.forget()
    return policies.get(WORKSPACE_A)


def save_as_bob(**changes):
    policies.save(WORKSPACE_A, changes=changes, reason="theirs", by=Actor("bob@a.example"))


def headline(tab):
    return tab.locator("#policy-state")


def test_typing_shows_what_would_have_been_stopped(open_context, accept):
    for number in range(3):
        accept(to_email=f"ann@d{number}.example.org")
    accept(to_email="ann@example.com")
    tab = open_context().new_page()
    tab.goto(PATH)
    expect(headline(tab)).to_have_text(re.compile("in force would have stopped none of 4 messages"))
    blocked = tab.get_by_label("Blocked recipient domains")
    blocked.fill("*.example.org")
    expect(headline(tab)).to_have_text(re.compile("Would have stopped 3 of 4 .* in force: none"))
    assert tab.locator(".policy-samples li").count() == 3
    blocked.press_sequentially("\nd1.example.org")
    expect(tab.locator("#blocked_recipient_domains-notes")).to_contain_text("2 domains")
    expect(blocked).to_be_focused()
    tab.locator("#blocked_recipient_domains-notes summary").click()
    expect(tab.locator("#blocked_recipient_domains-notes")).to_contain_text(
        "Line 2: d1.example.org is within *.example.org already."
    )
    assert PolicyVersion.select().count() == 0


def test_what_is_wrong_is_told_while_typing_and_the_last_figures_stay(open_context, accept):
    accept()
    tab = open_context().new_page()
    tab.goto(PATH)
    tab.get_by_label("Blocked recipient domains").fill("example.org")
    expect(headline(tab)).to_have_text(re.compile("Would have stopped 1 of 1"))
    tab.get_by_label("Blocked recipient domains").fill("example.org\n?")
    expect(tab.locator(".list-notes .bad")).to_contain_text("Line 2: “?” is not a domain")
    expect(tab.get_by_text("These figures are of what you had typed before.")).to_be_visible()
    assert tab.locator(".policy-samples li").count() == 1


def test_of_previews_that_overtake_each_other_the_last_one_is_shown(
    open_context, accept, monkeypatch, complaints
):
    accept()
    tab = open_context().new_page()
    tab.goto(PATH)
    expect(headline(tab)).to_have_text(re.compile("in force would have stopped none"))
    run, is_under_way, may_go_on = policy_previews.run, threading.Event(), threading.Event()

    def slow_once(*args, **kwargs):
        """The first one stands still where it holds its lock."""
        monkeypatch.setattr(policy_previews, "run", run)
        find_span = policy_previews._find_span

        def stand_still(*args):
            monkeypatch.setattr(policy_previews, "_find_span", find_span)
            is_under_way.set()
            may_go_on.wait(20)
            return find_span(*args)

        monkeypatch.setattr(policy_previews, "_find_span", stand_still)
        return run(*args, **kwargs)

    monkeypatch.setattr(policy_previews, "run", slow_once)
    tab.get_by_label("Blocked recipient domains").fill("example.com")
    assert is_under_way.wait(20)
    tab.get_by_label("Blocked recipient domains").fill("example.org")
    expect(headline(tab)).to_contain_text("this one follows")
    may_go_on.set()
    expect(headline(tab)).to_have_text(re.compile("Would have stopped 1 of 1"))
    expect(tab.locator(".policy-samples")).to_contain_text("blocked by example.org")
    # What htmx says of a request that it has dropped.
    assert set(complaints) <= {"htmx:afterRequest", "htmx:sendAbort"}
    complaints.clear()


def test_a_change_that_stops_mail_is_seen_before_it_is_saved_and_rolled_back_in_two_clicks(
    open_context, accept
):
    accept()
    before = rules()
    tab = open_context().new_page()
    tab.goto(PATH)
    tab.get_by_label("Blocked recipient domains").fill("example.org")
    told = tab.locator("#policy-changes")
    expect(told).to_contain_text("This would have stopped 1 of 1 message of the last 24 hours")
    expect(told).to_contain_text("Removed: mailinator.com, tempmail.com")
    tab.get_by_label("Reason").fill("they asked for it")
    tab.get_by_role("button", name="Save as a new version").click()
    expect(tab.locator("#toasts")).to_contain_text("Version 1 is in force now.")
    save_as_bob(soft_bounce_threshold=9)
    tab.get_by_role("link", name="Versions").click()
    tab.locator("tbody tr", has_text="they asked for it").get_by_role("button").click()
    expect(tab.locator("h1")).to_have_text("Roll back to version 1?")
    tab.go_back()
    tab.get_by_role("link", name="the instance's defaults").click()
    tab.get_by_role("button", name="Roll back to it…").click()
    expect(tab.locator(".policy-diff")).to_contain_text("Soft bounces in a row")
    tab.get_by_role("button", name="Roll back").click()
    expect(tab.locator("#toasts")).to_contain_text("in force again, as version 3")
    assert rules().blocked_recipient_domains == before.blocked_recipient_domains
    tab.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(tab.locator("#toasts")).to_contain_text("as version 4")
    assert rules().blocked_recipient_domains == ("example.org",)


@pytest.mark.proves("console-conflict")
@pytest.mark.parametrize("has_scripts", [True, False])
def test_two_admins_who_save_at_once_are_put_together(open_context, forgive, has_scripts):
    tab = open_context(java_script_enabled=has_scripts).new_page()
    tab.goto(PATH)
    tab.get_by_label("Soft bounces in a row").fill("7")
    tab.get_by_label("Accept it, and send it when there is room").check()
    tab.get_by_label("Reason").fill("mine")
    save = tab.get_by_role("button", name="Save as a new version")
    if has_scripts:
        expect(tab.locator("#policy-changes")).to_contain_text("sent when there is room")
    else:
        save.click()
        expect(tab.locator(".policy-fields")).to_contain_text("Nothing is saved yet")
    save_as_bob(soft_bounce_threshold=8, blocked_recipient_domains=["theirs.example"])
    save.click()
    expect(tab.locator("h1")).to_have_text("Put two changes together")
    row = tab.locator("tbody tr", has_text="Soft bounces")
    expect(row).to_contain_text(re.compile("5.*8.*7", re.S))
    row.get_by_label("Yours").check()
    tab.get_by_role("button", name="Put them together").click()
    expect(tab.locator("#policy-changes")).not_to_contain_text("Blocked")
    expect(tab.locator("#policy-changes")).to_contain_text("Soft bounces")
    tab.get_by_role("button", name="Save as a new version").click()
    expect(tab.locator("#toasts")).to_contain_text("Version 2 is in force now.")
    found = rules()
    assert (found.soft_bounce_threshold, found.on_limit) == (7, OnLimit.DEFER)
    assert found.blocked_recipient_domains == ("theirs.example",)
    forgive(409)

"""The log as an operator works with it: finding, saving what one looks for, choosing, and acting on
a message, in the drawer and beside somebody else.
"""

import re

import pytest
from playwright.sync_api import expect

from maild.domain.role import Role
from maild.domain.states import Status
from maild.models import Message, SavedView
from maild.services import job_kinds, job_steps

pytestmark = pytest.mark.browser

assert job_kinds.ALL


@pytest.fixture
def failed(settled, fail_message):
    """A message that failed, among others that wait."""
    settled(subject="Waiting")
    message = settled(subject="Broken", to_email="carl@example.net")
    fail_message(message)
    return message


@pytest.fixture
def olaf(make_person):
    return make_person("olaf@a.example", Role.OPERATOR)


def test_a_filter_shows_as_chips_which_take_it_away(tab, failed):
    tab.goto("/ui/logs")
    expect(tab.locator("tr.message")).to_have_count(2)
    tab.get_by_label("Status").select_option("failed")
    expect(tab).to_have_url(re.compile("status=failed$"))
    expect(tab.locator("tr.message")).to_have_count(1)
    chip = tab.locator(".chip")
    expect(chip).to_contain_text("Status: failed")
    chip.click()
    expect(tab).to_have_url(re.compile("/ui/logs$"))
    expect(tab.locator("tr.message")).to_have_count(2)


def test_a_view_is_saved_opened_renamed_and_removed(tab, failed):
    tab.goto("/ui/logs?status=failed&to_email=carl@example.net")
    tab.locator("#save-view > summary").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Carl's trouble")
    dialog.get_by_role("button", name="Save the view").click()
    expect(tab.locator("#toasts")).to_contain_text("Saved as “Carl's trouble”")
    views = tab.get_by_role("navigation", name="Views")
    expect(views.get_by_role("link", name="Carl's trouble")).to_have_attribute(
        "aria-current", "page"
    )
    tab.goto("/ui/logs")
    views.get_by_role("link", name="Carl's trouble").click()
    expect(tab.locator("tr.message")).to_have_count(1)
    tab.get_by_role("link", name="All views").click()
    tab.locator("summary", has_text="Rename").click()
    tab.get_by_role("dialog").get_by_label("Name", exact=True).fill("Carl")
    tab.get_by_role("dialog").get_by_role("button", name="Rename it").click()
    expect(tab.locator("#toasts")).to_contain_text("is called “Carl” from now on")
    tab.get_by_role("button", name="Remove Carl").click()
    expect(tab.locator("main")).to_contain_text("No saved views")
    tab.locator("#toasts").get_by_role("button", name="Undo").last.click()
    expect(tab.get_by_role("link", name="Carl")).to_be_visible()
    assert SavedView.get().name == "Carl"


def test_rows_are_chosen_with_the_keyboard_and_retried_as_a_job(tab, failed):
    tab.goto("/ui/logs?status=failed")
    tab.keyboard.press("j")
    tab.keyboard.press("x")
    expect(tab.locator("#log-rows input[name=id]")).to_be_checked()
    which = tab.locator("#chosen-which")
    expect(which.locator("option").first).to_have_text("the 1 chosen message")
    tab.locator("#chosen").get_by_role("button", name="Retry…").click()
    expect(tab.locator("main")).to_contain_text("1 chosen message")
    tab.get_by_label("Reason").fill("the mailbox is there again")
    tab.get_by_role("button", name="Retry 1 message").click()
    expect(tab).to_have_url(re.compile(r"/ui/jobs/\d+$"))
    job_steps.drain()
    assert Message.get_by_id(failed.id).status is Status.QUEUED


def test_all_on_the_page_are_chosen_at_once(tab, settled):
    for number in range(3):
        settled(subject=f"Number {number}")
    tab.goto("/ui/logs")
    tab.get_by_label("Choose all messages on this page").check()
    expect(tab.locator("#chosen-which option").first).to_have_text("the 3 chosen messages")
    tab.locator("#log-rows input[name=id]").first.uncheck()
    expect(tab.locator("#chosen-which option").first).to_have_text("the 2 chosen messages")
    assert tab.locator("[data-choose-all]").evaluate("(box) => box.indeterminate")


def test_everything_that_matches_is_chosen_by_its_filter(tab, failed):
    tab.goto("/ui/logs?status=failed")
    tab.locator("#chosen-which").select_option("matching")
    tab.locator("#chosen").get_by_role("button", name="Retry…").click()
    expect(tab.locator("main")).to_contain_text("status failed")
    expect(tab.get_by_role("button", name="Retry 1 message")).to_be_visible()


def test_a_message_is_retried_from_the_drawer(tab, failed):
    tab.goto("/ui/logs?status=failed")
    tab.keyboard.press("j")
    tab.keyboard.press("o")
    drawer = tab.locator("#drawer")
    expect(tab.locator("#drawer-title")).to_have_text("Broken")
    expect(tab.locator("#drawer-title")).to_be_focused()
    expect(drawer.locator("#story")).to_contain_text("550 5.1.1")
    expect(drawer.locator("#facts")).to_contain_text("carl@example.net")
    expect(drawer.locator("#content")).to_contain_text("Hello Ann.")
    drawer.locator("#act-retry > summary").click()
    tab.get_by_role("dialog").get_by_role("button", name="Retry the message").click()
    expect(tab).to_have_url(re.compile("status=failed$"))
    expect(tab.locator("#toasts")).to_contain_text("It is queued again")
    assert Message.get_by_id(failed.id).status is Status.QUEUED


def test_the_drawer_closes_with_escape_and_gives_the_focus_back(tab, failed):
    tab.goto("/ui/logs?status=failed")
    tab.keyboard.press("j")
    tab.keyboard.press("o")
    expect(tab.locator("#drawer-title")).to_be_focused()
    tab.keyboard.press("Escape")
    expect(tab.locator("#drawer-title")).to_have_count(0)
    expect(tab.locator("a.row-link")).to_be_focused()


def test_the_story_in_the_drawer_goes_on(tab, settled, fail_message):
    message = settled(subject="Soon failed")
    tab.goto("/ui/logs")
    tab.get_by_role("link", name="Soon failed").click()
    story = tab.locator("#drawer #story")
    expect(story.locator(".state .badge").first).to_have_text("queued")
    fail_message(message)
    tab.clock.run_for(2_100)
    expect(story.locator(".state .badge").first).to_have_text("failed")
    expect(story.locator("#act-retry")).to_be_visible()
    expect(tab.locator("#drawer-title")).to_have_text("Soon failed")


def test_it_is_held_with_a_reason_and_the_undo_releases_it(tab, settled):
    message = settled(subject="Wrong price")
    tab.goto(f"/ui/messages/{message.id}")
    tab.locator("#act-hold > summary").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("wrong price")
    dialog.get_by_role("button", name="Hold the message").click()
    expect(tab.locator(".state")).to_contain_text("wrong price")
    tab.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(tab.locator("#toasts")).to_contain_text("Released")
    assert Message.get_by_id(message.id).status is Status.QUEUED


@pytest.mark.proves("console-conflict")
def test_of_two_operators_the_second_is_told(tab, open_context, settled, olaf, forgive):
    message = settled(subject="Wrong price")
    other = open_context(person=olaf).new_page()
    # Its page learns nothing by itself.
    other.route("**/*?seen=*", lambda route: route.fulfill(status=204))
    for one in (tab, other):
        one.goto(f"/ui/messages/{message.id}")
    for one, act, words in ((tab, "hold", "Hold"), (other, "cancel", "Cancel")):
        one.locator(f"#act-{act} > summary").click()
        dialog = one.get_by_role("dialog")
        dialog.get_by_label("Reason").fill("wrong price")
        dialog.get_by_role("button", name=f"{words} the message").click()
        expect(one.locator("#act-release")).to_be_visible()  # held, by whomever
    told = other.get_by_role("alert")
    expect(told).to_contain_text("ann@a.example was quicker")
    expect(told).to_contain_text("Now it is held")
    assert Message.get_by_id(message.id).status is Status.HELD
    forgive(409)


def test_a_file_of_what_matches_is_downloaded(tab, failed):
    tab.goto("/ui/logs?status=failed")
    tab.locator("#export-log > summary").click()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download the file").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 2
    assert "carl@example.net" in lines[1]


@pytest.mark.long
def test_it_works_without_scripts(open_context, failed):
    tab = open_context(java_script_enabled=False).new_page()
    tab.goto("/ui/logs?status=failed")
    tab.locator("#log-rows input[name=id]").check()
    tab.locator("#chosen").get_by_role("button", name="Retry…").click()
    expect(tab.get_by_role("button", name="Retry 1 message")).to_be_visible()
    tab.goto("/ui/logs?status=failed")
    tab.locator("a.row-link").click()
    expect(tab.locator("h1")).to_have_text("Broken")
    tab.locator("#act-retry > summary").click()
    tab.get_by_role("button", name="Retry the message").click()
    expect(tab.locator("#toasts")).to_contain_text("It is queued again")
    assert Message.get_by_id(failed.id).status is Status.QUEUED

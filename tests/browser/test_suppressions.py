"""Suppressions in a browser: adding, searching, removing with what that held back, and files."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from maild import db
from maild.domain.actor import Actor
from maild.domain.states import Status
from maild.models import Job, Message, Suppression
from maild.services import job_kinds, job_steps, suppressions
from tests.conftest import WORKSPACE_A

pytestmark = pytest.mark.browser

PATH = "/ui/suppressions"
ADA = Actor("ada@a.example")
LIST = b"Recipient;Why it is here\r\nann@example.org;asked\r\nnonsense;x\r\nANN@example.org;y\r\n"

assert job_kinds.ALL


@pytest.fixture
def work():
    """Let the jobs be done, as a worker would."""

    def in_a_thread():
        with db.connection():
            return job_steps.drain()

    def drain():
        with ThreadPoolExecutor(1) as pool:  # Playwright has the event loop of this one
            return pool.submit(in_a_thread).result()

    return drain


def add(email, **fields):
    return suppressions.add(
        WORKSPACE_A, email, **{"reason": "x", "source": "console", "by": ADA, **fields}
    )


def rows(tab):
    return tab.locator("#list tbody tr")


def upload(tab, data=LIST, name="bounces.csv"):
    tab.goto(f"{PATH}/import")
    tab.get_by_label("File", exact=True).set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": data}
    )
    tab.get_by_role("button", name="Look at it").click()


def test_one_is_added_found_and_taken_back(tab):
    tab.goto(PATH)
    tab.get_by_role("link", name="Add an address").click()
    tab.get_by_label("Addresses").fill("ann@example.org")
    tab.get_by_label("Reason").fill("asked on the phone")
    tab.get_by_role("button", name="Suppress").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("ann@example.org")
    toast = tab.locator("#toasts .toast")
    expect(toast).to_contain_text("is suppressed from now on")
    toast.get_by_role("button", name="Undo").click()
    expect(tab.locator("#toasts .toast")).to_contain_text("is removed")
    assert Suppression.get().removed_at is not None


def test_the_list_follows_the_filters_and_so_does_its_address(tab):
    for email in ("ann@example.org", "anna@example.com", "bob@example.org"):
        add(email)
    tab.goto(PATH)
    expect(rows(tab)).to_have_count(3)
    tab.get_by_label("Address", exact=True).fill("ann")
    tab.clock.run_for(400)
    expect(rows(tab)).to_have_count(2)
    expect(tab).to_have_url(re.compile(r"\?address=ann$"))
    tab.get_by_label("Kind").select_option("complaint")
    expect(tab.get_by_text("No suppression matches")).to_be_visible()
    tab.reload()
    expect(tab.get_by_label("Kind")).to_have_value("complaint")
    tab.get_by_role("link", name="Clear filters").click()
    expect(rows(tab)).to_have_count(3)


def test_it_is_removed_with_what_it_held_back_and_copies_go_out(tab, accept):
    row = add("ann@example.org")
    for number in range(3):
        message = accept(to_email="ann@example.org", subject=f"Mail {number}")
        Message.update(status=Status.SUPPRESSED, suppression=row.id, next_attempt_at=None).where(
            Message.id == message.id
        ).execute()
    tab.goto(PATH)
    tab.get_by_role("link", name="ann@example.org").click()
    tab.get_by_role("link", name="Remove…").click()
    expect(tab.locator("#now")).to_contain_text("It has held back 3 messages so far")
    tab.get_by_label("Reason").fill("the mailbox is back")
    tab.get_by_role("button", name="Remove the suppression").click()
    expect(tab.locator("#toasts .toast")).to_contain_text("is removed")
    tab.get_by_role("checkbox", name="Choose Mail 1").check()
    tab.get_by_role("button", name="Send copies of the chosen").click()
    expect(tab.locator("#toasts .toast")).to_contain_text("1 copy is accepted")
    expect(tab.get_by_role("link", name="was sent")).to_have_count(1)
    assert Message.select().where(Message.status == Status.QUEUED).count() == 1


def test_a_complaint_asks_twice(tab, forgive):
    row = add("ann@example.org", class_="complaint")
    tab.goto(f"{PATH}/{row.id}/remove")
    expect(tab.get_by_text("They complained")).to_be_visible()
    tab.get_by_label("Reason").fill("they called")
    tab.get_by_role("button", name="Remove the suppression").click()
    expect(tab.get_by_text("Tick this")).to_be_visible()
    forgive(422)
    expect(tab.get_by_label("Reason")).to_have_value("they called")
    tab.get_by_label("They have asked for our mail").check()
    tab.get_by_role("button", name="Remove the suppression").click()
    expect(tab.locator("#toasts .toast")).to_contain_text("is removed")


@pytest.mark.proves("bad-csv")
def test_a_file_is_looked_at_mended_and_imported(tab, work):
    upload(tab)
    outlook = tab.locator("#outlook")
    expect(outlook).to_contain_text("A dry run")
    expect(tab.get_by_role("button", name="Import 1 address")).to_be_visible()
    assert Suppression.select().count() == 0
    tab.get_by_label("Column 2, Why it is here").select_option("reason")
    tab.get_by_label("Kind of lines that give none").select_option("hard_bounce")
    tab.get_by_role("button", name="Look at it again").click()
    expect(tab.get_by_label("Column 2, Why it is here")).to_have_value("reason")
    tab.get_by_role("button", name="Import 1 address").click()
    expect(tab.get_by_text("The import is under way")).to_be_visible()
    expect(tab.get_by_role("progressbar", name="Importing")).to_be_visible()
    work()
    tab.clock.run_for(1_100)
    expect(tab.get_by_text("The import is done")).to_be_visible()
    row = Suppression.get()
    assert (row.email, row.reason, row.class_.value) == ("ann@example.org", "asked", "hard_bounce")
    tab.get_by_role("link", name=re.compile("^The job")).click()
    expect(tab).to_have_url(re.compile(rf"/ui/jobs/{Job.get().id}$"))


def test_refused_lines_are_kept_as_a_file(tab):
    upload(tab)
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download them with the reasons").click()
    assert "nonsense" in download.value.path().read_text()


def test_a_file_is_dropped_on_its_field(tab):
    tab.goto(f"{PATH}/import")
    drop = """name => {
        const files = new DataTransfer();
        files.items.add(new File(["email\\nann@example.org\\n"], "dropped.csv"));
        const zone = document.querySelector("[data-drop]");
        const init = {dataTransfer: files, bubbles: true, cancelable: true};
        return zone.dispatchEvent(new DragEvent(name, init));
    }"""
    assert tab.evaluate(drop, "dragover") is False  # it may be dropped here
    expect(tab.locator(".drop.is-over")).to_be_visible()
    tab.evaluate(drop, "drop")
    tab.get_by_role("button", name="Look at it").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("dropped.csv")


@pytest.mark.long
def test_without_scripts_a_file_is_imported_as_well(open_context, work, forgive):
    tab = open_context(java_script_enabled=False).new_page()
    upload(tab)
    tab.get_by_role("button", name="Import 1 address").click()
    expect(tab.get_by_text("The import is under way")).to_be_visible()
    work()
    tab.reload()
    expect(tab.get_by_text("The import is done")).to_be_visible()
    tab.goto(f"{PATH}?state=x")
    forgive(422)
    tab.get_by_label("State").select_option("in_force")
    tab.get_by_role("button", name="Apply").click()
    expect(rows(tab)).to_have_count(1)


def test_what_the_filter_finds_is_exported_and_the_page_stays_as_it_is(tab):
    add("ann@example.org")
    add("bob@example.com")
    tab.goto(f"{PATH}?domain=example.org")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Export as CSV").click()
    text = download.value.path().read_text()
    assert "ann@example.org" in text
    assert "bob@example.com" not in text
    expect(rows(tab)).to_have_count(1)
    tab.clock.run_for(2_000)
    with tab.expect_download():
        tab.get_by_role("button", name="Export as CSV").click()

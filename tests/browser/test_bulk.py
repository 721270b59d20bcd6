"""All that match is looked at, retried by a job, followed, and taken back; and the same without
scripts.
"""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from maild.domain.states import Status
from maild.models import Job, Message
from maild.services import bulk_message_jobs, job_steps, workers
from tests.services.bulking import put, statuses
from tests.services.reporting import report

pytestmark = pytest.mark.browser


@pytest.fixture
def steps(monkeypatch):
    """Jobs of ten messages a step, a step a turn."""
    monkeypatch.setattr(bulk_message_jobs, "CHUNK", 10)
    monkeypatch.setattr(job_steps, "SLICE_SECONDS", 0)


def take_a_step():
    job = job_steps.claim()
    assert job is not None
    job_steps.carry_on(job)


def look_at_all(tab, *, query="status=failed", action="Retry"):
    """From the log: everything that matches, and the button."""
    tab.goto(f"/ui/logs?{query}")
    tab.locator("#chosen-which").select_option("matching")
    tab.locator("#chosen").get_by_role("button", name=re.compile(f"^{action}")).click()
    expect(tab.get_by_role("heading", level=1)).to_have_text(f"{action} messages?")


def start(tab, *, reason="The server was down."):
    tab.get_by_label("Reason").fill(reason)
    tab.get_by_role("button", name=re.compile(r"\d messages?$")).click()
    expect(tab).to_have_url(re.compile(r"/ui/jobs/\d+$"))


@pytest.mark.proves("explain-bulk")
def test_all_that_match_are_retried_followed_and_taken_back(tab, steps, lease):
    put(25)
    put(3, Status.SENT)
    look_at_all(tab)
    expect(tab.locator("main")).to_contain_text("25 messages match")
    put(1, newest=datetime.now(UTC))  # comes later
    tab.get_by_role("button", name="Retry 25 messages").click()
    assert tab.locator("#reason").evaluate("field => !field.checkValidity()")
    start(tab)
    expect(tab.locator("#job")).to_contain_text("It waits for a worker")
    take_a_step()
    tab.clock.run_for(1_100)
    expect(tab.locator("#job progress")).to_have_attribute("value", "10")
    tab.reload()
    expect(tab.locator("#job progress")).to_have_attribute("value", "10")
    expect(tab.locator("#job tbody tr")).to_have_count(10)
    tab.locator("#stop > summary").click()
    take_a_step()
    tab.clock.run_for(1_100)
    expect(tab.locator("#job progress")).to_have_attribute("value", "20")
    expect(tab.locator("#stop dialog")).to_be_visible()  # news closes nothing
    tab.keyboard.press("Escape")
    job_steps.drain()
    tab.clock.run_for(1_100)
    expect(tab.locator("#job")).to_contain_text("Done")
    expect(tab.locator("#job-news")).to_have_text("The job is done.")
    expect(tab.locator("#stop")).to_have_count(0)
    assert statuses() == {"queued": 25, "failed": 1, "sent": 3}
    tab.locator("#undo > summary").click()
    tab.locator("#undo").get_by_label("Reason").fill("A mistake.")
    tab.locator("#undo").get_by_role("button", name="Take the retry back").click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("Take a retry back")
    job_steps.drain()
    tab.clock.run_for(1_100)
    expect(tab.locator("#job")).to_contain_text("Done")
    assert statuses() == {"cancelled": 25, "failed": 1, "sent": 3}
    tab.get_by_role("link", name="Jobs").first.click()
    expect(tab.get_by_role("row").filter(has_text="Retry messages")).to_have_count(1)


def test_chosen_ones_are_held_and_the_job_is_stopped(tab, steps, lease):
    put(3, Status.QUEUED)
    tab.goto("/ui/logs")
    for number in (1, 3):
        tab.get_by_role("row").filter(has_text=f"user{number}@").get_by_role("checkbox").check()
    tab.locator("#chosen").get_by_role("button", name=re.compile("^Hold")).click()
    expect(tab.locator("main")).to_contain_text("2 of 2 chosen messages")
    start(tab)
    tab.locator("#stop > summary").click()
    tab.get_by_role("button", name="Stop the job").click()
    expect(tab.locator("#job")).to_contain_text("Stopped")
    assert statuses() == {"queued": 3}
    tab.get_by_role("button", name="Let it go on").click()
    expect(tab.locator("#job")).to_contain_text("It waits for a worker")
    job_steps.drain()
    tab.clock.run_for(1_100)
    expect(tab.locator("#job")).to_contain_text("Done")
    held = {m.to_email for m in Message.select().where(Message.status == Status.HELD)}
    assert held == {"user1@example.org", "user3@example.org"}


@pytest.mark.long
def test_it_works_without_scripts(open_context, steps):
    workers.enter()
    put(3)
    tab = open_context(java_script_enabled=False).new_page()
    look_at_all(tab)
    start(tab)
    expect(tab.locator("#job")).to_contain_text("Reload the page")
    job_steps.drain()
    tab.reload()
    expect(tab.locator("#job")).to_contain_text("Done")
    tab.locator("#undo > summary").click()
    tab.locator("#undo").get_by_label("Reason").fill("A mistake.")
    tab.locator("#undo").get_by_role("button", name="Take the retry back").click()
    job_steps.drain()
    tab.reload()
    expect(tab.locator("#job")).to_contain_text("Done")
    assert statuses() == {"cancelled": 3}


def test_all_dead_letters_are_dismissed_and_brought_back(tab, lease):
    report(*({"type": "nobody knows", "email": f"u{n}@example.org"} for n in range(3)))
    tab.goto("/ui/webhooks")
    tab.locator("[form=matching-letters][value=dismiss]").click()
    expect(tab.locator("main")).to_contain_text("3 reports match")
    tab.get_by_label("Reason").fill("Nobody needs them.")
    tab.get_by_role("button", name="Dismiss 3 dead letters").click()
    job_steps.drain()
    expect(tab.locator("h1")).to_contain_text("Dismiss dead letters")
    tab.reload()
    tab.locator("#undo > summary").click()
    tab.locator("#undo").get_by_label("Reason").fill("A mistake.")
    tab.locator("#undo").get_by_role("button", name="Bring them back").click()
    expect(tab.locator("h1")).to_contain_text("Bring dismissed")
    job_steps.drain()
    assert [job.done_count for job in Job.select()] == [3, 3]

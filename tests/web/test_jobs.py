"""/ui/jobs: the list, and the page of a job while it goes on and afterwards."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.actor import Actor
from maild.domain.job import JobStatus
from maild.domain.states import Status
from maild.models import Job, Message
from maild.services import (
    bulk_message_jobs,
    bulk_messages,
    job_items,
    job_kinds,
    job_steps,
    jobs,
    workers,
)
from maild.services.bulk_messages import Action
from maild.web import job_words
from maild.web import jobs as web_jobs
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.bulking import matching, put, statuses

pytestmark = pytest.mark.usefixtures("database")

ME = Actor("ann@a.example")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def begin():
    def make(action=Action.RETRY, *, workspace_id=WORKSPACE_A, **fields):
        return bulk_messages.start(
            workspace_id, action, matching(**fields), reason="The server was down.",
            words="all messages", by=ME,
        )  # fmt: skip

    return make


@pytest.fixture
def steps(monkeypatch):
    """Jobs of ten messages a step, a step a slice."""
    monkeypatch.setattr(bulk_message_jobs, "CHUNK", 10)
    monkeypatch.setattr(job_steps, "SLICE_SECONDS", 0)


def finish(status, ids):
    """As workers would."""
    Message.update(status=status, next_attempt_at=None).where(Message.id << ids).execute()


def take_a_step():
    job = job_steps.claim()
    assert job is not None
    job_steps.carry_on(job)


def words(element):
    return " ".join(element.get_text(" ").split())


def path(job, rest=""):
    return f"/ui/jobs/{job.id}{rest}"


def test_every_kind_of_job_has_words():
    assert job_kinds.ALL
    assert set(jobs.list_kinds()) == set(job_words.KINDS)


def test_there_are_none_yet(page):
    assert "No jobs yet" in words(page("/ui/jobs").main)


def test_the_list_tells_what_who_and_how_far(page, begin, steps):
    put(25)
    job = begin()
    text = words(page("/ui/jobs").main)
    assert "Retry messages" in text
    assert "waiting" in text
    assert "ann@a.example" in text
    assert "“ The server was down. ”" in text
    take_a_step()
    text = words(page("/ui/jobs").main)
    assert "running" in text
    assert "10 retried of 25" in text
    job_steps.drain()
    listed = page("/ui/jobs")
    assert "done" in words(listed.main)
    assert listed.select_one(f"a[href='/ui/jobs/{job.id}']")
    assert listed.select_one("#jobs[hx-get]") is None


def test_the_list_is_in_pages_and_asks_the_same_for_many(page, begin, monkeypatch):
    monkeypatch.setattr(jobs, "OPEN_MAX", 100)
    begin()
    few = count_statements(lambda: page("/ui/jobs"))
    for _ in range(7):
        begin()
    assert count_statements(lambda: page("/ui/jobs")) == few
    monkeypatch.setattr(web_jobs, "PAGE_ROWS", 5)
    first = page("/ui/jobs")
    assert len(first.select("tbody tr")) == 5
    second = page(first.select_one("[rel=next]")["href"])
    assert len(second.select("tbody tr")) == 3
    assert second.select_one("[rel=next]") is None
    page("/ui/jobs?older_than=nonsense", status=400)


def test_a_job_that_goes_on_asks_for_itself_again(page, client, begin, steps):
    put(25)
    job = begin()
    url = page(path(job)).select_one("#job")["hx-get"]
    assert client.get(url, headers=HTMX).status_code == 204
    take_a_step()
    response = client.get(url, headers=HTMX)
    assert response.status_code == 200
    shown = BeautifulSoup(response.text, "html.parser")
    assert shown.h1 is None
    bar = shown.select_one("progress")
    assert (bar["value"], bar["max"]) == ("10", "25")
    assert shown.select_one("#job-actions") is None, "what is open there stays so"
    assert len(shown.select("tbody tr")) == 10
    job_steps.drain()
    over = BeautifulSoup(client.get(url, headers=HTMX).text, "html.parser")
    assert over.select_one("#job")["hx-trigger"] == "every 5s", "its messages are on their way"
    assert over.select_one("#job-actions")["hx-swap-oob"] == "true"
    assert over.select_one("#job-news").text == "The job is done."


def test_it_says_what_has_become_of_its_messages(page, client, begin, monkeypatch):
    ids = put(7)
    put(1, workspace_id=WORKSPACE_B)
    job = begin()
    assert page(path(job)).select_one("#fates") is None, "nothing has come of them yet"
    job_steps.drain()
    soup = page(path(job))
    assert "Of the 7 retried, now: 7 still queued" in words(soup.select_one("#fates"))
    url = soup.select_one("#job[hx-trigger='every 5s']")["hx-get"]
    assert client.get(url, headers=HTMX).status_code == 204
    finish(Status.SENT, ids[:1])
    finish(Status.FAILED, ids[1:4])
    answer = BeautifulSoup(client.get(url, headers=HTMX).text, "html.parser")
    text = words(answer.select_one("#fates"))
    assert "1 sent 3 failed again" in words(answer.select_one("#fates ul")), text
    assert "3 still queued" in text
    assert answer.select_one("#fates a")["href"] == "/ui/logs?status=failed"
    assert answer.select_one("#job-actions") is None, "what is open there stays so"
    finish(Status.FAILED, ids[4:])
    Message.delete().where(Message.id == ids[0]).execute()
    soup = page(path(job))
    assert words(soup.select_one("#fates ul")) == "6 failed again 1 not kept any more"
    assert soup.select_one("#job[hx-get]") is None, "none of them goes on by itself"
    monkeypatch.setattr(job_items, "COUNTED_MAX", 5)
    assert "Of the first 5 retried, now: " in words(page(path(job)).select_one("#fates"))
    assert sum(job_items.count_by_status(job).values()) == 5


def test_what_cannot_change_any_more_is_not_counted(page, begin):
    put(2, Status.QUEUED)
    job = begin(Action.CANCEL)
    job_steps.drain()
    soup = page(path(job))
    assert "Cancelled 2" in words(soup)
    assert soup.select_one("#fates") is None


def test_it_says_that_there_is_no_worker(page, begin):
    put(1)
    job = begin()
    assert "No worker is alive" in words(page(path(job)).main)
    workers.enter()
    assert "No worker is alive" not in words(page(path(job)).main)


def test_its_changes_are_listed_with_links_in_pages(page, begin, monkeypatch):
    ids = put(7)
    job = begin()
    job_steps.drain()
    few = count_statements(lambda: page(path(job)))  # one more where a cached fact is due again
    monkeypatch.setattr(web_jobs, "ITEM_ROWS", 5)
    assert count_statements(lambda: page(path(job))) <= few
    first = page(path(job))
    second = page(first.select_one("[rel=next]")["href"])
    links = [a["href"] for shown in (first, second) for a in shown.select("tbody a")]
    assert sorted(links) == sorted(f"/ui/messages/{one}" for one in ids)
    page(path(job, "?after=nonsense"), status=400)


def test_it_is_stopped_and_goes_on(page, client, post, begin, steps):
    put(25)
    job = begin()
    take_a_step()
    response = post(client, path(job, "/cancel"))
    assert (response.status_code, response.location) == (303, path(job))
    stopped = page(path(job))
    assert "Stopped" in words(stopped.main)
    assert "Let it go on" in words(stopped.select_one("#job-actions"))
    assert post(client, path(job, "/cancel")).status_code == 303
    assert "cancelled already" in client.get(path(job)).text
    assert post(client, path(job, "/resume")).status_code == 303
    job_steps.drain()
    assert statuses() == {"queued": 25}
    post(client, path(job, "/resume"))
    assert "is done" in client.get(path(job)).text


def test_one_that_failed_says_why_and_goes_on(page, client, post, begin, monkeypatch):
    put(3)
    job = begin()
    Job.update(
        status=JobStatus.FAILED, finished_at=job.created_at, error="The disk is full."
    ).execute()
    shown = page(path(job))
    assert "The disk is full." in words(shown.main)
    post(client, path(job, "/resume"))
    job_steps.drain()
    assert statuses() == {"queued": 3}


def test_it_is_undone_with_a_reason(page, client, post, begin):
    put(3)
    job = begin()
    job_steps.drain()
    dialog = page(path(job)).select_one("#undo")
    assert "are cancelled" in words(dialog)
    response = post(client, path(job, "/undo"), reason="")
    assert response.status_code == 422
    assert BeautifulSoup(response.text, "html.parser").select_one("#undo[open]")
    response = post(client, path(job, "/undo"), reason="A mistake.")
    undoing = Job.get(Job.undo_of == job.id)
    assert response.location == path(undoing)
    job_steps.drain()
    assert statuses() == {"cancelled": 3}
    assert f"job {undoing.id}" in words(page(path(job)).main)
    assert f"job {job.id}" in words(page(path(undoing)).main)
    assert "It cannot be undone" in words(page(path(undoing)).main)
    post(client, path(job, "/undo"), reason="A mistake.")
    assert "has been undone already" in client.get(path(job)).text


def test_a_viewer_sees_all_of_it_and_changes_nothing(viewer_a, sign_in, post, begin):
    put(3)
    job = begin()
    viewer = sign_in(viewer_a)
    for act in ("cancel", "resume", "undo"):
        assert post(viewer, path(job, f"/{act}"), reason="x").status_code == 403
    shown = BeautifulSoup(viewer.get(path(job)).text, "html.parser")
    assert shown.select_one("#job-actions #stop[aria-disabled]")
    assert Job.get_by_id(job.id).status is JobStatus.QUEUED


def test_another_workspace_has_none_of_it(admin_b, sign_in, post, begin):
    put(3)
    job = begin()
    other = sign_in(admin_b)
    assert other.get(path(job)).status_code == 404
    assert "No jobs yet" in other.get("/ui/jobs").text
    for act in ("cancel", "resume", "undo"):
        response = post(other, path(job, f"/{act}"), workspace_id=WORKSPACE_B, reason="x")
        assert response.status_code == 404
    assert other.get("/ui/jobs/99999999999999999999").status_code == 404
    assert statuses() == {"failed": 3}

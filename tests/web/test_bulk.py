"""/ui/bulk: what will be done to many, shown before it is; and starting the job."""

import pytest
from bs4 import BeautifulSoup

from maild.domain.states import Status
from maild.models import AuditEntry, Job, Message, ProviderEvent, Suppression
from maild.services import bulk_messages, job_steps, jobs, suppressions
from maild.services.log_search import too_long
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.bulking import put, statuses
from tests.services.reporting import report

PATH = "/ui/bulk"
UNKNOWN_EVENT = {"type": "returned_to_sender", "email": "ann@example.org", "event_id": "1"}

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def operator(operator_a, sign_in):
    return sign_in(operator_a)


@pytest.fixture
def look(operator, post):
    """Ask what would be done; returns the page."""

    def ask(action="retry", *, client=None, status=200, noun="messages", ids=None, **fields):
        chosen = {"selection": "matching", "query": ""} if ids is None else {
            "selection": "ids", "id": [str(one) for one in ids]}  # fmt: skip
        form = {"noun": noun, "action": action, **chosen, **fields}
        response = post(client or operator, PATH, **form)
        assert response.status_code == status, response.text
        return BeautifulSoup(response.text, "html.parser")

    return ask


@pytest.fixture
def start(operator, post):
    """Press the button of a preview, with a reason."""

    def press(page, *, reason="The server was down.", client=None):
        form = page.select_one("form[action='/ui/bulk/start']")
        fields = {}
        for one in form.select("input[name]"):
            if one["name"] not in {"csrf_token", "workspace_id"}:
                fields.setdefault(one["name"], []).append(one.get("value", ""))
        return post(client or operator, "/ui/bulk/start", **{**fields, "reason": reason})

    return press


def words(element):
    return " ".join(element.get_text(" ").split())


@pytest.mark.proves("explain-bulk")
def test_it_shows_what_it_will_touch_and_what_will_happen(look):
    put(12, error_class="hard_bounce")
    put(2, Status.UNKNOWN)
    put(3, Status.SENT)
    suppressions.add(WORKSPACE_A, "user1@example.org", reason="asked", source="api")
    page = look("retry", query="")
    text = words(page.main)
    assert page.h1.text == "Retry messages?"
    assert "17 messages match. Asked for: all messages." in text
    assert "3 is sent: only failed and unknown messages can be retried" in text
    assert "2 the recipient is suppressed" in text
    assert "1 message has an unknown outcome" in text
    assert "those that are still queued then are cancelled" in text
    assert (
        page.select_one("form[action='/ui/bulk/start'] [type=submit]").text == "Retry 12 messages"
    )
    assert len(page.select("tbody tr")) == 10
    assert not Job.select().exists()
    assert not AuditEntry.select().exists()


def test_a_reason_and_a_click_start_the_job(look, start, operator):
    put(3)
    put(2, Status.SENT)
    response = start(look("retry", query="?status=failed&range=24h"))
    [job] = Job.select()
    assert response.status_code == 303
    assert response.location == f"/ui/jobs/{job.id}"
    assert (job.kind, job.total_count, job.reason) == ("messages.retry", 3, "The server was down.")
    assert job.created_by == "olaf@a.example"
    job_steps.drain()
    assert statuses() == {"queued": 3, "sent": 2}
    page = operator.get(response.location).text
    assert "all messages: status failed, last 24 hours" in page


def test_chosen_ones_are_those_and_no_others(look, start):
    first, second, third = put(3)
    foreign = put(1, workspace_id=WORKSPACE_B)
    page = look("cancel", ids=[first, first, *foreign], status=200)
    assert "Nothing to do" in words(page.main)
    page = look("retry", ids=[first, second, second, *foreign])
    assert "2 of 3 chosen messages" in words(page.main)
    assert "Not in this workspace 1" in words(page.main)
    start(page)
    job_steps.drain()
    assert statuses() == {"queued": 2, "failed": 1}
    assert statuses(WORKSPACE_B) == {"failed": 1}
    assert Message.get_by_id(third).status is Status.FAILED


def test_the_message_tells_by_which_job_and_why(look, start, operator, accept):
    message = accept()
    start(look("hold", ids=[message.id]))
    job_steps.drain()
    story = BeautifulSoup(operator.get(f"/ui/messages/{message.id}").text, "html.parser")
    [job] = Job.select()
    assert f"Job {job.id}" in words(story.main)
    assert "Reason The server was down." in words(story.main)


def test_too_many_chosen_ones_are_refused_with_words(look):
    page = look("retry", ids=range(bulk_messages.IDS_MAX + 1), status=422)
    assert "choose 1 to 500 messages, or all that match" in words(page.main)


def test_what_is_accepted_between_the_preview_and_the_start_is_not_touched(look, start, accept):
    put(2, Status.QUEUED)
    page = look("hold", query="status=queued")
    accept()
    start(page)
    job_steps.drain()
    assert statuses() == {"held": 2, "queued": 1}


def test_what_changes_between_the_preview_and_the_start_is_left_with_the_reason(
    look, start, operator
):
    ids = put(2)
    page = look("retry", ids=ids)
    suppressions.add(WORKSPACE_A, "user1@example.org", reason="asked", source="api")
    location = start(page).location
    job_steps.drain()
    assert statuses() == {"queued": 1, "failed": 1}
    text = words(BeautifulSoup(operator.get(location).text, "html.parser").main)
    assert "1 the recipient is suppressed" in text
    assert "Retried 1" in text


def test_it_cannot_be_fixed_in_the_future(look, start, accept, post, operator):
    put(1, Status.QUEUED)
    page = look("hold", query="status=queued")
    page.select_one("[name=until]")["value"] = "2999-01-01T00:00:00+00:00"
    start(page)
    [job] = Job.select()
    assert job.params["filter"]["until"] < "2999"
    for wrong in ("yesterday", "2026-01-01T00:00:00"):
        look("hold", query="", until=wrong, status=400)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_without_a_reason_nothing_starts_and_the_page_stays(look, start, reason):
    put(2)
    response = start(look("retry"), reason=reason)
    assert response.status_code == 422
    page = BeautifulSoup(response.text, "html.parser")
    assert page.select_one("#reason")["value"] == reason.strip() or reason == "   "
    assert page.select_one("#reason-error").text
    assert "2 messages match" in words(page.main)
    assert not Job.select().exists()


def test_too_many_jobs_are_told_at_the_form(look, start, monkeypatch):
    put(2)
    monkeypatch.setattr(jobs, "OPEN_MAX", 0)
    response = start(look("retry"))
    assert response.status_code == 409
    assert "not over yet" in response.text


def test_nothing_chosen_leads_back_with_a_word(operator, post):
    response = post(
        operator, PATH, noun="messages", action="retry", selection="ids", back="/ui/logs?q=x"
    )
    assert (response.status_code, response.location) == (303, "/ui/logs?q=x")
    assert "Nothing was chosen" in operator.get("/ui/logs").text


def test_nothing_to_do_offers_no_button(look):
    put(2, Status.SENT)
    page = look("retry")
    assert page.select_one("form[action='/ui/bulk/start']") is None
    assert "None of them can be touched" in words(page.main)
    assert "Nothing to do" in words(look("retry", query="status=failed").main)


def test_where_not_all_was_counted_there_may_be_something_to_do(look, start, monkeypatch):
    monkeypatch.setattr(bulk_messages, "COUNTED_MAX", 2)
    put(3, Status.SENT)
    page = look("retry")
    assert "More than 2 messages match" in words(page.main)
    assert page.select_one("form[action='/ui/bulk/start'] [type=submit]").text == (
        "Retry all these messages"
    )
    start(page)
    job_steps.drain()
    [job] = Job.select()
    assert (job.total_count, job.skipped_count) == (3, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"noun": "people"},
        {"action": "eat"},
        {"action": "replay"},
        {"noun": "dead_letters", "action": "retry"},
        {"selection": "some"},
        {"query": "status=hungry"},
        {"query": "since=2026-02-01T00:00&until=2026-01-01T00:00"},
    ],
)
def test_what_makes_no_sense_is_refused(operator, post, wrong):
    form = {"noun": "messages", "action": "retry", "selection": "matching", "query": "", **wrong}
    assert post(operator, PATH, **form).status_code == 400


def test_only_an_admin_suppresses(look, start, operator, client):
    put(2)
    look("suppress", status=403)
    page = look("suppress", client=client)
    assert "New addresses to suppress 2" in words(page.main)
    location = start(page, client=client).location
    job_steps.drain()
    assert Suppression.select().count() == 2
    assert "user1@example.org" in client.get(location).text
    shown = BeautifulSoup(operator.get(location).text, "html.parser")
    assert shown.select_one("#job-actions [aria-disabled]") is not None
    page.select_one("[name=until]")
    assert start(page).status_code == 403


def test_a_viewer_does_nothing(viewer_a, sign_in, look):
    put(2)
    look("retry", client=sign_in(viewer_a), status=403)


def test_a_search_that_takes_too_long_says_so(look, monkeypatch):
    def give_up(*args, **kwargs):
        raise too_long()

    put(2)
    monkeypatch.setattr(bulk_messages, "_count", give_up)
    page = look("retry", status=503)
    assert "Narrow it" in words(page.main)
    assert page.select_one("form[action='/ui/bulk/start']") is None


def test_dead_letters_are_replayed_and_dismissed_in_the_same_way(look, start, operator):
    events = report(UNKNOWN_EVENT, {**UNKNOWN_EVENT, "event_id": "2"}, b"nonsense")
    page = look("replay", noun="dead_letters")
    text = words(page.main)
    assert "3 reports match. Asked for: all dead letters." in text
    assert "today's code would apply 0 of them" in text
    assert "it would fail again" in text
    page = look("dismiss", noun="dead_letters", ids=[events[0].id])
    assert (
        page.select_one("form[action='/ui/bulk/start'] [type=submit]").text
        == "Dismiss 1 dead letter"
    )
    location = start(page).location
    job_steps.drain()
    assert [event.status.value for event in ProviderEvent.select().order_by(ProviderEvent.id)] == [
        "ignored", "dead_letter", "dead_letter",
    ]  # fmt: skip
    assert f"report {events[0].id}" in operator.get(location).text


def test_a_page_of_many_asks_as_little_as_one_of_few(look):
    put(3)
    look("retry")
    few = count_statements(lambda: look("retry"))
    put(300)
    assert count_statements(lambda: look("retry")) == few

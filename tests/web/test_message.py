"""GET /ui/messages/<id>"""

import datetime as dt
import uuid

import pytest
import time_machine

from maild import clock
from maild.domain.mime import Attachment
from maild.domain.states import AttemptStatus, EventType, Status
from maild.models import Attempt, Event
from maild.services import suppressions

UNKNOWN_ID = "0190b0c8-5f6e-7000-8000-000000000000"


@pytest.fixture
def attempt(database):
    """Write an attempt, and the event of its outcome."""

    def write(message, number, status, event=None, data=None, **fields):
        Attempt.insert(
            message=message.id,
            attempt_no=number,
            status=status,
            worker_id=uuid.uuid4(),
            smtp_account_name="eu",
            finished_at=clock.now(),
            **fields,
        ).execute()
        if event:
            Event.insert(
                workspace=1,
                message=message.id,
                type=event.value,
                data={"attempt_no": number, **(data or {})},
            ).execute()

    return write


def test_it_shows_the_facts(page, accept):
    message = accept(
        subject="Your parcel",
        from_name="The shop",
        reply_to="help@example.com",
        tags=("weekly",),
        metadata={"order": 4711, "who": {"tier": "gold"}},
        headers=(("X-Campaign", "november"),),
        attachments=(Attachment("bill.pdf", "application/pdf", b"x" * 1500),),
    )
    soup = page(f"/ui/messages/{message.id}")
    assert soup.h1.text == "Your parcel"
    for part in (
        str(message.id),
        message.message_id_header,
        "The shop",
        "help@example.com",
        "weekly",
        "4711",
        '{"tier": "gold"}',
        "X-Campaign",
        "bill.pdf",
        "1.5 kB",
        "Hello Ann.",
    ):
        assert part in soup.text, part
    copied = {button["data-copy"] for button in soup.select("[data-copy]")}
    assert copied >= {str(message.id), message.message_id_header, "ann@example.org"}


def test_it_tells_attempts_and_events_in_one_order(page, accept, attempt, move):
    message = accept()
    attempt(
        message,
        1,
        AttemptStatus.DEFERRED,
        EventType.DEFERRED,
        {"retry_in_seconds": 60},
        remote="mx.example.org:25",
        duration_ms=1432,
        stage="rcpt_to",
        smtp_code=451,
        enhanced_code="4.7.1",
        response="Greylisted",
        error_class="greylisted",
        timings={"rcpt_to": 12.3, "dns": 0.4, "mail_from": 3.21},
    )
    move(
        message,
        Status.QUEUED,
        attempt_count=1,
        last_error="451 4.7.1 Greylisted",
        smtp_account_name="eu",
        next_attempt_at=clock.now() + dt.timedelta(seconds=250),
    )
    soup = page(f"/ui/messages/{message.id}")
    accepted, first = soup.select(".timeline > li")
    assert "Accepted and stored" in accepted.text
    for part in ("451 4.7.1", "Greylisted", "RCPT TO", "mx.example.org:25", "1.4 s", "1 m later"):
        assert part in first.text, part
    assert [step.text for step in first.select(".steps dt")] == ["DNS", "MAIL FROM", "RCPT TO"]
    state = soup.select_one(".state").text
    assert "deferred" in state
    assert "451 4.7.1 Greylisted" in state
    assert "Attempt 2 of 9 follows in 4 m" in " ".join(state.split())


def test_a_providers_policy_is_not_taken_for_the_workspaces(page, accept, attempt, move):
    message = accept()
    attempt(message, 1, AttemptStatus.FAILED, EventType.FAILED, error_class="policy")
    move(message, Status.FAILED, error_class="policy", last_error="550 5.7.1 Not verified")
    state = page(f"/ui/messages/{message.id}").select_one(".state").text
    assert "maild has given up on it" in state
    assert "workspace's policy" not in state


def test_it_tells_an_event_of_a_kind_that_it_does_not_know(page, accept):
    message = accept()
    Event.insert(
        workspace=1, message=message.id, type="message.praised", data={"by_whom": "Ann"}
    ).execute()
    text = page(f"/ui/messages/{message.id}").select_one(".timeline").text
    assert "message.praised" in text
    assert "Ann" in text


@pytest.mark.parametrize("status", list(Status))
def test_it_explains_every_status(page, accept, move, status):
    message = accept()
    move(message, status)
    state = page(f"/ui/messages/{message.id}").select_one(".state")
    assert state.select_one(".badge").text.strip() == status.value
    assert len(state.select_one(".state-line span:last-child").text) > 20
    assert state.select_one(".next").text


def test_it_quotes_what_the_provider_said_to_a_sent_message(page, accept, attempt, move):
    message = accept()
    attempt(
        message, 1, AttemptStatus.SENT, EventType.SENT, smtp_code=250, response="Ok: queued as 7"
    )
    move(message, Status.SENT, smtp_account_name="eu")
    assert "250 Ok: queued as 7" in page(f"/ui/messages/{message.id}").select_one(".state").text


def test_it_refreshes_its_story_while_unfinished(page, partial, client, accept, move):
    message = accept()
    poll = page(f"/ui/messages/{message.id}").select_one("#story")["hx-get"]
    assert client.get(poll, headers={"HX-Request": "true"}).status_code == 204
    move(message, Status.FAILED, last_error="550 no")
    [story] = partial(poll).find_all(recursive=False)
    assert story["id"] == "story"
    assert "550 no" in story.text
    assert not story.has_attr("hx-get"), "a finished story does not ask again"


def test_it_says_so_when_the_next_attempt_comes_due(page, client, partial, accept, move):
    message = accept()
    soon = clock.now() + dt.timedelta(minutes=1)
    move(message, Status.QUEUED, attempt_count=1, last_error="451 later", next_attempt_at=soon)
    poll = page(f"/ui/messages/{message.id}").select_one("#story")["hx-get"]
    assert client.get(poll, headers={"HX-Request": "true"}).status_code == 204
    with time_machine.travel(soon, tick=False):
        assert "Attempt 2 of 9 is due" in partial(poll).text


def test_it_escapes_what_others_write(page, accept, attempt, move):
    evil = "<script>alert(1)</script>"
    message = accept(
        subject=evil,
        from_name=evil,
        body_text=evil,
        body_html=f"<p>{evil}</p>",
        tags=(evil,),
        metadata={evil: evil, "list": [evil]},
        headers=(("X-Evil", evil),),
        attachments=(Attachment(f"{evil}.txt", "text/plain", b""),),
    )
    attempt(message, 1, AttemptStatus.FAILED, EventType.FAILED, smtp_code=550, response=evil)
    move(message, Status.FAILED, last_error=evil, smtp_account_name=evil, error_class=evil)
    response = page(f"/ui/messages/{message.id}")
    assert evil not in str(response)
    assert all(script.has_attr("src") for script in response.select("script"))


@pytest.mark.parametrize("path", ["", "/preview"])
def test_it_is_not_found_without_a_message_or_in_another_workspace(page, accept, path):
    foreign = accept(workspace_id=2, subject="Secret of B", body_html="<p>Secret of B</p>")
    for message_id in (UNKNOWN_ID, foreign.id):
        soup = page(f"/ui/messages/{message_id}{path}", status=404)
        assert "no such message" in soup.text
        assert "Secret of B" not in soup.text
        assert soup.find("a", string="All messages")


def test_it_is_not_found_by_what_is_no_id(page):
    page("/ui/messages/4711", status=404)


def test_it_takes_no_other_method(client, accept):
    response = client.post(f"/ui/messages/{accept().id}")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_it_shows_the_beginning_of_a_huge_text_and_leads_to_the_rest(client, page, accept):
    message = accept(body_text="x" * 200_000 + "the end")
    soup = page(f"/ui/messages/{message.id}")
    assert len(soup.select_one(".body-text").text) == 65_536
    link = soup.find("a", string="Show the whole text")["href"]
    whole = client.get(link)
    assert whole.content_type == "text/plain; charset=utf-8"
    assert whole.text.endswith("the end")


def test_a_text_that_is_short_needs_no_link(page, accept):
    soup = page(f"/ui/messages/{accept().id}")
    assert soup.find("a", string="Show the whole text") is None


def test_there_is_no_text_of_another_workspace_or_without_one(client, accept):
    assert client.get(f"/ui/messages/{accept(workspace_id=2).id}/text").status_code == 404
    html_only = accept(body_text=None, body_html="<p>x</p>")
    assert client.get(f"/ui/messages/{html_only.id}/text").status_code == 404


def test_a_message_that_waits_for_its_account_says_so(page, accept):
    message = accept(smtp_account="default")
    text = page(f"/ui/messages/{message.id}").get_text(" ", strip=True)
    assert "as soon as “default” is in use, the SMTP account that its sender named" in text
    assert "Wanted account default" in text


@pytest.fixture
def reported(database):
    """Write an event as a report makes it."""

    def write(message, kind, type_, **data):
        facts = {"type": type_, "provider": "postmark", "report_id": 1, **data}
        Event.insert(workspace=1, message=message.id, type=kind.value, data=facts).execute()

    return write


def test_it_tells_what_was_reported(page, accept, move, reported):
    message = accept()
    move(message, Status.DELIVERED, smtp_account_name="eu")
    reported(message, EventType.DELIVERED, "delivered", text="250 2.0.0 Ok")
    soup = page(f"/ui/messages/{message.id}")
    assert "Postmark reports that the recipient's server took it." in soup.select_one(".state").text
    entry = soup.select(".timeline > li")[-1]
    assert entry["class"] == ["ok"]
    assert "Delivered: Postmark reports" in entry.text
    assert entry.select_one(".reply").text == "250 2.0.0 Ok"


def test_it_says_that_the_address_is_suppressed_now(page, accept, move, reported):
    message = accept(to_email="Ann@example.org")
    move(message, Status.BOUNCED)
    reported(message, EventType.BOUNCED, "bounced")
    assert "is not suppressed" in page(f"/ui/messages/{message.id}").select_one(".next").text
    suppressions.add(1, "ann@example.org", reason="550 no", source="provider_event")
    suppressions.add(2, "ann@example.org", reason="550 no", source="provider_event")
    told = page(f"/ui/messages/{message.id}").select_one(".next").text
    assert "remove the suppression of ann@example.org." in told


def test_it_escapes_what_providers_report_and_links_to_nothing_of_it(page, accept, move, reported):
    evil = "<script>alert(1)</script>"
    message = accept()
    move(message, Status.BOUNCED, last_error=evil)
    reported(message, EventType.BOUNCED, evil, text=evil, error_class=evil, provider=evil)
    reported(message, EventType.REPORTED, "clicked", url=f"javascript:alert(1)//{evil}")
    reported(message, EventType.REPORTED, "clicked", url="https://evil.example/")
    soup = page(f"/ui/messages/{message.id}")
    assert evil not in str(soup)
    assert all(script.has_attr("src") for script in soup.select("script"))
    assert "javascript:alert(1)//" in soup.text
    links = [link["href"] for link in soup.select("[href]")]
    assert not any("evil" in link or "javascript" in link for link in links)


def test_the_trouble_of_an_earlier_attempt_is_over_once_it_is_delivered(page, accept, move):
    message = accept()
    trouble = {"last_error": "lost contact", "error_class": "connection"}
    move(message, Status.DELIVERED, **trouble)
    assert "connection" not in page(f"/ui/messages/{message.id}").select_one(".state").text
    assert "lost contact" not in page("/ui").select_one("tr.message").text

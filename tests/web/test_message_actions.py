"""What a person does to one message in the console: what is offered, what it does, and who was
quicker.
"""

from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

from maild import clock
from maild.domain.actor import Actor
from maild.domain.states import EventType, Status
from maild.models import AuditEntry, Event, Message, Suppression
from maild.services import freezes, interventions, suppressions

OLAF = Actor("olaf@a.example")
UNKNOWN_ID = "0190b0c8-5f6e-7000-8000-000000000000"


def path(message, act=""):
    return f"/ui/messages/{message.id}" + (f"/{act}" if act else "")


def seen(message):
    """What the form of a page keeps of the message as it shows it."""
    row = Message.get_by_id(message.id)
    return {"seen_status": row.status.value, "seen_at": row.updated_at.isoformat()}


def status_of(message):
    return Message.get_by_id(message.id).status


def offered(soup):
    return [summary.text.strip() for summary in soup.select(".acts summary")]


def told(response):
    return " ".join(BeautifulSoup(response.text, "html.parser").select_one("main").text.split())


def toast(client, message):
    soup = BeautifulSoup(client.get(path(message)).text, "html.parser")
    return soup.select_one("#toasts")


# What is offered


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.QUEUED, ["Hold…", "Cancel…", "Suppress the recipient…"]),
        (Status.SENDING, ["Suppress the recipient…"]),
        (Status.HELD, ["Release…", "Cancel…", "Suppress the recipient…"]),
        (Status.FAILED, ["Retry…", "Resend a copy…", "Suppress the recipient…"]),
        (
            Status.UNKNOWN,
            ["It was sent…", "It was not sent: retry…", "Suppress the recipient…"],
        ),
        (Status.SENT, ["Resend a copy…", "Suppress the recipient…"]),
        (Status.CANCELLED, ["Resend a copy…", "Suppress the recipient…"]),
    ],
)
def test_it_offers_only_what_is_possible_now(page, accept, move, status, words):
    message = accept()
    if status is not Status.QUEUED:
        move(message, status)
    soup = page(path(message))
    assert offered(soup) == words
    for form in soup.select(".acts form"):
        assert form.select_one("[name=seen_status]")["value"] == status.value


def test_every_offer_says_what_will_happen_and_what_can_be_taken_back(page, accept):
    for form in page(path(accept())).select(".acts form"):
        assert len(form.p.text) > 40
        assert "undone" in form.select_one(".note").text


def test_one_that_a_freeze_holds_is_not_released_alone(page, client, post, accept):
    message = accept()
    interventions.hold(1, [str(message.id)], by=OLAF, reason="wait")
    freeze = freezes.start(1, reason="stop", expires_at=clock.now() + timedelta(hours=1), by=OLAF)
    Message.update(freeze=freeze).where(Message.id == message.id).execute()
    soup = page(path(message))
    assert "Release…" not in offered(soup)
    assert "lift the freeze" in soup.text
    answer = post(client, path(message, "release"), **seen(message))
    assert answer.status_code == 409
    assert "a freeze is in force" in told(answer)
    assert status_of(message) is Status.HELD


def test_a_suppressed_recipient_is_told_of_and_not_offered_again(page, accept):
    message = accept()
    row = suppressions.add(1, message.to_email, reason="asked", source="console", by=OLAF)
    soup = page(path(message))
    assert "Suppress the recipient…" not in offered(soup)
    assert soup.select_one(f'a[href="/ui/suppressions/{row.id}"]')


# What it does


def test_it_holds_with_a_reason_and_the_toast_releases(client, post, accept):
    message = accept()
    answer = post(client, path(message, "hold"), reason="wrong price", **seen(message))
    assert (answer.status_code, answer.location) == (303, path(message))
    row = Message.get_by_id(message.id)
    assert (row.status, row.hold_reason) == (Status.HELD, "wrong price")
    undo = toast(client, message).form
    fields = {field["name"]: field.get("value", "") for field in undo.select("input[name]")}
    assert undo["action"] == path(message, "release")
    assert client.post(undo["action"], data=fields).status_code == 303
    assert status_of(message) is Status.QUEUED


def test_it_releases_and_the_toast_holds_again(client, post, accept):
    message = accept()
    interventions.hold(1, [str(message.id)], by=OLAF, reason="wait")
    assert post(client, path(message, "release"), **seen(message)).status_code == 303
    assert status_of(message) is Status.QUEUED
    undo = toast(client, message).form
    fields = {field["name"]: field.get("value", "") for field in undo.select("input[name]")}
    assert client.post(undo["action"], data=fields).status_code == 303
    assert status_of(message) is Status.HELD


def test_it_cancels_and_offers_no_way_back(client, post, accept):
    message = accept()
    assert (
        post(client, path(message, "cancel"), reason="sold out", **seen(message)).status_code == 303
    )
    assert status_of(message) is Status.CANCELLED
    box = toast(client, message)
    assert "Cancelled" in box.text
    assert box.form is None
    entry = AuditEntry.select().order_by(AuditEntry.seq.desc()).get()
    assert (entry.actor, entry.action, entry.reason) == (
        "ann@a.example", "messages.cancelled", "sold out",
    )  # fmt: skip


def test_it_retries_a_failed_one(client, post, accept, move):
    message = accept()
    move(message, Status.FAILED, last_error="550 no")
    assert post(client, path(message, "retry"), **seen(message)).status_code == 303
    assert status_of(message) is Status.QUEUED


def test_it_says_why_a_retry_is_not_done(client, post, accept, move):
    message = accept()
    move(message, Status.FAILED, last_error="550 no")
    suppressions.add(1, message.to_email, reason="asked us", source="console", by=OLAF)
    answer = post(client, path(message, "retry"), **seen(message))
    assert answer.status_code == 409
    assert "the recipient is suppressed: asked us" in told(answer)
    assert status_of(message) is Status.FAILED


@pytest.mark.parametrize(("act", "status"), [("sent", Status.SENT), ("retry", Status.QUEUED)])
def test_it_resolves_an_unknown_outcome(client, post, accept, move, act, status):
    message = accept()
    move(message, Status.UNKNOWN)
    answer = post(client, path(message, act), reason="asked the provider", **seen(message))
    assert answer.status_code == 303
    assert status_of(message) is status
    event = Event.select().where(Event.message == message.id).order_by(Event.id.desc()).get()
    assert event.data["by"] == "ann@a.example"
    assert event.data["reason"] == "asked the provider"


def test_it_resends_a_copy_once_and_goes_there(client, post, accept, move):
    message = accept(subject="Once more")
    move(message, Status.FAILED, last_error="550 no")
    answer = post(client, path(message, "resend"), **seen(message))
    copy = Message.get(Message.id != message.id)
    assert (answer.status_code, answer.location) == (303, path(copy))
    again = post(client, path(message, "resend"), **seen(message))
    assert again.status_code == 409
    assert "was resent already" in told(again)
    assert Message.select().where(Message.subject == "Once more").count() == 2


def test_it_suppresses_the_recipient_and_the_toast_takes_it_back(client, post, accept):
    message = accept()
    answer = post(client, path(message, "suppress"), reason="asked us", **seen(message))
    assert answer.status_code == 303
    row = Suppression.get(Suppression.email == message.to_email)
    assert (row.reason, row.message_id, row.removed_at) == ("asked us", message.id, None)
    undo = toast(client, message).form
    fields = {field["name"]: field.get("value", "") for field in undo.select("input[name]")}
    client.post(undo["action"], data=fields)
    assert Suppression.get_by_id(row.id).removed_at is not None


@pytest.mark.parametrize("act", ["hold", "cancel", "suppress"])
@pytest.mark.parametrize(("reason", "problem"), [("  ", ""), ("a" * 501, "longer than 500")])
def test_it_wants_a_reason_and_keeps_what_was_typed(client, post, accept, act, reason, problem):
    message = accept()
    answer = post(client, path(message, act), reason=reason, **seen(message))
    assert answer.status_code == 422
    soup = BeautifulSoup(answer.text, "html.parser")
    dialog = soup.select_one(f"#act-{act}")
    assert dialog.has_attr("open")
    assert dialog.select_one(f"#reason-{act}")["aria-invalid"] == "true"
    assert dialog.select_one(f"#reason-{act}")["value"].strip() == reason.strip()
    assert problem in dialog.select_one(".field-error").text
    assert dialog.select_one(".field-error").text
    assert status_of(message) is Status.QUEUED


def test_whoever_acts_in_the_drawer_comes_back_to_the_list(client, post, accept):
    message = accept()
    fields = {**seen(message), "reason": "x"}
    back = "/ui/logs?status=queued"
    assert post(client, path(message, "hold"), back=back, **fields).location == back
    elsewhere = post(client, path(message, "release"), back="//evil.example", **seen(message))
    assert elsewhere.location == path(message)


# Who was quicker


def test_of_two_operators_the_second_is_told_who_was_quicker(
    client, post, accept, sign_in, operator_a
):
    message = accept()
    form = {**seen(message), "reason": "sold out"}
    other = sign_in(operator_a)
    assert (
        post(other, path(message, "hold"), **{**form, "reason": "wrong price"}).status_code == 303
    )
    answer = post(client, path(message, "cancel"), **form)
    assert answer.status_code == 409
    text = told(answer)
    assert "olaf@a.example was quicker" in text
    assert "wrong price" in text
    assert "Now it is held" in text
    soup = BeautifulSoup(answer.text, "html.parser")
    assert "Release…" in offered(soup), "what can be done now"
    assert status_of(message) is Status.HELD


def test_a_second_retry_of_one_that_failed_again_is_not_done(client, post, accept, move):
    message = accept()
    move(message, Status.FAILED, last_error="550 no")
    form = seen(message)
    interventions.retry(1, message_ids=[str(message.id)], by=OLAF)
    move(message, Status.FAILED, last_error="550 still no")
    answer = post(client, path(message, "retry"), **form)
    assert answer.status_code == 409
    assert "olaf@a.example was quicker" in told(answer)
    assert status_of(message) is Status.FAILED


def test_what_went_on_by_itself_is_told_so(client, post, accept, inbox, deliver):
    message = accept()
    form = {**seen(message), "reason": "sold out"}
    deliver()
    answer = post(client, path(message, "cancel"), **form)
    assert answer.status_code == 409
    assert "It went on by itself: Sent" in told(answer)
    assert status_of(message) is Status.SENT


def test_one_that_waits_may_have_been_tried_meanwhile(client, post, accept, move):
    message = accept()
    form = {**seen(message), "reason": "sold out"}
    Message.update(updated_at=message.updated_at.replace(year=2020)).execute()
    assert post(client, path(message, "cancel"), **form).status_code == 303
    assert status_of(message) is Status.CANCELLED


def test_a_form_that_says_nothing_of_what_it_showed_does_nothing(client, post, accept):
    message = accept()
    assert post(client, path(message, "cancel"), reason="x").status_code == 409
    assert status_of(message) is Status.QUEUED


# Who may


def test_a_viewer_sees_why_nothing_is_offered(sign_in, viewer_a, post, accept):
    message, browser = accept(), sign_in(viewer_a)
    soup = BeautifulSoup(browser.get(path(message)).text, "html.parser")
    assert offered(soup) == []
    assert "You are a viewer here" in soup.select_one(".acts").text
    for act in ("retry", "sent", "hold", "release", "cancel", "resend", "suppress"):
        answer = post(browser, path(message, act), reason="x", **seen(message))
        assert answer.status_code == 403, act
    assert status_of(message) is Status.QUEUED


def test_suppressing_is_the_admins(sign_in, operator_a, post, accept):
    message, browser = accept(), sign_in(operator_a)
    soup = BeautifulSoup(browser.get(path(message)).text, "html.parser")
    assert offered(soup) == ["Hold…", "Cancel…"]
    assert "Only an admin" in soup.select_one(".acts").text
    assert post(browser, path(message, "suppress"), reason="x").status_code == 403
    assert not Suppression.select().count()


def test_another_workspaces_message_is_not_there(sign_in, admin_b, post, accept):
    message, browser = accept(), sign_in(admin_b)
    for act in ("retry", "sent", "hold", "release", "cancel", "resend", "suppress"):
        answer = post(browser, path(message, act), workspace_id=2, reason="x", **seen(message))
        assert answer.status_code == 404, act
    for part in ("", "raw", "bundle"):
        assert browser.get(path(message, part)).status_code == 404
    assert status_of(message) is Status.QUEUED


def test_the_timeline_tells_who_did_it(client, post, accept, page):
    message = accept()
    post(client, path(message, "hold"), reason="wrong price", **seen(message))
    timeline = page(path(message)).select_one(".timeline").text
    assert "ann@a.example" in timeline
    assert "wrong price" in timeline
    assert Event.get(Event.type == EventType.HELD).data["by"] == "ann@a.example"

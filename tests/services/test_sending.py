"""Delivery against a real SMTP server: what arrives, what is recorded, what happens on failure."""

import dataclasses
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import peewee
import pytest

from maild import config
from maild.config import Settings
from maild.domain.mime import Attachment
from maild.domain.states import AttemptStatus, EventType, Status, Stream
from maild.models import Attempt, Event, Message, MessageBody, Worker
from maild.services import claims, messages, outcomes, sending, smtp_accounts, timeline
from maild.services.smtp_accounts import NewSmtpAccount
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox, free_ports

Accept = Callable[..., Message]
Deliver = Callable[[], int]
UseSettings = Callable[..., Settings]


def reload(message: Message) -> Message:
    return messages.get(message.workspace_id, message.id)


def event_types(message: Message) -> list[str]:
    return [event.type for event in timeline.list_events(message)]


def test_it_delivers_what_was_accepted(accept: Accept, deliver: Deliver, inbox: Inbox) -> None:
    message = accept(
        subject="Grüße ✓",
        from_name="Das Geschäft",
        body_text="Zeile eins\n.Zeile zwei mit Punkt\n",
        body_html="<p>Grüße</p>",
        reply_to="help@example.com",
        headers=(("X-Campaign", "spring"),),
        attachments=(Attachment("preis.txt", "text/plain", b"12 EUR\n"),),
    )
    assert deliver() == 1

    mail = inbox.only()
    assert mail["Subject"] == "Grüße ✓"
    assert mail["From"].addresses[0].display_name == "Das Geschäft"
    assert mail["To"].addresses[0].addr_spec == "ann@example.org"
    assert mail["Reply-To"].addresses[0].addr_spec == "help@example.com"
    assert mail["X-Campaign"] == "spring"
    assert mail["Message-ID"] == message.message_id_header
    assert mail["Date"].datetime == message.created_at.replace(microsecond=0)
    text = mail.get_body(("plain",))
    html = mail.get_body(("html",))
    assert text is not None
    assert text.get_content().splitlines() == ["Zeile eins", ".Zeile zwei mit Punkt"]
    assert html is not None
    assert html.get_content().strip() == "<p>Grüße</p>"
    [attachment] = mail.iter_attachments()
    assert attachment.get_filename() == "preis.txt"
    assert attachment.get_payload(decode=True) == b"12 EUR\n"


def test_international_domains_go_over_the_wire_as_a_labels(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    message = accept(from_email="laden@faß.example", to_email="ann@bücher.example")
    deliver()
    mail = inbox.only()
    assert mail["From"] == "laden@xn--fa-hia.example"
    assert mail["To"] == "ann@xn--bcher-kva.example"
    assert mail["Message-ID"] == message.message_id_header
    assert reload(message).to_email == "ann@bücher.example"


def test_an_international_mailbox_needs_and_uses_smtputf8(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    message = accept(to_email="用户@例え.example", subject="你好")
    deliver()
    assert reload(message).status is Status.SENT
    [received] = inbox.messages()
    assert received["To"][0]["Address"] == "用户@xn--r8jz45g.example"


def test_it_records_the_attempt_and_the_event(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    message = accept()
    deliver()

    sent = reload(message)
    assert sent.status is Status.SENT
    assert sent.attempt_count == 1
    assert sent.worker_id is None
    assert sent.next_attempt_at is None
    assert sent.smtp_account_name == "default"
    [attempt] = timeline.list_attempts(message)
    assert attempt.status is AttemptStatus.SENT
    assert attempt.smtp_code == 250
    assert attempt.stage == "final_dot"
    assert attempt.remote == str(inbox.smtp)
    assert attempt.finished_at >= attempt.started_at
    assert {"connect", "mail_from", "final_dot"} <= set(attempt.timings)
    assert event_types(message) == [EventType.ACCEPTED, EventType.SENT]


def test_it_defers_a_transient_refusal_by_the_ladder(
    accept: Accept, deliver: Deliver, inbox: Inbox, use_settings: UseSettings
) -> None:
    use_settings(retry_delays_seconds=(600, 6000))
    message = accept(to_email="tempfail@example.org")
    before = datetime.now(UTC)
    deliver()

    deferred = reload(message)
    assert deferred.status is Status.QUEUED
    assert deferred.attempt_count == 1
    wait = deferred.next_attempt_at - before
    assert timedelta(seconds=600 * 0.8) <= wait <= timedelta(seconds=600 * 1.2 + 10)
    assert "451" in deferred.last_error
    [attempt] = timeline.list_attempts(message)
    assert (attempt.status, attempt.smtp_code) == (AttemptStatus.DEFERRED, 451)
    assert event_types(message) == [EventType.ACCEPTED, EventType.DEFERRED]
    assert deliver() == 0, "it is not due yet"


def test_it_tries_again_when_due_and_gives_up_after_the_last_attempt(
    accept: Accept, deliver: Deliver, inbox: Inbox, use_settings: UseSettings
) -> None:
    use_settings(max_attempts=3, retry_delays_seconds=(1000,))
    message = accept(to_email="tempfail@example.org")
    for _ in range(3):
        assert deliver() == 1
        Message.update(next_attempt_at=datetime.now(UTC)).where(
            Message.id == message.id, Message.next_attempt_at.is_null(False)
        ).execute()

    failed = reload(message)
    assert failed.status is Status.FAILED
    assert failed.last_error.startswith("Gave up after 3 attempts.")
    assert [a.attempt_no for a in timeline.list_attempts(message)] == [1, 2, 3]
    assert event_types(message)[1:] == [
        EventType.DEFERRED,
        EventType.DEFERRED,
        EventType.FAILED,
    ]
    assert deliver() == 0


def test_it_fails_once_on_a_permanent_refusal(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    message = accept(to_email="permfail@example.org")
    deliver()

    failed = reload(message)
    assert failed.status is Status.FAILED
    assert failed.error_class == "invalid_recipient"
    [attempt] = timeline.list_attempts(message)
    assert (attempt.smtp_code, attempt.enhanced_code) == (550, "5.1.1")
    [_, event] = timeline.list_events(message)
    assert event.data["smtp_code"] == 550


def test_it_goes_on_with_the_batch_after_a_refusal_and_after_a_dropped_connection(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    for local in ("a", "permfail", "b", "drop-before-dot", "c", "busy-421", "d", "tempfail", "e"):
        accept(to_email=f"{local}@example.org")
    assert deliver() == 9
    got = sorted(m["To"][0]["Address"] for m in inbox.messages())
    assert got == [f"{x}@example.org" for x in "abcde"]
    again = {
        m.to_email.partition("@")[0]
        for m in Message.select().where(Message.status == Status.QUEUED)
    }
    assert again == {"drop-before-dot", "busy-421", "tempfail"}


def test_it_calls_an_outcome_unknown_when_contact_is_lost_after_the_final_dot(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    message = accept(to_email="drop-after-dot@example.org")
    deliver()

    unknown = reload(message)
    assert unknown.status is Status.UNKNOWN
    [attempt] = timeline.list_attempts(message)
    assert attempt.status is AttemptStatus.UNKNOWN
    assert event_types(message)[-1] == EventType.OUTCOME_UNKNOWN
    assert deliver() == 0, "it is never tried again silently"
    assert len(inbox.messages()) == 1


def test_it_defers_when_the_server_cannot_be_reached(
    accept: Accept, deliver: Deliver, use_settings: UseSettings
) -> None:
    [port] = free_ports(1)
    smtp = dataclasses.replace(config.current().smtp, host="127.0.0.1", port=port, security="none")
    use_settings(smtp=smtp)
    message = accept()
    deliver()

    deferred = reload(message)
    assert deferred.status is Status.QUEUED
    assert deferred.error_class == "connection"
    assert f"127.0.0.1:{port}" in deferred.last_error
    [attempt] = timeline.list_attempts(message)
    assert attempt.stage == "connect"


def test_it_sends_through_the_active_account_of_the_workspace(
    accept: Accept, deliver: Deliver, inbox: Inbox, use_settings: UseSettings
) -> None:
    """Only workspace A has an account; the environment's leads nowhere."""
    account = NewSmtpAccount(
        name="postal",
        host=inbox.smtp.host,
        port=inbox.smtp.port,
        from_email="shop@example.com",
        security="none",
        username="user",
        password="pässword",
    )
    smtp_accounts.save(WORKSPACE_A, account)
    smtp_accounts.activate(WORKSPACE_A, name="postal")
    [port] = free_ports(1)
    use_settings(smtp=dataclasses.replace(config.current().smtp, port=port))
    mine, other = accept(), accept(workspace_id=WORKSPACE_B)
    deliver()

    assert (reload(mine).status, reload(mine).smtp_account_name) == (Status.SENT, "postal")
    assert (reload(other).status, reload(other).smtp_account_name) == (Status.QUEUED, "default")


def test_it_defers_when_the_accounts_password_does_not_open(
    accept: Accept, deliver: Deliver, inbox: Inbox, use_settings: UseSettings
) -> None:
    account = NewSmtpAccount(
        name="postal",
        host=inbox.smtp.host,
        port=inbox.smtp.port,
        from_email="shop@example.com",
        username="user",
        password="secret",
    )
    smtp_accounts.save(WORKSPACE_A, account)
    smtp_accounts.activate(WORKSPACE_A, name="postal")
    use_settings(encryption_key=b"another key of thirty-two bytes!")
    message = accept()
    deliver()
    assert reload(message).status is Status.QUEUED
    assert reload(message).error_class == "auth"


def test_it_waits_for_the_scheduled_time(accept: Accept, deliver: Deliver, inbox: Inbox) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    message = accept(scheduled_at=at)
    assert deliver() == 0
    assert reload(message).next_attempt_at == at


def test_it_sends_transactional_mail_before_marketing(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    for stream in ("marketing", "transactional", "marketing", "transactional"):
        accept(stream=Stream(stream), subject=stream)
    deliver()
    order = [m["Subject"] for m in reversed(inbox.messages())]
    assert order == ["transactional", "transactional", "marketing", "marketing"]


def test_it_sends_each_message_once_when_many_threads_deliver(
    accept: Accept, lease: Lease, inbox: Inbox
) -> None:
    for number in range(150):
        accept(subject=f"{number}")
    threads = [
        threading.Thread(target=sending.deliver_due, args=(lease, outcomes.recorder()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    subjects = sorted(int(m["Subject"]) for m in inbox.messages())
    assert subjects == list(range(150))
    assert Message.select().where(Message.status == Status.SENT).count() == 150
    assert Attempt.select().count() == 150


def test_it_gives_back_what_it_has_not_begun_when_the_worker_stops(
    accept: Accept, lease: Lease, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is told to stop while it talks to the provider about the second of five."""
    made = [accept(subject=str(number)) for number in range(5)]
    offer = sending._offer

    def stop_at_the_second(connection: object, content: object) -> object:
        if getattr(content, "subject", "") == "1":
            lease.stopping.set()
        return offer(connection, content)  # type: ignore[arg-type]

    monkeypatch.setattr(sending, "_offer", stop_at_the_second)
    assert sending.deliver_due(lease, outcomes.recorder()) == 2

    assert [reload(m).status for m in made] == [Status.SENT] * 2 + [Status.QUEUED] * 3
    for message in made[2:]:
        assert reload(message).attempt_count == 0, "an attempt that never began does not count"
        assert timeline.list_attempts(message) == []
        assert event_types(message) == [EventType.ACCEPTED, EventType.RELEASED]


def test_it_dials_nothing_after_its_lease_has_run_out(
    accept: Accept, lease: Lease, inbox: Inbox
) -> None:
    accept()
    lease.renewed_at -= lease.seconds
    assert sending.deliver_due(lease, outcomes.recorder()) == 0
    Worker.delete().where(Worker.id == lease.worker_id).execute()
    lease.renewed_at += lease.seconds
    assert sending.deliver_due(lease, outcomes.recorder()) == 0, "nor when Postgres says it is dead"
    assert inbox.messages() == []


def test_a_late_result_does_not_overwrite_the_newer_state(
    accept: Accept, lease: Lease, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the message is on its way, the rescue takes it from this worker and queues it again."""
    message = accept()
    offer = sending._offer

    def lose_it(connection: object, content: object) -> object:
        Worker.update(seen_at=datetime(2020, 1, 1, tzinfo=UTC)).execute()
        assert claims.rescue() == 1
        return offer(connection, content)  # type: ignore[arg-type]

    monkeypatch.setattr(sending, "_offer", lose_it)
    sending.deliver_due(lease, outcomes.recorder())
    after = reload(message)
    assert (after.status, after.attempt_count) == (Status.QUEUED, 1)
    [attempt] = timeline.list_attempts(message)
    assert attempt.status is AttemptStatus.INTERRUPTED
    assert Event.select().where(Event.type == EventType.SENT).count() == 0


def test_a_message_that_cannot_be_built_fails_alone(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    """Its content was damaged in the database; the others of the batch go out."""
    bad, good = accept(subject="bad"), accept(subject="good")
    MessageBody.update(headers=[["X-Evil", "a\r\nBcc: all@example.org"]]).where(
        MessageBody.message == bad.id
    ).execute()
    deliver()
    assert reload(bad).status is Status.FAILED
    assert reload(good).status is Status.SENT
    assert [m["Subject"] for m in inbox.messages()] == ["good"]


def test_it_loads_large_messages_in_pieces(
    accept: Accept, deliver: Deliver, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LOAD_MAX_BYTES", 100_000)
    for _ in range(5):
        accept(body_text="x" * 60_000)
    assert deliver() == 5
    assert len(inbox.messages()) == 5


def test_a_database_that_goes_away_in_a_batch_loses_nothing(
    accept: Accept, lease: Lease, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut off between the claim and the sending; the sweep puts back what was claimed."""
    made = [accept() for _ in range(5)]
    load = sending._load_bodies

    def cut_off(chunk: object) -> object:
        monkeypatch.setattr(sending, "_load_bodies", load)
        raise peewee.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(sending, "_load_bodies", cut_off)
    with pytest.raises(peewee.OperationalError):
        sending.deliver_due(lease, outcomes.recorder())
    assert lease.held == set()
    assert {reload(m).status for m in made} == {Status.SENDING}

    Message.update(updated_at=datetime.now(UTC) - timedelta(minutes=1)).execute()
    sending.sweep(lease, outcomes.recorder())
    assert {reload(m).status for m in made} == {Status.SENT}
    assert len(inbox.messages()) == 5


def test_a_server_that_cannot_be_reached_is_dialled_once_a_batch(
    accept: Accept, deliver: Deliver, use_settings: UseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent one costs ten seconds a try: fifty messages must not wait for it one by one."""
    [port] = free_ports(1)
    smtp = dataclasses.replace(config.current().smtp, host="127.0.0.1", port=port, security="none")
    use_settings(smtp=smtp)
    dialled: list[object] = []
    dial = sending.open_connection

    def counted(server: object) -> object:
        dialled.append(server)
        return dial(server)  # type: ignore[arg-type]

    monkeypatch.setattr(sending, "open_connection", counted)
    for _ in range(5):
        accept()
    assert deliver() == 5
    assert len(dialled) == 1
    assert Message.select().where(Message.error_class == "connection").count() == 5

"""Delivery against a real SMTP server: what arrives, what is recorded, what happens on failure."""

import dataclasses
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest

from maild import config, db, marks
from maild.config import Settings
from maild.domain.mime import Attachment
from maild.domain.states import AttemptStatus, EventType, Status, Stream
from maild.models import Attempt, Breaker, Message, MessageBody, Worker
from maild.models.smtp_account import ENVIRONMENT
from maild.services import (
    messages,
    originals,
    parcels,
    recorder,
    rescues,
    sending,
    suppressions,
    timeline,
    workers,
)
from maild.services.messages import NewMessage
from maild.services.recorder import Recorder
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B, Inbox
from tests.services.conftest import MakeAccount, wait_until

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


@pytest.mark.proves("deliver-ladder")
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


@pytest.mark.proves("I4")
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


@pytest.mark.proves("accept-schedule")
def test_it_waits_for_the_scheduled_time(accept: Accept, deliver: Deliver, inbox: Inbox) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    message = accept(scheduled_at=at)
    assert deliver() == 0
    assert reload(message).next_attempt_at == at


def test_what_was_scheduled_has_the_date_for_which_it_was(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    """And not that of its acceptance, nor of the attempt; in the raw view as well."""
    message = accept(scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    at = datetime.now(UTC) - timedelta(minutes=20)
    Message.update(
        created_at=at - timedelta(hours=5), scheduled_at=at, next_attempt_at=at
    ).execute()
    deliver()
    assert inbox.only()["Date"].datetime == at.replace(microsecond=0)
    shown = message_from_bytes(originals.get_raw(reload(message)), policy=policy.default)
    assert shown["Date"].datetime == at.replace(microsecond=0)


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
    monkeypatch.setattr(parcels, "LOAD_MAX_BYTES", 100_000)
    for _ in range(5):
        accept(body_text="x" * 60_000)
    assert deliver() == 5
    assert len(inbox.messages()) == 5


@pytest.mark.proves("deliver-excused")
def test_a_server_that_cannot_be_reached_costs_no_message_an_attempt(
    accept: Accept, deliver: Deliver, unreachable: int
) -> None:
    message = accept()
    assert deliver() == 0

    waiting = reload(message)
    assert (waiting.status, waiting.attempt_count) == (Status.QUEUED, 0)
    breaker = Breaker.get_by_id(ENVIRONMENT)
    assert breaker.error_class == "connection"
    assert f"127.0.0.1:{unreachable}" in breaker.reason


def test_it_sends_through_the_active_account_of_the_workspace(
    accept: Accept, deliver: Deliver, inbox: Inbox, account: MakeAccount, unreachable: int
) -> None:
    """Only workspace A has an account; the environment's leads nowhere."""
    account("postal", username="user", password="pässword", active=True)
    mine, other = accept(), accept(workspace_id=WORKSPACE_B)
    deliver()

    assert (reload(mine).status, reload(mine).smtp_account_name) == (Status.SENT, "postal")
    assert (reload(other).status, reload(other).attempt_count) == (Status.QUEUED, 0)


def test_a_password_that_does_not_open_is_the_accounts_trouble(
    accept: Accept, deliver: Deliver, account: MakeAccount, use_settings: UseSettings
) -> None:
    postal = account("postal", username="user", password="secret", active=True)
    use_settings(encryption_key=b"another key of thirty-two bytes!")
    message = accept()
    deliver()
    assert reload(message).status is Status.QUEUED
    assert Breaker.get_by_id(postal.id).error_class == "auth"


def test_it_sends_transactional_mail_before_marketing(
    accept: Accept, deliver: Deliver, inbox: Inbox, use_settings: UseSettings
) -> None:
    use_settings(smtp=dataclasses.replace(config.current().smtp, max_connections=1))
    for stream in ("marketing", "transactional") * 3:
        accept(stream=Stream(stream), subject=stream)
    deliver()
    order = [m["Subject"] for m in reversed(inbox.messages())]
    assert order == ["transactional"] * 3 + ["marketing"] * 3


@pytest.mark.proves("I3")
def test_it_sends_each_message_once_when_many_workers_deliver(accept: Accept, inbox: Inbox) -> None:
    for number in range(150):
        accept(subject=f"{number}")

    def work() -> None:
        with db.connection():
            lease = workers.enter()
        sending.deliver_due(lease, Recorder())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    subjects = sorted(int(m["Subject"]) for m in inbox.messages())
    assert subjects == list(range(150))
    assert Message.select().where(Message.status == Status.SENT).count() == 150
    assert Attempt.select().count() == 150


def test_it_gives_back_what_it_has_not_begun_when_the_worker_stops(
    accept: Accept, lease: Lease, inbox: Inbox, use_settings: UseSettings
) -> None:
    """The provider takes its time over the first; then the worker is told to stop."""
    use_settings(smtp=dataclasses.replace(config.current().smtp, max_connections=1))
    first = accept(to_email="slow+2@example.org")
    others = [accept(subject=str(number)) for number in range(5)]
    engine = threading.Thread(target=sending.work, args=(lease, Recorder()))
    engine.start()
    wait_until(
        lambda: (
            marks.DOT in (marks.read(config.current().redis_url, lease.worker_id) or {}).values()
        )
    )
    lease.stopping.set()
    sending.wake()
    engine.join()

    assert reload(first).status is Status.SENT, "what is in flight is finished"
    for message in others:
        after = reload(message)
        if after.status is Status.QUEUED:
            assert after.attempt_count == 0, "an attempt that never began does not count"
            assert timeline.list_attempts(message) == []
    left = [m for m in others if reload(m).status is Status.QUEUED]
    assert len(left) >= 4, "the one whose envelope had gone out is finished, the others are not"
    assert lease.held == {}


def test_it_sends_nothing_after_its_lease_has_run_out(
    accept: Accept, lease: Lease, inbox: Inbox
) -> None:
    accept()
    lease.renewed_at -= lease.seconds
    assert sending.deliver_due(lease, recorder.current()) == 0
    Worker.delete().where(Worker.id == lease.worker_id).execute()
    lease.renewed_at += lease.seconds
    assert sending.deliver_due(lease, recorder.current()) == 0, "nor when Postgres says it is dead"
    assert inbox.messages() == []


@pytest.mark.proves("I6")
def test_what_is_suppressed_while_it_waits_is_not_sent(
    accept: Accept, lease: Lease, inbox: Inbox, use_settings: UseSettings
) -> None:
    """One connection is busy for longer than a check holds; what waits is looked at again."""
    use_settings(smtp=dataclasses.replace(config.current().smtp, max_connections=1))
    first = accept(to_email="slow+2@example.org")
    accept(to_email="next@example.org")
    wanted, unwanted = accept(to_email="bob@example.org"), accept(to_email="Ann@example.org")
    engine = threading.Thread(target=sending.work, args=(lease, Recorder()))
    engine.start()
    wait_until(lambda: reload(unwanted).status is Status.SENDING)
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="asked us", source="test")
    wait_until(lambda: reload(first).status is Status.SENT)
    wait_until(lambda: reload(wanted).status is Status.SENT)
    lease.stopping.set()
    sending.wake()
    engine.join()

    after = reload(unwanted)
    assert (after.status, after.attempt_count) == (Status.SUPPRESSED, 0)
    assert event_types(unwanted) == [EventType.ACCEPTED, EventType.SUPPRESSED]
    assert "Ann@example.org" not in {m["To"][0]["Address"] for m in inbox.messages()}


class Unheard(BaseException):
    """Not of a lane: those are left alone for a while, and others go on."""


def test_an_engine_that_crashes_is_started_again_and_loses_nothing(
    accept: Accept, lease: Lease, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim is committed, and then its thread meets an error that nobody expected."""
    made = [accept() for _ in range(5)]
    load = sending.Engine._load
    crashed = threading.Event()

    async def crash(*_: object) -> object:
        monkeypatch.setattr(sending.Engine, "_load", load)
        crashed.set()
        raise Unheard("nobody expected this")

    monkeypatch.setattr(sending.Engine, "_load", crash)
    monkeypatch.setattr(sending, "RESTART_SECONDS", 0.0)
    engine = threading.Thread(target=sending.work, args=(lease, Recorder()))
    engine.start()
    crashed.wait()
    old_id = lease.worker_id
    wait_until(lambda: lease.worker_id != old_id)
    assert {reload(m).worker_id for m in made} == {old_id}
    assert rescues.rescue() == 5, "what the crashed engine held is a dead worker's"
    sending.wake()
    wait_until(lambda: {reload(m).status for m in made} == {Status.SENT})
    lease.stopping.set()
    sending.wake()
    engine.join()
    assert len(inbox.messages()) == 5
    assert {reload(m).attempt_count for m in made} == {1}


def test_a_route_that_changes_in_the_middle_of_a_claim_disturbs_nothing(
    accept: Accept, lease: Lease, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a canary comes back, and the breaker closes, while mail flows."""
    made = [accept() for _ in range(5)]
    load = sending.Engine._load

    async def change(engine: sending.Engine, *claimed: object) -> object:
        engine._forget_routes()
        return await load(engine, *claimed)  # type: ignore[arg-type]

    monkeypatch.setattr(sending.Engine, "_load", change)
    worker_id = lease.worker_id
    assert sending.deliver_due(lease, recorder.current()) == 5
    assert {reload(m).status for m in made} == {Status.SENT}
    assert lease.worker_id == worker_id


def test_many_connections_carry_many_messages(
    accept: Accept, deliver: Deliver, inbox: Inbox
) -> None:
    """More than one connection may carry, so that connections end and others are opened."""
    many = [NewMessage("a@example.com", f"b{n}@example.org", f"{n}", "x") for n in range(450)]
    messages.accept_many(WORKSPACE_A, many)
    assert deliver() == 450
    assert sorted(int(m["Subject"]) for m in inbox.messages()) == list(range(450))
    assert Attempt.select().where(Attempt.attempt_no == 1).count() == 450


@pytest.mark.proves("I18")
def test_a_limit_per_second_is_kept(
    accept: Accept, lease: Lease, inbox: Inbox, use_settings: UseSettings
) -> None:
    """Of five a second's burst, five go at once; the sixth waits for its token."""
    use_settings(smtp=dataclasses.replace(config.current().smtp, max_per_second=5.0))
    for _ in range(8):
        accept()
    began = time.monotonic()
    engine = threading.Thread(target=sending.work, args=(lease, Recorder()))
    engine.start()
    wait_until(lambda: Message.select().where(Message.status == Status.SENT).count() == 8)
    assert time.monotonic() - began >= (8 - 5 - 1) / 5, "no faster than the limit allows"
    lease.stopping.set()
    sending.wake()
    engine.join()

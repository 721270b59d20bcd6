"""What reports do: to messages, to suppressions and unsubscribes, and to timelines."""

import dataclasses
import threading
import time

import pytest

from maild import config, db
from maild.domain.actor import Actor
from maild.domain.states import Status
from maild.models import AuditEntry, Message, ProviderEvent, SoftBounce, Suppression, Unsubscribe
from maild.services import audit, interventions, report_loop, suppressions, timeline, unsubscribes
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import (
    A_PATIENT,
    LATER,
    LOST,
    ago,
    at_once,
    end,
    event_types,
    is_suppressed,
    reload,
    take_one,
)
from tests.services.reporting import (
    about,
    give_reply,
    make_due_again,
    report,
    status_of,
    statuses,
    store,
    suppressed,
)

DEAD = {"bounce_type": "hard", "reason": "550 5.1.1 No such user"}


@pytest.mark.proves("feedback-end")
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("sent", "sent"),
        ("deferred", "sent"),
        ("delivered", "delivered"),
        ("opened", "delivered"),
        ("clicked", "delivered"),
        ("hard_bounce", "bounced"),
        ("soft_bounce", "bounced"),
        ("blocked", "bounced"),
        ("dropped", "bounced"),
        ("failed", "bounced"),
        ("complained", "complained"),
        ("autoresponded", "sent"),
    ],
)
def test_a_report_moves_its_message(sent, kind, status):
    message = sent()
    [event] = report(about(message, kind))
    assert status_of(message) == status
    assert event.message_id == message.id
    assert event.status.value == "applied"


def test_the_timeline_tells_what_was_reported(sent):
    message = sent()
    report(about(message, "deferred", reason="451 4.2.0 Try later"))
    report(about(message, "delivered", reason="250 OK"))
    events = timeline.list_events(reload(message))[-2:]
    assert [event.type for event in events] == ["message.reported", "message.delivered"]
    assert events[0].data["type"] == "deferred"
    assert events[0].data["text"] == "451 4.2.0 Try later"
    assert events[1].data["provider"] == "generic"


def test_a_bounce_says_why(sent):
    message = sent()
    report(about(message, "bounce", reason="552 5.2.2 Mailbox full"))
    found = reload(message)
    assert (found.last_error, found.error_class) == ("552 5.2.2 Mailbox full", "mailbox_full")


@pytest.mark.proves("feedback-end")
def test_a_late_bounce_beats_delivered_and_a_complaint_beats_both(sent):
    message = sent()
    report(about(message, "delivered"))
    report(about(message, "hard_bounce"))
    assert status_of(message) == "bounced"
    report(about(message, "delivered", event_id="again"))
    assert status_of(message) == "bounced"
    report(about(message, "complained"))
    assert status_of(message) == "complained"


def test_several_reports_of_one_message_in_one_batch_are_all_told(sent):
    message = sent()
    store(*(about(message, kind) for kind in ("complained", "delivered", "bounce", "deferred")))
    report_loop.drain()
    assert status_of(message) == "complained"
    assert event_types(message)[2:] == [
        "message.complained", *["message.reported"] * 3,
    ]  # fmt: skip


def test_what_moves_nothing_stands_on_the_timeline_where_it_came(sent):
    message = sent()
    store(*(about(message, kind) for kind in ("deferred", "delivered", "clicked", "complained")))
    report_loop.drain()
    told = [event.data["type"] for event in timeline.list_events(reload(message))[2:]]
    assert told == ["deferred", "delivered", "clicked", "complained"]


def test_reports_in_order_in_one_batch_are_moves_one_after_the_other(sent):
    message = sent()
    store(*(about(message, kind) for kind in ("delivered", "bounce", "complained")))
    report_loop.drain()
    assert event_types(message)[2:] == [
        "message.delivered", "message.bounced", "message.complained",
    ]  # fmt: skip


@pytest.mark.proves("I4")
@pytest.mark.parametrize(
    ("kind", "status"), [("delivered", "delivered"), ("sent", "sent"), ("bounce", "bounced")]
)
def test_a_report_settles_an_unknown_outcome(accept, lease, kind, status):
    message = accept()
    end(take_one(lease), LOST)
    assert status_of(message) == "unknown"
    report(about(message, kind))
    assert status_of(message) == status


def test_what_was_sent_after_all_is_not_sent_again(accept, lease):
    """The stream's rule has queued it once more; the provider says that it has it."""
    message = accept()
    end(take_one(lease), LOST)
    Message.update(status=Status.QUEUED, next_attempt_at=message.created_at).where(
        Message.id == message.id
    ).execute()
    report(about(message, "delivered"))
    assert status_of(message) == "delivered"


def test_what_was_never_sent_stays_in_the_queue(accept):
    message = accept()
    [event] = report(about(message, "delivered"))
    assert status_of(message) == "queued"
    assert event.effects["message_status"] == "queued"


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.EXPIRED])
def test_what_has_ended_otherwise_stays_so(accept, status):
    message = accept()
    Message.update(status=status, next_attempt_at=None).where(Message.id == message.id).execute()
    report(about(message, "delivered"))
    assert status_of(message) == status.value


def test_a_report_that_comes_before_the_outcome_waits_for_it(accept, lease):
    message = accept()
    claim = take_one(lease)
    [event] = report(about(message, "complained"))
    assert event.status.value == "received"
    assert "being sent" in event.last_error
    assert suppressed() == {"ann@example.org": "complaint"}  # that does not wait
    end(claim)
    make_due_again()
    report_loop.drain()
    assert status_of(message) == "complained"
    assert event_types(message)[-1] == "message.complained"


def test_a_report_does_not_wait_for_ever(accept, lease):
    message = accept()
    take_one(lease)
    [event] = report(about(message, "delivered"))
    for _ in range(4):
        make_due_again()
        report_loop.drain()
    event = ProviderEvent.get_by_id(event.id)
    assert (event.status.value, event.attempt_count) == ("dead_letter", 5)
    assert "Replay it" in event.last_error


# --- The address ---


@pytest.mark.proves("feedback-suppress")
@pytest.mark.parametrize(
    ("kind", "fields", "class_"),
    [
        ("hard_bounce", {}, "hard_bounce"),
        ("bounce", DEAD, "hard_bounce"),
        ("bounce", {"reason": "550 5.1.1 User unknown"}, "hard_bounce"),
        ("complained", {}, "complaint"),
    ],
)
def test_what_suppresses_an_address(sent, kind, fields, class_):
    message = sent()
    [event] = report(about(message, kind, **fields))
    assert suppressed() == {"ann@example.org": class_}
    row = Suppression.get()
    assert (row.source, row.message_id, row.created_by) == ("provider_event", message.id, "maild")
    assert "generic" in row.reason
    assert event.effects["suppression"] == "added"


@pytest.mark.proves("feedback-suppress")
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("soft_bounce", {"reason": "550 5.1.1 User unknown"}),
        ("blocked", {"reason": "550 5.7.1 Blocked"}),
        ("dropped", {"reason": "Bounced Address"}),
        ("quota", {}),
        ("bounce", {}),
        ("bounce", {"reason": "550 5.7.1 Rejected as spam"}),
        ("hard_bounce", {"reason": "552 5.2.2 Mailbox full"}),
        ("hard_bounce", {"reason": "mailbox full"}),
        ("hard_bounce", {"reason": "550 5.7.1 Message rejected as spam"}),
        ("failed", {}),
        ("delivered", {}),
        ("autoresponded", {}),
    ],
)
def test_what_does_not_suppress_an_address_at_once(sent, kind, fields):
    report(about(sent(), kind, **fields))
    assert suppressed() == {}


def test_a_complaint_without_a_message_suppresses_the_address(database):
    [event] = report({"type": "spam", "email": "Ann@Example.ORG"})
    assert suppressed() == {"ann@example.org": "complaint"}
    assert event.status.value == "applied"


def test_what_is_suppressed_already_is_told(database):
    report({"type": "spam", "email": "ann@example.org"})
    [event] = report({"type": "spam", "email": "ann@example.org", "event_id": "2"})
    assert event.effects["suppression"] == "already_there"


@pytest.mark.parametrize("order", [("hard_bounce", "spam"), ("spam", "hard_bounce")])
def test_the_graver_reason_stays_whatever_came_first(database, order):
    for kind in order:
        report({"type": kind, "email": "ann@example.org"})
    assert suppressed() == {"ann@example.org": "complaint"}


def test_a_persons_words_stay(database):
    suppressions.add(
        WORKSPACE_A, "ann@example.org", reason="asked by phone", source="api", by=Actor("Eve")
    )
    report({"type": "spam", "email": "ann@example.org"})
    row = Suppression.get()
    assert (row.reason, row.class_.value) == ("asked by phone", "manual")


@pytest.mark.proves("I7")
def test_nothing_that_a_provider_says_lets_an_address_be_mailed_again(sent):
    message = sent()
    report(about(message, "complained"))
    report({"type": "subscribed", "email": "ann@example.org"})
    report(about(message, "delivered"))
    assert suppressed() == {"ann@example.org": "complaint"}


def test_an_unsubscribe_from_marketing_is_of_marketing(sent):
    message = sent(stream="marketing")
    Message.update(status=Status.SENT, next_attempt_at=None).where(
        Message.id == message.id
    ).execute()
    [event] = report(about(message, "unsubscribed"))
    row = Unsubscribe.get()
    assert (row.email, row.stream.value, row.topic) == ("ann@example.org", "marketing", None)
    assert (row.source, row.message_id) == ("provider_event", message.id)
    assert event.effects["unsubscribe"] == "added"
    assert "message.unsubscribed" in event_types(message)


def test_an_unsubscribe_from_important_mail_is_of_marketing_too(sent):
    """Nobody who leaves means to go on getting the newsletter."""
    report(about(sent(), "unsubscribed"))
    assert is_suppressed(WORKSPACE_A, "ann@example.org", "marketing")
    assert is_suppressed(WORKSPACE_A, "ann@example.org", "transactional")


def test_an_unsubscribe_without_a_message_is_of_everything(database):
    report({"type": "unsubscribe", "email": "ann@example.org"})
    [event] = report({"type": "unsubscribe", "email": "ann@example.org", "event_id": "2"})
    assert Unsubscribe.get().stream is None
    assert event.effects["unsubscribe"] == "already_there"
    assert is_suppressed(WORKSPACE_A, "ann@example.org", "transactional")


# --- Once, whatever happens ---


@pytest.mark.proves("I9")
def test_the_same_event_again_has_no_effect(sent):
    message = sent()
    first = report(about(message, "soft_bounce"))
    again = report(*[about(message, "soft_bounce")] * 3)
    assert statuses(again) == ["duplicate"] * 3
    assert {event.duplicate_of for event in again} == {first[0].id}
    assert event_types(message).count("message.bounced") == 1


def test_an_event_without_an_id_is_known_by_all_that_it_says(database):
    entry = {"type": "delivered", "email": "ann@example.org"}
    assert statuses(report(entry, dict(entry))) == ["ignored", "duplicate"]
    assert statuses(report({**entry, "timestamp": 1_700_000_000})) == ["ignored"]


@pytest.mark.proves("I7")
@pytest.mark.parametrize(
    "entry",
    [
        {"type": "unsubscribed", "email": "Ann@example.org"},
        {"type": "complained", "email": "ann@example.org"},
        {"type": "bounced", "email": "ann@example.org", **DEAD},
    ],
    ids=lambda entry: entry["type"],
)
def test_who_was_let_be_mailed_again_can_opt_out_in_the_same_words(database, entry):
    assert statuses(report(entry, entry)) == ["applied", "duplicate"]
    by = Actor("Eve")
    for number in (1, 2):
        if entry["type"] == "unsubscribed":
            unsubscribes.remove(WORKSPACE_A, "ann@example.org", reason="asked back", by=by)
        else:
            suppressions.remove(WORKSPACE_A, "ann@example.org", reason="asked back", by=by)
        assert not is_suppressed(WORKSPACE_A, "ann@example.org", "transactional")
        assert statuses(report(entry, entry, entry)) == ["applied", "duplicate", "duplicate"]
        assert is_suppressed(WORKSPACE_A, "ann@example.org", "transactional"), number


def test_what_ends_by_itself_lets_an_address_be_mailed_again_too(database):
    entry = {"type": "complained", "email": "ann@example.org"}
    report(entry)
    Suppression.update(expires_at=ago(minutes=1)).execute()
    assert statuses(report(entry, entry)) == ["applied", "duplicate"]
    assert is_suppressed(WORKSPACE_A, "ann@example.org", "transactional")


@pytest.mark.parametrize("told", [{"event_id": "1"}, {"timestamp": 1_700_000_000}])
def test_what_tells_when_it_was_stays_the_same_whoever_was_let_be_mailed_again(database, told):
    """Whoever sends it again means the old one."""
    entry = {"type": "complained", "email": "ann@example.org", **told}
    report(entry)
    suppressions.remove(WORKSPACE_A, "ann@example.org", reason="asked back", by=Actor("Eve"))
    assert statuses(report(entry)) == ["duplicate"]
    assert suppressed() == {}


def test_two_workspaces_may_have_events_with_one_id(database):
    entry = {"type": "spam", "email": "ann@example.org", "event_id": "1"}
    assert statuses(report(entry)) == ["applied"]
    assert statuses(report(entry, workspace_id=WORKSPACE_B)) == ["applied"]


def test_two_workers_apply_each_event_once(sent):
    messages = [sent(to_email=f"user{n}@example.org") for n in range(20)]
    store(*(about(message, "delivered") for message in messages))
    at_once(report_loop.drain, report_loop.drain, report_loop.drain)
    report_loop.drain()
    assert {status_of(message) for message in messages} == {"delivered"}
    assert {event_types(message).count("message.delivered") for message in messages} == {1}


def test_one_that_fails_keeps_nobody_else_from_being_applied(sent, monkeypatch):
    good, bad = sent(), sent(to_email="bob@example.org")
    from maild.services import feedback

    advance = feedback.feedback.advance

    def fail_for_bounces(status, target):
        if target is Status.BOUNCED:
            raise ZeroDivisionError
        return advance(status, target)

    monkeypatch.setattr(feedback.feedback, "advance", fail_for_bounces)
    events = report(about(good, "delivered"), about(bad, "bounce"))
    assert statuses(events) == ["applied", "received"]
    assert "ZeroDivisionError" in events[1].last_error
    monkeypatch.undo()
    make_due_again()
    report_loop.drain()
    assert status_of(bad) == "bounced"


# --- Before the outcome is written down ---


def test_any_attempt_of_unknown_outcome_may_be_the_one_that_arrived(accept, lease):
    message = accept()
    end(take_one(lease), LOST)
    interventions.retry(WORKSPACE_A, message_ids=[str(message.id)], by=Actor("Eve"))
    end(take_one(lease), LATER)
    assert status_of(message) == "queued"
    report(about(message, "delivered"))
    assert status_of(message) == "delivered"


def test_an_outcome_that_is_written_down_meanwhile_counts(accept, lease, use_settings):
    """The report waits for the worker's transaction, and sees what it has written."""
    rules = dataclasses.replace(config.current().transactional, unknown_outcome="retry")
    use_settings(transactional=rules)
    message = accept()
    claim = take_one(lease)
    store(about(message, "delivered"))
    written, reading = threading.Event(), threading.Event()

    def record():
        with db.database.atomic():
            end(claim, LOST)
            written.set()
            reading.wait(5)
            time.sleep(0.3)  # until the other waits for our lock

    def drain():
        written.wait(5)
        reading.set()
        report_loop.drain()

    at_once(record, drain)
    make_due_again()
    report_loop.drain()
    assert status_of(message) == "delivered"


@pytest.mark.parametrize("is_early", [True, False])
def test_a_report_has_the_same_effects_however_early_it_is(accept, lease, is_early):
    message = accept(stream="marketing")
    claim = take_one(lease, A_PATIENT)
    reply = "250 Ok 0102018f-77aa-4f00"

    def write_down():
        end(claim)
        give_reply(message, reply)

    if not is_early:
        write_down()
    for kind in ("soft_bounce", "unsubscribed"):
        report(about(message, kind, message_id="0102018f-77aa-4f00"))
    if is_early:
        write_down()
    make_due_again()
    report_loop.drain()
    assert [row.cause for row in SoftBounce.select()] == [str(message.id)]
    [unsubscribe] = Unsubscribe.select()
    assert (unsubscribe.stream.value, unsubscribe.message_id) == ("marketing", message.id)


def test_two_who_unsubscribe_never_wait_for_each_other(database):
    """A provider's batch, and a person who leaves by our link at the same moment."""
    emails = [f"user{n}@example.org" for n in range(6)]
    store(*({"type": "unsubscribed", "email": email} for email in emails))

    def leave(email):
        unsubscribes.add(WORKSPACE_A, email, source="api", by=Actor("Eve"))

    at_once(report_loop.drain, *(lambda e=email: leave(e) for email in reversed(emails)))
    report_loop.drain()
    assert {row.email for row in Unsubscribe.select()} == set(emails)
    assert audit.verify(WORKSPACE_A).problem is None


def test_many_opt_outs_are_one_entry_of_the_audit_log(database):
    store(*({"type": "unsubscribed", "email": f"user{n}@example.org"} for n in range(3)))
    report_loop.drain()
    [entry] = AuditEntry.select()
    assert (entry.action, entry.after["count"]) == ("unsubscribe.added", 3)

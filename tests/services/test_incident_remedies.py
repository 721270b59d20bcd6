"""Remedies: what each would touch, what it touches, and what can be taken back."""

import pytest

from maild.db import database
from maild.domain.actor import Actor
from maild.domain.incident import EntryKind
from maild.domain.states import EventType, Status
from maild.errors import Conflict, InvalidFields, NotFound
from maild.models import AuditEntry, Incident, IncidentSignal, Message, SmtpAccount, Suppression
from maild.services import (
    incident_jobs,
    incident_remedies,
    job_kinds,
    job_steps,
    jobs,
    smtp_accounts,
    suppressions,
)
from maild.services.suppressions import Bounced
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.counting import count_statements
from tests.services.bulking import events_of, put, statuses
from tests.services.helpers import ago
from tests.services.incidenting import entries_of, make_incident

BY = Actor("olaf@a.example")
WHY = "The provider is back."

pytestmark = pytest.mark.usefixtures("database")

assert job_kinds.ALL


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """So that every job has more than one."""
    monkeypatch.setattr(incident_jobs, "CHUNK", 2)


def remedies_of(incident):
    return [one for one in entries_of(incident) if one.kind is EntryKind.REMEDY]


def bounce(message_id, **fields):
    """As maild suppresses the recipient of a message that was refused for good."""
    message = Message.get_by_id(message_id)
    row = Bounced(message.workspace_id, message.to_email, message.id, "550 no such user", **fields)
    with database.atomic():
        suppressions.add_many([row])
    return Suppression.get(Suppression.message_id == message_id)


def in_force():
    rows = Suppression.select().where(Suppression.removed_at.is_null())
    return {row.email for row in rows}


def test_it_retries_what_has_failed_and_nothing_else_and_takes_it_back():
    failed, others = put(3), put(2, Status.SENT)
    put(2, newest=ago(minutes=9))  # of no incident
    incident = make_incident([*failed, *others])
    look = incident_remedies.foresee_retry(incident)
    assert (look.count, look.going_count, len(look.samples)) == (5, 3, 3)
    assert list(look.skipped.values()) == [2]
    job = incident_remedies.retry(WORKSPACE_A, incident.id, reason=WHY, by=BY)
    job_steps.drain()
    assert statuses() == {"queued": 3, "sent": 2, "failed": 2}
    done = jobs.get(WORKSPACE_A, job.id)
    assert (done.kind, done.done_count, done.skipped_count) == ("messages.retry", 3, 2)
    [entry] = remedies_of(incident)
    assert (entry.actor, entry.data["job_id"], entry.data["reason"]) == (BY.name, job.id, WHY)
    jobs.undo(WORKSPACE_A, job.id, reason="A mistake.", by=BY)
    job_steps.drain()
    assert statuses() == {"cancelled": 3, "sent": 2, "failed": 2}


def test_what_a_signal_was_seen_of_before_it_came_to_the_incident_is_none_of_its():
    [before, after] = put(2)
    incident = make_incident([before, after])
    database.execute_sql(
        "UPDATE incident_messages SET seen_at = now() - interval '1 day' WHERE message_id = %s",
        (before,),
    )
    assert incident_remedies.foresee_retry(incident).count == 1
    incident_remedies.retry(WORKSPACE_A, incident.id, reason=WHY, by=BY)
    job_steps.drain()
    assert Message.get_by_id(before).status is Status.FAILED
    assert Message.get_by_id(after).status is Status.QUEUED


@pytest.mark.parametrize("name", ["retry", "unsuppress"])
def test_what_has_come_to_the_incident_since_it_was_looked_at_is_not_touched(name):
    [before, after] = put(2)
    incident = make_incident([before, after])
    if name == "unsuppress":
        bounce(before)
        bounce(after)
    seen = "UPDATE incident_messages SET seen_at = now() + %s * interval '1 minute'"
    database.execute_sql(seen, (-2,))
    database.execute_sql(f"{seen} WHERE message_id = %s", (-1, after))
    do = getattr(incident_remedies, name)
    do(WORKSPACE_A, incident.id, until=ago(seconds=90), reason=WHY, by=BY)
    job_steps.drain()
    if name == "retry":
        assert Message.get_by_id(before).status is Status.QUEUED
        assert Message.get_by_id(after).status is Status.FAILED
    else:
        assert in_force() == {Message.get_by_id(after).to_email}


def test_it_sends_at_once_what_waits_but_not_what_shall_go_later():
    waiting = put(5, Status.QUEUED, error_class="rate_limited")
    due, later, limited, *rest = waiting
    Message.update(next_attempt_at=ago(seconds=1)).where(Message.id == due).execute()
    Message.update(scheduled_at=ago(hours=-2)).where(Message.id == later).execute()
    Message.update(not_before=ago(hours=-2)).where(Message.id == limited).execute()
    incident = make_incident([*waiting, *put(1)])
    look = incident_remedies.foresee_send(incident)
    assert (look.count, look.going_count) == (6, 2)
    assert {one.message.id for one in look.samples} == set(rest)
    assert look.skipped == {
        incident_jobs.LATER: 2,
        incident_jobs.DUE_ALREADY: 1,
        "is failed: only what waits for its next attempt can be sent at once": 1,
    }
    job = incident_remedies.send(WORKSPACE_A, incident.id, reason=WHY, by=BY)
    job_steps.drain()
    done = jobs.get(WORKSPACE_A, job.id)
    assert (done.done_count, done.skipped_count, done.breakdown) == (2, 4, look.skipped)
    moved = Message.select().where(Message.next_attempt_at <= ago(seconds=0))
    assert {message.id for message in moved} == {due, *rest}
    assert events_of(EventType.HASTENED) == dict.fromkeys(rest, 1)
    assert jobs.why_no_undo(done, None) is not None


def test_it_ends_the_suppressions_that_its_bounces_made_and_no_others():
    ids = put(6, error_class="invalid_recipient")
    incident = make_incident(ids[:4])
    ours = bounce(ids[0])
    bounce(ids[1], class_=suppressions.SuppressionClass.COMPLAINT)
    suppressions.add(
        WORKSPACE_A, "user3@example.org", reason="asked", source="console", message_id=ids[2], by=BY
    )
    bounce(ids[4])  # of another cause
    look = incident_remedies.foresee_unsuppress(incident)
    assert (look.count, look.going_count) == (3, 1)
    assert look.skipped == {incident_jobs.COMPLAINED: 1, incident_jobs.BY_A_PERSON: 1}
    assert [one.suppression.id for one in look.suppressions] == [ours.id]
    assert incident_remedies.count_offers(incident).suppressed_count == 1
    job = incident_remedies.unsuppress(WORKSPACE_A, incident.id, reason=WHY, by=BY)
    job_steps.drain()
    assert in_force() == {"user2@example.org", "user3@example.org", "user5@example.org"}
    removed = Suppression.get_by_id(ours.id)
    assert (removed.removed_by, removed.removal_reason) == (BY.name, WHY)
    jobs.undo(WORKSPACE_A, job.id, reason="It was right.", by=BY)
    job_steps.drain()
    assert ours.email in in_force()
    assert Suppression.select().count() == 4


def test_to_suppress_them_again_leaves_what_was_suppressed_anew():
    ids = put(2, error_class="invalid_recipient")
    incident = make_incident(ids)
    first, second = bounce(ids[0]), bounce(ids[1])
    job = incident_remedies.unsuppress(WORKSPACE_A, incident.id, reason=WHY, by=BY)
    job_steps.drain()
    assert in_force() == set()
    suppressions.add(WORKSPACE_A, first.email, reason="asked", source="console", by=BY)
    undoing = jobs.undo(WORKSPACE_A, job.id, reason="It was right.", by=BY)
    job_steps.drain()
    assert in_force() == {first.email, second.email}
    done = jobs.get(WORKSPACE_A, undoing.id)
    assert (done.done_count, done.skipped_count) == (1, 1)


def test_who_bounced_for_other_mail_since_stays_suppressed():
    own, other = put(2, error_class="invalid_recipient")
    incident = make_incident([own])
    found = bounce(own)
    Message.update(to_email=found.email).where(Message.id == other).execute()
    Suppression.update(created_at=ago(minutes=1)).where(Suppression.id == found.id).execute()
    for values in (
        {"status": Status.QUEUED, "next_attempt_at": ago(seconds=1)},
        {"status": Status.SENDING, "next_attempt_at": None, "worker_id": own},
        {"status": Status.SENT, "worker_id": None},
        {"status": Status.BOUNCED, "updated_at": ago(seconds=1)},
    ):
        Message.update(**values).where(Message.id == other).execute()
    assert incident_remedies.foresee_unsuppress(incident).skipped == {incident_jobs.HEARD: 1}
    signal = IncidentSignal.get(IncidentSignal.incident == incident.id)
    database.execute_sql(
        "INSERT INTO incident_messages (signal_id, message_id) VALUES (%s, %s)", (signal.id, other)
    )
    assert incident_remedies.foresee_unsuppress(incident).going_count == 1


def test_accounts_are_paused_resumed_and_switched_with_an_entry(account):
    account("first", active=True)
    account("second")
    incident = make_incident(smtp_account="first")
    before = incident_remedies.switch(WORKSPACE_A, incident.id, name="second", reason=WHY, by=BY)
    assert before == "first"
    incident_remedies.pause(WORKSPACE_A, incident.id, name="first", reason="It is broken.", by=BY)
    assert SmtpAccount.get(SmtpAccount.name == "first").paused_at is not None
    incident_remedies.resume(WORKSPACE_A, incident.id, name="first", reason=WHY, by=BY)
    assert SmtpAccount.get(SmtpAccount.name == "first").paused_at is None
    assert SmtpAccount.get(SmtpAccount.name == "second").is_active
    assert [one.data["smtp_account"] for one in remedies_of(incident)] == [
        "second", "first", "first",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["retry", "send", "unsuppress"])
def test_nothing_starts_without_a_reason_or_of_another_workspace(name, monkeypatch):
    do = getattr(incident_remedies, name)
    incident = make_incident(put(1))
    with pytest.raises(InvalidFields):
        do(WORKSPACE_A, incident.id, reason=" ", by=BY)
    with pytest.raises(NotFound):
        do(WORKSPACE_B, incident.id, reason=WHY, by=BY)
    monkeypatch.setattr(jobs, "OPEN_MAX", 0)
    with pytest.raises(Conflict):
        do(WORKSPACE_A, incident.id, reason=WHY, by=BY)
    assert remedies_of(incident) == []
    assert not AuditEntry.select().exists()


def test_a_pause_that_is_refused_leaves_no_entry(account):
    account("first")
    incident = make_incident(smtp_account="first")
    with pytest.raises(InvalidFields):
        incident_remedies.pause(WORKSPACE_A, incident.id, name="first", reason="", by=BY)
    with pytest.raises(NotFound):
        incident_remedies.pause(WORKSPACE_A, incident.id, name="other", reason=WHY, by=BY)
    assert remedies_of(incident) == []
    assert smtp_accounts.find(WORKSPACE_A, name="first").paused_at is None


def test_it_asks_as_little_of_many_as_of_few():
    few = make_incident(put(3))
    many = make_incident([*put(300), *put(50, Status.QUEUED)], title="Another")

    def look(incident: Incident) -> None:
        incident_remedies.count_offers(incident)
        incident_remedies.foresee_retry(incident)
        incident_remedies.foresee_send(incident)
        incident_remedies.foresee_unsuppress(incident)

    assert count_statements(lambda: look(many)) <= count_statements(lambda: look(few)) + 1


def test_what_is_left_is_offered_where_nearly_all_of_many_is_well(monkeypatch):
    monkeypatch.setattr(incident_remedies, "SHOWN_MAX", 2)
    monkeypatch.setattr(incident_remedies, "COUNTED_MAX", 2)
    sent, bounced = put(5, Status.SENT), put(1, Status.BOUNCED, newest=ago(minutes=1))
    failed, waiting = put(1, newest=ago(minutes=2)), put(1, Status.QUEUED, newest=ago(minutes=3))
    Message.update(next_attempt_at=ago(minutes=-9)).where(Message.id << waiting).execute()
    incident = make_incident([*sent, *failed, *waiting, *bounced])
    bounce(bounced[0])
    offers = incident_remedies.count_offers(incident)
    assert offers == incident_remedies.Offers(1, 1, 1)
    assert incident_remedies.foresee_unsuppress(incident).going_count == 1

"""Claims: who gets what, in which order, and giving back. What stops a message is in
`test_claims_rules`.
"""

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from maild.config import Settings
from maild.db import database as db
from maild.domain.mime import Attachment
from maild.domain.states import EventType, Status, Stream
from maild.models import Message
from maild.services import claims, suppressions, timeline
from maild.services.workers import Lease
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.helpers import (
    A_PATIENT,
    A_URGENT,
    B_URGENT,
    LATER,
    Accept,
    ago,
    at_once,
    end,
    event_types,
    kill,
    make_due,
    reload,
    start_freeze,
    take,
    take_one,
)


@pytest.mark.proves("I2")
def test_a_claim_counts_the_attempt_before_anything_is_dialled(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    claim = take_one(lease)

    assert (claim.message_id, claim.attempt_no, claim.excused_count) == (message.id, 1, 0)
    assert (claim.worker_id, claim.workspace_id) == (lease.worker_id, WORKSPACE_A)
    held = reload(message)
    assert (held.status, held.worker_id) == (Status.SENDING, lease.worker_id)
    assert (held.attempt_count, held.smtp_account_name) == (1, "default")
    assert held.next_attempt_at is None
    assert timeline.list_attempts(message) == [], "an attempt is stored when it ends"


def test_a_claim_says_what_sending_needs(accept: Accept, lease: Lease) -> None:
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    message = accept(
        stream=Stream.MARKETING,
        from_name="Shop",
        reply_to="help@example.com",
        headers=(("X-A", "1"), ("X-B", "2")),
        body_html="<p>Hello</p>",
        attachments=(Attachment("a.txt", "text/plain", b"abc"),),
        expires_at=expires_at,
    )
    taken = claims.claim(lease.worker_id, A_PATIENT, account_id=7, account_name="postal", limit=10)
    [claim] = taken.claims
    assert (claim.account_id, claim.account_name) == (7, "postal")
    assert (claim.from_email, claim.to_email) == ("shop@example.com", "ann@example.org")
    assert (claim.subject, claim.stream) == ("Hello", Stream.MARKETING)
    assert claim.size_bytes == message.size_bytes
    assert claim.dated_at_epoch == pytest.approx(message.created_at.timestamp(), abs=1e-3)
    assert 3500 < claim.seconds_left <= 3600
    content = taken.contents[message.id]
    assert (content.from_name, content.reply_to) == ("Shop", "help@example.com")
    assert content.headers == [["X-A", "1"], ["X-B", "2"]]
    assert (content.body_text, content.body_html) == ("Hello Ann.", "<p>Hello</p>")
    assert content.attachment_count == 1
    assert reload(message).smtp_account_name == "postal"


def test_a_message_has_the_date_for_which_it_is_scheduled_at_every_attempt(
    accept: Accept, lease: Lease
) -> None:
    """Not the time at which a limit let it go, nor that of an attempt: the recipients of a
    submission share its Message-ID, so they share its Date.
    """
    message = accept()
    at = ago(minutes=30)
    Message.update(created_at=ago(hours=5), scheduled_at=at, not_before=ago(minutes=5)).execute()
    make_due(message)
    first = take_one(lease)
    end(first, LATER)
    make_due(message)
    second = take_one(lease)
    assert first.dated_at_epoch == second.dated_at_epoch == pytest.approx(at.timestamp(), abs=1e-3)
    end(second, LATER)
    Message.update(created_at=ago(minutes=2)).execute()
    make_due(message)
    assert take_one(lease).dated_at_epoch > at.timestamp(), "scheduled for a time that was over"


def test_it_takes_the_oldest_due_first_and_no_more_than_asked(accept: Accept, lease: Lease) -> None:
    made = [accept(subject=str(number)) for number in range(5)]
    accept(scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    assert [c.message_id for c in take(lease, limit=3)] == [m.id for m in made[:3]]
    assert [c.message_id for c in take(lease)] == [m.id for m in made[3:]]
    assert take(lease) == []


def test_the_oldest_is_what_came_due_first_not_what_was_accepted_first(
    accept: Accept, lease: Lease
) -> None:
    made = [accept() for _ in range(5)]
    order = [3, 0, 4, 1, 2]
    for place, number in enumerate(order):
        Message.update(next_attempt_at=ago(minutes=10 - place)).where(
            Message.id == made[number].id
        ).execute()
    taken = [take_one(lease).message_id for _ in made]
    assert taken == [made[number].id for number in order]


def test_what_another_transaction_has_hold_of_is_passed_over(
    accept: Accept, lease: Lease, session_settings: Settings
) -> None:
    """Without waiting for it."""
    busy, free = accept(), accept()
    other = psycopg2.connect(session_settings.postgres_dsn)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT FROM messages WHERE id = %s FOR UPDATE", (busy.id,))
        assert [c.message_id for c in take(lease)] == [free.id]
        other.rollback()  # a connection that is only closed may keep its locks a moment longer
    finally:
        other.close()
    assert [c.message_id for c in take(lease)] == [busy.id]


def test_a_deferred_message_that_is_due_goes_before_newer_ones(
    accept: Accept, lease: Lease
) -> None:
    old = accept()
    end(take_one(lease), LATER)
    accept()
    make_due(old)
    claim = take_one(lease)
    assert (claim.message_id, claim.attempt_no) == (old.id, 2)


def test_the_worker_is_not_forgotten_before_the_claim_is_committed(
    accept: Accept, lease: Lease, session_settings: Settings
) -> None:
    """It stands still in between, and Postgres takes it for dead: its marks still tell that nothing
    of this was offered.
    """
    accept()
    other = psycopg2.connect(session_settings.postgres_dsn)
    try:
        with db.atomic(), other.cursor() as cursor:
            take(lease)
            cursor.execute("UPDATE workers SET seen_at = now() - interval '1 hour'")
            other.commit()
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                cursor.execute("SELECT FROM workers FOR UPDATE NOWAIT")
            other.rollback()
            cursor.execute("SELECT FROM workers FOR UPDATE SKIP LOCKED")
            assert cursor.fetchall() == []
            other.rollback()
    finally:
        other.close()


def test_it_takes_from_its_lane_alone(accept: Accept, lease: Lease) -> None:
    mine = accept()
    accept(stream=Stream.MARKETING)
    accept(workspace_id=WORKSPACE_B)
    assert [c.message_id for c in take(lease, A_URGENT)] == [mine.id]


def test_two_workers_never_claim_the_same_message(accept: Accept, lease: Lease) -> None:
    for _ in range(200):
        accept()
    taken: list[uuid.UUID] = []

    def work() -> None:
        while batch := take(lease, limit=7):
            taken.extend(claim.message_id for claim in batch)

    at_once(*[work] * 4)
    assert len(taken) == len(set(taken)) == 200
    assert Message.select().where(Message.attempt_count == 1).count() == 200


def test_a_worker_that_postgres_believes_dead_claims_nothing(accept: Accept, lease: Lease) -> None:
    message = accept(expires_at=datetime.now(UTC) + timedelta(hours=1))
    kill(lease)
    assert take(lease) == []
    stranger = dataclasses.replace(lease, worker_id=uuid.uuid4())
    assert take(stranger) == []
    Message.update(expires_at=ago(seconds=1)).execute()
    assert take(lease) == []
    assert reload(message).status is Status.QUEUED, "nor does it move what is overdue"


def test_large_contents_are_left_out(
    accept: Accept, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "INLINE_BYTES", 1_000)
    small = accept(body_text="x" * 100)
    large = accept(body_text="x" * 2_000, from_name="Shop")
    taken = claims.claim(lease.worker_id, A_URGENT, account_id=0, account_name="default", limit=10)
    assert [c.message_id for c in taken.claims] == [small.id, large.id]
    assert set(taken.contents) == {small.id}
    content = claims.load_content(large.id)
    assert (content.body_text, content.from_name) == ("x" * 2_000, "Shop")


def test_attachments_are_loaded_for_many_in_their_order(accept: Accept, lease: Lease) -> None:
    files = tuple(Attachment(f"{n}.bin", "application/x", bytes([n])) for n in range(3))
    two, none, one = accept(attachments=files[:2]), accept(), accept(attachments=files[2:])
    found = claims.load_attachments([two.id, none.id, one.id])
    assert found == {
        two.id: [
            ("0.bin", "application/x", b"\0", None),
            ("1.bin", "application/x", b"\1", None),
        ],
        one.id: [("2.bin", "application/x", b"\2", None)],
    }
    assert claims.load_attachments([]) == {}


@pytest.mark.proves("accept-schedule")
def test_what_is_past_its_lifetime_expires_instead(accept: Accept, lease: Lease) -> None:
    late, good = accept(), accept()
    Message.update(expires_at=ago(seconds=1)).where(Message.id == late.id).execute()
    taken = claims.claim(lease.worker_id, A_URGENT, account_id=0, account_name="default", limit=10)
    assert [c.message_id for c in taken.claims] == [good.id]
    assert taken.moved_count == 2
    assert set(taken.contents) == {good.id}
    expired = reload(late)
    assert (expired.status, expired.attempt_count) == (Status.EXPIRED, 0)
    assert (expired.next_attempt_at, expired.worker_id) == (None, None)
    assert expired.smtp_account_name is None, "it went through no account"
    assert event_types(late) == [EventType.ACCEPTED, EventType.EXPIRED]


def test_a_freeze_of_the_workspace_holds_everything_of_it(accept: Accept, lease: Lease) -> None:
    freeze = start_freeze(WORKSPACE_A, reason="too many complaints")
    urgent, patient = accept(), accept(stream=Stream.MARKETING)
    other = accept(workspace_id=WORKSPACE_B)
    assert take(lease, A_URGENT) == take(lease, A_PATIENT) == []
    assert [c.message_id for c in take(lease, B_URGENT)] == [other.id]
    for message in (urgent, patient):
        held = reload(message)
        assert (held.status, held.attempt_count) == (Status.HELD, 0)
        assert (held.hold_reason, held.freeze_id) == ("too many complaints", freeze.id)
        [_, event] = timeline.list_events(message)
        assert (event.type, event.data) == (
            EventType.HELD,
            {
                "check": "freeze",
                "freeze_id": freeze.id,
                "reason": "too many complaints",
                "policy_version": 0,
            },
        )


def test_a_freeze_of_one_stream_lets_the_other_go(accept: Accept, lease: Lease) -> None:
    start_freeze(WORKSPACE_A, reason="a test", stream=Stream.MARKETING)
    accept()
    patient = accept(stream=Stream.MARKETING)
    assert len(take(lease, A_URGENT)) == 1
    assert take(lease, A_PATIENT) == []
    assert reload(patient).status is Status.HELD


def test_releasing_takes_the_attempt_back(accept: Accept, lease: Lease) -> None:
    message = accept()
    claims.release(take(lease))
    released = reload(message)
    assert (released.status, released.attempt_count) == (Status.QUEUED, 0)
    assert timeline.list_attempts(message) == []
    assert event_types(message) == [EventType.ACCEPTED, EventType.RELEASED]
    assert [c.attempt_no for c in take(lease)] == [1], "and it is due at once"


def test_releasing_what_another_has_taken_over_changes_nothing(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    taken = take(lease)
    end(taken[0], LATER)
    claims.release(taken)
    after = reload(message)
    assert (after.status, after.attempt_count) == (Status.QUEUED, 1)
    assert event_types(message) == [EventType.ACCEPTED, EventType.DEFERRED]


def test_releasing_keeps_what_the_last_attempt_said(accept: Accept, lease: Lease) -> None:
    message = accept()
    Message.update(last_error="451 later", error_class="greylisted").execute()
    claims.release(take(lease))
    assert (reload(message).last_error, reload(message).error_class) == ("451 later", "greylisted")


def test_releasing_nothing_is_nothing(lease: Lease) -> None:
    claims.release([])


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_a_lane_full_of_forbidden_mail_is_worked_off(
    limit: int, accept: Accept, lease: Lease
) -> None:
    """What goes elsewhere than to us counts as moved: the engine must see that there was work."""
    for _ in range(5):
        accept()
    suppressions.add(WORKSPACE_A, "ann@example.org", reason="complaint", source="test")
    good = accept(to_email="bob@example.org")
    moved, claimed = 0, []
    while True:
        taken = claims.claim(
            lease.worker_id, A_URGENT, account_id=0, account_name="default", limit=limit
        )
        if not taken.moved_count:
            break
        moved += taken.moved_count
        claimed += taken.claims
    assert moved == 6
    assert [c.message_id for c in claimed] == [good.id]

"""The one door for changes of state, and the database behind it that refuses the rest."""

import contextlib
import dataclasses
import itertools
import uuid
from datetime import UTC, datetime
from typing import Any

import peewee
import pytest

from maild.db import database as db
from maild.domain.states import MOVES, EventType, Status
from maild.errors import IllegalTransition
from maild.models import Event, Message
from maild.services import messages, timeline, transitions
from maild.services.transitions import Move
from maild.services.workers import Lease
from tests.services.helpers import Accept, ago, at_once, event_types, reload, take, take_one


def fields(status: Status, lease: Lease) -> dict[str, object]:
    """What a message in this state must have, by the table's checks."""
    return {
        "status": status,
        "worker_id": lease.worker_id if status is Status.SENDING else None,
        "next_attempt_at": datetime.now(UTC) if status is Status.QUEUED else None,
        "hold_reason": "a test" if status is Status.HELD else None,
    }


def put_into(message: Message, status: Status, lease: Lease) -> None:
    """Put a message into any state, past the trigger."""
    with db.atomic():
        db.execute_sql("ALTER TABLE messages DISABLE TRIGGER messages_refuse_illegal_move")
        Message.update(fields(status, lease)).where(Message.id == message.id).execute()
        db.execute_sql("ALTER TABLE messages ENABLE TRIGGER messages_refuse_illegal_move")


@pytest.mark.proves("deliver-states")
@pytest.mark.parametrize("old", list(Status))
def test_the_database_allows_exactly_the_moves_of_the_states(
    old: Status, accept: Accept, lease: Lease
) -> None:
    message = accept()
    allowed = set()
    for new in Status:
        put_into(message, old, lease)
        with contextlib.suppress(peewee.IntegrityError), db.atomic():
            Message.update(fields(new, lease)).where(Message.id == message.id).execute()
            allowed.add(new)
    assert allowed - {old} == MOVES[old]


def test_the_database_says_which_move_it_refuses(accept: Accept, lease: Lease) -> None:
    message = accept()
    with (
        pytest.raises(
            peewee.IntegrityError, match=f"{message.id} cannot go from queued to unknown"
        ),
        db.atomic(),
    ):
        Message.update(fields(Status.UNKNOWN, lease)).execute()


def test_it_moves_and_tells_in_one_transaction(accept: Accept) -> None:
    message = accept()
    move = Move(message.id, 1, Status.QUEUED, Status.CANCELLED, EventType.FAILED, {"by": "a test"})
    with db.atomic():
        assert transitions.apply([move]) == {message.id}
    assert messages.get(1, message.id).status is Status.CANCELLED
    assert timeline.list_events(message)[-1].data == {"by": "a test"}


@pytest.mark.proves("deliver-states")
def test_who_comes_second_changes_nothing(accept: Accept) -> None:
    message = accept()
    move = Move(message.id, 1, Status.QUEUED, Status.CANCELLED, EventType.FAILED)
    with db.atomic():
        transitions.apply([move])
    with db.atomic():
        assert transitions.apply([move]) == set()
    assert Event.select().where(Event.message == message.id).count() == 2


def test_it_refuses_a_move_that_the_states_do_not_have(accept: Accept) -> None:
    message = accept()
    move = Move(message.id, 1, Status.QUEUED, Status.UNKNOWN, EventType.SENT)
    with pytest.raises(IllegalTransition, match="queued to unknown"):
        transitions.apply([move])
    assert messages.get(1, message.id).status is Status.QUEUED


@pytest.mark.parametrize(
    "values",
    [
        {"status": "invented"},
        {"next_attempt_at": None},
        {"to_email": "a@example.org\r\nBcc: b@example.org"},
        {"subject": "two\nlines"},
        {"attempt_count": -1},
        {"stream": "other"},
        {"excused_count": 1},
        {"excused_count": -1},
        {"hold_reason": "though it is not held"},
        {"expires_at": None},
        {"worker_id": "00000000-0000-0000-0000-000000000001"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_the_table_refuses_what_no_code_should_write(
    values: dict[str, object], accept: Accept
) -> None:
    message = accept()
    assignments = ", ".join(f"{name} = %s" for name in values)
    with pytest.raises(peewee.IntegrityError), db.atomic():
        db.execute_sql(
            f"UPDATE messages SET {assignments} WHERE id = %s", (*values.values(), message.id)
        )


def test_every_status_is_reachable() -> None:
    reached = set(itertools.chain.from_iterable(MOVES.values())) | {Status.QUEUED}
    assert reached == set(Status)


def apply(message: Message, lease: Lease, new: Status, **more: Any) -> Message:
    """Move a message out of `sending`, and read it again."""
    move = Move(
        message.id,
        message.workspace_id,
        Status.SENDING,
        new,
        EventType.RELEASED,
        worker_id=lease.worker_id,
        **more,
    )
    with db.atomic():
        assert transitions.apply([move]) == {message.id}
    return reload(message)


def test_a_sending_message_moves_for_its_worker_and_its_attempt_alone(
    accept: Accept, lease: Lease
) -> None:
    """The fencing token: both must still hold."""
    message = accept()
    take_one(lease)
    base = Move(message.id, 1, Status.SENDING, Status.SENT, EventType.SENT)
    for wrong in (
        dataclasses.replace(base, worker_id=uuid.uuid4(), attempt_no=1),
        dataclasses.replace(base, worker_id=lease.worker_id, attempt_no=2),
    ):
        with db.atomic():
            assert transitions.apply([wrong]) == set()
    assert reload(message).status is Status.SENDING
    assert event_types(message) == [EventType.ACCEPTED]
    right = dataclasses.replace(base, worker_id=lease.worker_id, attempt_no=1)
    with db.atomic():
        assert transitions.apply([right]) == {message.id}
    assert (reload(message).status, reload(message).worker_id) == (Status.SENT, None)


def test_an_attempt_is_taken_back_with_what_the_last_one_said_kept(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    Message.update(last_error="451 later", error_class="greylisted").execute()
    take_one(lease)
    after = apply(
        message, lease, Status.QUEUED, next_attempt_in=0.0, uncount=True, last_error="mine"
    )
    assert (after.attempt_count, after.excused_count) == (0, 0)
    assert (after.last_error, after.error_class) == ("451 later", "greylisted")
    assert after.next_attempt_at == after.created_at, "its old place in the queue"


def test_an_attempt_is_excused_and_stays_counted(accept: Accept, lease: Lease) -> None:
    message = accept()
    take_one(lease)
    after = apply(
        message, lease, Status.QUEUED, next_attempt_in=1.0, excuse=True, last_error="421 Bye"
    )
    assert (after.attempt_count, after.excused_count) == (1, 1)
    assert after.last_error == "421 Bye"


def test_a_retry_gives_all_attempts_again_and_at_least_so_long_a_life(
    accept: Accept, lease: Lease
) -> None:
    message = accept()
    for _ in range(3):
        take_one(lease)
        apply(message, lease, Status.QUEUED, next_attempt_in=0.0, last_error="no")
    take_one(lease)
    apply(message, lease, Status.FAILED, last_error="no")
    Message.update(expires_at=ago(hours=1)).execute()
    retry = Move(
        message.id, 1, Status.FAILED, Status.QUEUED, EventType.RETRIED, next_attempt_in=0.0
    )
    retry = dataclasses.replace(retry, lifetime_seconds=7_200)
    with db.atomic():
        transitions.apply([retry])
    after = reload(message)
    assert (after.attempt_count, after.excused_count) == (4, 4)
    assert 7_100 < (after.expires_at - datetime.now(UTC)).total_seconds() <= 7_200
    assert after.last_error == "no", "why it had failed is still to be read"


def test_a_retry_never_shortens_a_life(accept: Accept, lease: Lease) -> None:
    message = accept()
    take_one(lease)
    before = reload(message).expires_at
    after = apply(message, lease, Status.QUEUED, next_attempt_in=0.0, lifetime_seconds=60)
    assert after.expires_at == before


def test_a_hold_has_its_reason_until_it_ends(accept: Accept) -> None:
    message = accept()
    hold = Move(message.id, 1, Status.QUEUED, Status.HELD, EventType.HELD, hold_reason="look")
    release = Move(message.id, 1, Status.HELD, Status.QUEUED, EventType.RELEASED)
    with db.atomic():
        transitions.apply([hold])
    assert (reload(message).hold_reason, reload(message).next_attempt_at) == ("look", None)
    with db.atomic():
        transitions.apply([dataclasses.replace(release, next_attempt_in=0.0)])
    assert reload(message).hold_reason is None


def test_many_move_in_one_statement_each_to_its_own_end(accept: Accept, lease: Lease) -> None:
    made = [accept() for _ in range(300)]
    claims = [claim for _ in range(3) for claim in take(lease, limit=100)]
    ends = [Status.SENT, Status.FAILED, Status.UNKNOWN]
    moves = [
        Move(c.message_id, 1, Status.SENDING, ends[n % 3], EventType.SENT, {"n": n})
        for n, c in enumerate(claims)
    ]
    stale = Move(uuid.uuid4(), 1, Status.SENDING, Status.SENT, EventType.SENT)
    with db.atomic():
        assert transitions.apply([stale, *reversed(moves)]) == {m.id for m in made}
    assert [reload(m).status for m in made[:6]] == ends * 2
    assert timeline.list_events(made[7])[-1].data == {"n": 7}


def test_one_illegal_move_stops_them_all(accept: Accept) -> None:
    good, bad = accept(), accept()
    moves = [
        Move(good.id, 1, Status.QUEUED, Status.CANCELLED, EventType.CANCELLED),
        Move(bad.id, 1, Status.SENT, Status.QUEUED, EventType.RETRIED, next_attempt_in=0.0),
    ]
    with pytest.raises(IllegalTransition), db.atomic():
        transitions.apply(moves)
    assert reload(good).status is Status.QUEUED


def test_two_who_move_the_same_at_once_do_so_once(accept: Accept, lease: Lease) -> None:
    made = [accept() for _ in range(100)]
    moves = [Move(m.id, 1, Status.QUEUED, Status.CANCELLED, EventType.CANCELLED) for m in made]
    moved: list[uuid.UUID] = []

    def move(these: list[Move]) -> None:
        with db.atomic():
            moved.extend(transitions.apply(these))

    at_once(lambda: move(moves), lambda: move(moves[::-1]), lambda: move(moves[50:] + moves[:50]))
    assert sorted(moved) == sorted(m.id for m in made)
    assert Event.select().where(Event.type == EventType.CANCELLED).count() == 100

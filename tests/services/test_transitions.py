"""The one door for changes of state, and the database behind it that refuses the rest."""

import contextlib
import itertools
from collections.abc import Callable
from datetime import UTC, datetime

import peewee
import pytest

from maild.db import database as db
from maild.domain.states import MOVES, EventType, Status
from maild.errors import IllegalTransition
from maild.models import Event, Message
from maild.services import messages, timeline, transitions
from maild.services.transitions import Move
from maild.services.workers import Lease

Accept = Callable[..., Message]


def put_into(message: Message, status: Status, lease: Lease) -> None:
    """Put a message into any state, past the trigger."""
    with db.atomic():
        db.execute_sql("ALTER TABLE messages DISABLE TRIGGER messages_refuse_illegal_move")
        Message.update(
            status=status,
            worker_id=lease.worker_id if status is Status.SENDING else None,
            next_attempt_at=datetime.now(UTC) if status is Status.QUEUED else None,
        ).where(Message.id == message.id).execute()
        db.execute_sql("ALTER TABLE messages ENABLE TRIGGER messages_refuse_illegal_move")


@pytest.mark.parametrize("old", list(Status))
def test_the_database_allows_exactly_the_moves_of_the_states(
    old: Status, accept: Accept, lease: Lease
) -> None:
    message = accept()
    allowed = set()
    for new in Status:
        put_into(message, old, lease)
        with contextlib.suppress(peewee.IntegrityError), db.atomic():
            Message.update(
                status=new,
                worker_id=lease.worker_id if new is Status.SENDING else None,
                next_attempt_at=datetime.now(UTC) if new is Status.QUEUED else None,
            ).where(Message.id == message.id).execute()
            allowed.add(new)
    assert allowed - {old} == MOVES[old]


def test_it_moves_and_tells_in_one_transaction(accept: Accept) -> None:
    message = accept()
    move = Move(message.id, 1, Status.QUEUED, Status.CANCELLED, EventType.FAILED, {"by": "a test"})
    with db.atomic():
        assert transitions.apply([move]) == {message.id}
    assert messages.get(1, message.id).status is Status.CANCELLED
    assert timeline.list_events(message)[-1].data == {"by": "a test"}


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
    move = Move(message.id, 1, Status.QUEUED, Status.DELIVERED, EventType.SENT)
    with pytest.raises(IllegalTransition, match="queued to delivered"):
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

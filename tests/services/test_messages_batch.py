"""Accepting many messages at once, and many at the same time: each on its own, all durable."""

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from maild import config, db, queue
from maild.domain.mime import Attachment
from maild.domain.states import EventType, Status, Stream
from maild.errors import BlockedRecipientDomain, InvalidFields, InvalidRequest, NotFound
from maild.models import AcceptedTally, Event, Message, MessageAttachment, MessageBody
from maild.services import accept_groups, messages, submissions
from maild.services.messages import NewMessage
from maild.services.submissions import Submission
from tests.conftest import WORKSPACE_A, WORKSPACE_B

pytestmark = pytest.mark.usefixtures("database")

GOOD = NewMessage("shop@example.com", "ann@example.org", "Hello", "Hello Ann.")


def new(**fields: object) -> NewMessage:
    return dataclasses.replace(GOOD, **fields)  # type: ignore[arg-type]


def accepted(workspace_id: int) -> int:
    rows = AcceptedTally.select().where(AcceptedTally.workspace == workspace_id)
    return sum(row.accepted_count for row in rows)


def test_each_message_is_stored_whole() -> None:
    scheduled = datetime.now(UTC) + timedelta(days=3)
    outcomes = messages.accept_many(
        WORKSPACE_A,
        [
            new(
                body_html="<p>Zoë “☃”</p>",
                from_name="The\tShop",
                reply_to="help@example.com",
                headers=(("X-B", "2"), ("X-A", "1")),
                tags=("a", 'b"\\'),
                metadata={"n": 1, "deep": {"x": [None, True, 1.5, "ü"]}},
                stream=Stream.MARKETING,
                scheduled_at=scheduled,
                attachments=(
                    Attachment("a.bin", "application/octet-stream", bytes(range(256)), None),
                    Attachment("b.png", "image/png", b"", "logo"),
                ),
            ),
            new(to_email="bob@example.org", body_text="it's 100 % \\n real\nlines"),
        ],
    )
    first, second = outcomes
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    for outcome in (first, second):
        stored = Message.get_by_id(outcome.id)
        told = {name: value for name, value in outcome.__data__.items() if value is not None}
        assert {name: stored.__data__[name] for name in told} == told
        assert stored.status is Status.QUEUED
    assert first.next_attempt_at == scheduled
    lifetime = timedelta(seconds=config.current().lifetime_seconds("marketing"))
    assert first.expires_at == scheduled + lifetime
    body = MessageBody.get_by_id(first.id)
    assert body.headers == [["X-B", "2"], ["X-A", "1"]]
    assert (body.from_name, body.reply_to, body.attachment_count) == (
        "The\tShop",
        "help@example.com",
        2,
    )
    assert body.body_html == "<p>Zoë “☃”</p>"
    files = list(MessageAttachment.select().order_by(MessageAttachment.position))
    assert [bytes(file.content) for file in files] == [bytes(range(256)), b""]
    assert [file.content_id for file in files] == [None, "logo"]
    assert MessageBody.get_by_id(second.id).body_text == "it's 100 % \\n real\nlines"
    kinds = [(event.message_id, event.type) for event in Event.select()]
    assert sorted(kinds) == sorted((m.id, EventType.ACCEPTED.value) for m in (first, second))


def test_a_bad_message_does_not_spoil_the_others() -> None:
    outcomes = messages.accept_many(
        WORKSPACE_A,
        [
            new(to_email="nobody"),
            new(),
            new(subject=" "),
            new(to_email="x@mailinator.com"),
            new(to_email="bob@example.org"),
        ],
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [InvalidFields, Message, InvalidRequest, BlockedRecipientDomain, Message]
    assert [m.to_email for m in outcomes if isinstance(m, Message)] == [
        "ann@example.org",
        "bob@example.org",
    ]
    assert Message.select().count() == 2
    assert accepted(WORKSPACE_A) == 2


def test_nothing_good_is_nothing_stored() -> None:
    [outcome] = messages.accept_many(WORKSPACE_A, [new(to_email="nobody")])
    assert isinstance(outcome, InvalidFields)
    assert accepted(WORKSPACE_A) == 0


@pytest.mark.parametrize("text", ["ann@example.org", "nobody"])
def test_an_unknown_workspace_is_not_found(text: str) -> None:
    with pytest.raises(NotFound, match="workspace 99"):
        messages.accept_many(99, [new(to_email=text)])
    assert Message.select().count() == 0


def test_it_rings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[str] = []
    monkeypatch.setattr(queue, "enqueue", rung.append)
    messages.accept_many(WORKSPACE_A, [new() for _ in range(3)])
    assert rung == [messages.DELIVER]


def test_the_tally_counts_what_each_workspace_accepted() -> None:
    messages.accept(WORKSPACE_A, new())
    messages.accept_many(WORKSPACE_A, [new() for _ in range(5)])
    messages.accept(WORKSPACE_B, new())
    assert (accepted(WORKSPACE_A), accepted(WORKSPACE_B)) == (6, 1)


def at_once(count: int, task: Callable[[int], object]) -> list[object]:
    """What `task(0)` to `task(count - 1)` return or raise, all begun at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> object:
        barrier.wait()
        try:
            return task(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_many_at_the_same_time_are_each_stored_once() -> None:
    def task(number: int) -> object:
        return [
            messages.accept(1 + number % 2, new(to_email=f"a{number}.{n}@example.org"))
            for n in range(10)
        ]

    outcomes = [m for some in at_once(8, task) for m in some]  # type: ignore[attr-defined]
    stored = {m.id: m for m in Message.select()}
    assert set(stored) == {m.id for m in outcomes}
    assert len(stored) == 80
    for message in outcomes:
        assert stored[message.id].to_email == message.to_email
        assert stored[message.id].workspace_id == message.workspace_id
        assert MessageBody.get_by_id(message.id).body_text == "Hello Ann."
    assert (accepted(WORKSPACE_A), accepted(WORKSPACE_B)) == (40, 40)


def test_those_of_an_unknown_workspace_are_each_told_so() -> None:
    outcomes = at_once(4, lambda _: messages.accept(99, new()))
    assert [type(outcome) for outcome in outcomes] == [NotFound] * 4
    assert Message.select().count() == 0


def test_a_message_that_the_database_refuses_spoils_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Should a check have a hole: the message that fell through it fails alone."""
    monkeypatch.setattr(
        submissions,
        "check",
        lambda new, by: Submission(new, (new.to_email,), by, size_bytes=10),
    )

    def task(number: int) -> object:
        return messages.accept(WORKSPACE_A, new(subject="a\nb" if number == 3 else "fine"))

    for _ in range(5):  # until a group surely held it together with others
        outcomes = at_once(6, task)
        assert sum(isinstance(outcome, Message) for outcome in outcomes) == 5
        assert not isinstance(outcomes[3], Message)
    assert Message.select().count() == 25


def test_inside_a_transaction_it_is_part_of_it() -> None:
    with db.database.atomic() as transaction:
        messages.accept(WORKSPACE_A, new())
        transaction.rollback()
    assert Message.select().count() == 0
    assert accepted(WORKSPACE_A) == 0


def test_a_large_message_goes_by_itself() -> None:
    text = "x" * (accept_groups.GROUP_BYTES_MAX + 1)
    message = messages.accept(WORKSPACE_A, new(body_text=text))
    assert MessageBody.get_by_id(message.id).body_text == text


@pytest.mark.parametrize("stream", list(Stream))
def test_it_lives_as_long_as_its_stream_says(stream: Stream) -> None:
    message = messages.accept(WORKSPACE_A, new(stream=stream))
    lifetime = timedelta(seconds=config.current().lifetime_seconds(stream.value))
    assert message.expires_at == message.created_at + lifetime
    assert Message.get_by_id(message.id).expires_at == message.expires_at


def test_its_sender_may_say_how_long_it_lives() -> None:
    expires = datetime.now(UTC) + timedelta(hours=1)
    message = messages.accept(WORKSPACE_A, new(expires_at=expires))
    assert Message.get_by_id(message.id).expires_at == expires


@pytest.mark.parametrize(
    ("scheduled", "expires"),
    [
        (None, timedelta(seconds=-1)),
        (timedelta(hours=2), timedelta(hours=1)),
        (timedelta(hours=2), timedelta(hours=2)),
        (None, timedelta(days=397)),
    ],
)
def test_it_refuses_a_lifetime_that_makes_no_sense(
    scheduled: timedelta | None, expires: timedelta
) -> None:
    now = datetime.now(UTC)
    with pytest.raises(InvalidFields) as caught:
        messages.accept(
            WORKSPACE_A,
            new(scheduled_at=now + scheduled if scheduled else None, expires_at=now + expires),
        )
    assert [error.field for error in caught.value.errors] == ["expires_at"]

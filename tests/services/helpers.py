"""What the tests of delivery share: claiming, dying, and outcomes as servers give them."""

import asyncio
import dataclasses
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maild import config, db
from maild.domain.freeze import FreezeKind
from maild.domain.lanes import Lane
from maild.domain.policy import StreamRules, Verdict
from maild.domain.smtp_reply import ErrorClass, Reply, Stage, of_contact
from maild.domain.states import Status, Stream
from maild.marks import Marks, field
from maild.models import Freeze, Message, Worker
from maild.services import claims, freezes, messages, outcomes, rescues, sending, timeline, workers
from maild.services.claims import Claim
from maild.services.recorder import Recorder
from maild.services.submissions import NewMessage
from maild.services.workers import Lease
from maild.transports import smtp_outcome
from maild.transports.smtp import Outcome
from tests.conftest import WORKSPACE_A, WORKSPACE_B

Accept = Callable[..., Message]

A_URGENT, A_PATIENT = Lane(0, WORKSPACE_A), Lane(10, WORKSPACE_A)
B_URGENT, B_PATIENT = Lane(0, WORKSPACE_B), Lane(10, WORKSPACE_B)

REMOTE = "relay.example.net:25"
ACCEPTED = smtp_outcome.accepted(Reply(250, "2.0.0", "OK"), REMOTE, {"final_dot": 1.5})
LOST = outcomes.lost_contact("Contact was lost after the final dot.")
LATER = smtp_outcome.refused(Stage.RCPT_TO, Reply(451, "4.3.0", "Try later"), REMOTE, {})
"""Not now, and the message's or its recipient's affair: it counts."""
NO_SUCH_USER = smtp_outcome.refused(Stage.RCPT_TO, Reply(550, "5.1.1", "No such user"), REMOTE, {})
PATH_FAULT = dataclasses.replace(
    outcomes.not_offered(
        Stage.CONNECT,
        ErrorClass.CONNECTION,
        "Connection refused.",
        verdict=of_contact(ErrorClass.CONNECTION),
    ),
    remote=REMOTE,
)
CLAIM = Claim(
    worker_id=uuid.UUID(int=1),
    message_id=uuid.UUID(int=2),
    workspace_id=WORKSPACE_A,
    attempt_no=1,
    excused_count=0,
    path_fault_count=0,
    stream=Stream.TRANSACTIONAL,
    from_email="a@example.com",
    to_email="b@example.org",
    subject="Hello",
    size_bytes=10,
    dated_at_epoch=0.0,
    seconds_left=172_800.0,
    submission_id=None,
    topic=None,
    policy_version=0,
    rules=StreamRules(max_attempts=9, lifetime_seconds=172_800, unknown_outcome="hold"),
    account_id=0,
    account_name="default",
)


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What maild has logged in this test, as fields. What structlog itself captures leaves out the
    loggers that were in use before somebody configured them anew.
    """
    return [record.msg for record in caplog.records if isinstance(record.msg, dict)]


def says(text: str, *, code: int = 451, stage: Stage = Stage.RCPT_TO) -> Outcome:
    """A refusal in these words."""
    return smtp_outcome.refused(stage, Reply(code, None, text), REMOTE, {})


def take(lease: Lease, lane: Lane = A_URGENT, *, limit: int = 100) -> list[Claim]:
    """Claim for the environment's account."""
    return claims.claim(
        lease.worker_id, lane, account_id=0, account_name="default", limit=limit
    ).claims


def take_one(lease: Lease, lane: Lane = A_URGENT) -> Claim:
    [claim] = take(lease, lane, limit=1)
    return claim


def end(claim: Claim, outcome: Outcome = ACCEPTED) -> None:
    """Record that an attempt ended so."""
    outcomes.record([outcomes.decide(claim, outcome, duration_ms=12)])


def reload(message: Message) -> Message:
    return messages.get(message.workspace_id, message.id)


@contextmanager
def working(lease: Lease) -> Iterator[None]:
    """A worker's engine on a thread of its own."""
    engine = threading.Thread(target=sending.work, args=(lease, Recorder()))
    engine.start()
    try:
        yield
    finally:
        lease.stopping.set()
        sending.wake()
        engine.join()


def event_types(message: Message) -> list[str]:
    return [event.type for event in timeline.list_events(message)]


def ago(**spans: float) -> datetime:
    return datetime.now(UTC) - timedelta(**spans)


def silence(lease: Lease, *, seconds: float) -> None:
    """As if the worker had not been heard of for so long."""
    Worker.update(seen_at=ago(seconds=seconds)).where(Worker.id == lease.worker_id).execute()


def kill(lease: Lease) -> None:
    """What Postgres sees of a worker that died a while ago."""
    silence(lease, seconds=lease.seconds + 1)


def make_due(message: Message) -> None:
    """As if the message's time had come."""
    Message.update(next_attempt_at=ago(seconds=1)).where(
        Message.id == message.id, Message.status == Status.QUEUED
    ).execute()


def at_once(*actions: Callable[[], object]) -> None:
    """Run these at the same time, each on a connection of its own; raises what one raises."""
    start = threading.Barrier(len(actions))
    caught: list[BaseException] = []

    def run(action: Callable[[], object]) -> None:
        try:
            with db.connection():
                start.wait(10)
                action()
        except BaseException as error:
            caught.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if caught:
        raise caught[0]


def fill(
    count: int,
    *,
    workspace_id: int = WORKSPACE_A,
    stream: str = "transactional",
    account: str = "",
) -> None:
    """Store many queued messages at once, the oldest first; they have no content. With `account`
    they are pinned to it.
    """
    db.database.execute_sql(
        """
        INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email,
            subject, size_bytes, tags, metadata, next_attempt_at, expires_at, pinned_account)
        SELECT gen_random_uuid(), %(workspace)s, 'queued', %(stream)s,
            CASE %(stream)s WHEN 'marketing' THEN 10 ELSE 0 END, 'shop@example.com',
            'user' || n || '@example.org', 'Hello', 100, '{}', '{}',
            now() - (%(count)s - n) * interval '1 millisecond', now() + interval '1 day',
            %(account)s
        FROM generate_series(1, %(count)s) AS n
        """,
        {"workspace": workspace_id, "stream": stream, "count": count, "account": account},
    )


def start_freeze(
    workspace_id: int,
    *,
    reason: str = "a test",
    stream: Stream | None = None,
    expires_at: datetime | None = None,
) -> Freeze:
    """A freeze of the workspace or of one of its streams, for an hour unless told otherwise."""
    freeze = freezes.start(
        workspace_id,
        reason=reason,
        expires_at=ago(hours=-1),
        kind=FreezeKind.STREAM if stream else FreezeKind.WORKSPACE,
        target=stream.value if stream else None,
    )
    if expires_at is not None:  # which may be over already
        set_end(freeze, expires_at)
    return freeze


def set_end(freeze: Freeze, at: datetime) -> None:
    """As if the freeze had been meant to last until then."""
    Freeze.update(expires_at=at).where(Freeze.id == freeze.id).execute()


def leave_marks(lease: Lease, found: dict[str, str] | None = None) -> None:
    """What a worker has in Redis, which Postgres knows to be everything."""

    async def write() -> None:
        held = Marks(config.current().redis_url, lease.worker_id)
        await held.rebuild(found or {})
        await held.close()

    asyncio.run(write())
    workers.set_has_marks(lease.worker_id, True)


def mark(message: Message, value: str, *, attempt_no: int = 1) -> dict[str, str]:
    return {field(message.id, attempt_no): value}


def answer(code: int, enhanced_code: str | None, text: str) -> str:
    """The mark of a reply to the final dot."""
    reply = Reply(code, enhanced_code, text)
    if code == 250:
        return rescues.write_mark(smtp_outcome.accepted(reply, REMOTE, {}))
    return rescues.write_mark(smtp_outcome.refused(Stage.FINAL_DOT, reply, REMOTE, {}))


def is_suppressed(workspace_id: int, email: str, stream: Stream) -> bool:
    """Whether a message of this stream to an address would be suppressed, were it accepted now."""
    new = NewMessage(
        from_email="shop@example.com",
        to_email=email,
        subject="Hello",
        body_text="Hello.",
        stream=stream,
    )
    [(_, decision)] = messages.ask(workspace_id, new)
    return decision.verdict is Verdict.STOP

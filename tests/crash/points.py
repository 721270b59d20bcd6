"""The fault points of a message's way, each reached for certain: stage it, see the evidence that it
is reached, strike, and say what must come of it.

    claimed -> begin_marked -> offered -> dot_marked -> dot_sent -> accepted -> reply_marked
            -> committed

The tap keeps a dialogue at a step, a row lock keeps an outcome from its commit, a stopped Valkey
keeps a mark from being answered. Used by the tests and by the long run alike.
"""

import contextlib
import itertools
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.crash.rig import Rig, wait_until

BEGUN, DOT = "b", "d"
_numbers = itertools.count(1)


@dataclass(slots=True)
class Staged:
    """A message that waits at a fault point. `after` are the states that it may end in, and
    `copies` how many the provider may have taken by then.
    """

    point: str
    message_id: uuid.UUID
    to_email: str
    after: set[str]
    copies: set[int]
    release: Callable[[], None] = field(default=lambda: None)


def at_354(rig: Rig, workspace_id: int = 1, stream: str = "marketing") -> Staged:
    """Begun and offered; the server's go-ahead has not come."""
    staged = _stage(rig, "offered", "stall-354", workspace_id, stream, {"sent"}, {1})
    wait_until(lambda: rig.tap.holds(staged.to_email), "the go-ahead is kept back")
    wait_until(lambda: rig.marks(staged.message_id) == [BEGUN], "it is marked as begun")
    return staged


def at_slow(
    rig: Rig, workspace_id: int = 1, stream: str = "marketing", *, seconds: int = 6
) -> Staged:
    """The final dot is sent, and not accepted yet; if it is at all, then within seconds."""
    after = {"unknown"} if stream == "marketing" else {"sent"}
    staged = _stage(rig, "dot_sent", f"slow+{seconds}", workspace_id, stream, after, {0, 1, 2})
    wait_until(lambda: rig.marks(staged.message_id) == [DOT], "its final dot is marked")
    return staged


def at_250(rig: Rig, workspace_id: int = 1, stream: str = "marketing") -> Staged:
    """Accepted by the server; the reply has not come."""
    after = {"unknown"} if stream == "marketing" else {"sent"}
    copies = {1} if stream == "marketing" else {2}
    staged = _stage(rig, "accepted", "stall-250", workspace_id, stream, after, copies)
    wait_until(lambda: rig.sink.copies(staged.message_id), "the provider has it")
    wait_until(lambda: rig.tap.holds(staged.to_email), "the reply is kept back")
    return staged


def at_reply_marked(rig: Rig, workspace_id: int = 1, stream: str = "marketing") -> Staged:
    """The reply is read, and in Redis; the outcome is kept from its commit by a lock on its row."""
    staged = at_250(rig, workspace_id, stream)
    lock = rig.connect()
    with lock.cursor() as cursor:
        cursor.execute("SELECT FROM messages WHERE id = %s FOR UPDATE", (staged.message_id,))
    rig.tap.let_go(staged.to_email)

    def is_marked() -> bool:
        if all(mark == DOT for mark in rig.marks(staged.message_id)):
            # Marks leave together with those of other messages: give it company.
            rig.submit(f"company+{next(_numbers)}@example.org", workspace_id=workspace_id)
            return False
        return True

    wait_until(is_marked, "the reply is marked")
    staged.point = "reply_marked"
    staged.after, staged.copies, staged.release = {"sent"}, {1}, lock.close
    return staged


@contextlib.contextmanager
def stopped_valkey(rig: Rig) -> Iterator[None]:
    """Valkey takes commands, and answers none of them before the end of the block."""
    rig.signal_valkey(signal.SIGSTOP)
    try:
        yield
    finally:
        rig.signal_valkey(signal.SIGCONT)


def strike_marks_unanswered(rig: Rig) -> list[Staged]:
    """Kill every worker while its mark before the dot, and the removal of another's after the
    commit, are on their way to Redis, which still takes them in. Restarts the workers.

    Staged anew until the evidence says that the points were hit: a worker waits one second for
    Redis, and then goes on without it.
    """

    pauses = itertools.cycle((0.05, 0.1, 0.2, 0.4))

    def attempt() -> list[Staged] | None:
        before_dot, before_reply = at_354(rig), at_250(rig)
        with stopped_valkey(rig):
            rig.tap.let_go(before_reply.to_email)
            wait_until(lambda: rig.status(before_reply.message_id) == "sent", "it is committed")
            rig.tap.let_go(before_dot.to_email)
            # It reads that at once, and writes to Redis before anything else; nobody sees it do so.
            time.sleep(next(pauses))
            kill_workers(rig)
        is_hit = rig.marks(before_dot.message_id) == [DOT]
        start_workers(rig)
        before_dot.point, before_dot.after, before_dot.copies = "dot_marked", {"unknown"}, {0}
        before_reply.point, before_reply.after, before_reply.copies = "committed", {"sent"}, {1}
        if not is_hit:
            for missed in (before_dot, before_reply):
                rig.wait_status(missed.message_id, "sent", "unknown")
            return None
        return [before_dot, before_reply]

    return wait_until(attempt, "a kill falls between a mark and its answer", seconds=180)


def strike_claimed(rig: Rig) -> list[Staged]:
    """Kill every worker while one holds messages for which it has no connection free."""
    staged: list[Staged] = []

    def is_only_claimed(one: Staged) -> bool:
        return rig.status(one.message_id) == "sending" and not rig.marks(one.message_id)

    def is_one_left_over() -> bool:
        staged.append(_stage(rig, "offered", "stall-354", 1, "marketing", {"sent"}, {1}))
        wait_until(lambda: rig.status(staged[-1].message_id) == "sending", "it is claimed")
        return sum(map(is_only_claimed, staged)) >= 2

    wait_until(is_one_left_over, "a worker has no connection left")
    kill_workers(rig)
    for one in filter(is_only_claimed, staged):
        one.point = "claimed"
    start_workers(rig)
    return staged


def kill_workers(rig: Rig) -> None:
    """SIGKILL to all of them."""
    for worker in rig.workers:
        worker.kill()


def start_workers(rig: Rig) -> None:
    """Start those that do not run."""
    for worker in rig.workers:
        if not worker.is_running():
            worker.start()


def check(rig: Rig, staged: Sequence[Staged]) -> None:
    """Wait for the messages' ends, and raise AssertionError where one is not what it must be."""
    for one in staged:
        rig.tap.let_go(one.to_email)
        one.release()
    for one in staged:
        rig.wait_status(one.message_id, "sent", "failed", "unknown", "expired", "suppressed")
        status, copies = rig.status(one.message_id), rig.sink.copies(one.message_id)
        attempts = rig.attempts(one.message_id)
        evidence = f"{one.point}: {status} after {attempts}, {copies} copies"
        assert status in one.after, evidence
        assert copies in one.copies, evidence
        assert copies <= attempts.count("sent") + attempts.count("unknown"), evidence


def _stage(
    rig: Rig,
    point: str,
    name: str,
    workspace_id: int,
    stream: str,
    after: set[str],
    copies: set[int],
) -> Staged:
    to_email = f"{name}-{next(_numbers)}@example.org".replace("stall-354-", "stall-354+")
    to_email = to_email.replace("stall-250-", "stall-250+")
    message_id = rig.submit(to_email, workspace_id=workspace_id, stream=stream)
    return Staged(point, message_id, to_email, after, copies)


def strike_dialogues(rig: Rig) -> list[Staged]:
    """Kill every worker with dialogues at each step at which a server keeps us waiting."""
    staged = [
        at_354(rig),
        at_354(rig, stream="transactional"),
        at_250(rig),
        at_250(rig, stream="transactional"),
        at_slow(rig),
    ]
    kill_workers(rig)
    start_workers(rig)
    return staged


def strike_reply_marked(rig: Rig) -> list[Staged]:
    """Kill every worker between the mark of a reply and the commit of the outcome."""
    staged = [at_reply_marked(rig), at_reply_marked(rig, stream="transactional")]
    kill_workers(rig)
    start_workers(rig)
    return staged


def strike_redis_and_workers(rig: Rig) -> list[Staged]:
    """Redis and the workers lose their memory together."""
    staged = [at_354(rig), at_250(rig), at_slow(rig)]
    with rig.redis() as client:
        client.flushall()
    kill_workers(rig)
    start_workers(rig)
    for one in staged:
        one.point = f"{one.point}, Redis flushed"
        one.after, one.copies = {"unknown"}, {0, 1}
    return staged


STRIKES = (
    strike_claimed,
    strike_dialogues,
    strike_marks_unanswered,
    strike_reply_marked,
    strike_redis_and_workers,
)

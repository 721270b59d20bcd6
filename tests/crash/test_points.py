"""A worker dies at every step of a message's way, and each message ends as the step demands.

What was only claimed or offered is sent once; what may have been taken is `unknown` where the rule
says hold, and sent again where it says retry; a reply that was read counts.
"""

import signal
import time
from collections.abc import Callable

import pytest

from tests.crash import points
from tests.crash.rig import POLL_SECONDS, Rig, running, wait_until

pytestmark = pytest.mark.crash

QUICK = (points.strike_claimed, points.strike_reply_marked)
"""The first and the last step: what a short run tries."""


@pytest.mark.proves("I3")
@pytest.mark.parametrize(
    "strike",
    [
        pytest.param(strike, marks=[] if strike in QUICK else pytest.mark.long)
        for strike in points.STRIKES
    ],
)
def test_a_kill_at_a_point(rig: Rig, strike: Callable[[Rig], list[points.Staged]]) -> None:
    points.check(rig, strike(rig))


@pytest.mark.long
@pytest.mark.proves("I14")
def test_redis_is_flushed_under_a_living_worker(rig: Rig) -> None:
    """It writes its marks anew; a kill after that is understood as ever."""
    staged = [points.at_354(rig), points.at_250(rig)]
    with rig.redis() as client:
        client.flushall()

    def is_rebuilt() -> bool:
        for _ in range(8):
            rig.submit("company@example.org")
        return all(rig.marks(one.message_id) for one in staged)

    wait_until(is_rebuilt, "the marks are written anew")
    points.kill_workers(rig)
    points.start_workers(rig)
    points.check(rig, staged)


@pytest.mark.long
@pytest.mark.proves("I16")
def test_postgres_stops_after_the_250(rig: Rig) -> None:
    """I16: the outcome is kept, and written when it is back."""
    staged = [points.at_250(rig), points.at_250(rig, stream="transactional")]
    rig.crash_postgres()
    for one in staged:
        rig.tap.let_go(one.to_email)
    rig.start_postgres()
    for one in staged:
        rig.wait_status(one.message_id, "sent")
        assert rig.sink.copies(one.message_id) == 1
        assert rig.attempts(one.message_id) == ["sent"]


@pytest.mark.long
@pytest.mark.proves("I15")
def test_a_worker_resumed_after_its_lease(rig: Rig) -> None:
    """I15: it starts no DATA, and what it learns late does not overwrite what others wrote."""
    offered = [points.at_354(rig), points.at_354(rig, stream="transactional")]
    accepted = points.at_250(rig)
    for worker in rig.workers:
        worker.signal(signal.SIGSTOP)
    new = rig.start_part("worker-new", rig.maild("worker"))
    try:
        for one in offered:
            rig.tap.let_go(one.to_email)
            rig.wait_status(one.message_id, "sent")
        rig.wait_status(accepted.message_id, "unknown")
        for worker in rig.workers:
            worker.signal(signal.SIGCONT)
        rig.tap.let_go(accepted.to_email)
        rig.wait_status(accepted.message_id, "sent")
        later = [rig.submit(f"later+{n}@example.org") for n in range(40)]
        rig.wait_ready()
        new.terminate()
        for message_id in later:
            rig.wait_status(message_id, "sent")
    finally:
        new.kill()
        for worker in rig.workers:
            worker.signal(signal.SIGCONT)
    for one in [*offered, accepted]:
        assert rig.sink.copies(one.message_id) == 1, one
    assert [rig.sink.copies(message_id) for message_id in later] == [1] * 40


@pytest.mark.long
@pytest.mark.proves("I21")
def test_a_graceful_stop_finishes_the_dialogues_under_way(rig: Rig) -> None:
    """I21: as at every deploy."""
    staged = [
        points.at_slow(rig, seconds=3),
        points.at_slow(rig, stream="transactional", seconds=3),
    ]
    for worker in rig.workers:
        worker.signal(signal.SIGTERM)
    queued = [rig.submit(f"queued+{n}@example.org") for n in range(10)]
    for worker in rig.workers:
        assert worker.wait_end() == 0
        worker.start()
    for message_id in [*(one.message_id for one in staged), *queued]:
        rig.wait_status(message_id, "sent")
        assert rig.attempts(message_id) == ["sent"]
        assert rig.sink.copies(message_id) == 1


@pytest.mark.long
@pytest.mark.proves("I5")
def test_a_message_that_kills_its_worker_ends_in_failed() -> None:
    """I5: whenever it is on the wire, its worker dies. The others' mail gets through."""
    with running(LEASE_DURATION="3s", APP_MAX_ATTEMPTS="2") as rig:
        poison = points.at_354(rig)
        kills = 0
        while rig.status(poison.message_id) in {"queued", "sending"}:
            holder = rig.holder(poison.message_id)
            if holder and rig.tap.holds(poison.to_email) and rig.marks(poison.message_id):
                holder.kill()
                holder.start()
                kills += 1
            time.sleep(POLL_SECONDS)  # or the questions keep one of two cores busy
        assert rig.status(poison.message_id) == "failed"
        assert rig.attempts(poison.message_id) == ["interrupted"] * 2
        assert kills == 2
        assert rig.sink.copies(poison.message_id) == 0
        rig.wait_status(rig.submit("ann@example.org"), "sent")


@pytest.mark.long
def test_the_database_goes_away_between_a_claim_and_its_content(rig: Rig) -> None:
    """I1: what was claimed goes back to the queue, and on."""
    for worker in rig.workers:
        worker.signal(signal.SIGSTOP)
    attachment = {"filename": "a.txt", "content_type": "text/plain", "content_base64": "SGk="}
    message_ids = [rig.submit("ann@example.org", attachments=[attachment])]
    message_ids.append(rig.submit("bob@example.org"))
    lock = rig.connect()
    with lock.cursor() as cursor:
        cursor.execute("LOCK TABLE message_attachments IN ACCESS EXCLUSIVE MODE")
    for worker in rig.workers:
        worker.signal(signal.SIGCONT)
    waiting = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND query LIKE '%%FROM message_attachments%%'"
    )
    wait_until(lambda: rig.query(waiting), "a worker waits for the attachments, and is cut off")
    lock.close()
    wait_until(
        lambda: all(rig.status(message_id) == "sent" for message_id in message_ids),
        "both are sent",
        seconds=12,
    )


def test_the_reply_is_marked_at_once(rig: Rig) -> None:
    """I16: a worker that dies while PostgreSQL is away leaves what it knows in Redis."""
    staged = points.at_250(rig)
    lock = rig.connect()
    with lock.cursor() as cursor:
        cursor.execute("SELECT FROM messages WHERE id = %s FOR UPDATE", (staged.message_id,))
    rig.tap.let_go(staged.to_email)
    try:
        wait_until(lambda: rig.marks(staged.message_id) != [points.DOT], "marked", seconds=5)
    finally:
        lock.close()


@pytest.fixture(autouse=True)
def _everything_runs(rig: Rig) -> None:
    rig.restart_all()
    rig.wait_whole_shares()

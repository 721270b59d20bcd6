"""A job whose workers are killed in the middle, or told to stop: another goes on, and every message
is touched once.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.crash.rig import Rig, running, wait_until

pytestmark = [pytest.mark.crash, pytest.mark.long]

MESSAGES = 12_000
PUT = """
INSERT INTO messages (id, workspace_id, status, stream, priority, from_email, to_email, subject,
    size_bytes, tags, metadata, next_attempt_at)
SELECT gen_random_uuid(), %s, 'queued', 'transactional', 0, 'shop@example.com',
    'user' || n || '@example.org', 'Hello', 100, '{}', '{}', now() + interval '1 day'
FROM generate_series(1, %s) n
"""
START = """
INSERT INTO jobs (workspace_id, kind, params, reason, created_by, status, total_count, breakdown)
VALUES (%s, 'messages.hold', %s, 'a test', 'a test', 'queued', %s, '{}') RETURNING id
"""
ONCE = """
SELECT n, count(*) FROM (
    SELECT count(e.id) AS n FROM messages m
    LEFT JOIN events e ON e.message_id = m.id AND e.type = 'message.held'
    WHERE m.workspace_id = %s GROUP BY m.id) AS counted
GROUP BY n
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running(schedulers=1) as started:
        yield started


def begin(rig: Rig) -> tuple[int, int]:
    """Have all messages of a new workspace held; its id and the job's."""
    workspace_id = rig.add_workspace("many")
    rig.query(PUT, workspace_id, MESSAGES)
    params = {"filter": {"until": datetime.now(UTC).isoformat()}, "words": "all messages"}
    [(job_id,)] = rig.query(START, workspace_id, json.dumps(params), MESSAGES)
    return workspace_id, job_id


def state(rig: Rig, job_id: int) -> Any:
    [row] = rig.query("SELECT status, done_count, lease_id FROM jobs WHERE id = %s", job_id)
    return row


def wait_for_a_part(rig: Rig, job_id: int, *, more_than: int = 0) -> None:
    wait_until(lambda: state(rig, job_id)[1] > more_than, "the job has done a part")


def check_that_it_ends_well(rig: Rig, workspace_id: int, job_id: int) -> None:
    wait_until(lambda: state(rig, job_id)[0] == "done", "the job is done")
    assert state(rig, job_id)[1] == MESSAGES
    assert rig.query(ONCE, workspace_id) == [(1, MESSAGES)]
    [(noted,)] = rig.query(
        "SELECT count(DISTINCT message_id) FROM job_items WHERE job_id = %s", job_id
    )
    assert noted == MESSAGES


@pytest.mark.proves("explain-jobs")
def test_killed_workers_lose_nothing_and_nothing_is_done_twice(rig: Rig) -> None:
    workspace_id, job_id = begin(rig)
    wait_for_a_part(rig, job_id)
    for worker in rig.workers:
        worker.kill()
    status, done, _ = state(rig, job_id)
    assert status == "running"
    assert 0 < done < MESSAGES
    # What a step has done and what it has counted are in the database together, or neither is.
    [(held,)] = rig.query(
        "SELECT count(*) FROM messages WHERE workspace_id = %s AND status = 'held'", workspace_id
    )
    assert held == done
    rig.workers[0].start()  # another worker: it knows nothing of the one before
    wait_for_a_part(rig, job_id, more_than=done)
    check_that_it_ends_well(rig, workspace_id, job_id)
    rig.restart_all()


def test_workers_that_are_told_to_stop_finish_the_step_and_give_the_job_back(rig: Rig) -> None:
    workspace_id, job_id = begin(rig)
    wait_for_a_part(rig, job_id)
    assert [worker.terminate() for worker in rig.workers] == [0, 0]
    status, done, lease_id = state(rig, job_id)
    assert (status, lease_id) == ("running", None)
    assert 0 < done < MESSAGES
    rig.restart_all()
    check_that_it_ends_well(rig, workspace_id, job_id)

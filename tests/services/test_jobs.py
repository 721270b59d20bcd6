"""Jobs: every chunk is done once, whoever dies, is too slow, or changes their mind."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maild import db, queue
from maild.db import database as peewee_database
from maild.domain.actor import Actor
from maild.domain.job import JobStatus
from maild.errors import Conflict, InvalidFields, InvalidRequest, NotFound
from maild.models import AuditEntry, Job, JobInput, JobItem
from maild.services import job_loop, job_steps, jobs
from maild.services.jobs import Handler, Step
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.services.conftest import wait_until

pytestmark = pytest.mark.usefixtures("database")

ME = Actor("me")
CHUNK = 10
Start = Callable[..., Job]


def count_on(job: Job) -> Step:
    """Notes the numbers up to `params.total`, a chunk at a time."""
    after = job.cursor or 0
    upto = min(after + CHUNK, job.params["total"])
    jobs.note_targets(job, range(after + 1, upto + 1), outcome="counted")
    skipped = sum(number % 10 == 0 for number in range(after + 1, upto + 1))
    return Step(
        cursor=upto,
        is_done=upto == job.params["total"],
        done=upto - after - skipped,
        skipped=skipped,
        reasons={"is round": skipped} if skipped else {},
        total_count=job.params["total"],
    )


def forget(job: Job) -> Step:
    changes = jobs.list_changes(job.undo_of_id, limit=CHUNK, after=job.cursor or 0)
    last = changes[-1].id if changes else job.cursor
    return Step(cursor=last, is_done=len(changes) < CHUNK, done=len(changes))


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> dict[str, Handler]:
    """The kinds of this test, and no others."""
    known: dict[str, Handler] = {}
    monkeypatch.setattr(jobs, "_handlers", known)
    jobs.register("count", Handler(count_on, undo="forget"))
    jobs.register("forget", Handler(forget))
    return known


@pytest.fixture
def start() -> Start:
    def make(workspace_id: int = WORKSPACE_A, *, total: int = 35, **more: Any) -> Job:
        values = {"kind": "count", "params": {"total": total}, "by": ME, **more}
        return jobs.start(workspace_id, **values)

    return make


@pytest.fixture
def one_step_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_steps, "SLICE_SECONDS", 0)


def again(job: Job) -> Job:
    found: Job = Job.get_by_id(job.id)
    return found


def counted(job: Job) -> list[int]:
    return [item.target_id for item in JobItem.select().where(JobItem.job == job.id)]


def end_lease(job: Job) -> None:
    """As if the worker that has it had not been heard of for a while."""
    Job.update(lease_until=datetime.now(UTC) - timedelta(seconds=1)).where(
        Job.id == job.id
    ).execute()


def be_due(job: Job) -> None:
    Job.update(due_at=datetime.now(UTC) - timedelta(seconds=1)).where(Job.id == job.id).execute()


def test_a_job_is_done_step_by_step_and_says_how_far_it_is(start: Start) -> None:
    job = start()
    assert (job.status, job.total_count, job.started_at) == (JobStatus.QUEUED, None, None)
    claimed = job_steps.claim()
    assert claimed is not None
    half = job_steps.take_step(claimed)
    assert (half.status, half.total_count, half.handled_count) == (JobStatus.RUNNING, 35, 10)
    job_steps.carry_on(half)
    over = again(job)
    assert (over.status, over.cursor, over.lease_id) == (JobStatus.DONE, 35, None)
    assert (over.done_count, over.skipped_count, over.breakdown) == (32, 3, {"is round": 3})
    assert over.finished_at is not None
    assert counted(job) == list(range(1, 36))
    assert job_steps.claim() is None


def test_what_a_dead_worker_left_is_taken_up_where_it_was(start: Start) -> None:
    job = start()
    claimed = job_steps.claim()
    assert claimed is not None
    job_steps.take_step(claimed)
    assert job_steps.claim() is None, "its lease holds"
    end_lease(job)
    assert job_steps.drain() == 1
    assert again(job).status is JobStatus.DONE
    assert counted(job) == list(range(1, 36))


def test_a_worker_that_was_too_slow_changes_nothing(start: Start) -> None:
    job = start()
    slow = job_steps.claim()
    end_lease(job)
    quick = job_steps.claim()
    assert slow is not None
    assert quick is not None
    job_steps.take_step(quick)
    job_steps.carry_on(slow)  # it never heard of the other
    assert counted(job) == list(range(1, 11))
    assert again(job).lease_id == quick.lease_id
    job_steps.carry_on(job_steps.take_step(again(job)))
    assert counted(job) == list(range(1, 36))


def test_it_is_one_of_two_who_claim(start: Start) -> None:
    started = [start(total=25) for _ in range(6)]
    barrier = threading.Barrier(3)

    def work() -> None:
        with db.connection():
            barrier.wait()
            job_steps.drain()

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(work) for _ in range(3)]:
            future.result()
    for job in started:
        assert again(job).status is JobStatus.DONE
        assert counted(job) == list(range(1, 26))


@pytest.mark.usefixtures("one_step_at_a_time")
def test_workspaces_take_turns(start: Start) -> None:
    for _ in range(3):
        start(WORKSPACE_A, total=30)
    start(WORKSPACE_B, total=30)
    turns = []
    while (job := job_steps.claim()) is not None:
        turns.append(job.workspace_id)
        job_steps.carry_on(job)
    assert turns[:6] in ([1, 2] * 3, [2, 1] * 3)
    assert turns[6:] == [WORKSPACE_A] * 6


@pytest.mark.usefixtures("one_step_at_a_time")
def test_a_workspace_with_ever_new_jobs_starves_nobody(start: Start) -> None:
    long = start(WORKSPACE_B, total=50)
    for _ in range(10):
        start(WORKSPACE_A, total=5)
        job = job_steps.claim()
        assert job is not None
        job_steps.carry_on(job)
    assert again(long).status is JobStatus.DONE


def test_one_that_no_worker_has_is_stopped_at_once(start: Start) -> None:
    job = start()
    assert jobs.cancel(WORKSPACE_A, job.id, by=ME).status is JobStatus.CANCELLED
    assert job_steps.drain() == 0
    with pytest.raises(Conflict, match="cancelled already"):
        jobs.cancel(WORKSPACE_A, job.id, by=ME)


def test_one_that_runs_is_stopped_after_its_step(start: Start) -> None:
    job = start()
    claimed = job_steps.claim()
    assert claimed is not None
    asked = jobs.cancel(WORKSPACE_A, job.id, by=ME)
    assert (asked.status, asked.cancelled_by) == (JobStatus.RUNNING, "me")
    assert jobs.cancel(WORKSPACE_A, job.id, by=Actor("you")).cancelled_by == "me"
    job_steps.carry_on(claimed)
    over = again(job)
    assert (over.status, over.handled_count) == (JobStatus.CANCELLED, 10)
    assert over.finished_at is not None


def test_one_that_was_to_stop_stops_though_its_worker_died(start: Start) -> None:
    job = start()
    job_steps.claim()
    jobs.cancel(WORKSPACE_A, job.id, by=ME)
    end_lease(job)
    job_steps.drain()
    assert again(job).status is JobStatus.CANCELLED
    assert counted(job) == []


def test_one_that_was_stopped_goes_on_where_it_was(start: Start) -> None:
    job = start()
    claimed = job_steps.claim()
    assert claimed is not None
    jobs.cancel(WORKSPACE_A, job.id, by=ME)
    job_steps.carry_on(claimed)
    resumed = jobs.resume(WORKSPACE_A, job.id, by=ME)
    assert (resumed.status, resumed.cancelled_by) == (JobStatus.QUEUED, None)
    job_steps.drain()
    assert again(job).status is JobStatus.DONE
    assert counted(job) == list(range(1, 36))
    with pytest.raises(Conflict, match="is done"):
        jobs.resume(WORKSPACE_A, job.id, by=ME)


def test_a_step_that_raises_is_tried_again_and_leaves_no_trace(
    start: Start, kinds: dict[str, Handler]
) -> None:
    faults = [RuntimeError("the disk is full"), None, None, None, None]

    def stumble(job: Job) -> Step:
        step = count_on(job)
        if (fault := faults.pop(0)) is not None:
            raise fault
        return step

    kinds["count"] = Handler(stumble)
    job = start()
    job_steps.drain()
    waiting = again(job)
    assert (waiting.status, waiting.fault_count) == (JobStatus.RUNNING, 1)
    assert waiting.error == "Something unexpected happened: RuntimeError: the disk is full"
    assert counted(job) == []
    assert job_steps.claim() is None, "it waits for a moment"
    be_due(job)
    job_steps.drain()
    over = again(job)
    assert (over.status, over.error, over.fault_count) == (JobStatus.DONE, None, 0)
    assert counted(job) == list(range(1, 36))


def test_it_fails_in_the_end_and_can_go_on_then(start: Start, kinds: dict[str, Handler]) -> None:
    def stumble(job: Job) -> Step:
        if job.cursor:
            raise RuntimeError("no more")
        return count_on(job)

    kinds["count"] = Handler(stumble)
    job = start()
    for _ in range(4):
        job_steps.drain()
        be_due(job)
    failed = again(job)
    assert (failed.status, failed.handled_count) == (JobStatus.FAILED, 10)
    assert failed.error == "Something unexpected happened: RuntimeError: no more"
    assert job_steps.drain() == 0
    kinds["count"] = Handler(count_on)
    jobs.resume(WORKSPACE_A, job.id, by=ME)
    job_steps.drain()
    assert (again(job).status, again(job).error) == (JobStatus.DONE, None)
    assert counted(job) == list(range(1, 36))


def test_what_the_database_does_not_bear_is_tried_again_too(
    start: Start, kinds: dict[str, Handler]
) -> None:
    faults = [True]

    def stumble(job: Job) -> Step:
        if faults:
            faults.pop()
            peewee_database.execute_sql("SELECT 1 / 0")
        return count_on(job)

    kinds["count"] = Handler(stumble)
    job = start()
    job_steps.drain()
    assert "division by zero" in again(job).error
    be_due(job)
    job_steps.drain()
    assert again(job).status is JobStatus.DONE


def test_an_error_with_words_fails_it_at_once(start: Start, kinds: dict[str, Handler]) -> None:
    def refuse(job: Job) -> Step:
        raise InvalidRequest("The file has no addresses.")

    kinds["count"] = Handler(refuse)
    job = start()
    job_steps.drain()
    assert (again(job).status, again(job).error) == (JobStatus.FAILED, "The file has no addresses.")


def test_a_step_that_ends_its_worker_every_time_fails(start: Start) -> None:
    job = start()
    for _ in range(4):
        assert job_steps.claim() is not None
        end_lease(job)
    job_steps.drain()
    assert again(job).status is JobStatus.FAILED
    assert "has ended in the middle of it, 4 times" in again(job).error


def test_a_worker_that_stops_finishes_its_step_and_gives_the_job_back(start: Start) -> None:
    job = start()
    claimed = job_steps.claim()
    assert claimed is not None
    job_steps.carry_on(claimed, lambda: True)
    left = again(job)
    assert (left.status, left.lease_id, left.handled_count) == (JobStatus.RUNNING, None, 10)
    assert job_steps.drain() == 1, "another goes on at once"
    assert again(job).status is JobStatus.DONE


def test_a_kind_of_a_newer_version_is_left_to_it(start: Start, kinds: dict[str, Handler]) -> None:
    job = start()
    handler = kinds.pop("count")
    assert job_steps.drain() == 0
    kinds["count"] = handler
    assert job_steps.drain() == 1
    assert again(job).status is JobStatus.DONE


def test_reasons_beyond_a_bound_are_counted_as_one(start: Start, kinds: dict[str, Handler]) -> None:
    def skip(job: Job) -> Step:
        many = {f"reason {number}": 2 for number in range(100)}
        return Step(cursor=None, is_done=True, skipped=200, reasons=many)

    kinds["count"] = Handler(skip)
    job = start()
    job_steps.drain()
    breakdown = again(job).breakdown
    assert len(breakdown) == job_steps.REASONS_MAX + 1
    assert breakdown[job_steps.OTHER_REASONS] == 120
    assert sum(breakdown.values()) == 200


def test_undoing_is_a_job_of_what_was_changed(start: Start) -> None:
    job = start()
    job_steps.drain()
    undoing = jobs.undo(WORKSPACE_A, job.id, reason="A mistake.", by=ME)
    assert (undoing.kind, undoing.undo_of_id, undoing.total_count) == ("forget", job.id, 32)
    job_steps.drain()
    assert (again(undoing).status, again(undoing).done_count) == (JobStatus.DONE, 35)
    found = jobs.find_undo(again(job))
    assert found is not None
    assert found.id == undoing.id
    with pytest.raises(Conflict, match="taken another job back itself"):
        jobs.undo(WORKSPACE_A, undoing.id, reason="A mistake.", by=ME)


def test_it_is_undone_once_by_two(start: Start) -> None:
    job = start()
    job_steps.drain()
    barrier = threading.Barrier(2)

    def press() -> str:
        with db.connection():
            barrier.wait()
            try:
                jobs.undo(WORKSPACE_A, job.id, reason="A mistake.", by=ME)
            except Conflict as error:
                return error.detail
        return "undone"

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(future.result() for future in [pool.submit(press) for _ in range(2)])
    assert answers[0].startswith("It has been undone already, by job ")
    assert answers[1] == "undone"


def test_what_cannot_be_undone_says_why(start: Start, kinds: dict[str, Handler]) -> None:
    job = start()
    with pytest.raises(Conflict, match="has not ended yet"):
        jobs.undo(WORKSPACE_A, job.id, reason="A mistake.", by=ME)
    jobs.cancel(WORKSPACE_A, job.id, by=ME)
    with pytest.raises(Conflict, match="has changed nothing"):
        jobs.undo(WORKSPACE_A, job.id, reason="A mistake.", by=ME)
    kinds["count"] = Handler(count_on, no_undo="The mail is gone.")
    with pytest.raises(Conflict, match=r"The mail is gone\."):
        jobs.undo(WORKSPACE_A, job.id, reason="A mistake.", by=ME)


def test_what_was_undone_does_not_go_on(start: Start) -> None:
    job = start()
    claimed = job_steps.claim()
    assert claimed is not None
    jobs.cancel(WORKSPACE_A, job.id, by=ME)
    job_steps.carry_on(claimed)
    jobs.undo(WORKSPACE_A, job.id, reason="A mistake.", by=ME)
    with pytest.raises(Conflict, match="has been undone"):
        jobs.resume(WORKSPACE_A, job.id, by=ME)


def test_the_loop_does_what_it_is_rung_for_and_stops(start: Start) -> None:
    stopping = threading.Event()
    loop = threading.Thread(target=job_loop.loop.work, args=(stopping,))
    loop.start()
    try:
        for _ in range(2):
            job = start()
            job_loop.loop.wake()
            wait_until(lambda job=job: again(job).status is JobStatus.DONE)  # type: ignore[misc]
    finally:
        stopping.set()
        job_loop.loop.wake()
        loop.join()


def test_it_is_audited_who_does_what(start: Start) -> None:
    job = start(reason="  The server was down. ", told={"filter": "status failed"})
    jobs.cancel(WORKSPACE_A, job.id, by=Actor("you"))
    jobs.resume(WORKSPACE_A, job.id, by=ME)
    job_steps.drain()
    undoing = jobs.undo(WORKSPACE_A, job.id, reason="A mistake.", by=ME)
    entries = list(AuditEntry.select().order_by(AuditEntry.seq))
    told = [(entry.action, entry.actor, entry.reason) for entry in entries]
    assert told == [
        ("job.started", "me", "The server was down."),
        ("job.cancelled", "you", None),
        ("job.resumed", "me", None),
        ("job.undone", "me", "A mistake."),
    ]
    assert entries[0].after == {"job_id": job.id, "kind": "count", "filter": "status failed"}
    assert entries[3].target == f"job {undoing.id}"
    assert entries[3].after["undo_of"] == job.id


def test_the_hint_is_given_for_what_is_to_be_done(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    hints: list[str] = []
    monkeypatch.setattr(queue, "enqueue", hints.append)
    job = start()
    jobs.cancel(WORKSPACE_A, job.id, by=ME)
    jobs.resume(WORKSPACE_A, job.id, by=ME)
    assert hints == [jobs.HINT, jobs.HINT]


def test_so_many_jobs_and_no_more(start: Start) -> None:
    for _ in range(jobs.OPEN_MAX):
        start()
    with pytest.raises(Conflict, match="not over yet"):
        start()
    start(WORKSPACE_B)


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 501])
def test_a_reason_is_a_line(start: Start, reason: str) -> None:
    with pytest.raises(InvalidFields):
        start(reason=reason)
    assert Job.select().count() == 0


def test_its_file_is_kept_with_it(start: Start) -> None:
    job = start(content=b"a,b\n\x00\xff")
    assert jobs.get_input(job) == b"a,b\n\x00\xff"
    with pytest.raises(NotFound):
        jobs.get_input(start())


def test_another_workspace_has_none_of_it(start: Start) -> None:
    job = start()
    assert jobs.find(WORKSPACE_B, job.id) is None
    assert jobs.list_page(WORKSPACE_B).jobs == jobs.list_open(WORKSPACE_B) == []
    for act in (jobs.cancel, jobs.resume):
        with pytest.raises(NotFound):
            act(WORKSPACE_B, job.id, by=ME)
    with pytest.raises(NotFound):
        jobs.undo(WORKSPACE_B, job.id, reason="A mistake.", by=ME)
    with pytest.raises(NotFound):
        jobs.start(999, kind="count", params={}, by=ME)


def test_the_list_is_in_pages(start: Start) -> None:
    ids = [start().id for _ in range(5)]
    first = jobs.list_page(WORKSPACE_A, limit=3)
    assert [job.id for job in first.jobs] == ids[:1:-1]
    second = jobs.list_page(WORKSPACE_A, limit=3, older_than=first.older)
    assert ([job.id for job in second.jobs], second.older) == (ids[1::-1], None)


def test_what_ended_long_ago_is_forgotten_bit_by_bit(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, running = start(content=b"x", total=35), start(total=35), start(total=35)
    jobs.cancel(WORKSPACE_A, running.id, by=ME)
    job_steps.drain()
    jobs.resume(WORKSPACE_A, running.id, by=ME)
    long_ago = datetime.now(UTC) - timedelta(days=91)
    Job.update(created_at=long_ago).execute()
    Job.update(finished_at=long_ago).where(Job.id == old.id).execute()
    undoing = jobs.undo(WORKSPACE_A, old.id, reason="A mistake.", by=ME)
    monkeypatch.setattr(jobs, "PRUNED_ITEMS", 20)
    jobs.prune(WORKSPACE_A, datetime.now(UTC) - timedelta(days=90))
    assert len(counted(old)) == 15, "the rest next time"
    jobs.prune(WORKSPACE_A, datetime.now(UTC) - timedelta(days=90))
    left = {job.id for job in Job.select()}
    assert left == {new.id, running.id, undoing.id}
    assert again(undoing).undo_of_id is None
    assert JobInput.select().count() == 0
    assert len(counted(new)) == 35

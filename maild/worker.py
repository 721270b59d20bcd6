"""The worker process: the delivery engine, the loops that read what providers report, check SMTP
accounts and do jobs, a Huey consumer that listens for the doorbell, and the heartbeat that renews
the worker's lease.

The engine looks for due messages every few seconds without being rung for: retries that have come
due, and everything while Redis is away. SIGTERM, SIGINT and SIGHUP end the process gracefully:
nothing new is begun, what is in flight is finished and recorded.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable

from maild import config, db, log, marks, queue, tasks
from maild.errors import Unavailable
from maild.services import (
    aside,
    campaign_loop,
    check_loop,
    domain_check_loop,
    job_loop,
    metric_scrapes,
    notification_loop,
    processes,
    recorder,
    report_loop,
    rescues,
    sending,
    workers,
)
from maild.services.workers import Lease

GRACE_SECONDS = 25
BEATS_PER_LEASE = 6
SIGNAL_SECONDS = 0.2
"""How soon a signal is noticed."""
LOOPS = {
    "reports": report_loop,
    "checks": check_loop,
    "domains": domain_check_loop,
    "jobs": job_loop,
    "notifications": notification_loop,
    "campaigns": campaign_loop,
}
"""What goes on beside the engine, each in a thread of its own."""
POOL_SIZE = aside.DATABASE_THREADS + 5 + len(LOOPS)
"""The engine's threads, the heartbeat, the mending, the recorder, the loops, scrapes, and one to
spare.
"""

logger = log.get(__name__)


def run(settings: config.Settings) -> None:
    """Work until SIGTERM, SIGINT or SIGHUP. Raises MigrationPending, Unavailable at the start."""
    processes.start(settings, name="worker", pool_size=POOL_SIZE)
    metric_scrapes.start(settings, "worker")
    processes.require_schema()
    assert tasks.delivery  # importing them registered them
    assert tasks.reports
    assert tasks.checks
    assert tasks.domains
    assert tasks.jobs
    assert tasks.notifications
    assert tasks.campaigns
    with db.connection():
        lease = workers.enter()
    consumer = queue.consumer(threads=1)
    lease.stopping = consumer.stop_flag
    gone = threading.Event()
    metric_scrapes.serve(settings, gone)
    heartbeat = _every(
        settings.lease_seconds / BEATS_PER_LEASE,
        lambda: _renew(lease),
        until=gone,
        name="heartbeat",
    )
    mend = _every(settings.sweep_seconds, lambda: _mend(lease), until=lease.stopping, name="mend")
    engine = threading.Thread(
        target=lambda: sending.work(lease, recorder.current()), name="engine", daemon=True
    )
    loops = [
        threading.Thread(target=one.loop.work, args=(lease.stopping,), name=name, daemon=True)
        for name, one in LOOPS.items()
    ]
    consumer.start()
    stop_requested = _catch_signals()  # after Huey, whose own ideas of SIGINT and SIGHUP lose mail
    for thread in (engine, *loops):
        thread.start()
    logger.info("worker.ready", worker_id=str(lease.worker_id))
    while not stop_requested():
        lease.stopping.wait(SIGNAL_SECONDS)
        consumer.check_worker_health()
        recorder.current().tell_waiting()
    _stop(lease, [engine, mend, *loops, *(thread for _, thread in consumer.worker_threads)])
    gone.set()
    heartbeat.join()
    with contextlib.suppress(Unavailable), db.connection():
        if workers.leave(lease):
            marks.drop(settings.redis_url, lease.worker_id)
    logger.info("worker.stopped", worker_id=str(lease.worker_id))


def _catch_signals() -> Callable[[], bool]:
    """From now on every request to end is a graceful one; returns whether one has come."""
    requested: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: requested.append(number))
    return lambda: bool(requested)


def _stop(lease: Lease, threads: list[threading.Thread]) -> None:
    """Begin nothing new, finish what is in flight, write it down; GRACE_SECONDS for all of it."""
    lease.stopping.set()
    sending.wake()
    for one in LOOPS.values():
        one.loop.wake()
    deadline = time.monotonic() + GRACE_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    in_flight = sum(thread.is_alive() for thread in threads)
    seconds_left = max(1.0, deadline - time.monotonic())
    is_written = recorder.current().close(timeout_seconds=seconds_left)
    if in_flight or not is_written:
        logger.error(
            "worker.stopped_early",
            in_flight=in_flight,
            detail="After the lease the rescue settles what is in flight, by its marks.",
        )


def _renew(lease: Lease) -> None:
    with db.connection():
        if not workers.renew(lease):
            logger.warning("worker.lease_lost", worker_id=str(lease.worker_id))


def _mend(lease: Lease) -> None:
    with db.connection():
        if forgotten := rescues.rescue_forgotten(lease):
            logger.warning("messages.forgotten", count=forgotten)


def _every(
    seconds: float, action: Callable[[], object], *, until: threading.Event, name: str
) -> threading.Thread:
    """A thread that runs `action` at once and then every `seconds`, whatever it raises."""

    def loop() -> None:
        while not until.is_set():
            try:
                action()
            except Unavailable as error:
                logger.warning(f"{name}.database_away", detail=error.detail)
            except Exception:
                logger.exception(f"{name}.crashed")
            until.wait(seconds)

    thread = threading.Thread(target=loop, name=name, daemon=True)
    thread.start()
    return thread

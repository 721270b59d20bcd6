"""The worker process: a Huey consumer that listens for the doorbell, and two threads of our own.

The heartbeat renews the worker's lease. The sweep looks for due messages every few seconds without
being rung for: retries that have come due, and everything while Redis is away. SIGTERM ends the
process gracefully: nothing new is begun, what is in flight is finished and recorded.
"""

import threading
from collections.abc import Callable

from maild import config, db, log, queue, tasks
from maild.errors import Unavailable
from maild.services import outcomes, processes, sending, workers
from maild.services.workers import Lease

GRACE_SECONDS = 25
BEATS_PER_LEASE = 6
EXTRA_CONNECTIONS = 4
"""For the heartbeat, the sweep, the recorder, and one to spare, besides one a delivery thread."""

logger = log.get(__name__)


def run(settings: config.Settings) -> None:
    """Work until SIGTERM. Raises MigrationPending, Unavailable at the start."""
    pool_size = settings.worker_threads + EXTRA_CONNECTIONS
    processes.start(settings, name="worker", pool_size=pool_size)
    processes.require_schema()
    assert tasks.delivery  # importing them registered them
    with db.connection():
        lease = workers.enter()
    consumer = queue.consumer(threads=settings.worker_threads, grace_seconds=GRACE_SECONDS)
    lease.stopping = consumer.stop_flag
    gone = threading.Event()
    heartbeat = _every(
        settings.lease_seconds / BEATS_PER_LEASE,
        lambda: _renew(lease),
        until=gone,
        name="heartbeat",
    )
    sweep = _every(
        settings.sweep_seconds,
        lambda: sending.deliver_due(lease, outcomes.recorder()),
        until=lease.stopping,
        name="sweep",
    )
    logger.info("worker.ready", worker_id=str(lease.worker_id), threads=settings.worker_threads)
    try:
        consumer.run()
    finally:
        lease.stopping.set()
        sweep.join(GRACE_SECONDS)
        if not outcomes.recorder().close(timeout_seconds=GRACE_SECONDS):
            logger.error("outcomes.lost", detail="the database did not come back in time")
        gone.set()
        heartbeat.join()
        with db.connection():
            workers.leave(lease)
        logger.info("worker.stopped", worker_id=str(lease.worker_id))


def _renew(lease: Lease) -> None:
    with db.connection():
        if not workers.renew(lease):
            logger.warning("worker.lease_lost", worker_id=str(lease.worker_id))


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

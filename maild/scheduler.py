"""The scheduler process: what must happen now and then, once, however many schedulers run.

An advisory lock of Postgres picks the one that does it; the others stand by. It sends nothing
itself.
"""

import functools
import signal
import threading
from collections.abc import Callable

from maild import config, db, log, queue
from maild.errors import Unavailable
from maild.services import (
    campaign_ledger,
    conservation,
    deadman,
    deployments,
    dkim_checks,
    freezes,
    incident_watch,
    lifetimes,
    locks,
    log_blocks,
    metric_scrapes,
    periodic_jobs,
    processes,
    report_watch,
    rescues,
    retention_forecast,
    retention_pruner,
    retention_rules,
    workers,
)
from maild.services.messages import DELIVER

WATCH_SECONDS = 5.0
"""How often it is seen what goes wrong: an incident is there well within a minute."""
INDEX_SECONDS = 2.0
"""Of each sweep: the rest is for the mail."""
SHARE_SECONDS = 5.0
"""So long a sweep releases, and so long it expires, however much there is: the next one goes on,
and what dead workers held never waits for it.
"""
PRUNE_SECONDS = 20.0
"""How long a round of pruning lasts at most, and the pause where nothing is old."""
POOL_SIZE = 9
"""A connection for each thread, and one for who scrapes."""
ASIDE_END_SECONDS = 1.0
"""So long the end waits for a ping, and for a count, that is under way."""

logger = log.get(__name__)


def run(settings: config.Settings) -> None:
    """Sweep until SIGTERM or SIGINT. Raises MigrationPending, Unavailable at the start."""
    processes.start(settings, name="scheduler", pool_size=POOL_SIZE)
    metric_scrapes.start(settings, "scheduler")
    processes.require_schema()
    with db.connection():
        deployments.record_own()
    stopping = threading.Event()
    metric_scrapes.serve(settings, stopping)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    logger.info("scheduler.ready", every_seconds=settings.sweep_seconds)
    threads = [
        threading.Thread(target=_repeat, args=(job, settings.sweep_seconds, stopping))
        for job in (sweep, take_stock, index_log, look_at_keys)
    ]
    threads.append(
        threading.Thread(target=_repeat, args=(watch_incidents, WATCH_SECONDS, stopping))
    )
    threads.append(
        threading.Thread(
            target=_repeat, args=(functools.partial(prune_old, stopping), PRUNE_SECONDS, stopping)
        )
    )
    # The watcher may be slow to answer, and a count of many millions takes minutes: nothing waits
    # for them, not even the end. A count that is cut off changes nothing.
    threads += [
        threading.Thread(target=_repeat, args=(job, settings.sweep_seconds, stopping), daemon=True)
        for job in (deadman.beat, count_all)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(None if not thread.daemon else ASIDE_END_SECONDS)
    logger.info("scheduler.stopped")


def _repeat(job: Callable[[], None], seconds: float, stopping: threading.Event) -> None:
    """Do the job every few seconds, whatever it raises, until the process ends."""
    while not stopping.is_set():
        try:
            job()
        except Unavailable as error:
            logger.warning("scheduler.database_away", detail=error.detail)
        except Exception:
            logger.exception("scheduler.crashed", job=_name_of(job))
        stopping.wait(seconds)


def sweep() -> None:
    """Settle what dead workers held, and let go what is free to go."""
    with db.connection(), locks.only_one(locks.SWEEP) as is_ours:
        if not is_ours:
            return
        rescued = _run(rescues.rescue)
        if rescued:
            logger.warning("messages.rescued", count=rescued)
            queue.enqueue(DELIVER)
        released = _run(functools.partial(freezes.release_thawed, seconds=SHARE_SECONDS))
        if released:
            logger.info("messages.released", count=released)
        _run(functools.partial(lifetimes.expire_overdue, seconds=SHARE_SECONDS))
        _run(workers.prune_dead)
        deadman.swept()


def take_stock() -> None:
    """Once a minute, see to what is small; beside the sweep, which must not wait for it."""
    with db.connection():
        if periodic_jobs.take_slot("stock-taking", seconds=60):
            for pruner in retention_rules.SMALL:
                _run(pruner)
            _run(retention_forecast.sample)
            _run(report_watch.check)
            _run(campaign_ledger.watch)


def count_all() -> None:
    """See whether all that was accepted is there; beside the others, for it may take minutes."""
    with db.connection():
        conservation.check_when_due()


def index_log() -> None:
    """Make the log searchable, as it grows; beside the others, for after an upgrade it takes a
    while.
    """
    with db.connection():
        log_blocks.build(seconds=INDEX_SECONDS)


def prune_old(stopping: threading.Event) -> None:
    """Remove what is too old; beside the others, for there may be much of it."""
    removed: object = True
    while removed and not stopping.is_set():
        with db.connection():
            removed = retention_pruner.prune(
                seconds=PRUNE_SECONDS, is_stopping=stopping.is_set, rest=stopping.wait
            )


def look_at_keys() -> None:
    """See which DKIM keys have their records; beside the others, for the DNS takes its time."""
    with db.connection():
        dkim_checks.check_due()


def watch_incidents() -> None:
    """See what goes wrong; beside the others, for it reads on as long as there is much of it."""
    with db.connection():
        incident_watch.look()


def _run(job: Callable[[], object]) -> int:
    """How many messages the job says it moved; one that fails keeps none of the others from
    running.
    """
    try:
        moved = job()
    except Unavailable:
        raise
    except Exception as error:
        if db.is_away(error):
            raise
        logger.exception("scheduler.job_crashed", job=_name_of(job))
        return 0
    return moved if isinstance(moved, int) else 0


def _name_of(job: Callable[[], object]) -> str:
    """Its own, where it is a function with some of its arguments."""
    return str(getattr(getattr(job, "func", job), "__name__", job))

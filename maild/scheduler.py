"""The scheduler process: what must happen every few seconds, once, however many schedulers run.

An advisory lock of Postgres picks the one that does it; the others stand by. It sends nothing
itself.
"""

import signal
import threading

from maild import config, db, log, queue
from maild.errors import Unavailable
from maild.services import claims, locks, processes, workers
from maild.services.messages import DELIVER

logger = log.get(__name__)


def run(settings: config.Settings) -> None:
    """Sweep until SIGTERM or SIGINT. Raises MigrationPending, Unavailable at the start."""
    processes.start(settings, name="scheduler", pool_size=2)
    processes.require_schema()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    logger.info("scheduler.ready", every_seconds=settings.sweep_seconds)
    while not stopping.is_set():
        try:
            sweep()
        except Unavailable as error:
            logger.warning("scheduler.database_away", detail=error.detail)
        except Exception:
            logger.exception("scheduler.crashed")
        stopping.wait(settings.sweep_seconds)
    logger.info("scheduler.stopped")


def sweep() -> None:
    """Free what dead workers held, and forget the workers."""
    with db.connection(), locks.only_one(locks.SWEEP) as is_ours:
        if not is_ours:
            return
        if rescued := claims.rescue():
            logger.warning("messages.rescued", count=rescued)
            queue.enqueue(DELIVER)
        workers.prune_dead()

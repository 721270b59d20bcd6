"""The loop that checks sending domains which are due: one thread of a worker.

Its doorbell is `domains.HINT`; without the bell it looks every SWEEP_INTERVAL.
"""

import asyncio
import threading

from maild import config, db, log
from maild.errors import Unavailable
from maild.services import domain_checks

AT_ONCE_MAX = 8

logger = log.get(__name__)

_bell = threading.Event()


def wake() -> None:
    """There is something to check; from any thread."""
    _bell.set()


def work(stopping: threading.Event) -> None:
    """Check what is due until `stopping` is set, whatever is raised meanwhile."""
    while not stopping.is_set():
        _bell.clear()
        try:
            with db.connection():
                while not stopping.is_set() and drain():
                    pass
        except Unavailable as error:
            logger.warning("domains.database_away", detail=error.detail)
        except Exception:
            logger.exception("domains.crashed")
        _bell.wait(config.current().sweep_seconds)


def drain() -> int:
    """Check AT_ONCE_MAX of those that are due, all at once; how many that were. What is left
    half-done by a process that dies is taken again when its claim is over.
    """
    return asyncio.run(_drain())


async def _drain() -> int:
    claimed = domain_checks.claim(AT_ONCE_MAX)
    done = await asyncio.gather(
        *(domain_checks.carry_out(one) for one in claimed), return_exceptions=True
    )
    for one in done:
        if isinstance(one, Exception):
            raise one
    return len(claimed)

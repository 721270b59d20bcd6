"""The loop that carries out checks of SMTP accounts: one thread of a worker.

Its doorbell is `provider_checks.HINT`; without the bell it looks every SWEEP_INTERVAL. Checks wait
for servers and not for each other: AT_ONCE_MAX of them go on at the same time.
"""

import asyncio
import threading
from collections.abc import Callable

from maild import config, db, log
from maild.errors import Unavailable
from maild.services import provider_checks

AT_ONCE_MAX = 8
LOOK_SECONDS = 0.2
"""How soon a check that comes while others are under way is begun."""

logger = log.get(__name__)

_bell = threading.Event()


def wake() -> None:
    """There is something to check; from any thread."""
    _bell.set()


def work(stopping: threading.Event) -> None:
    """Carry out checks until `stopping` is set, whatever is raised meanwhile."""
    while not stopping.is_set():
        _bell.clear()
        try:
            with db.connection():
                drain(stopping.is_set)
        except Unavailable as error:
            logger.warning("checks.database_away", detail=error.detail)
        except Exception:
            logger.exception("checks.crashed")
        _bell.wait(config.current().sweep_seconds)


def drain(should_stop: Callable[[], bool] = lambda: False) -> int:
    """Carry out all checks that wait; how many that were. On `should_stop` those under way are
    dropped: another worker takes them from the beginning.
    """
    return asyncio.run(_drain(should_stop))


async def _drain(should_stop: Callable[[], bool]) -> int:
    under_way: set[asyncio.Task[None]] = set()
    count = 0
    try:
        while not should_stop():
            for one in provider_checks.claim(AT_ONCE_MAX - len(under_way)):
                under_way.add(asyncio.create_task(provider_checks.carry_out(one)))
                count += 1
            if not under_way:
                break
            done, under_way = await asyncio.wait(
                under_way, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    return count

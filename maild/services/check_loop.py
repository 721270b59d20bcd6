"""The loop that carries out checks of SMTP accounts: one thread of a worker. Its hint is
`provider_checks.HINT`.

Checks wait for servers and not for each other: AT_ONCE_MAX of them go on at the same time.
"""

import asyncio
from collections.abc import Callable

from maild.services import provider_checks
from maild.services.loops import Loop

AT_ONCE_MAX = 8
LOOK_SECONDS = 0.2
"""How soon a check that comes while others are under way is begun."""


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


loop = Loop("checks", drain)

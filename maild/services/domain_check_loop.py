"""The loop that checks sending domains which are due: one thread of a worker. Its hint is
`domains.HINT`.
"""

import asyncio
from collections.abc import Callable

from maild.services import domain_checks
from maild.services.loops import Loop

AT_ONCE_MAX = 8


def drain(should_stop: Callable[[], bool] = lambda: False) -> int:
    """Check all that are due, AT_ONCE_MAX at once; how many that were. What is left half-done by a
    process that dies is taken again when its claim is over.
    """
    count = 0
    while not should_stop() and (done := asyncio.run(_check_some())):
        count += done
    return count


async def _check_some() -> int:
    claimed = domain_checks.claim(AT_ONCE_MAX)
    done = await asyncio.gather(
        *(domain_checks.carry_out(one) for one in claimed), return_exceptions=True
    )
    for one in done:
        if isinstance(one, Exception):
            raise one
    return len(claimed)


loop = Loop("domains", drain)

"""The doorbell of checks of SMTP accounts."""

from maild import queue
from maild.services import check_loop
from maild.services.provider_checks import HINT


@queue.task(HINT)
def check_providers() -> None:
    """Somebody wants to know whether an account works: wake the loop that tries it."""
    check_loop.loop.wake()

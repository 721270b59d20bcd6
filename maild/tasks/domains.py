"""The doorbell of checks of sending domains."""

from maild import queue
from maild.services import domain_check_loop
from maild.services.domains import HINT


@queue.task(HINT)
def check_domains() -> None:
    """A domain is due to be checked: wake the loop that does it."""
    domain_check_loop.loop.wake()

"""The doorbell of what providers report."""

from maild import queue
from maild.services import report_loop
from maild.services.payloads import HINT


@queue.task(HINT)
def read_reports() -> None:
    """Something came in: wake the loop that reads it."""
    report_loop.loop.wake()

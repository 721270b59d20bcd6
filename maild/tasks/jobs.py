"""The doorbell of jobs."""

from maild import queue
from maild.services import job_loop
from maild.services.jobs import HINT


@queue.task(HINT)
def do_jobs() -> None:
    """Somebody has started a job: wake the loop that does it."""
    job_loop.loop.wake()

"""The loop that does jobs: one thread of a worker.

Its doorbell is `jobs.HINT`; without the bell it looks every SWEEP_INTERVAL, so that a lost hint and
a killed worker cost nothing but time. Several workers do it at once, each another job.
"""

import threading

from maild import config, db, log
from maild.errors import Unavailable
from maild.services import job_kinds, job_steps

logger = log.get(__name__)

_bell = threading.Event()


def wake() -> None:
    """There is a job to do; from any thread."""
    _bell.set()


def work(stopping: threading.Event) -> None:
    """Do jobs until `stopping` is set, whatever is raised meanwhile. The step that is under way
    then is finished.
    """
    assert job_kinds.ALL  # importing them registered them
    while not stopping.is_set():
        _bell.clear()
        try:
            with db.connection():
                job_steps.drain(stopping.is_set)
        except Unavailable as error:
            logger.warning("jobs.database_away", detail=error.detail)
        except Exception:
            logger.exception("jobs.crashed")
        _bell.wait(config.current().sweep_seconds)

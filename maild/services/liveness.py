"""Whether a worker or a scheduler is alive, for what restarts one that hangs: `maild alive`.

Only what PostgreSQL tells counts against a process. A worker without its database may hold outcomes
that are written nowhere else: to restart it then would lose them, and would help nobody.
"""

import socket

from maild.services import periodic_jobs, workers
from maild.services.deadman import SWEEP_STALE_SECONDS, SWEPT


def find_fault(process: str) -> str | None:
    """What is wrong with the process of this name, in a sentence; None where it is alive.

    A worker is one of this host, as containers have names of their own. Of several schedulers one
    acts: its sweep speaks for all of them. Raises Unavailable, KeyError.
    """
    return {"worker": _look_at_worker, "scheduler": _look_at_scheduler}[process]()


def _look_at_worker() -> str | None:
    host = socket.gethostname()
    if any(worker.host == host for worker in workers.list_alive()):
        return None
    return f"No worker of {host} has shown a heartbeat within its lease."


def _look_at_scheduler() -> str | None:
    seconds = periodic_jobs.find_age(SWEPT)
    if seconds is None:
        return "No scheduler has ever swept."
    if seconds > SWEEP_STALE_SECONDS:
        return f"No scheduler has swept for {seconds:.0f} seconds."
    return None

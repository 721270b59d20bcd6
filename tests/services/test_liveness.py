"""Which process counts as alive, as the health checks of containers ask."""

import socket

import peewee
import pytest

from maild.models import PeriodicJob, Worker
from maild.services import deadman, liveness, workers

pytestmark = pytest.mark.usefixtures("database")


def age(seconds: int) -> None:
    """Make the heartbeats and the sweep older."""
    interval = peewee.SQL("%s * interval '1 second'", (seconds,))
    Worker.update(seen_at=Worker.seen_at - interval).execute()
    PeriodicJob.update(ran_at=PeriodicJob.ran_at - interval).execute()


def test_a_worker_is_alive_within_its_lease() -> None:
    assert "No worker of" in str(liveness.find_fault("worker"))
    lease = workers.enter()
    assert liveness.find_fault("worker") is None
    age(int(lease.seconds) + 1)
    assert "within its lease" in str(liveness.find_fault("worker"))


def test_a_worker_of_another_host_does_not_count() -> None:
    workers.enter()
    Worker.update(host=f"not-{socket.gethostname()}").execute()
    assert liveness.find_fault("worker") is not None


def test_a_scheduler_is_alive_while_somebody_sweeps() -> None:
    assert liveness.find_fault("scheduler") == "No scheduler has ever swept."
    deadman.swept()
    assert liveness.find_fault("scheduler") is None
    age(deadman.SWEEP_STALE_SECONDS + 5)
    assert liveness.find_fault("scheduler") == "No scheduler has swept for 125 seconds."

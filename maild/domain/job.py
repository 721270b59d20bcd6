"""How a job stands. Pure."""

from enum import StrEnum


class JobStatus(StrEnum):
    """`queued` -> `running` -> `done` | `failed` | `cancelled`; from the last two a person lets it
    go on, which makes it `queued` again.
    """

    QUEUED = "queued"
    """No worker has taken it yet, or not since it was let go on."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """A step could not be done, several times in a row; `error` says why."""
    CANCELLED = "cancelled"
    """A person stopped it. What it had done by then stays done."""


OPEN = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})

"""Jobs that are hard to show: in every state, with long words, and with changes of each kind."""

from dataclasses import dataclass

from maild.domain.actor import Actor
from maild.domain.job import JobStatus
from maild.domain.states import Status
from maild.models import Job
from maild.services import bulk_dead_letters, bulk_messages, job_steps, jobs
from tests.browser.hard_rows import LONG_ADDRESS, LONG_REPLY
from tests.services.bulking import matching, put

SOMEBODY = Actor(LONG_ADDRESS)
WHY = "why " * 120
LONG_WORDS = "all messages: with " + "x" * 200


@dataclass(frozen=True)
class Hard:
    """The ids of what was made."""

    waiting: int
    running: int
    failed: int
    retried: int
    held: int
    suppressed: int


def make() -> Hard:
    """Jobs of workspace A. A running one, as it stands between two steps."""
    put(12, error_class="invalid_recipient", subject="s" * 300)
    put(3, Status.UNKNOWN, domain="d" * 60 + ".example")
    retried = _start(bulk_messages.Action.RETRY)
    suppressed = _start(bulk_messages.Action.SUPPRESS)
    job_steps.drain()
    jobs.undo(1, retried.id, reason=WHY, by=SOMEBODY)
    held = _start(bulk_messages.Action.HOLD)
    job_steps.drain()
    failed = _start(bulk_messages.Action.RETRY)
    Job.update(
        status=JobStatus.FAILED,
        finished_at=held.created_at,
        error=LONG_REPLY[:500],
        breakdown={"y" * 200: 1_234_567},
        skipped_count=1_234_567,
        total_count=10_000_000,
    ).where(Job.id == failed.id).execute()
    running = _start(bulk_messages.Action.CANCEL)
    Job.update(
        status=JobStatus.RUNNING,
        started_at=held.created_at,
        stepped_at=held.created_at,
        running_seconds=12.5,
        done_count=1_000,
        total_count=400_000,
        error=LONG_REPLY[:500],
    ).where(Job.id == running.id).execute()
    waiting = bulk_dead_letters.start(
        1,
        bulk_dead_letters.Action.REPLAY,
        bulk_dead_letters.Selection(ids=("1",)),
        reason=WHY,
        words="1 chosen report",
        by=SOMEBODY,
    )
    return Hard(
        waiting=waiting.id,
        running=running.id,
        failed=failed.id,
        retried=retried.id,
        held=held.id,
        suppressed=suppressed.id,
    )


def _start(action: bulk_messages.Action) -> Job:
    return bulk_messages.start(1, action, matching(), reason=WHY, words=LONG_WORDS, by=SOMEBODY)

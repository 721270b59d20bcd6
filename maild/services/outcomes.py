"""What an attempt came to, and writing it down: in groups, and soon after the provider's reply.

`decide` turns the transport's outcome into the message's next state. The `Recorder` is one thread a
process that commits what the delivery threads hand to it; while Postgres is away it keeps what it
has and tries again, so that a 250 is not forgotten.
"""

import json
import queue
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from maild import config, db, log
from maild.db import database, execute_values
from maild.domain import retry
from maild.domain.states import AttemptStatus, EventType, Status
from maild.errors import Unavailable
from maild.services import transitions, workers
from maild.services.claims import Claim
from maild.services.transitions import Move
from maild.transports.smtp import Outcome

logger = log.get(__name__)

GROUP_MAX = 100
"""Outcomes in one commit at most."""
GROUP_WAIT_SECONDS = 0.02
"""How long a first outcome waits for company."""
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Result:
    """One finished attempt, ready to be written."""

    claim: Claim
    move: Move
    status: AttemptStatus
    outcome: Outcome
    duration_ms: int


_STATUS_OF: dict[Status, AttemptStatus] = {
    Status.SENT: AttemptStatus.SENT,
    Status.FAILED: AttemptStatus.FAILED,
    Status.UNKNOWN: AttemptStatus.UNKNOWN,
    Status.QUEUED: AttemptStatus.DEFERRED,
}
_EVENT_OF: dict[Status, EventType] = {
    Status.SENT: EventType.SENT,
    Status.FAILED: EventType.FAILED,
    Status.UNKNOWN: EventType.OUTCOME_UNKNOWN,
    Status.QUEUED: EventType.DEFERRED,
}


def decide(claim: Claim, outcome: Outcome, *, duration_ms: int) -> Result:
    """The result of an attempt: sent, unknown, failed for good, or deferred by the ladder."""
    settings = config.current()
    error: str | None = outcome.text
    delay: float | None = None
    if outcome.accepted:
        new, error = Status.SENT, None
    elif outcome.is_unknown:
        new = Status.UNKNOWN
    elif outcome.is_permanent:
        new = Status.FAILED
    elif claim.attempt_no >= settings.max_attempts:
        new = Status.FAILED
        error = f"Gave up after {claim.attempt_no} attempts. The last answer: {outcome.text}"
    else:
        new = Status.QUEUED
        delay = retry.delay_seconds(
            claim.attempt_no,
            settings.retry_delays_seconds,
            jitter=random.uniform,
        )
    reply = outcome.reply
    data = {
        "attempt_no": claim.attempt_no,
        "smtp_account": claim.smtp_account_name,
        "smtp_code": reply.code if reply else None,
        "enhanced_code": reply.enhanced_code if reply else None,
        "error_class": outcome.error_class,
        "text": _storable(error or outcome.text),
        "retry_in_seconds": round(delay) if delay is not None else None,
    }
    move = Move(
        message_id=claim.message_id,
        workspace_id=claim.workspace_id,
        old=Status.SENDING,
        new=new,
        event=_EVENT_OF[new],
        data={name: value for name, value in data.items() if value is not None},
        worker_id=claim.worker_id,
        attempt_no=claim.attempt_no,
        next_attempt_in=delay,
        last_error=_storable(error) if error else None,
        error_class=outcome.error_class,
        smtp_account_name=claim.smtp_account_name,
    )
    return Result(claim, move, _STATUS_OF[new], outcome, duration_ms)


_FINISH = """
UPDATE attempts AS a SET
    status = v.status, finished_at = now(), remote = v.remote, duration_ms = v.duration_ms,
    stage = v.stage, smtp_code = v.smtp_code, enhanced_code = v.enhanced_code,
    response = v.response, error_class = v.error_class, timings = v.timings
FROM (VALUES %s) AS v (
    message_id, attempt_no, status, remote, duration_ms, stage, smtp_code, enhanced_code,
    response, error_class, timings)
WHERE a.message_id = v.message_id AND a.attempt_no = v.attempt_no AND a.status = 'started'
"""
_FINISH_ROW = (
    "(%s::uuid, %s::int, %s, %s::text, %s::int, %s, %s::smallint, %s::text, %s::text, %s::text,"
    " %s::jsonb)"
)


def record(results: Sequence[Result]) -> None:
    """Write finished attempts in one transaction. A message that another has taken over keeps
    its state.
    """
    with database.atomic():
        moved = transitions.apply([result.move for result in results])
        execute_values(_FINISH, [_finish_row(result) for result in results], template=_FINISH_ROW)
    for result in results:
        if result.claim.message_id not in moved:
            logger.warning("attempt.lost_its_lease", **_log_fields(result))
        elif result.status is not AttemptStatus.SENT:
            logger.info(f"attempt.{result.status}", **_log_fields(result))


def _log_fields(result: Result) -> dict[str, object]:
    return {
        "workspace_id": result.claim.workspace_id,
        "message_id": str(result.claim.message_id),
        "attempt_no": result.claim.attempt_no,
        "smtp_account": result.claim.smtp_account_name,
        "error_class": result.outcome.error_class,
        "text": result.outcome.text,
    }


def _finish_row(result: Result) -> tuple[object, ...]:
    outcome, reply = result.outcome, result.outcome.reply
    return (
        result.claim.message_id,
        result.claim.attempt_no,
        result.status.value,
        outcome.remote,
        result.duration_ms,
        outcome.stage.value,
        reply.code if reply else None,
        reply.enhanced_code if reply else None,
        _storable(reply.text if reply else outcome.text),
        outcome.error_class,
        json.dumps({stage: round(ms, 2) for stage, ms in outcome.timings.items()}),
    )


def _storable(text: str) -> str:
    """A server's words without NUL, which PostgreSQL does not hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


@dataclass(slots=True)
class _Flush:
    """A marker in the queue: everything put before it is committed when `done` is set."""

    done: threading.Event = field(default_factory=threading.Event)


class Recorder:
    """The thread that writes results. `put` never blocks; `flush` returns when all is committed."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Result | _Flush | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, result: Result) -> None:
        self._inbox.put(result)

    def flush(self) -> None:
        """Wait until everything put so far is written."""
        marker = _Flush()
        self._inbox.put(marker)
        marker.done.wait()

    def close(self, *, timeout_seconds: float) -> bool:
        """Write what is left, then end the thread; False where that took too long.

        What is left then stays with the worker's lease, and the rescue sends it again.
        """
        self._inbox.put(None)
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        is_open = True
        while is_open:
            results, markers, is_open = self._next_group()
            try:
                if results:
                    self._write(results)
            finally:
                for marker in markers:
                    marker.done.set()

    def _next_group(self) -> tuple[list[Result], list[_Flush], bool]:
        """Wait for a first item, then gather what comes within a moment; a marker ends the wait."""
        results: list[Result] = []
        markers: list[_Flush] = []
        item = self._inbox.get()
        deadline = time.monotonic() + GROUP_WAIT_SECONDS
        while True:
            if item is None:
                return results, markers, False
            if isinstance(item, _Flush):
                markers.append(item)
                return results, markers, True
            results.append(item)
            if len(results) >= GROUP_MAX:
                return results, markers, True
            try:
                item = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return results, markers, True

    def _write(self, results: Sequence[Result]) -> None:
        """Write a group, and wait for the database as long as it takes.

        A group that the database refuses is written one by one; what it refuses even so is told to
        the log, and left to `claims.rescue_forgotten`. This thread must outlive everything.
        """
        while True:
            try:
                with db.connection():
                    record(results)
            except Unavailable as error:
                logger.warning(
                    "outcomes.waiting_for_database", waiting=len(results), error=error.detail
                )
                time.sleep(RETRY_SECONDS)
            except Exception:
                if len(results) > 1:
                    for result in results:
                        self._write([result])
                    return
                logger.exception("outcome.cannot_be_written", **_log_fields(results[0]))
                break
            else:
                break
        workers.let_go({result.claim.message_id for result in results})


_recorder: Recorder | None = None
_recorder_lock = threading.Lock()


def recorder() -> Recorder:
    """The recorder of this process, started when first asked for."""
    global _recorder  # noqa: PLW0603 - one thread a process
    with _recorder_lock:
        if _recorder is None:
            _recorder = Recorder()
        return _recorder

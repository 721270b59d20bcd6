"""The thread of a worker that writes results: in groups, and soon after the provider's reply.

While Postgres is away it keeps what it has and tries again, so that a 250 is not forgotten.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from maild import db, log, metrics
from maild.errors import Unavailable
from maild.services import providers, workers
from maild.services.outcomes import Result, log_fields, record
from maild.services.providers import Fault

logger = log.get(__name__)

GROUP_MAX = 250
"""Results in one commit at most."""
GROUP_WAIT_SECONDS = 0.03
"""How long a first result waits for company."""
RETRY_SECONDS = 0.5
STUCK_SECONDS = 2.0
"""A group that takes longer is worth telling."""


@dataclass(slots=True)
class _Flush:
    """A marker in the queue: everything put before it is committed when `done` is set."""

    done: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Group:
    results: list[Result] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    flushes: list[_Flush] = field(default_factory=list)
    is_last: bool = False

    def add(self, item: "Result | Fault | _Flush | None") -> bool:
        """Take an item in; True where the group should be written at once."""
        match item:
            case Result():
                self.results.append(item)
            case Fault():
                self.faults.append(item)
            case _Flush():
                self.flushes.append(item)
                return True
            case None:
                self.is_last = True
                return True
        return len(self.results) >= GROUP_MAX


class Recorder:
    """`put` never blocks; `flush` returns when all is committed.

    `on_recorded` is told, on the recorder's thread, which results have been written.
    """

    def __init__(self) -> None:
        self.on_recorded: Callable[[Sequence[Result]], None] | None = None
        self._begun: tuple[float, int] | None = None
        """Since when a group is being written, and how many results are in it."""
        self._inbox: queue.SimpleQueue[Result | Fault | _Flush | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, item: Result | Fault) -> None:
        """Write this soon."""
        self._inbox.put(item)

    def tell_waiting(self) -> None:
        """Tell /metrics how many results are in memory only, where one group takes long: the
        database is away, or hangs.
        """
        begun = self._begun
        is_stuck = begun is not None and time.monotonic() - begun[0] > STUCK_SECONDS
        waiting = begun[1] + self._inbox.qsize() if begun is not None and is_stuck else 0
        metrics.OUTCOMES_WAITING.set(waiting)

    def flush(self) -> None:
        """Wait until everything put so far is written."""
        marker = _Flush()
        self._inbox.put(marker)
        marker.done.wait()

    def close(self, *, timeout_seconds: float) -> bool:
        """Write what is left, then end the thread; False where that took too long.

        What is left then stays with the worker's lease, and the rescue reads its marks.
        """
        self._inbox.put(None)
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            group = self._next_group()
            is_last = group.is_last
            self._begun = time.monotonic(), len(group.results)
            try:
                if group.results or group.faults:
                    self._write(group.results, group.faults)
            finally:
                self._begun = None
                for marker in group.flushes:
                    marker.done.set()

    def _next_group(self) -> _Group:
        """Wait for a first item, then gather what comes within a moment; a marker ends the wait."""
        group = _Group()
        is_complete = group.add(self._inbox.get())
        deadline = time.monotonic() + GROUP_WAIT_SECONDS
        while not is_complete:
            try:
                item = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            is_complete = group.add(item)
        return group

    def _write(self, results: Sequence[Result], faults: Sequence[Fault]) -> None:
        """Write a group, and wait for the database as long as it takes.

        A group that the database refuses is written one by one; what it refuses even so is told to
        the log, and left to `rescues.rescue_forgotten`. This thread must outlive everything.
        """
        while True:
            try:
                with db.connection():
                    blames = record(results, faults=faults)
            except Unavailable as error:
                logger.warning(
                    "outcomes.waiting_for_database", waiting=len(results), error=error.detail
                )
                time.sleep(RETRY_SECONDS)
            except Exception:
                if len(results) + len(faults) > 1:
                    for fault in faults:
                        self._write([], [fault])
                    for result in results:
                        self._write([result], [])
                    return
                fields = log_fields(results[0]) if results else {}
                logger.exception("outcome.cannot_be_written", **fields)
                workers.let_go(result.claim for result in results)
                return
            else:
                # At once, before anything that may take its time.
                workers.let_go(result.claim for result in results)
                # Only now: on this word the mark is removed that tells what became of a message.
                if self.on_recorded is not None and results:
                    self.on_recorded(results)
                self._judge(blames)
                return

    def _judge(self, blames: Sequence[Fault]) -> None:
        """See whether an account is to be left; the next fault asks again."""
        if not blames:
            return
        try:
            with db.connection():
                providers.judge(blames)
        except Unavailable as error:
            logger.warning("delivery.database_away", detail=error.detail)
        except Exception:
            logger.exception("provider.cannot_be_judged")


_recorder: Recorder | None = None
_recorder_lock = threading.Lock()


def current() -> Recorder:
    """The recorder of this process, started when first asked for."""
    global _recorder  # noqa: PLW0603 - one thread a process
    with _recorder_lock:
        if _recorder is None:
            _recorder = Recorder()
        return _recorder

"""The gate before the wire: nothing is offered, and no message completed, before Redis holds its
mark (`maild.marks`).

Marks are written for whoever waits, all at once; while one write is under way the next ones gather.
Where Redis is away, Postgres is told first that this worker's marks no longer tell everything, and
then mail goes on without them. Where Redis has lost them, they are written anew from memory.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

from maild import log, metrics
from maild.errors import Unavailable
from maild.marks import Marks

logger = log.get(__name__)

RETRY_SECONDS = 1.0
"""How long Redis is left alone after it did not answer."""
DATABASE_RETRY_SECONDS = 0.25

SetHasMarks = Callable[[uuid.UUID, bool], Awaitable[None]]


class Gate:
    """The marks of one worker, and who waits for them. For one event loop."""

    def __init__(self, redis_url: str, set_has_marks: SetHasMarks) -> None:
        """`set_has_marks(worker_id, value)` writes to Postgres, and raises Unavailable."""
        self._redis_url = redis_url
        self._set_has_marks = set_has_marks
        self._marks: Marks | None = None
        self._has_marks = False
        self._said: bool | None = False
        """What Postgres has been told of that; None where it may be either."""
        self._retry_at = self._say_at = 0.0
        self._known: dict[str, str] = {}
        self._changed: dict[str, None] = {}
        """The names whose marks are not in Redis as they are in `_known`, or not there."""
        self._waiting: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._is_stopping = False

    @property
    def worker_id(self) -> uuid.UUID | None:
        """Whose marks these are; None before the first `enter`."""
        return self._marks.worker_id if self._marks else None

    async def enter(self, worker_id: uuid.UUID) -> None:
        """Begin the marks of a worker, as at the start, or when its lease was lost and it goes on
        under another id.
        """
        if self._marks is not None:
            await self._marks.close()
        self._marks = Marks(self._redis_url, worker_id)
        self._known.clear()
        self._changed.clear()
        self._has_marks = False
        self._said = False  # as a worker's row begins
        self._retry_at = self._say_at = 0.0
        await self._restore()
        if self._has_marks:
            await self._say_so()

    def mark(self, name: str, value: str) -> None:
        """Set a mark with the next write; `when_written` waits for it."""
        self._known[name] = value
        self._changed[name] = None

    def note(self, name: str, value: str) -> None:
        """Set a mark soon; nobody waits for it."""
        self.mark(name, value)
        self._wake.set()

    def unmark(self, names: list[str]) -> None:
        """Remove marks with the next write: the outcome of these messages is in Postgres."""
        for name in names:
            self._known.pop(name, None)
            self._changed[name] = None
        self._wake.set()

    def when_written(self, action: Callable[[], None]) -> None:
        """Call `action` as soon as every mark set so far holds."""
        self._waiting.append(action)
        self._wake.set()

    @property
    def is_quiet(self) -> bool:
        return not self._waiting

    async def run(self) -> None:
        """Write marks until `stop`. Not to be cancelled: Redis' client may be in the middle of
        something that it has to end.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._is_stopping and not self._changed:
                return
            waiting, self._waiting = self._waiting, []
            await self._write_changes()
            if self._is_stopping:
                return
            for action in waiting:
                action()

    def stop(self) -> None:
        """End `run`, after the write that is under way. Who waits then is not called any more."""
        self._is_stopping = True
        self._wake.set()

    async def close(self) -> None:
        """Let go of Redis; after `run` has ended."""
        if self._marks is not None:
            await self._marks.close()

    async def _write_changes(self) -> None:
        assert self._marks is not None
        changed, self._changed = self._changed, {}
        marks: list[str] = []
        for name in changed.keys() & self._known.keys():
            marks += (name, self._known[name])
        gone = list(changed.keys() - self._known.keys())
        if not self._has_marks:
            await self._restore()  # which takes in what is to be set now
        else:
            try:
                if not await self._marks.write(marks, gone):
                    logger.warning("marks.lost", rebuilt=len(self._known))
                    await self._marks.rebuild(self._known)
            except Unavailable as error:
                self._redis_is_away(error)
        if self._has_marks:
            await self._say_so()
        else:
            await self._say_that_marks_are_missing()

    async def _restore(self) -> None:
        """Write all marks anew, if Redis is back."""
        assert self._marks is not None
        if time.monotonic() < self._retry_at:
            return
        try:
            await self._marks.rebuild(self._known)
            self._has_marks = True
        except Unavailable as error:
            self._redis_is_away(error)

    def _redis_is_away(self, error: Unavailable) -> None:
        self._has_marks = False
        self._retry_at = time.monotonic() + RETRY_SECONDS
        metrics.REDIS_ERRORS.labels("marks").inc()
        logger.warning("marks.redis_away", detail=error.detail)

    async def _say_so(self) -> None:
        """Tell Postgres that the marks hold. It may take its time: until then they only count for
        less than they are worth.
        """
        assert self._marks is not None
        if self._said is True or time.monotonic() < self._say_at:
            return
        self._said = None  # an answer that is lost leaves both possible
        try:
            await self._set_has_marks(self._marks.worker_id, True)
            self._said = True
        except Unavailable:
            self._say_at = time.monotonic() + RETRY_SECONDS

    async def _say_that_marks_are_missing(self) -> None:
        """Nothing may go out unmarked before Postgres knows it."""
        assert self._marks is not None
        while self._said is not False and not self._is_stopping:
            try:
                await self._set_has_marks(self._marks.worker_id, False)
                self._said = False
            except Unavailable:
                await asyncio.sleep(DATABASE_RETRY_SECONDS)

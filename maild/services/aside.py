"""What an event loop has done beside it: queries, on a few threads, and small tasks of its own."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from maild import db, log
from maild.errors import Unavailable

logger = log.get(__name__)

DATABASE_THREADS = 3

P = ParamSpec("P")
T = TypeVar("T")


class Aside:
    """For one event loop; made inside of it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(DATABASE_THREADS, "query")
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, query: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query with a database connection of its own. Raises Unavailable."""

        def run() -> T:
            with db.connection():
                return query(*args, **kwargs)

        return await self._loop.run_in_executor(self._threads, run)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task, whose failure is told to the log."""
        task = asyncio.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def call(self, action: Callable[..., None], *args: object) -> None:
        """Have the loop call something; from any thread, and without effect once it has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(action, *args)

    def close(self) -> None:
        """End the tasks, and wait for the queries."""
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    async def _guard(work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Unavailable as error:
            logger.warning("delivery.database_away", detail=error.detail)
        except Exception:
            logger.exception("delivery.crashed")

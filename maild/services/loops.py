"""A loop: what one thread of a worker does again and again. It has a doorbell, rung by a hint;
without the bell it looks every SWEEP_INTERVAL, so that a lost hint and a killed worker cost nothing
but time.
"""

import threading
from collections.abc import Callable

from maild import config, db, log
from maild.errors import Unavailable

logger = log.get(__name__)


class Loop:
    """`drain` does all that there is to do, on a connection of its own, and comes back early where
    what it is given says so. `name` begins the log lines.
    """

    def __init__(
        self,
        name: str,
        drain: Callable[[Callable[[], bool]], object],
        *,
        rest_seconds: Callable[[], float] | None = None,
    ) -> None:
        """`rest_seconds` is asked after each time how soon there may be something again."""
        self._name = name
        self._drain = drain
        self._rest_seconds = rest_seconds
        self._bell = threading.Event()

    def wake(self) -> None:
        """There is something to do; from any thread."""
        self._bell.set()

    def work(self, stopping: threading.Event) -> None:
        """Do it until `stopping` is set, whatever is raised meanwhile."""
        while not stopping.is_set():
            self._bell.clear()
            rest: float = config.current().sweep_seconds
            try:
                with db.connection():
                    self._drain(stopping.is_set)
                    if self._rest_seconds is not None:
                        rest = min(rest, self._rest_seconds())
            except Unavailable as error:
                logger.warning(f"{self._name}.database_away", detail=error.detail)
            except Exception:
                logger.exception(f"{self._name}.crashed")
            self._bell.wait(rest)

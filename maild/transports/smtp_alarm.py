"""A limit to waiting, for connections that wait many thousand times a second."""

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic


class Alarm:
    """A limit to waiting that moves with every reply, and costs an event loop next to nothing: its
    timer is set anew only where it would ring too late."""

    __slots__ = ("_deadline", "_rings_at", "_timer", "_what_then")

    def __init__(self, what_then: Callable[[], None]) -> None:
        self._what_then = what_then
        self._deadline = inf
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf

    def set(self, now: float, seconds: float) -> None:
        """Ring `seconds` after `now`, the monotonic clock's, unless something else is said."""
        self._deadline = now + seconds
        if self._deadline < self._rings_at:
            if self._timer is not None:
                self._timer.cancel()
            self._rings_at = self._deadline
            self._timer = asyncio.get_running_loop().call_later(seconds, self._ring)

    def clear(self) -> None:
        """Do not ring, for now."""
        self._deadline = inf

    def cancel(self) -> None:
        """Do not ring any more."""
        self._deadline = inf
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        self._rings_at = inf
        now = monotonic()
        if now + 0.001 >= self._deadline:  # an event loop's clock may be coarser than ours
            self._what_then()
        elif self._deadline < inf:
            self.set(now, self._deadline - now)

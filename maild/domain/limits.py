"""Hourly limits: how much of a limit is used at a moment, and when the next place is free. Pure.

Messages are counted in slots of five minutes, by the time at which they are due. A window is a slot
and the twelve before it, so that it covers any hour that ends in the slot: no hour, wherever it
begins, has more messages than the limit.
"""

from collections.abc import Iterable
from dataclasses import dataclass

SLOT_SECONDS = 300
WINDOW_SLOTS = 12
"""How many slots before its own a message is counted with."""

WORKSPACE = ""
"""The scope that all of a workspace's messages count in; the others are recipient domains."""


def slot_of(at: float) -> int:
    """The slot that a moment lies in, counted since 1970; `at` is in seconds since then."""
    return int(at // SLOT_SECONDS)


_ZEROS = (0,) * (WINDOW_SLOTS + 1)


@dataclass(frozen=True, slots=True)
class Usage:
    """How one limit stands at a moment. `reset_seconds`: until the oldest that is counted is not
    counted any more.
    """

    limit: int
    used: int
    reset_seconds: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


class Ledger:
    """Messages by scope and slot: what is written down, and what is taken while deciding."""

    def __init__(self, counts: Iterable[tuple[str, int, int]] = ()) -> None:
        """`counts` are (scope, slot, messages)."""
        self._counts: dict[str, dict[int, int]] = {}
        self._windows: dict[str, tuple[int, int]] = {}
        """For each scope the window that was looked at last: its slot, and its messages."""
        self._full: dict[tuple[str, int], dict[int, int]] = {}
        """For each scope and limit, slots without room, each with a later one to look at next: what
        is full stays so, since nothing is ever given back.
        """
        for scope, slot, count in counts:
            self._counts.setdefault(scope, {})[slot] = count
        self._latest = {scope: max(counts) for scope, counts in self._counts.items()}

    def take(self, scope: str, at: float) -> None:
        """Count one message that is due at this moment."""
        slot = slot_of(at)
        counts = self._counts.setdefault(scope, {})
        counts[slot] = counts.get(slot, 0) + 1
        self._latest[scope] = max(slot, self._latest.get(scope, slot))
        known = self._windows.get(scope)
        if known is not None and known[0] == slot:
            self._windows[scope] = slot, known[1] + 1
        else:
            self._windows.pop(scope, None)

    def usage(self, scope: str, at: float, *, limit: int) -> Usage:
        """How the limit stands at a moment."""
        slot = slot_of(at)
        counts = self._counts.get(scope, {})
        first = next((s for s in range(slot - WINDOW_SLOTS, slot) if counts.get(s)), slot)
        reset_at = (first + WINDOW_SLOTS + 1) * SLOT_SECONDS
        return Usage(limit, self._window(scope, slot), int(reset_at - at))

    def find_place(self, scope: str, at: float, *, limit: int, until: float) -> float | None:
        """The first moment from `at` on at which one more message fits; None where there is none
        before `until`.
        """
        if limit < 1:
            return None
        last = slot_of(until)
        first = slot = slot_of(at)
        full = self._full.setdefault((scope, limit), {})
        passed: list[int] = []
        while slot <= last:
            known = full.get(slot)
            if known is None and self._fits(scope, slot, limit):
                break
            passed.append(slot)
            slot = known or slot + 1
        full.update(dict.fromkeys(passed, slot))
        if slot > last:
            return None
        return at if slot == first else float(slot * SLOT_SECONDS)

    def _fits(self, scope: str, slot: int, limit: int) -> bool:
        """Whether one more in this slot leaves every window that it counts in within the limit."""
        total = self._window(scope, slot)
        if total >= limit:
            return False
        counts = self._counts.get(scope, {})
        latest = min(self._latest.get(scope, slot), slot + WINDOW_SLOTS)
        for end in range(slot + 1, latest + 1):
            total += counts.get(end, 0) - counts.get(end - WINDOW_SLOTS - 1, 0)
            if total >= limit:
                return False
        return True

    def _window(self, scope: str, slot: int) -> int:
        known = self._windows.get(scope)
        if known is None or known[0] != slot:
            known = self._windows[scope] = slot, self._sum(scope, slot)
        return known[1]

    def _sum(self, scope: str, slot: int) -> int:
        counts = self._counts.get(scope)
        if counts is None:
            return 0
        return sum(map(counts.get, range(slot - WINDOW_SLOTS, slot + 1), _ZEROS))

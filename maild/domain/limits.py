"""Hourly limits: how much of a limit is used at a moment, and when the next place is free. Pure.

Messages are counted in slots of five minutes, by the time at which they are due. A window is a slot
and the twelve before it, so that it covers any hour that ends in the slot: no hour, wherever it
begins, has more messages than the limit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from operator import sub

SLOT_SECONDS = 300
WINDOW_SLOTS = 12
"""How many slots before its own a message is counted with."""

WORKSPACE = ""
"""The scope that all of a workspace's messages count in; the others are recipient domains."""


def slot_of(at: float) -> int:
    """The slot that a moment lies in, counted since 1970; `at` is in seconds since then."""
    return int(at // SLOT_SECONDS)


_ZEROS = (0,) * (2 * WINDOW_SLOTS + 1)


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
        self._scopes: dict[str, _Scope] = {}
        for scope, slot, count in counts:
            self._scope(scope).add(slot, count)

    def take(self, scope: str, at: float) -> None:
        """Count one message that is due at this moment."""
        known = self._scopes.get(scope)
        (known or self._scope(scope)).add(int(at // SLOT_SECONDS), 1)

    def usage(self, scope: str, at: float, *, limit: int) -> Usage:
        """How the limit stands at a moment."""
        slot = slot_of(at)
        known = self._scopes.get(scope)
        used, first = known.look_at(slot) if known else (0, slot)
        reset_at = (first + WINDOW_SLOTS + 1) * SLOT_SECONDS
        return Usage(limit, used, int(reset_at - at))

    def find_place(self, scope: str, at: float, *, limit: int, until: float) -> float | None:
        """The first moment from `at` on at which one more message fits; None where there is none
        before `until`.
        """
        if limit < 1 or at > until:
            return None
        known = self._scopes.get(scope)
        if known is None:
            return at
        slot = int(at // SLOT_SECONDS)
        place = known.find(slot, limit, int(until // SLOT_SECONDS))
        if place == slot:
            return at
        return None if place is None else float(place * SLOT_SECONDS)

    def _scope(self, name: str) -> "_Scope":
        return self._scopes.setdefault(name, _Scope())


class _Scope:
    """The messages of one scope, and what is known of its slots under the limit asked for last.

    A preview asks this some hundred thousand times for one answer. Nothing is ever given back, so
    what is full stays full, and what had room for n more has room until n more were counted.
    """

    __slots__ = ("_counts", "_full", "_limit", "_room", "_total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0
        self._limit = 0
        self._room: dict[int, int] = {}
        """For a slot the total below which it surely has room, wherever the others were counted."""
        self._full: dict[int, int] = {}
        """For a slot without room a later one to look at next."""

    def add(self, slot: int, count: int) -> None:
        self._counts[slot] = self._counts.get(slot, 0) + count
        self._total += count

    def look_at(self, slot: int) -> tuple[int, int]:
        """The messages in the window of a slot, and the first slot that has any of them."""
        window = range(slot - WINDOW_SLOTS, slot)
        return self._used(slot), next((s for s in window if self._counts.get(s)), slot)

    def find(self, slot: int, limit: int, last: int) -> int | None:
        """The first slot from `slot` to `last` that has room for one more, if any."""
        if self._limit != limit:
            self._limit, self._room, self._full = limit, {}, {}
        full, room = self._full, self._room
        if self._total < limit or self._total < room.get(slot, 0):
            return slot
        passed = []
        while slot <= last:
            following = full.get(slot)
            if following is None:
                if self._total < room.get(slot, 0):
                    break
                following = self._look_for_room(slot)
                if following == slot:
                    break
            passed.append(slot)
            slot = following
        for one in passed:
            full[one] = slot
        return slot if slot <= last else None

    def _look_for_room(self, slot: int) -> int:
        """The slot itself, where one more leaves every window that it counts in within the limit;
        else a later one, with none that has room between them.
        """
        around = range(slot - WINDOW_SLOTS, slot + WINDOW_SLOTS + 1)
        sums = list(accumulate(map(self._counts.get, around, _ZEROS), initial=0))
        windows = list(map(sub, sums[WINDOW_SLOTS + 1 :], sums))
        """The messages in the windows that end with the slot and with each of the twelve after."""
        most = max(windows)
        if most < self._limit:
            self._room[slot] = self._total + self._limit - most
            return slot
        last_full = max(n for n, used in enumerate(windows) if used >= self._limit)
        end, used = slot + last_full, windows[last_full]
        while used >= self._limit:
            end += 1
            used += self._counts.get(end, 0) - self._counts.get(end - WINDOW_SLOTS - 1, 0)
        return end

    def _used(self, slot: int) -> int:
        """The messages in the window of a slot."""
        window = range(slot - WINDOW_SLOTS, slot + 1)
        return sum(map(self._counts.get, window, _ZEROS))

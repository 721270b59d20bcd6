"""Hourly limits: how much of a limit is used at a moment, and when the next place is free. Pure.

Messages are counted in slots of five minutes, by the time at which they are due. A window is a slot
and the twelve before it, so that it covers any hour that ends in the slot: no hour, wherever it
begins, has more messages than the limit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import sub
from typing import TypeVar

SLOT_SECONDS = 300
WINDOW_SLOTS = 12
"""How many slots before its own a message is counted with."""

WORKSPACE = ""
"""The scope that all of a workspace's messages count in; the others are recipient domains."""


def slot_of(at: float) -> int:
    """The slot that a moment lies in, counted since 1970; `at` is in seconds since then."""
    return int(at // SLOT_SECONDS)


Name = TypeVar("Name")

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
    """Messages by scope and slot: what is written down, and what is placed while deciding.

    A preview asks it some hundred thousand times for one answer, so it remembers what it found out,
    until something is given back.
    """

    def __init__(self, counts: Iterable[tuple[str, int, int]] = ()) -> None:
        """`counts` are (scope, slot, messages)."""
        self._scopes: dict[str, _Scope] = {}
        for scope, slot, count in counts:
            self._scope(scope).add(slot, count)

    def give_back(self, scope: str, at: float) -> None:
        """Count one message less that was placed at this moment."""
        self._scope(scope).remove(slot_of(at))

    def place(
        self, limits: Sequence[tuple[Name, str, int]], at: float, *, until: float, waits: bool
    ) -> tuple[float | None, tuple[Name, ...]]:
        """Count one message in all of these limits (name, scope, messages an hour): at its own
        time, where none of them is full then, or at the first later one before `until`, where it
        `waits`. Returns when, None where it is not counted, and the names of the full ones.
        """
        slot = int(at // SLOT_SECONDS)
        scopes = []
        full: tuple[Name, ...] = ()
        for name, scope_name, limit in limits:
            scope = self._scopes.get(scope_name) or self._scope(scope_name)
            scopes.append((scope, limit))
            if scope.total >= limit and not scope.has_room(slot, limit):
                full += (name,)
        if full:
            found = _find_common(scopes, slot, slot_of(until)) if waits else None
            if found is None or (at := float(found * SLOT_SECONDS)) >= until:
                return None, full
            slot = found
        for scope, _ in scopes:
            scope.counts[slot] = scope.counts.get(slot, 0) + 1
            scope.total += 1
        return at, full

    def usage(self, scope: str, at: float, *, limit: int) -> Usage:
        """How the limit stands at a moment."""
        slot = slot_of(at)
        used, first = self._scope(scope).look_at(slot)
        reset_at = (first + WINDOW_SLOTS + 1) * SLOT_SECONDS
        return Usage(limit, used, int(reset_at - at))

    def is_roomy(self, scope: str, *, limit: int, room: int) -> bool:
        """Whether so many more surely fit, whenever they are due."""
        return self._scope(scope).total + room <= limit

    def find_place(
        self, limits: Sequence[tuple[Name, str, int]], at: float, *, until: float
    ) -> float | None:
        """The first moment from `at` on at which none of these limits is full; None where there is
        none before `until`.
        """
        scopes = [(self._scope(scope), limit) for _, scope, limit in limits]
        slot = slot_of(at)
        found = _find_common(scopes, slot, slot_of(until))
        if found is None or at >= until:
            return None
        if found == slot:
            return at
        later = float(found * SLOT_SECONDS)
        return later if later < until else None

    def _scope(self, name: str) -> "_Scope":
        known = self._scopes.get(name)
        if known is None:
            known = self._scopes[name] = _Scope()
        return known


class _Scope:
    """The messages of one scope, and what is known of its slots under the limit asked for last."""

    __slots__ = ("_full", "_limit", "_room", "counts", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.total = 0
        self._limit = 0
        self._room: dict[int, int] = {}
        """For a slot the total below which it surely has room, wherever the others were counted."""
        self._full: dict[int, int] = {}
        """For a slot without room a later one to look at next: it will never have any."""

    def add(self, slot: int, count: int) -> None:
        self.counts[slot] = self.counts.get(slot, 0) + count
        self.total += count

    def remove(self, slot: int) -> None:
        """Count one less, and forget what was known under the higher count."""
        self.add(slot, -1)
        self._room, self._full = {}, {}

    def look_at(self, slot: int) -> tuple[int, int]:
        """The messages in the window of a slot, and the first slot that has any of them."""
        window = range(slot - WINDOW_SLOTS, slot + 1)
        used = sum(map(self.counts.get, window, _ZEROS))
        return used, next((s for s in window if self.counts.get(s)), slot)

    def has_room(self, slot: int, limit: int) -> bool:
        """Whether one more in this slot leaves every window that it counts in within the limit."""
        if limit < 1:
            return False
        if self._limit != limit:
            self._limit, self._room, self._full = limit, {}, {}
        if self.total < self._room.get(slot, 0):
            return True
        if slot in self._full:
            return False
        following = self._look_for_room(slot)
        if following != slot:
            self._full[slot] = following
        return following == slot

    def find(self, slot: int, limit: int) -> int:
        """The first slot from this one on that has room for one more."""
        if self.total < limit:
            return slot
        if self._limit != limit:
            self._limit, self._room, self._full = limit, {}, {}
        full = self._full
        first = slot
        while True:
            following = full.get(slot)
            if following is None:
                if self.total < self._room.get(slot, 0):
                    break
                following = self._look_for_room(slot)
                if following == slot:
                    break
                full[slot] = following
            slot = following
        while first != slot:  # who asks for one of these again comes here at once
            full[first], first = slot, full[first]
        return slot

    def _look_for_room(self, slot: int) -> int:
        """The slot itself, where one more leaves every window that it counts in within the limit;
        else a later one, with none that has room between them.
        """
        around = range(slot - WINDOW_SLOTS, slot + WINDOW_SLOTS + 1)
        sums = list(accumulate(map(self.counts.get, around, _ZEROS), initial=0))
        windows = list(map(sub, sums[WINDOW_SLOTS + 1 :], sums))
        """The messages in the windows that end with the slot and with each of the twelve after."""
        most = max(windows)
        if most < self._limit:
            self._room[slot] = self.total + self._limit - most
            return slot
        last_full = max(n for n, used in enumerate(windows) if used >= self._limit)
        end, used = slot + last_full, windows[last_full]
        while used >= self._limit:
            end += 1
            used += self.counts.get(end, 0) - self.counts.get(end - WINDOW_SLOTS - 1, 0)
        return end


def _find_common(scopes: Sequence[tuple[_Scope, int]], slot: int, last: int) -> int | None:
    """The first slot from this one to the last in which all of these have room under their
    limits.
    """
    agreed = 0
    while True:
        for scope, limit in scopes:
            if limit < 1:
                return None
            found = scope.find(slot, limit)
            if found == slot:
                agreed += 1
            elif found > last:
                return None
            else:
                slot, agreed = found, 1
            if agreed == len(scopes):
                return slot

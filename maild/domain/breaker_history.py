"""How an SMTP account stood over a time, told from the events that changed it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from maild.domain.breaker import State
from maild.domain.states import EventType

SLOWED_SECONDS = 60
"""Throttling is told once a minute at most: each time stands for a minute."""


class Mode(StrEnum):
    """How an account stood; the first that is true."""

    PAUSED = "paused"
    """A person had stopped it."""
    OPEN = "open"
    """Its breaker was open."""
    HALF_OPEN = "half_open"
    """A trickle went through, to see."""
    SLOWED = "slowed"
    """The provider throttled, and maild sent more slowly."""
    CLOSED = "closed"
    """Mail went through it."""


@dataclass(frozen=True, slots=True)
class Band:
    """A time in which an account stood in one way."""

    mode: Mode
    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()


_AFTER: dict[str, State] = {
    EventType.BREAKER_OPENED: State.OPEN,
    EventType.BREAKER_HALF_OPENED: State.HALF_OPEN,
    EventType.BREAKER_CLOSED: State.CLOSED,
}
_BEFORE: dict[str, State] = {
    EventType.BREAKER_OPENED: State.CLOSED,
    EventType.BREAKER_HALF_OPENED: State.OPEN,
    EventType.BREAKER_CLOSED: State.HALF_OPEN,
}
_PAUSES: dict[str, bool] = {EventType.PAUSED: True, EventType.RESUMED: False}
"""Whether the account is paused after it, and is not before it."""


def bands(
    changes: Iterable[tuple[datetime, str]],
    *,
    since: datetime,
    until: datetime,
    state: State,
    is_paused: bool,
) -> list[Band]:
    """The bands from `since` to `until`, oldest first, without a gap.

    `changes` are times and types of events within, oldest first; others than those of breakers,
    pauses and throttling say nothing. `state` and `is_paused` are how it stands at the end: what no
    event has changed was so from the beginning.
    """
    listed = list(changes)
    state = next((_BEFORE[kind] for _, kind in listed if kind in _BEFORE), state)
    is_paused = next((not _PAUSES[kind] for _, kind in listed if kind in _PAUSES), is_paused)
    slow_until = since
    found: list[Band] = []
    at = since

    def close(end: datetime) -> None:
        """Tell how it stood from `at` to `end`."""
        nonlocal at
        if _mode(state, is_paused, is_slow=slow_until > at) is Mode.SLOWED and slow_until < end:
            _add(found, Mode.SLOWED, at, slow_until)
            at = slow_until
        _add(found, _mode(state, is_paused, is_slow=slow_until > at), at, end)
        at = max(at, end)

    for told_at, kind in listed:
        moment = min(max(told_at, at), until)
        if kind in _AFTER:
            close(moment)
            state = _AFTER[kind]
        elif kind in _PAUSES:
            close(moment)
            is_paused = _PAUSES[kind]
        elif kind == EventType.SLOWED:
            close(moment)
            slow_until = moment + timedelta(seconds=SLOWED_SECONDS)
    close(until)
    return found


def _mode(state: State, is_paused: bool, *, is_slow: bool) -> Mode:
    if is_paused:
        return Mode.PAUSED
    if state is not State.CLOSED:
        return Mode(state.value)
    return Mode.SLOWED if is_slow else Mode.CLOSED


def _add(found: list[Band], mode: Mode, since: datetime, until: datetime) -> None:
    if since >= until:
        return
    if found and found[-1].mode is mode:
        since = found.pop().since
    found.append(Band(mode, since, until))

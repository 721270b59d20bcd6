"""Allowances: how often something may happen in a minute, counted in Redis by all processes.

Each allowance is a bucket that holds a minute's worth and fills evenly (the generic cell rate
algorithm of ATM Forum TM 4.1, 4.4.2.1): after a quiet minute all of it may come at once. A process
takes a hundredth of it at a time, so that most requests cost no round trip; what it holds unused is
not to be had elsewhere meanwhile, so that a process too many refuses a hundredth too early.

Redis counts nothing that mail depends on: while it is away each process counts for itself, and a
Redis that was emptied begins anew.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from maild import log

WINDOW_SECONDS = 60
SHARES = 100
"""An allowance is taken in so many parts; a small one is taken one by one."""
TIMEOUT_SECONDS = 0.25
QUIET_SECONDS = 5.0
"""How long Redis is left alone after it failed, so that requests stay fast while it is away."""
KNOWN_MAX = 10_000
"""Of so many names a process remembers what it holds; of those used longest ago it forgets it."""

_WINDOW_US = WINDOW_SECONDS * 1_000_000
_CLOCKS_DIFFER_US = 1_000_000
"""By so much a Redis that takes over from another may be behind it."""

# The key holds the time at which the bucket is full again, by Redis' own clock, in microseconds.
_TAKE = f"""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = {_WINDOW_US} / tonumber(ARGV[1])
local full_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
-- Later than a minute from now: the clock was set back, and nothing is known any more.
if full_at > now + {_WINDOW_US} + {_CLOCKS_DIFFER_US} then full_at = now end
local free = math.max(0, math.floor(({_WINDOW_US} - (full_at - now)) / interval + 0.000001))
local taken = math.min(free, tonumber(ARGV[2]))
if taken > 0 then
    full_at = full_at + taken * interval
    local keep = math.max(1, math.ceil((full_at - now) / 1000))
    redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', keep)
end
local wait = math.ceil(full_at + interval - {_WINDOW_US} - now)
return {{taken, free - taken, math.ceil(full_at - now), math.max(0, wait)}}
"""

Value = TypeVar("Value")

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How an allowance stands after something was asked of it. `reset_seconds`: until all of it is
    there again; `wait_seconds`: until there is one, where none was left.
    """

    is_given: bool
    per_minute: int
    remaining: int
    reset_seconds: float
    wait_seconds: float = 0.0


@dataclass(slots=True)
class _Share:
    """What this process holds of an allowance; times are of the monotonic clock."""

    per_minute: int
    left: int
    elsewhere: int
    """What nobody had taken yet."""
    full_at: float
    open_at: float
    """From then on it may be asked for again."""


class _Counter:
    """The Redis client of this process, what it holds, and whether Redis is left alone."""

    def __init__(self) -> None:
        self.client: redis.Redis | None = None
        self.lock = threading.Lock()
        self.shares: OrderedDict[str, _Share] = OrderedDict()
        self.full_at: OrderedDict[str, float] = OrderedDict()
        """By name, for as long as Redis is away."""
        self.quiet_until = 0.0
        self.is_away = False


_counter = _Counter()


def init(redis_url: str) -> None:
    """Count in this Redis, and hold nothing. Opens nothing yet."""
    if _counter.client is not None:
        _counter.client.close()
    _counter.client = redis.Redis.from_url(
        redis_url,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    _counter.quiet_until, _counter.is_away = 0.0, False
    with _counter.lock:
        _counter.shares.clear()
        _counter.full_at.clear()


def take(name: str, per_minute: int) -> Allowance:
    """Ask for one of the allowance of this name, which is `per_minute`. Raises nothing."""
    now = time.monotonic()
    with _counter.lock:
        held = _take_held(name, per_minute, now)
    if held is not None:
        return held
    wanted = max(1, per_minute // SHARES)
    taken, elsewhere, reset, wait = _ask(name, per_minute, wanted)
    share = _Share(per_minute, taken, elsewhere, now + reset, now + (0.0 if taken else wait))
    with _counter.lock:
        if (before := _counter.shares.get(name)) and before.per_minute == per_minute:
            share.left += before.left  # another thread has taken a share at the same time
        _remember(_counter.shares, name, share)
        share.left -= taken > 0
        return _tell(share, now, is_given=taken > 0)


def wait_seconds(name: str) -> float:
    """How long nothing more is to be had, as far as this process knows; 0: something may be."""
    share = _counter.shares.get(name)
    return 0.0 if share is None else max(0.0, share.open_at - time.monotonic())


def _take_held(name: str, per_minute: int, now: float) -> Allowance | None:
    """What can be said without asking Redis, if anything."""
    share = _counter.shares.get(name)
    if share is None or share.per_minute != per_minute:
        return None
    if now < share.open_at:
        return _tell(share, now, is_given=False)
    if share.left < 1 or now >= share.full_at:  # full again: nothing that was taken counts
        share.left = 0
        return None
    share.left -= 1
    _counter.shares.move_to_end(name)
    return _tell(share, now, is_given=True)


def _tell(share: _Share, now: float, *, is_given: bool) -> Allowance:
    return Allowance(
        is_given,
        share.per_minute,
        share.left + share.elsewhere,
        max(0.0, share.full_at - now),
        max(0.0, share.open_at - now),
    )


def _ask(name: str, per_minute: int, wanted: int) -> tuple[int, int, float, float]:
    """Taken, left for others, seconds until it is full, and until there is one."""
    if time.monotonic() >= _counter.quiet_until:
        try:
            return _ask_redis(name, per_minute, wanted)
        except (redis.RedisError, OSError) as error:
            _counter.quiet_until = time.monotonic() + QUIET_SECONDS
            if not _counter.is_away:
                _counter.is_away = True
                logger.warning("allowances.redis_away", error=type(error).__name__)
    return _ask_here(name, per_minute)


def _ask_redis(name: str, per_minute: int, wanted: int) -> tuple[int, int, float, float]:
    assert _counter.client is not None, "allowances.init() comes first"
    arguments = (1, f"maild:allowance:{name}", per_minute, wanted)
    answer = _counter.client.eval(_TAKE, *arguments)
    taken, free, reset_us, wait_us = answer
    if _counter.is_away:
        _counter.is_away = False
        logger.warning("allowances.redis_back")
    return int(taken), int(free), reset_us / 1e6, wait_us / 1e6


def _ask_here(name: str, per_minute: int) -> tuple[int, int, float, float]:
    """The same bucket, of this process alone, and one at a time."""
    now, interval = time.monotonic(), WINDOW_SECONDS / per_minute
    with _counter.lock:
        full_at = max(now, _counter.full_at.get(name, 0.0))
        free = int((WINDOW_SECONDS - (full_at - now)) / interval + 1e-6)
        if free < 1:
            return 0, 0, full_at - now, full_at + interval - WINDOW_SECONDS - now
        full_at += interval
        _remember(_counter.full_at, name, full_at)
        return 1, free - 1, full_at - now, 0.0


def _remember(known: OrderedDict[str, Value], name: str, value: Value) -> None:
    known[name] = value
    known.move_to_end(name)
    while len(known) > KNOWN_MAX:
        known.popitem(last=False)

"""The doorbell: Huey on Redis. Postgres is the truth, Redis only wakes.

A hint says "there is work", never "send this message", so hints may be lost, late or repeated. They
are merged: while one waits unread, ringing again costs one Redis command and no task. A Redis that
is away costs nothing but latency: ringing is skipped for a moment, and the sweep finds the work.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from huey import Huey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.retry import Retry

from maild import log, metrics
from maild.db import database
from maild.errors import Unavailable

logger = log.get(__name__)

CONNECT_TIMEOUT_SECONDS = 0.25
COMMAND_TIMEOUT_SECONDS = 2.0
READ_TIMEOUT_SECONDS = 1
"""How long a consumer waits on an empty queue before it looks whether it should stop."""
QUIET_SECONDS = 1.0
"""How long ringing is skipped after Redis failed, so that accepting stays fast while it is away."""
QUIET_LOG_SECONDS = 5.0
PENDING_SECONDS = 5
"""How long a hint counts as still waiting: a lost one silences the doorbell no longer than this."""

RING_PAUSE_SECONDS = 0.005
"""How long the ringer waits between two rings; what is asked for meanwhile becomes one."""

_tasks: dict[str, Callable[[], object]] = {}


class _JsonSerializer(Serializer):
    """Tasks as JSON: what comes out of Redis is data, never code as with pickle."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data._asdict()).encode()

    def _deserialize(self, data: bytes) -> Any:
        return Message(**json.loads(data))


class _Doorbell:
    """The Redis client of this process, and whether it should be left alone for a moment."""

    def __init__(self) -> None:
        self.client: redis.Redis | None = None
        self.huey: Huey | None = None
        self.quiet_until = 0.0
        self.ringer: _Ringer | None = None


class _Ringer(threading.Thread):
    """Rings for the threads of this process: none of them waits for Redis, and of the many rings
    of a busy moment one is made.
    """

    def __init__(self) -> None:
        super().__init__(name="ringer", daemon=True)
        self._asked: dict[str, bool] = {}
        self._wake = threading.Event()
        self._is_stopping = False

    def ask(self, name: str) -> None:
        # A name that still stands here is rung for later than now, so also for what we committed.
        if name not in self._asked:
            self._asked[name] = True
            self._wake.set()

    def stop(self) -> None:
        """Ring for what was asked for, and end."""
        self._is_stopping = True
        self._wake.set()
        self.join(timeout=COMMAND_TIMEOUT_SECONDS)

    def run(self) -> None:
        while not self._is_stopping or self._asked:
            self._wake.wait()
            self._wake.clear()
            for name in list(self._asked):
                del self._asked[name]
                try:
                    _ring(name)
                except Exception:  # without this thread nobody would ring any more
                    logger.exception("queue.ringer_crashed", hint=name)
            if not self._is_stopping:
                time.sleep(RING_PAUSE_SECONDS)


_bell = _Doorbell()


def init(redis_url: str) -> None:
    """Point the doorbell at Redis. Opens nothing yet."""
    close()
    _bell.client = redis.Redis.from_url(
        redis_url,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=COMMAND_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    _bell.huey = Huey(
        "maild",
        results=False,
        serializer=_JsonSerializer(),
        storage_class=RedisStorage,
        read_timeout=READ_TIMEOUT_SECONDS,
        connection_pool=redis.ConnectionPool.from_url(
            redis_url,
            socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
            socket_timeout=READ_TIMEOUT_SECONDS + COMMAND_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        ),
    )
    _bell.quiet_until = 0.0


def close() -> None:
    """Close every connection to Redis. Ringing does nothing from then on."""
    if _bell.ringer is not None:
        _bell.ringer.stop()
        _bell.ringer = None
    if _bell.client is not None:
        _bell.client.close()
    if _bell.huey is not None:
        _bell.huey.storage.pool.disconnect()
    _bell.client = _bell.huey = None


def task(name: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Register a function without arguments as what the hint `name` starts."""

    def register(function: Callable[[], object]) -> Callable[[], object]:
        _tasks[name] = function
        return function

    return register


def enqueue(name: str) -> None:
    """Ring for `name` after the current transaction has committed, or at once outside of one."""
    ring = _bell.ringer.ask if _bell.ringer else _ring
    database.after_commit(lambda: ring(name))


def start_ringer() -> None:
    """From now on `enqueue` does not wait for Redis: a thread rings, at once or a few milliseconds
    later. For a process that serves requests; once.
    """
    _bell.ringer = _Ringer()
    _bell.ringer.start()


class _SpareLostConnections(logging.Filter):
    """Huey logs a traceback for each try at a Redis that is away; one line in a while will do."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, redis.RedisError | OSError):
            return True
        if time.monotonic() < self._quiet_until:
            return False
        self._quiet_until = time.monotonic() + QUIET_LOG_SECONDS
        record.exc_info = record.exc_text = None
        record.msg, record.args = "queue.redis_away (%s)", (type(error).__name__,)
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


_spare = _SpareLostConnections()
for _name in ("huey", "huey.consumer", "huey.consumer.Worker", "huey.consumer.Scheduler"):
    logging.getLogger(_name).addFilter(_spare)


def consumer(*, threads: int) -> Consumer:
    """A Huey consumer of all registered tasks, not started; its caller answers the signals."""
    huey = _bell.huey
    assert huey is not None, "queue.init() comes first"
    for name, function in _tasks.items():
        huey.task(name=name)(_opening(name, function))
    return huey.create_consumer(
        workers=threads,
        periodic=False,
        initial_delay=0.1,
        backoff=1.3,
        max_delay=1.0,
    )


def check() -> None:
    """Raises Unavailable where Redis does not answer."""
    assert _bell.client is not None, "queue.init() comes first"
    try:
        _bell.client.ping()
    except (redis.RedisError, OSError) as error:
        raise Unavailable(f"Redis does not answer: {type(error).__name__}") from error


def _ring(name: str) -> None:
    if _bell.client is None or time.monotonic() < _bell.quiet_until:
        return
    try:
        # Only the one who sets the mark puts a task; `_opening` removes the mark before it looks.
        if _bell.client.set(_pending_key(name), 1, nx=True, ex=PENDING_SECONDS):
            _put(name)
    except (redis.RedisError, OSError) as error:
        _bell.quiet_until = time.monotonic() + QUIET_SECONDS
        metrics.REDIS_ERRORS.labels("doorbell").inc()
        logger.warning("queue.redis_away", hint=name, error=type(error).__name__)


def _put(name: str) -> None:
    assert _bell.huey is not None
    assert _bell.client is not None
    task_id, task_name = f"{name}-{time.time_ns()}", f"{__name__}.{name}"
    message = Message(id=task_id, name=task_name, retries=0, retry_delay=0)
    payload = _bell.huey.serializer.serialize(message)
    _bell.client.lpush(_bell.huey.storage.queue_key, payload)


def _opening(name: str, function: Callable[[], object]) -> Callable[[], object]:
    """`function`, with the mark removed first: what commits from then on rings again."""

    def run() -> object:
        assert _bell.client is not None
        try:
            _bell.client.delete(_pending_key(name))
        except (redis.RedisError, OSError):
            metrics.REDIS_ERRORS.labels("doorbell").inc()
            logger.warning("queue.redis_away", hint=name)
        return function()

    run.__name__ = name
    return run


def _pending_key(name: str) -> str:
    return f"maild:pending:{name}"

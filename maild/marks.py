"""Marks in Redis of what a worker has on the wire, so that its death can be understood.

A worker marks each message twice: before it offers it to a server, and before the final dot; and
it writes the server's reply when it has it. The rescue of a dead worker reads them: no mark: the
message was only claimed; BEGUN: offered, certainly not taken; DOT: it may have been taken; else the
reply itself. The marks of a worker are one hash, and hold only while its `epoch` field is there: a
Redis that was flushed or restarted empty has lost it, and says so at the next write.

Redis' word counts only while `workers.has_marks` says so in Postgres: a worker that cannot reach
Redis takes that back there before it sends anything unmarked.
"""

import json
import uuid
from collections.abc import Mapping, Sequence

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from maild.errors import Unavailable

BEGUN = "b"
DOT = "d"
EPOCH = "epoch"
_PREFIX = "maild:marks:"
KEEP_SECONDS = 24 * 3600
"""How long the marks of a worker that nobody rescues are kept."""
TIMEOUT_SECONDS = 1.0

# All or nothing, and only while the hash is still the one that this worker began. The lists come as
# JSON: one argument each is much cheaper to send from Python than hundreds.
_WRITE = """
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
local function apply(command, list)
    for first = 1, #list, 1000 do
        redis.call(command, KEYS[1], unpack(list, first, math.min(first + 999, #list)))
    end
end
apply('HSET', cjson.decode(ARGV[2]))
apply('HDEL', cjson.decode(ARGV[3]))
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""


def field(message_id: uuid.UUID, attempt_no: int) -> str:
    """The name of a message's mark: of this attempt, not of an earlier one."""
    return f"{message_id.hex}:{attempt_no}"


class Marks:
    """The marks of one worker, written from one event loop."""

    def __init__(self, redis_url: str, worker_id: uuid.UUID) -> None:
        self.worker_id = worker_id
        self._epoch = uuid.uuid4().hex
        self._client = redis.asyncio.Redis.from_url(
            redis_url,
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            retry=AsyncRetry(NoBackoff(), 0),
            protocol=2,
            decode_responses=False,
        )
        self._script = self._client.register_script(_WRITE)

    async def rebuild(self, marks: Mapping[str, str]) -> None:
        """Begin the hash anew with these marks. Raises Unavailable."""
        try:
            async with self._client.pipeline(transaction=True) as commands:
                key = _key(self.worker_id)
                commands.delete(key)
                commands.hset(key, mapping={EPOCH: self._epoch, **marks})  # type: ignore[dict-item]
                commands.expire(key, KEEP_SECONDS)
                await commands.execute()
        except (redis.RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def write(self, marks: Sequence[str], gone: Sequence[str]) -> bool:
        """Set marks (field, value, field, value ...), and remove others. Durable in Redis when it
        returns.

        False where Redis has lost the earlier marks, and nothing was written: `rebuild`. Raises
        Unavailable.
        """
        arguments: list[str | int] = [
            self._epoch,
            json.dumps(marks),
            json.dumps(gone),
            KEEP_SECONDS,
        ]
        try:
            return bool(await self._script(keys=[_key(self.worker_id)], args=arguments))
        except (redis.RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        await self._client.aclose()


def read(redis_url: str, worker_id: uuid.UUID) -> dict[str, str] | None:
    """The marks that a worker left behind; None where Redis does not know all of them. Raises
    Unavailable.
    """
    try:
        with _connect(redis_url) as client:
            found = client.hgetall(_key(worker_id))
    except (redis.RedisError, OSError) as error:
        raise _unavailable(error) from error
    marks = {name.decode(): value.decode() for name, value in found.items()}
    return marks if marks.pop(EPOCH, None) else None


def drop(redis_url: str, worker_id: uuid.UUID) -> None:
    """Forget a worker's marks. Raises Unavailable."""
    try:
        with _connect(redis_url) as client:
            client.delete(_key(worker_id))
    except (redis.RedisError, OSError) as error:
        raise _unavailable(error) from error


def drop_all(redis_url: str) -> int:
    """Forget the marks of all workers, and the hints that are thought to be waiting; returns how
    many keys that were. For a database that was replaced: they tell of another one. Raises
    Unavailable.
    """
    dropped = 0
    try:
        with _connect(redis_url) as client:
            for pattern in (f"{_PREFIX}*", "maild:pending:*"):
                for key in client.scan_iter(pattern, count=500):
                    dropped += int(client.unlink(key))
    except (redis.RedisError, OSError) as error:
        raise _unavailable(error) from error
    return dropped


def _connect(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(
        redis_url,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


def _key(worker_id: uuid.UUID) -> str:
    return f"{_PREFIX}{worker_id}"


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"Redis does not answer: {type(error).__name__}")

"""Marks in Redis of what a worker has on the wire, so that its death can be understood.

A worker marks each message twice: before it offers it to a server, and before the final dot; and
it writes the server's reply when it has it. The rescue of a dead worker reads them: no mark: the
message was only claimed; BEGUN: offered, certainly not taken; DOT: it may have been taken; else the
reply itself. The marks of a worker are one hash, and hold only while its `epoch` field is there: a
Redis that was flushed or restarted empty has lost it, and says so at the next write.

One that comes back from its disk, or a replica that takes over, has the epoch and may lack the last
moment: with `appendfsync everysec` a second of marks. So the hash names the server that it was
written to as well, by the id that each has for as long as it runs. On another server a worker that
lives writes its marks anew, and of one that died what is missing tells nothing.

Redis' word counts only while `workers.has_marks` says so in Postgres: a worker that cannot reach
Redis takes that back there before it sends anything unmarked.
"""

import contextlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from maild.errors import Unavailable

BEGUN = "b"
DOT = "d"
EPOCH = "epoch"
SERVER = "server"
"""Beside the epoch: the server that the hash was begun on; empty where it does not say."""
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


class Found(dict[str, str]):
    """The marks that a worker left behind, by field. `is_whole`: none is missing. Else those that
    are there are true, but later ones may be lost.
    """

    def __init__(self, marks: Mapping[str, str], *, is_whole: bool) -> None:
        super().__init__(marks)
        self.is_whole = is_whole


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
            redis_connect_func=self._greet,
        )
        self._server = ""
        self._is_new_line = False
        """Whether a connection was made since it was seen which server answers."""
        self._script = self._client.register_script(_WRITE)

    async def rebuild(self, marks: Mapping[str, str]) -> None:
        """Begin the hash anew with these marks. Raises Unavailable."""
        try:
            # Before the marks: if another server takes over meanwhile, it is not this one.
            self._server = await self._ask_server()
            async with self._client.pipeline(transaction=True) as commands:
                key = _key(self.worker_id)
                commands.delete(key)
                own = {EPOCH: self._epoch, SERVER: self._server}
                commands.hset(key, mapping={**own, **marks})  # type: ignore[dict-item]
                commands.expire(key, KEEP_SECONDS)
                await commands.execute()
        except (redis.RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def write(self, marks: Sequence[str], gone: Sequence[str]) -> bool:
        """Set marks (field, value, field, value ...), and remove others. Durable in Redis when it
        returns.

        False where Redis has lost earlier marks, or may have: `rebuild`, for these do not hold.
        Raises Unavailable.
        """
        arguments: list[str | int] = [
            self._epoch,
            json.dumps(marks),
            json.dumps(gone),
            KEEP_SECONDS,
        ]
        try:
            is_held = bool(await self._script(keys=[_key(self.worker_id)], args=arguments))
            if is_held and self._is_new_line:
                is_held = await self._ask_server() == self._server
            return is_held
        except (redis.RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        await self._client.aclose()

    async def _greet(self, connection: Any) -> None:
        """What is done with each new connection: a server that was started anew cuts all of them,
        and the pool makes new ones without a word.
        """
        self._is_new_line = True
        await connection.on_connect()

    async def _ask_server(self) -> str:
        """The id of the server that answers now; empty where it keeps that to itself, as one may
        that refuses INFO.
        """
        self._is_new_line = False  # first: asking may need another connection
        with contextlib.suppress(redis.ResponseError):
            return _run_id(await self._client.info("server"))
        return ""


def read(redis_url: str, worker_id: uuid.UUID) -> Found | None:
    """The marks that a worker left behind; None where Redis has lost them. Raises Unavailable."""
    server = ""
    try:
        with _connect(redis_url) as client:
            found = client.hgetall(_key(worker_id))
            # After the marks: if another server takes over between, they pass for its own, and
            # count for less than they are worth.
            with contextlib.suppress(redis.ResponseError):
                server = _run_id(client.info("server"))
    except (redis.RedisError, OSError) as error:
        raise _unavailable(error) from error
    marks = {name.decode(): value.decode() for name, value in found.items()}
    begun_on = marks.pop(SERVER, "")  # not there: of an earlier version of maild
    if not marks.pop(EPOCH, None):
        return None
    return Found(marks, is_whole=not begun_on or not server or begun_on == server)


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


def _run_id(info: Mapping[str, Any]) -> str:
    return str(info.get("run_id", ""))


def _key(worker_id: uuid.UUID) -> str:
    return f"{_PREFIX}{worker_id}"


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"Redis does not answer: {type(error).__name__}")

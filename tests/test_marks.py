"""Marks on a real Valkey: what is written holds, and what is lost is noticed."""

import asyncio
import socket
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis

from maild import marks
from maild.config import Settings
from maild.errors import Unavailable
from maild.local import home as homes
from maild.local import valkey as local_valkey
from maild.marks import BEGUN, DOT, EPOCH, KEEP_SECONDS, SERVER, Marks
from tests.conftest import free_ports

T = TypeVar("T")

WORKER = uuid.UUID(int=77)
ONE, TWO = marks.field(uuid.UUID(int=1), 1), marks.field(uuid.UUID(int=2), 1)


@pytest.fixture
def valkey(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the run's Valkey, emptied."""
    with redis.Redis.from_url(redis_url, protocol=2) as client:
        client.flushall()
        yield client


def on(redis_url: str, action: Callable[[Marks], Awaitable[T]], worker: uuid.UUID = WORKER) -> T:
    """Run `action` with the marks of a worker, which are begun by then."""

    async def run() -> T:
        held = Marks(redis_url, worker)
        try:
            await held.rebuild({})
            return await action(held)
        finally:
            await held.close()

    return asyncio.run(run())


def test_a_mark_is_of_one_attempt() -> None:
    message_id = uuid.UUID(int=1)
    assert marks.field(message_id, 1) != marks.field(message_id, 2)
    assert marks.field(message_id, 1) != marks.field(uuid.UUID(int=2), 1)
    assert not {EPOCH, SERVER} & {ONE, TWO}


def test_what_was_written_can_be_read(redis_url: str, valkey: redis.Redis) -> None:
    assert on(redis_url, lambda held: held.write([ONE, BEGUN, TWO, '[250, "è"]'], []))
    assert marks.read(redis_url, WORKER) == {ONE: BEGUN, TWO: '[250, "è"]'}


def test_a_later_mark_replaces_the_earlier(redis_url: str, valkey: redis.Redis) -> None:
    async def both(held: Marks) -> None:
        assert await held.write([ONE, BEGUN], [])
        assert await held.write([ONE, DOT], [])

    on(redis_url, both)
    assert marks.read(redis_url, WORKER) == {ONE: DOT}


def test_marks_are_set_and_removed_in_one_write(redis_url: str, valkey: redis.Redis) -> None:
    async def both(held: Marks) -> None:
        assert await held.write([ONE, BEGUN], [])
        assert await held.write([TWO, BEGUN], [ONE, "unknown"])

    on(redis_url, both)
    assert marks.read(redis_url, WORKER) == {TWO: BEGUN}


def test_writing_nothing_asks_whether_the_marks_are_still_there(
    redis_url: str, valkey: redis.Redis
) -> None:
    async def flush_between(held: Marks) -> list[bool]:
        before = await held.write([], [])
        valkey.flushall()
        return [before, await held.write([], [])]

    assert on(redis_url, flush_between) == [True, False]


def test_no_marks_is_not_the_same_as_lost_marks(redis_url: str, valkey: redis.Redis) -> None:
    async def nothing(held: Marks) -> None:
        assert marks.read(redis_url, WORKER) == {}

    on(redis_url, nothing)
    assert marks.read(redis_url, uuid.uuid4()) is None


def test_a_flush_is_noticed_and_nothing_is_written_on_top_of_it(
    redis_url: str, valkey: redis.Redis
) -> None:
    async def flush_between(held: Marks) -> None:
        assert await held.write([ONE, DOT], [])
        valkey.flushall()
        assert not await held.write([TWO, DOT], [ONE])
        assert valkey.keys() == []
        assert marks.read(redis_url, WORKER) is None
        await held.rebuild({ONE: DOT, TWO: DOT})
        assert await held.write([TWO, BEGUN], [])

    on(redis_url, flush_between)
    assert marks.read(redis_url, WORKER) == {ONE: DOT, TWO: BEGUN}


def test_marks_without_their_beginning_tell_nothing(redis_url: str, valkey: redis.Redis) -> None:
    """As when something other than a flush took a part away."""

    async def damage(held: Marks) -> None:
        await held.write([ONE, DOT], [])
        valkey.hdel(valkey.keys()[0], EPOCH)

    on(redis_url, damage)
    assert marks.read(redis_url, WORKER) is None


def test_rebuilding_forgets_what_is_not_known_any_more(redis_url: str, valkey: redis.Redis) -> None:
    async def rebuild(held: Marks) -> None:
        await held.write([ONE, DOT], [])
        await held.rebuild({TWO: BEGUN})

    on(redis_url, rebuild)
    assert marks.read(redis_url, WORKER) == {TWO: BEGUN}


def test_who_began_anew_owns_the_marks(redis_url: str, valkey: redis.Redis) -> None:
    """An engine that was started anew under the same id: the old one's writes come to nothing."""

    async def two(old: Marks) -> None:
        new = Marks(redis_url, WORKER)
        await new.rebuild({TWO: DOT})
        assert not await old.write([ONE, BEGUN], [TWO])
        assert await new.write([], [])
        await new.close()

    on(redis_url, two)
    assert marks.read(redis_url, WORKER) == {TWO: DOT}


def test_workers_do_not_see_each_others(redis_url: str, valkey: redis.Redis) -> None:
    other = uuid.UUID(int=78)
    on(redis_url, lambda held: held.write([ONE, BEGUN], []))
    on(redis_url, lambda held: held.write([TWO, BEGUN], []), other)
    assert marks.read(redis_url, WORKER) == {ONE: BEGUN}
    marks.drop(redis_url, WORKER)
    marks.drop(redis_url, WORKER)
    assert marks.read(redis_url, WORKER) is None
    assert marks.read(redis_url, other) == {TWO: BEGUN}


def test_they_end_by_themselves_when_nobody_asks(redis_url: str, valkey: redis.Redis) -> None:
    async def look(held: Marks) -> None:
        [key] = valkey.keys()
        assert 0 < valkey.ttl(key) <= KEEP_SECONDS
        valkey.expire(key, 60)
        await held.write([ONE, BEGUN], [])
        assert valkey.ttl(key) > 60, "each write puts the end off"

    on(redis_url, look)


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_many_are_written_at_once(count: int, redis_url: str, valkey: redis.Redis) -> None:
    """The marks of a moment in which Redis, or the loop, was busy."""
    names = [marks.field(uuid.UUID(int=n), 1) for n in range(count)]

    async def both(held: Marks) -> None:
        assert await held.write([part for name in names for part in (name, BEGUN)], [])
        assert marks.read(redis_url, WORKER) == dict.fromkeys(names, BEGUN)
        assert await held.write([], names)

    on(redis_url, both)
    assert marks.read(redis_url, WORKER) == {}


@pytest.mark.parametrize(
    "value", ['"', "\\", "no\0pe", "\r\n", "\N{PILE OF POO}è\u2028", "x" * 5_000]
)
def test_whatever_a_server_says_comes_back(value: str, redis_url: str, valkey: redis.Redis) -> None:
    on(redis_url, lambda held: held.write([ONE, value], []))
    assert marks.read(redis_url, WORKER) == {ONE: value}


def check_unavailable(url: str) -> None:
    async def use() -> None:
        held = Marks(url, WORKER)
        with pytest.raises(Unavailable, match="Redis does not answer"):
            await held.write([ONE, BEGUN], [])
        with pytest.raises(Unavailable, match="Redis does not answer"):
            await held.rebuild({ONE: BEGUN})
        await held.close()

    asyncio.run(use())
    with pytest.raises(Unavailable, match="Redis does not answer"):
        marks.read(url, WORKER)
    with pytest.raises(Unavailable, match="Redis does not answer"):
        marks.drop(url, WORKER)


def test_a_redis_that_is_away_is_unavailable() -> None:
    check_unavailable(f"redis://127.0.0.1:{free_ports(1)[0]}/0")


def test_a_redis_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        check_unavailable(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")


def test_a_redis_that_lets_us_not_in_is_unavailable(redis_url: str, settings: Settings) -> None:
    password = redis_url.partition(":")[2].partition(":")[2].partition("@")[0]
    check_unavailable(redis_url.replace(password, "wrong"))


def test_of_another_server_the_marks_that_are_there_are_true_and_others_may_be_lost(
    redis_url: str, valkey: redis.Redis
) -> None:
    on(redis_url, lambda held: held.write([ONE, DOT], []))
    whole = marks.read(redis_url, WORKER)
    assert whole == {ONE: DOT}
    assert whole.is_whole
    [key] = valkey.keys()
    valkey.hset(key, SERVER, "f" * 40)
    found = marks.read(redis_url, WORKER)
    assert found == {ONE: DOT}
    assert not found.is_whole


def test_the_marks_of_an_earlier_version_count_as_before(
    redis_url: str, valkey: redis.Redis
) -> None:
    on(redis_url, lambda held: held.write([ONE, DOT], []))
    [key] = valkey.keys()
    valkey.hdel(key, SERVER)
    found = marks.read(redis_url, WORKER)
    assert found is not None
    assert found.is_whole


def test_a_server_that_came_back_from_its_disk_is_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has the epoch, and may lack the last moment: a worker that lives writes all anew."""
    settings = local_valkey._configuration

    def keeping(*args: Any) -> str:
        return settings(*args).replace('appendonly "no"', 'appendonly "yes"')

    monkeypatch.setattr(local_valkey, "_configuration", keeping)

    async def live_through_it(home: Path) -> None:
        with local_valkey.running(home) as url:
            held = Marks(url, WORKER)
            await held.rebuild({})
            assert await held.write([ONE, DOT], [])
            assert await held.write([], [])
        with local_valkey.running(home) as url:
            left = marks.read(url, WORKER)
            assert left == {ONE: DOT}
            assert not left.is_whole
            try:
                is_held = await held.write([TWO, BEGUN], [])
            except Unavailable:  # the old connection was still believed in
                is_held = await held.write([TWO, BEGUN], [])
            assert not is_held
            await held.rebuild({ONE: DOT, TWO: BEGUN})
            assert await held.write([], [])
            found = marks.read(url, WORKER)
            assert found == {ONE: DOT, TWO: BEGUN}
            assert found.is_whole
            await held.close()

    with homes.temporary() as home:
        asyncio.run(live_through_it(home))


def test_a_server_that_keeps_its_name_to_itself_is_believed(
    redis_url: str, valkey: redis.Redis
) -> None:
    name = "silent"
    everything = {"enabled": True, "keys": ["*"], "categories": ["+@all"]}
    valkey.acl_setuser(name, **everything, commands=["-info"], passwords=["+word"])
    password = redis_url.partition(":")[2].partition(":")[2].partition("@")[0]
    url = redis_url.replace(f":{password}@", f"{name}:word@")
    try:
        assert on(url, lambda held: held.write([ONE, BEGUN], []))
        found = marks.read(url, WORKER)
        assert found == {ONE: BEGUN}
        assert found.is_whole
        assert marks.read(redis_url, WORKER).is_whole
    finally:
        valkey.acl_deluser(name)


def test_a_connection_that_was_cut_is_made_anew(redis_url: str, valkey: redis.Redis) -> None:
    async def cut_between(held: Marks) -> None:
        valkey.client_kill_filter(_type="normal", skipme=True)
        try:
            await held.write([ONE, BEGUN], [])
        except Unavailable:
            assert await held.write([ONE, BEGUN], [])

    on(redis_url, cut_between)
    assert marks.read(redis_url, WORKER) == {ONE: BEGUN}

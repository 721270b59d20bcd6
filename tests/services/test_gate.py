"""The gate: what runs after a mark may rely on it, or on Postgres knowing better."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import redis

from maild import db, marks
from maild.errors import Unavailable
from maild.marks import BEGUN, DOT
from maild.models import Worker
from maild.services import gate as gates
from maild.services import workers
from maild.services.gate import Gate
from maild.services.workers import Lease

WAIT_SECONDS = 30
ONE, TWO, THREE = (marks.field(uuid.UUID(int=n), 1) for n in (1, 2, 3))


class Line:
    """The way to the run's Valkey; it can be cut and mended."""

    def __init__(self, redis_url: str, folder: Path) -> None:
        parts = urlsplit(redis_url)
        self._real = parts.path
        self._link = folder / "s"
        self._client = redis.Redis.from_url(redis_url, protocol=2)
        self.url = parts._replace(path=quote(str(self._link))).geturl()
        self.mend()

    def cut(self) -> None:
        """No new connection, and the old ones end."""
        self._link.unlink()
        self._client.client_kill_filter(_type="normal", skipme=True)

    def mend(self) -> None:
        self._link.symlink_to(self._real)

    def flush(self) -> None:
        self._client.flushall()

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def line(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """A way to Redis; the gate looks again at once whether Redis is back."""
    monkeypatch.setattr(gates, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(gates, "DATABASE_RETRY_SECONDS", 0.01)
    made = Line(redis_url, tmp_path)
    made.flush()
    yield made
    made.close()


async def set_has_marks(worker_id: uuid.UUID, has_marks: bool) -> None:
    """As the engine does it."""

    def write() -> None:
        with db.connection():
            workers.set_has_marks(worker_id, has_marks)

    await asyncio.to_thread(write)


@asynccontextmanager
async def open_gate(
    url: str,
    worker_id: uuid.UUID,
    write: Callable[[uuid.UUID, bool], Awaitable[None]] = set_has_marks,
) -> AsyncIterator[Gate]:
    gate = Gate(url, write)
    await gate.enter(worker_id)
    running = asyncio.create_task(gate.run())
    try:
        yield gate
    finally:
        gate.stop()
        await asyncio.wait_for(running, WAIT_SECONDS)
        await gate.close()


async def passed(gate: Gate, look: Callable[[], object] = lambda: None) -> object:
    """What `look` sees when every mark set so far holds."""
    seen: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    gate.when_written(lambda: seen.set_result(look()))
    return await asyncio.wait_for(seen, WAIT_SECONDS)


def has_marks(worker_id: uuid.UUID) -> bool:
    return bool(Worker.get_by_id(worker_id).has_marks)


def run(main: Coroutine[None, None, None]) -> None:
    asyncio.run(main)


def test_entering_begins_the_marks_and_tells_postgres(lease: Lease, line: Line) -> None:
    async def main() -> None:
        assert not has_marks(lease.worker_id)
        gate = Gate(line.url, set_has_marks)
        assert gate.worker_id is None
        await gate.enter(lease.worker_id)
        assert gate.worker_id == lease.worker_id
        assert marks.read(line.url, lease.worker_id) == {}
        assert has_marks(lease.worker_id)
        await gate.close()

    run(main())


def test_an_action_runs_when_the_marks_before_it_hold(lease: Lease, line: Line) -> None:
    async def main() -> None:
        async with open_gate(line.url, lease.worker_id) as gate:
            for name, value in ((ONE, BEGUN), (TWO, BEGUN), (ONE, DOT)):
                gate.mark(name, value)
                before = await passed(gate, lambda: marks.read(line.url, lease.worker_id))
                assert isinstance(before, dict)
                assert before[name] == value
            assert before == {ONE: DOT, TWO: BEGUN}

    run(main())


def test_many_that_wait_run_in_order_each_after_its_mark(lease: Lease, line: Line) -> None:
    async def main() -> None:
        names = [marks.field(uuid.UUID(int=n), 1) for n in range(200)]
        seen: list[str] = []
        missing: list[str] = []

        def look(name: str) -> None:
            seen.append(name)
            if name not in (marks.read(line.url, lease.worker_id) or {}):
                missing.append(name)

        async with open_gate(line.url, lease.worker_id) as gate:
            for number, name in enumerate(names):
                gate.mark(name, BEGUN)
                gate.when_written(lambda name=name: look(name))
                if number % 40 == 0:
                    await asyncio.sleep(0)  # a write is under way; the next marks gather
            assert not gate.is_quiet
            await passed(gate)
            assert gate.is_quiet
        assert seen == names
        assert missing == []

    run(main())


def test_a_mark_is_removed_when_its_outcome_is_in_postgres(lease: Lease, line: Line) -> None:
    async def main() -> None:
        async with open_gate(line.url, lease.worker_id) as gate:
            gate.mark(ONE, DOT)
            gate.mark(TWO, DOT)
            await passed(gate)
            gate.unmark([ONE])
            left = await passed(gate, lambda: marks.read(line.url, lease.worker_id))
            assert left == {TWO: DOT}

    run(main())


def test_a_mark_that_comes_and_goes_before_it_is_written_is_gone(lease: Lease, line: Line) -> None:
    """A result that is recorded faster than Redis answers."""

    async def main() -> None:
        async with open_gate(line.url, lease.worker_id) as gate:
            gate.mark(ONE, DOT)
            gate.unmark([ONE])
            assert await passed(gate, lambda: marks.read(line.url, lease.worker_id)) == {}

    run(main())


def test_a_flushed_redis_gets_everything_that_is_known_again(lease: Lease, line: Line) -> None:
    """I14: FLUSHALL."""

    async def main() -> None:
        async with open_gate(line.url, lease.worker_id) as gate:
            gate.mark(ONE, DOT)
            gate.mark(TWO, BEGUN)
            await passed(gate)
            gate.unmark([TWO])
            await passed(gate)
            line.flush()
            assert marks.read(line.url, lease.worker_id) is None
            gate.mark(THREE, BEGUN)
            seen = await passed(gate, lambda: marks.read(line.url, lease.worker_id))
            assert seen == {ONE: DOT, THREE: BEGUN}
            assert has_marks(lease.worker_id)

    run(main())


def test_without_redis_postgres_is_told_before_anything_goes_on(lease: Lease, line: Line) -> None:
    async def main() -> None:
        async with open_gate(line.url, lease.worker_id) as gate:
            gate.mark(ONE, DOT)
            await passed(gate)
            line.cut()
            gate.mark(TWO, BEGUN)
            assert await passed(gate, lambda: has_marks(lease.worker_id)) is False
            gate.mark(TWO, DOT)
            assert await passed(gate, lambda: has_marks(lease.worker_id)) is False

    run(main())


def test_when_redis_is_back_it_knows_everything_and_postgres_knows_that(
    lease: Lease, line: Line
) -> None:
    async def main() -> None:
        async with open_gate(line.url, lease.worker_id) as gate:
            gate.mark(ONE, DOT)
            await passed(gate)
            line.cut()
            gate.mark(TWO, DOT)
            await passed(gate)
            gate.unmark([ONE])
            await passed(gate)
            line.mend()
            gate.mark(THREE, BEGUN)
            await passed(gate)
            assert has_marks(lease.worker_id)
            assert marks.read(line.url, lease.worker_id) == {TWO: DOT, THREE: BEGUN}
            gate.mark(THREE, DOT)
            await passed(gate)
            assert marks.read(line.url, lease.worker_id) == {TWO: DOT, THREE: DOT}

    run(main())


def test_a_redis_that_failed_is_left_alone_for_a_moment(
    lease: Lease, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with open_gate(line.url, lease.worker_id) as gate:
            monkeypatch.setattr(gates, "RETRY_SECONDS", 3_600.0)
            line.cut()
            gate.mark(ONE, BEGUN)
            await passed(gate)
            line.mend()
            gate.mark(ONE, DOT)
            assert await passed(gate, lambda: has_marks(lease.worker_id)) is False

    run(main())


def test_a_worker_that_begins_without_redis_sends_without_marks(lease: Lease, line: Line) -> None:
    async def main() -> None:
        line.cut()
        async with open_gate(line.url, lease.worker_id) as gate:
            assert gate.worker_id == lease.worker_id
            gate.mark(ONE, BEGUN)
            assert await passed(gate, lambda: has_marks(lease.worker_id)) is False
            line.mend()
            gate.mark(TWO, BEGUN)
            await passed(gate)
            assert has_marks(lease.worker_id)
            assert marks.read(line.url, lease.worker_id) == {ONE: BEGUN, TWO: BEGUN}

    run(main())


def test_without_redis_and_postgres_nothing_goes_on_until_postgres_is_told(
    lease: Lease, line: Line
) -> None:
    async def main() -> None:
        said: list[object] = []

        async def at_the_third_try(worker_id: uuid.UUID, value: bool) -> None:
            said.append(value)
            if said.count(False) in {1, 2}:
                raise Unavailable("Postgres is away.")
            await set_has_marks(worker_id, value)

        async with open_gate(line.url, lease.worker_id, at_the_third_try) as gate:
            line.cut()
            gate.mark(ONE, BEGUN)
            gate.when_written(lambda: said.append("passed"))
            assert await passed(gate, lambda: has_marks(lease.worker_id)) is False
        assert said == [True, False, False, False, "passed"]

    run(main())


def test_postgres_away_at_the_beginning_leaves_the_marks_untrusted(
    lease: Lease, line: Line
) -> None:
    """Redis has them, but the rescue will not ask."""

    async def main() -> None:
        said: list[bool] = []

        async def at_the_second_try(worker_id: uuid.UUID, value: bool) -> None:
            said.append(value)
            if len(said) == 1:
                raise Unavailable("Postgres is away.")
            await set_has_marks(worker_id, value)

        async with open_gate(line.url, lease.worker_id, at_the_second_try) as gate:
            assert not has_marks(lease.worker_id)
            gate.mark(ONE, BEGUN)
            await passed(gate)
            assert has_marks(lease.worker_id)
            assert marks.read(line.url, lease.worker_id) == {ONE: BEGUN}

    run(main())


def test_a_lost_answer_of_postgres_lets_nothing_out_unmarked(
    lease: Lease, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit came through, its answer did not: Postgres may say that the marks hold."""

    async def main() -> None:
        said: list[bool] = []

        async def losing_an_answer(worker_id: uuid.UUID, value: bool) -> None:
            said.append(value)
            await set_has_marks(worker_id, value)
            if len(said) == 1:
                raise Unavailable("The answer was lost.")

        monkeypatch.setattr(gates, "RETRY_SECONDS", 3_600.0)
        async with open_gate(line.url, lease.worker_id, losing_an_answer) as gate:
            gate.mark(ONE, DOT)
            await passed(gate)
            known = marks.read(line.url, lease.worker_id)
            assert known == {ONE: DOT} or not has_marks(lease.worker_id)

    run(main())


def test_under_another_id_it_begins_anew_and_leaves_the_old_marks_to_the_rescue(
    lease: Lease, line: Line
) -> None:
    """As after a lease that was lost."""
    old_id, new_id = lease.worker_id, workers.enter().worker_id

    async def main() -> None:
        async with open_gate(line.url, old_id) as gate:
            gate.mark(ONE, DOT)
            await passed(gate)
            await gate.enter(new_id)
            assert gate.worker_id == new_id
            assert marks.read(line.url, old_id) == {ONE: DOT}
            assert marks.read(line.url, new_id) == {}
            gate.mark(TWO, BEGUN)
            await passed(gate)
            assert marks.read(line.url, new_id) == {TWO: BEGUN}
        assert marks.read(line.url, old_id) == {ONE: DOT}
        assert has_marks(old_id)
        assert has_marks(new_id)

    run(main())


def test_who_waits_when_it_is_stopped_is_not_called_any_more(lease: Lease, line: Line) -> None:
    async def main() -> None:
        called: list[str] = []
        async with open_gate(line.url, lease.worker_id) as gate:
            gate.mark(ONE, BEGUN)
            await passed(gate)
            gate.mark(ONE, DOT)
            gate.when_written(lambda: called.append("too late"))
            gate.stop()
        assert called == []
        assert marks.read(line.url, lease.worker_id) == {ONE: DOT}, "what was set is written"

    run(main())


def test_it_can_be_stopped_while_redis_and_postgres_are_away(lease: Lease, line: Line) -> None:
    """It does not pass anything on then."""

    async def main() -> None:
        called: list[str] = []
        tried = asyncio.Event()

        async def away(worker_id: uuid.UUID, value: bool) -> None:
            if not value:
                tried.set()
                raise Unavailable("Postgres is away.")
            await set_has_marks(worker_id, value)

        async with open_gate(line.url, lease.worker_id, away) as gate:
            line.cut()
            gate.mark(ONE, BEGUN)
            gate.when_written(lambda: called.append("unmarked"))
            await asyncio.wait_for(tried.wait(), WAIT_SECONDS)
        assert called == []
        assert has_marks(lease.worker_id)

    run(main())

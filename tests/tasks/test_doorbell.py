"""The doorbell on a real Valkey: hints are merged, never missed, and may be away."""

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from huey.consumer import Consumer

from maild import queue
from maild.config import Settings
from maild.db import database as db
from maild.services.messages import DELIVER
from tests.conftest import free_ports

QUEUE_KEY = "huey.redis.maild"


@pytest.fixture
def valkey(settings: Settings, database: None) -> Iterator[redis.Redis]:
    """A client of the run's Valkey, emptied."""
    client = redis.Redis.from_url(settings.redis_url)
    client.flushall()
    queue.init(settings.redis_url)
    yield client
    queue.init(settings.redis_url)
    client.close()


def test_ringing_twice_leaves_one_hint(valkey: redis.Redis) -> None:
    queue.enqueue(DELIVER)
    queue.enqueue(DELIVER)
    assert valkey.llen(QUEUE_KEY) == 1


def test_a_hint_is_json_with_no_argument(valkey: redis.Redis) -> None:
    queue.enqueue(DELIVER)
    hint = json.loads(valkey.lindex(QUEUE_KEY, 0))
    assert hint["name"] == "maild.queue.deliver"
    assert not hint["args"]
    assert not hint["kwargs"]


def test_it_rings_only_after_the_commit(valkey: redis.Redis) -> None:
    with db.atomic():
        queue.enqueue(DELIVER)
        assert valkey.llen(QUEUE_KEY) == 0
    assert valkey.llen(QUEUE_KEY) == 1


def test_it_does_not_ring_for_what_was_rolled_back(valkey: redis.Redis) -> None:
    with db.atomic() as transaction:
        queue.enqueue(DELIVER)
        transaction.rollback()
    assert valkey.llen(QUEUE_KEY) == 0


def test_a_task_that_has_begun_is_rung_for_again(valkey: redis.Redis) -> None:
    """What commits while a task runs must not rely on that task having seen it."""
    ran: list[int] = []
    begin = queue._opening(DELIVER, lambda: (queue.enqueue(DELIVER), ran.append(1)))
    queue.enqueue(DELIVER)
    valkey.delete(QUEUE_KEY)  # as a worker that takes the hint
    begin()
    assert ran == [1]
    assert valkey.llen(QUEUE_KEY) == 1


def test_a_consumer_takes_the_hint_and_survives_nonsense(valkey: redis.Redis) -> None:
    began = threading.Event()
    name = "test_hint"
    queue.task(name)(began.set)
    try:
        consumer = queue.consumer(threads=1)
        valkey.lpush(QUEUE_KEY, b"not json")
        queue.enqueue(name)
        worker = threading.Thread(target=lambda: drain(consumer, began))
        worker.start()
        assert began.wait(10)
        worker.join()
    finally:
        del queue._tasks[name]


def drain(consumer: Consumer, until: threading.Event) -> None:
    """Work off the queue as one of the consumer's threads does."""
    [(worker, _), *_] = consumer.worker_threads
    while not until.is_set():
        worker.loop()


def test_a_process_that_serves_requests_does_not_wait_for_the_ring(valkey: redis.Redis) -> None:
    queue.start_ringer()
    for _ in range(3):
        queue.enqueue(DELIVER)
        assert valkey.brpop([QUEUE_KEY], timeout=10) is not None
        valkey.delete(f"maild:pending:{DELIVER}")  # as a worker that begins


def test_what_was_asked_for_is_rung_before_the_end(valkey: redis.Redis) -> None:
    queue.start_ringer()
    for name in ("one", "two", "three"):
        queue.enqueue(name)
    queue.close()
    assert valkey.llen(QUEUE_KEY) == 3


def test_a_ring_that_goes_wrong_is_not_the_last(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, failures = queue._ring, [ValueError("broken")]

    def flaky(name: str) -> None:
        if name == "lost" and failures:
            raise failures.pop()
        ring(name)

    monkeypatch.setattr(queue, "_ring", flaky)
    queue.start_ringer()
    queue.enqueue("lost")
    queue.enqueue("heard")
    queue.close()
    assert not failures
    hints = [json.loads(hint)["name"] for hint in valkey.lrange(QUEUE_KEY, 0, -1)]
    assert "maild.queue.heard" in hints


def test_a_redis_that_is_away_costs_next_to_nothing(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    [port] = free_ports(1)
    queue.init(f"redis://127.0.0.1:{port}/0")
    calls: list[float] = []
    ring: Callable[..., object] = queue._bell.client.set  # type: ignore[union-attr]

    def counted(*args: object, **kwargs: object) -> object:
        calls.append(time.monotonic())
        return ring(*args, **kwargs)

    monkeypatch.setattr(queue._bell.client, "set", counted)
    for _ in range(100):
        queue.enqueue(DELIVER)
    assert len(calls) == 1, "after a failure it is left alone for a moment"


def next_hint(valkey: redis.Redis) -> str:
    """Take the next hint, as a worker does that begins with it; waits for it."""
    found = valkey.brpop([QUEUE_KEY], timeout=30)
    assert found is not None, "no hint came"
    name = json.loads(found[1])["name"].rpartition(".")[2]
    valkey.delete(queue._pending_key(name))
    return str(name)


def test_the_ringer_loses_no_hint(valkey: redis.Redis) -> None:
    queue.start_ringer()
    for _ in range(50):
        queue.enqueue(DELIVER)
        assert next_hint(valkey) == DELIVER


def test_the_ringer_rings_for_everything_it_was_asked_for(valkey: redis.Redis) -> None:
    queue.start_ringer()
    names = {f"hint{number}" for number in range(20)}
    threads = [threading.Thread(target=queue.enqueue, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {next_hint(valkey) for _ in names} == names


def test_the_ringer_waits_for_the_commit_and_not_for_what_was_rolled_back(
    valkey: redis.Redis,
) -> None:
    queue.start_ringer()
    with db.atomic() as transaction:
        queue.enqueue(DELIVER)
        transaction.rollback()
    with db.atomic():
        queue.enqueue("later")
        queue.enqueue("other")
    assert {next_hint(valkey), next_hint(valkey)} == {"later", "other"}
    assert valkey.llen(QUEUE_KEY) == 0

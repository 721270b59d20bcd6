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

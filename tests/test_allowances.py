"""Allowances: never more than there is, by all processes together, with Redis and without."""

import itertools
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from maild import allowances
from maild.config import Settings

_names = itertools.count()


@pytest.fixture
def name(settings: Settings) -> str:
    """An allowance that nobody has asked for yet."""
    allowances.init(settings.redis_url)
    return f"test:{next(_names)}"


@pytest.fixture
def redis_away(settings: Settings):
    """Redis is where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    allowances.init(f"redis://127.0.0.1:{port}/0")
    yield
    allowances.init(settings.redis_url)


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each allowance that Redis was asked for."""
    asked: list[str] = []
    genuine = allowances._ask_redis

    def ask(name: str, per_minute: int, wanted: int):
        asked.append(name)
        return genuine(name, per_minute, wanted)

    monkeypatch.setattr(allowances, "_ask_redis", ask)
    return asked


def given(name: str, per_minute: int, tries: int) -> int:
    return sum(allowances.take(name, per_minute).is_given for _ in range(tries))


def test_a_minutes_worth_may_come_at_once_and_no_more(name):
    assert given(name, 30, 40) == 30
    refused = allowances.take(name, 30)
    assert not refused.is_given
    assert refused.remaining == 0
    assert 0 < refused.wait_seconds <= 2  # one comes every two seconds
    assert 55 < refused.reset_seconds <= 60


def test_it_tells_what_is_left(name):
    first = allowances.take(name, 30)
    assert (first.is_given, first.per_minute, first.remaining) == (True, 30, 29)
    assert 0 < first.reset_seconds <= 2
    assert allowances.take(name, 30).remaining == 28


def test_another_process_takes_from_the_same(name, settings):
    assert given(name, 30, 20) == 20
    allowances.init(settings.redis_url)  # which holds nothing, as a new process does
    assert given(name, 30, 20) == 10


def test_a_large_one_costs_few_round_trips(name, round_trips):
    assert given(name, 60_000, 1_500) == 1_500
    assert len(round_trips) == 3


def test_a_closed_one_costs_no_round_trip(name, round_trips):
    given(name, 10, 11)
    round_trips.clear()
    assert given(name, 10, 50) == 0
    assert round_trips == []
    assert allowances.wait_seconds(name) > 0
    assert allowances.wait_seconds("never asked for") == 0


def test_many_threads_get_no_more_than_one(name):
    barrier = threading.Barrier(8)

    def take(_: int) -> int:
        barrier.wait()
        return given(name, 400, 100)

    with ThreadPoolExecutor(8) as pool:
        got = sum(pool.map(take, range(8)))
    assert 400 <= got <= 400 + 8 * 7  # as much more as has flowed in meanwhile: 6.7 a second


def test_a_clock_that_is_set_back_closes_nothing(name, settings):
    with redis.Redis.from_url(settings.redis_url) as client:
        seconds, _ = client.time()
        client.set(f"maild:allowance:{name}", (seconds + 3_600) * 1_000_000)
        assert given(name, 30, 40) == 30
        assert client.pttl(f"maild:allowance:{name}") <= 60_000


def test_another_limit_counts_from_the_next_request(name):
    assert given(name, 1_000, 10) == 10
    assert allowances.take(name, 10).is_given
    assert given(name, 10, 20) == 9 - 1  # what was taken already is a part of that as well


@pytest.mark.usefixtures("redis_away")
def test_without_redis_a_process_counts_for_itself():
    assert given("away", 30, 40) == 30
    assert not allowances.take("away", 30).is_given
    assert given("away too", 1_000, 50) == 50


@pytest.mark.usefixtures("redis_away")
def test_redis_away_is_logged_once_and_left_alone(round_trips, caplog):
    assert given("away and alone", 1_000, 50) == 50
    assert len(round_trips) == 1
    assert caplog.text.count("allowances.redis_away") == 1

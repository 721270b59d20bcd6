"""The soak's verdict tells what is flat from what leaks."""

import math
import random

import pytest

from tests.crash.soak_verdict import Verdict, judge

HOUR = [15.0 * n for n in range(240)]
WARM_UP = 900.0


def verdict(name: str, values: list[float]) -> Verdict:
    [found] = judge({name: list(zip(HOUR, values, strict=True))}, warm_up=WARM_UP)
    return found


def noise(seed: int, width: float) -> list[float]:
    dice = random.Random(seed)
    return [dice.uniform(-width, width) for _ in HOUR]


def test_it_finds_a_flat_series_flat() -> None:
    values = [180.0 + one for one in noise(1, 4.0)]
    assert verdict("rss worker-0, MiB", values).is_flat


def test_it_lets_a_process_warm_up() -> None:
    values = [120.0 + 60.0 * (1 - math.exp(-at / 200)) for at in HOUR]
    assert verdict("rss web, MiB", values).is_flat


def test_it_finds_a_slow_leak_under_noise() -> None:
    """20 MiB an hour: 50 bytes of each message at 120 a second."""
    values = [180.0 + at / 3600 * 20.0 + one for at, one in zip(HOUR, noise(2, 4.0), strict=True)]
    found = verdict("rss worker-0, MiB", values)
    assert not found.is_flat
    assert found.growth == pytest.approx(15.0, abs=2.0)


def test_it_takes_vacuums_for_what_they_are() -> None:
    sawtooth = [40.0 + (at % 300) / 30 for at in HOUR]
    assert verdict("table messages", sawtooth).is_flat


def test_it_finds_bloat_behind_vacuums() -> None:
    values = [40.0 + (at % 300) / 30 + at / 100 for at in HOUR]
    assert not verdict("table messages", values).is_flat


def test_it_is_not_moved_by_a_single_spike() -> None:
    values = [5.0] * len(HOUR)
    values[200] = 5_000.0
    found = verdict("queue due", values)
    assert found.is_flat
    assert found.highest == 5_000.0


def test_it_finds_a_queue_that_falls_behind() -> None:
    assert not verdict("queue due", [at * 2 for at in HOUR]).is_flat


def test_it_finds_connections_that_nobody_closes() -> None:
    assert not verdict("connections", [30.0 + at // 200 for at in HOUR]).is_flat


def test_what_is_kept_may_rise_with_the_load_and_no_further() -> None:
    """The load doubles; a table that doubles is flat, one that trebles is not."""
    rising = {
        "accepted a second": [40.0 + at / 3600 * 40 for at in HOUR],
        "table messages": [40.0 + at / 3600 * 40 for at in HOUR],
        "table events": [40.0 + at / 3600 * 120 for at in HOUR],
        "rss web, MiB": [40.0 + at / 3600 * 40 for at in HOUR],
    }
    series = {name: list(zip(HOUR, values, strict=True)) for name, values in rising.items()}
    flat = {one.name: one.is_flat for one in judge(series, warm_up=WARM_UP)}
    assert flat == {
        "accepted a second": True,
        "table messages": True,
        "table events": False,
        "rss web, MiB": False,
    }


def test_what_shrinks_is_flat() -> None:
    assert verdict("redis keys", [900.0 - at / 10 for at in HOUR]).is_flat


def test_too_few_samples_prove_nothing() -> None:
    with pytest.raises(ValueError, match="too few"):
        judge({"connections": [(0.0, 1.0), (1000.0, 1.0)]}, warm_up=WARM_UP)


def test_a_series_that_nobody_judges_is_an_error() -> None:
    with pytest.raises(KeyError):
        judge({"unheard of": [(at, 1.0) for at in HOUR]}, warm_up=WARM_UP)

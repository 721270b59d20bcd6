"""Scrapes: a database that hangs delays nobody for long, and is asked once for many."""

import threading
import time

import pytest

from maild.services import metric_scrapes
from maild.services.metric_scrapes import _Reader
from tests.metering import parse


def get(reader: _Reader[int]) -> int | None:
    metric_scrapes._wait([reader.begin()])
    return reader.latest()[0]


@pytest.mark.proves("run-metrics")
def test_nobody_waits_for_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_scrapes, "WAIT_SECONDS", 0.05)
    until, begun = threading.Event(), []

    def hang() -> int:
        begun.append(1)
        until.wait(30)
        return 7

    reader = _Reader("hanging", hang)
    assert [get(reader) for _ in range(3)] == [None] * 3
    assert not reader.has_read(reader.begin())
    assert len(begun) == 1, "while one hangs, no other is begun"
    until.set()
    monkeypatch.setattr(metric_scrapes, "WAIT_SECONDS", 30.0)
    assert get(reader) == 7
    assert reader.has_read(reader.begin())


def test_what_was_read_is_good_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[float] = []
    reader = _Reader("counting", lambda: begun.append(time.monotonic()) or len(begun))
    assert [get(reader) for _ in range(5)] == [1] * 5
    monkeypatch.setattr(metric_scrapes, "FRESH_SECONDS", -1.0)
    assert get(reader) == 2


def test_what_fails_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_scrapes, "FRESH_SECONDS", -1.0)
    answers = iter([1, 0])
    reader = _Reader("failing", lambda: 1 // next(answers))
    assert get(reader) == 1
    assert get(reader) is None


def test_what_hangs_is_not_up_for_having_been(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_scrapes, "WAIT_SECONDS", 30.0)
    until = threading.Event()
    turns = iter([False, True])

    def read() -> int:
        if next(turns):
            until.wait(30)
        return 1

    reader = _Reader("pulse", read)
    assert get(reader) == 1
    monkeypatch.setattr(metric_scrapes, "FRESH_SECONDS", -1.0)
    monkeypatch.setattr(metric_scrapes, "WAIT_SECONDS", 0.05)
    asked = reader.begin()
    assert get(reader) == 1, "it is told, with its age"
    assert not reader.has_read(asked)
    until.set()


@pytest.mark.proves("run-metrics")
def test_a_database_whose_readings_take_long_is_up(
    database: None, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = threading.Event()
    slow = _Reader("slow", lambda: [("maild_freezes", {}, 1.0)] if until.wait(30) else [])
    monkeypatch.setattr(metric_scrapes, "_database", slow)

    def wait_for_the_others(threads: list[threading.Thread | None]) -> None:
        for thread in threads:
            if thread is not None and thread.name != "slow":
                thread.join(30)

    monkeypatch.setattr(metric_scrapes, "_wait", wait_for_the_others)
    told = parse(metric_scrapes.render())
    until.set()
    assert told["maild_database_up"] == 1
    assert "maild_freezes" not in told
    assert "maild_reading_age_seconds" not in told

"""Scrapes: a database that hangs delays nobody for long, and is asked once for many."""

import threading
import time

import pytest

from maild.services import metric_scrapes
from maild.services.metric_scrapes import _Reader


@pytest.mark.proves("run-metrics")
def test_nobody_waits_for_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_scrapes, "WAIT_SECONDS", 0.05)
    until, begun = threading.Event(), []

    def hang() -> int:
        begun.append(1)
        until.wait(30)
        return 7

    reader = _Reader("hanging", hang)
    assert [reader.get()[0] for _ in range(3)] == [None] * 3
    assert len(begun) == 1, "while one hangs, no other is begun"
    until.set()
    monkeypatch.setattr(metric_scrapes, "WAIT_SECONDS", 30.0)
    assert reader.get()[0] == 7


def test_what_was_read_is_good_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[float] = []
    reader = _Reader("counting", lambda: begun.append(time.monotonic()) or len(begun))
    assert [reader.get()[0] for _ in range(5)] == [1] * 5
    monkeypatch.setattr(metric_scrapes, "FRESH_SECONDS", -1.0)
    assert reader.get()[0] == 2


def test_what_fails_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_scrapes, "FRESH_SECONDS", -1.0)
    answers = iter([1, 0])
    reader = _Reader("failing", lambda: 1 // next(answers))
    assert reader.get()[0] == 1
    assert reader.get()[0] is None

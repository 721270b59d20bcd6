"""The hint that there is work, and the engine that it wakes."""

import threading
from collections.abc import Callable, Iterator

import pytest

from maild import queue
from maild.config import Settings
from maild.domain.states import Status
from maild.models import Message
from maild.services import messages, sending
from maild.services.outcomes import Result
from maild.services.recorder import Recorder
from maild.services.workers import Lease
from maild.tasks import delivery
from tests.conftest import Inbox

WAIT_SECONDS = 30


class Watched(Recorder):
    """A recorder that lets a test wait until a message's outcome is written."""

    def __init__(self) -> None:
        super().__init__()
        self._written = threading.Condition()
        self._results: list[Result] = []

    def wait_for(self, count: int) -> bool:
        with self._written:
            return self._written.wait_for(lambda: len(self._results) >= count, WAIT_SECONDS)

    def _write(self, results: object, *rest: object) -> None:
        super()._write(results, *rest)  # type: ignore[arg-type]
        with self._written:
            self._results.extend(results)  # type: ignore[arg-type]
            self._written.notify_all()


@pytest.fixture
def engine(
    lease: Lease, inbox: Inbox, use_settings: Callable[..., Settings]
) -> Iterator[Callable[[], Watched]]:
    """Call to start an engine that looks for work once an hour, unless it is woken."""
    use_settings(sweep_seconds=3_600)
    recorder = Watched()
    thread = threading.Thread(target=sending.work, args=(lease, recorder))

    def start() -> Watched:
        thread.start()
        return recorder

    yield start
    lease.stopping.set()
    sending.wake()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    assert recorder.close(timeout_seconds=WAIT_SECONDS)


def test_the_hint_is_known_by_its_name() -> None:
    assert queue._tasks[messages.DELIVER] is delivery.deliver


def test_a_hint_without_an_engine_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_current", None)
    delivery.deliver()


def test_a_hint_wakes_the_engine(
    accept: Callable[..., Message], engine: Callable[[], Watched]
) -> None:
    accept()
    recorder = engine()
    assert recorder.wait_for(1), "what is due at the start needs no hint"
    for number in range(2, 6):
        accept()
        delivery.deliver()
        assert recorder.wait_for(number)
    assert Message.select().where(Message.status == Status.SENT).count() == 5


@pytest.mark.proves("I14")
def test_repeated_hints_send_nothing_twice(
    accept: Callable[..., Message], engine: Callable[[], Watched], inbox: Inbox
) -> None:
    """I14: a hint repeated a hundred times."""
    recorder = engine()
    for _ in range(20):
        accept()
        for _ in range(5):
            delivery.deliver()
    assert recorder.wait_for(20)
    assert len(inbox.messages()) == 20

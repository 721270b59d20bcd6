"""The fence: a worker whose lease is gone completes nothing on the wire."""

import dataclasses
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from maild import config
from maild.config import Settings
from maild.domain.states import AttemptStatus, EventType, Status
from maild.models import Event, Worker
from maild.services import rescues, sending, timeline
from maild.services.recorder import Recorder
from maild.services.workers import Lease
from tests.services.helpers import Accept, reload

UseSettings = Callable[..., Settings]


@pytest.mark.proves("I15")
def test_a_worker_that_loses_its_lease_in_a_dialogue_sends_no_final_dot(
    accept: Accept, lease: Lease, use_settings: UseSettings
) -> None:
    """The server takes its time before it asks for the content; meanwhile the lease runs out, the
    rescue takes the message, and another worker may send it.
    """
    message = accept()
    with HesitantServer() as server:
        smtp = dataclasses.replace(config.current().smtp, port=server.port, security="none")
        use_settings(smtp=smtp)
        engine = threading.Thread(target=sending.work, args=(lease, Recorder()))
        engine.start()
        server.asked.wait()
        Worker.update(seen_at=datetime(2020, 1, 1, tzinfo=UTC)).execute()
        lease.renewed_at -= lease.seconds
        assert rescues.rescue() == 1
        server.go_ahead.set()
        server.gone.wait()
        lease.stopping.set()
        sending.wake()
        engine.join()
        assert b"\r\n.\r\n" not in server.received

    after = reload(message)
    assert (after.status, after.attempt_count) == (Status.QUEUED, 1)
    [attempt] = timeline.list_attempts(message)
    assert attempt.status is AttemptStatus.INTERRUPTED
    assert Event.select().where(Event.type == EventType.SENT).count() == 0


class HesitantServer:
    """An SMTP server that waits for `go_ahead` before it says 354, and keeps what it receives."""

    def __init__(self) -> None:
        self.asked, self.go_ahead, self.gone = (threading.Event() for _ in range(3))
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "HesitantServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_ahead.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 here\r\n")
            for line in lines:
                self.received += line
                if line == b"DATA\r\n":
                    self.asked.set()
                    self.go_ahead.wait()
                    connection.sendall(b"354 go ahead\r\n")
                else:
                    connection.sendall(b"250 ok\r\n")
        self.gone.set()

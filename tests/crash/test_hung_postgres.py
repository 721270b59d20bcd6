"""PostgreSQL hangs: it takes what it is sent, and answers nothing. Nobody waits for it for good."""

import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from maild.local import postgres
from tests.crash.rig import Rig, message, wait_until

pytestmark = [pytest.mark.crash, pytest.mark.long]

CALLERS = 24
"""Three times the threads of the web process."""


@contextmanager
def hanging(rig: Rig) -> Iterator[None]:
    """Every process of the server is stopped for the length of a `with` block."""
    pid = postgres.find_pid(rig.home)
    assert pid is not None
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pids = [pid, *map(int, children)]  # first the one that would start more
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def submit(rig: Rig) -> dict[str, Any]:
    """What the API answers to a message."""
    return rig.call("POST", "/v1/messages", message("after@example.org"))[1]


def test_nobody_waits_for_a_postgres_that_hangs(rig: Rig) -> None:
    rig.wait_status(rig.submit("before@example.org"), "sent")
    with hanging(rig), ThreadPoolExecutor(CALLERS) as callers:
        status, answer = rig.call("GET", "/readyz", None)
        assert status == 503
        assert answer["missing"] == ["postgres", "migrations", "worker"]
        asked = [
            callers.submit(rig.call, "POST", "/v1/messages", message(f"a{n}@example.org"))
            for n in range(CALLERS)
        ]
        assert {one.result()[0] for one in asked} == {503}
        assert rig.call("GET", "/readyz", None)[0] == 503
        assert rig.call("GET", "/healthz", None)[0] == 200
    wait_until(lambda: rig.call("GET", "/readyz", None)[0] == 200, "it is ready again")
    # One web process, or one of its threads, may know it a moment before the other.
    message_id = wait_until(lambda: submit(rig).get("id"), "it is accepted again")
    rig.wait_status(uuid.UUID(message_id), "sent")

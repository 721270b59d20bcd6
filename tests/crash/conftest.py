"""The whole product as `maild run` starts it, for tests that kill parts of it."""

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from maild.config import Addr, child_environment
from maild.local import home as homes
from tests.conftest import ADMIN_KEY, OPERATOR_KEY, free_ports
from tests.crash import rig as rigs

PATIENCE_SECONDS = 60.0
"""How long a condition may take; far more than it needs, so that a slow machine fails nothing."""


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition`, or a failure that names `what` was waited for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)
    return value


class Stack:
    """A running copy of maild with its own home and ports."""

    def __init__(self, home: Path) -> None:
        web, smtp, inbox = free_ports(3)
        self.home = home
        self.web = Addr("127.0.0.1", web)
        self.inbox = Addr("127.0.0.1", inbox)
        self.output = ""
        self.environment = child_environment(
            MAILD_HOME=str(home),
            APP_ADDR=str(self.web),
            INBOX_SMTP_ADDR=f"127.0.0.1:{smtp}",
            INBOX_WEB_ADDR=str(self.inbox),
            ADMIN_API_KEY=ADMIN_KEY,
            OPERATOR_API_KEY=OPERATOR_KEY,
            LEASE_DURATION="6s",
            SWEEP_INTERVAL="1s",
            RETRY_DELAYS="1s",
            APP_MAX_ATTEMPTS="3",
        )
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and return when it says that it is ready."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "maild", "run"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        wait_until(lambda: "maild is ready" in self.output or self._has_ended(), "it is ready")
        assert "maild is ready" in self.output, self.output

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it as Ctrl-C or a service manager does; returns the exit code. Leaves no process."""
        assert self._process is not None
        everything = self.processes()
        self._process.send_signal(number)
        code = self._process.wait(PATIENCE_SECONDS)
        wait_until(lambda: not [p for p in everything if is_running(p)], "every process has gone")
        return code

    def processes(self) -> list[psutil.Process]:
        """The runner and everything below it."""
        assert self._process is not None
        runner = psutil.Process(self._process.pid)
        return [runner, *runner.children(recursive=True)]

    def find(self, *words: str) -> psutil.Process:
        """The one child of the runner that has all `words` for programs or arguments."""
        assert self._process is not None

        def search() -> list[psutil.Process]:
            children = psutil.Process(self._process.pid).children() if self._process else []
            return [p for p in children if set(words) <= command_line(p)]

        [found] = wait_until(search, f"a process {words} runs")
        return found

    def flush_redis(self) -> bool:
        """FLUSHALL; returns whether Valkey could be reached."""
        lines = (self.home / "stack.env").read_text().splitlines()
        url = dict(line.split("=", 1) for line in lines)["REDIS_URL"]
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(url) as client:
            return bool(client.flushall())
        return False

    def submit(self, **fields: Any) -> dict[str, Any]:
        """Submit a message; fails unless the answer is 201."""
        status, answer = self.try_to_submit(**fields)
        assert status == 201, answer
        return answer

    def try_to_submit(self, **fields: Any) -> tuple[int, dict[str, Any]]:
        body = {
            "from_email": "shop@example.com",
            "to_email": "ann@example.org",
            "subject": "Hello",
            "body_text": "Hello.",
            **fields,
        }
        return call(self.web, "POST", "/v1/messages", body, {"X-API-Key": OPERATOR_KEY})

    def get(self, path: str) -> Any:
        status, answer = call(self.web, "GET", path, None, {"X-API-Key": OPERATOR_KEY})
        assert status == 200, answer
        return answer

    def count_by_status(self) -> Counter[str]:
        """How many messages are in each state, by reading the whole log."""
        counts: Counter[str] = Counter()
        cursor = ""
        while cursor is not None:
            page = self.get(f"/v1/messages/logs?limit=200{cursor and '&cursor=' + cursor}")
            counts.update(message["status"] for message in page["messages"])
            cursor = page["next_cursor"]
        return counts

    def received(self) -> Counter[str]:
        """How often each Message-ID has arrived in the inbox."""
        _, answer = call(self.inbox, "GET", "/api/v1/messages?limit=5000", None, {})
        return Counter(message["MessageID"].strip("<>") for message in answer["messages"])

    def received_total(self) -> int:
        _, answer = call(self.inbox, "GET", "/api/v1/messages?limit=1", None, {})
        return int(answer["total"])

    def _has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output += line


def call(addr: Addr, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(addr.host, addr.port, timeout=30)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def command_line(process: psutil.Process) -> set[str]:
    """The words of a command line, programs without their folders."""
    try:
        return {Path(word.split(" ")[0]).name for word in process.cmdline()}
    except psutil.Error:
        return set()


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A running copy of maild, stopped afterwards whatever happened."""
    with homes.temporary() as home:
        running = Stack(home)
        running.start()
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="module")
def rig() -> Iterator[rigs.Rig]:
    """Processes that can be killed one by one; the tests of a module share them."""
    with rigs.running() as running:
        yield running

"""Fixtures of the local stack: a home, a patient look, an inbox that runs."""

import http.client
import json
import os
import re
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maild.local import home as homes
from maild.local.program import Program, spawn, stop

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20.0


@pytest.fixture
def home() -> Iterator[Path]:
    with homes.temporary() as path:
        yield path


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """`eventually(f)` asks `f()` until it is true, and returns what it then says."""

    def wait(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (answer := condition()):
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)
        return answer

    return wait


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Inbox:
    smtp_port: int
    web_port: int

    def smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=20)

    def send(self, raw: bytes, *recipients: str, sender: str = "shop@example.com") -> None:
        with self.smtp() as client:
            client.sendmail(sender, recipients or ("ann@example.com",), raw)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=20)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def messages(self) -> list[dict[str, Any]]:
        return self.get("/api/v1/messages").json["messages"]


@pytest.fixture(scope="session")
def inbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    store = tmp_path_factory.mktemp("inbox") / "inbox.sqlite3"
    addresses = ("--smtp", "127.0.0.1:0", "--web", "127.0.0.1:0", "--store", str(store))
    program = Program(
        name="inbox",
        argv=(sys.executable, "-m", "maild.local.inbox", *addresses),
        cwd=ROOT,
        env=dict(os.environ),
    )
    ours, theirs = os.pipe()
    process = spawn(program, output=theirs)
    os.close(theirs)
    with os.fdopen(ours, encoding="utf-8") as output:
        ready = output.readline()
        ports = re.fullmatch(r"inbox ready: SMTP on .*:(\d+), pages on http://.*:(\d+)/\n", ready)
        assert ports, ready
        yield Inbox(int(ports[1]), int(ports[2]))
        stop(program, process)
        assert process.returncode == 0, output.read()


@pytest.fixture
def inbox(inbox_process: Inbox) -> Inbox:
    """A running inbox without messages."""
    assert inbox_process.ask("DELETE", "/api/v1/messages").status == 200
    return inbox_process


@pytest.fixture(scope="session")
def python() -> Callable[..., "subprocess.Popen[str]"]:
    """Start a Python program given as text, with its output in a pipe."""

    def start(code: str, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-u", "-c", code, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    return start

"""The harness: a maild of its own, on free ports and in a temporary home, of real processes.

In charge of starting the parts that a section needs, as `maild run` starts them, and of their end,
whatever happens: each part is in a process group of its own and ended by its id, and the system
ends them when this process is killed. PostgreSQL runs with fsync, as shipped. Not in charge of what
is measured: `sections.py` is.

A setting in the environment (`SMTP_MAX_CONNECTIONS=50 make bench`) reaches every part.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg2
import redis

from bench.fill import clear
from maild.config import Addr, child_environment
from maild.local import home as homes
from maild.local import postgres, valkey
from maild.local.program import Program, spawn, stop
from maild.local.run import web_command

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 2
READY_SECONDS = 60.0
ADMIN_KEY = "bench-admin-key-0123456789abcdef"
OPERATOR_KEY = "bench-operator-key-0123456789abcdef"

CONNECTIONS = "80"
"""SMTP connections of the workers together; far more than the default, which is for strangers."""

SETTINGS = {
    "ADMIN_API_KEY": ADMIN_KEY,
    "OPERATOR_API_KEY": OPERATOR_KEY,
    "RATE_LIMIT_WORKSPACE_PER_HOUR": "100000000",
    "RATE_LIMIT_DOMAIN_PER_HOUR": "100000000",
    "LOG_FORMAT": "json",
    "PYTHONUNBUFFERED": "1",
}


class Failed(Exception):
    """A section cannot go on: why, for a person."""


class Sink:
    """Where the mail goes: `smtp-sink`, where installed, else the sink of our own."""

    def __init__(self, start: Callable[..., subprocess.Popen[bytes]], *options: str) -> None:
        """`options` are those of our own sink, which is then taken in any case."""
        postfix = None if options else find_postfix("smtp-sink")
        self.name = "smtp-sink" if postfix else "maild.local.sink"
        if postfix:
            self.addr = Addr("127.0.0.1", free_port())
            user = ("-u", "nobody") if os.geteuid() == 0 else ()
            self.process = start("sink", (str(postfix), *user, str(self.addr), "1024"))
            wait_for(lambda: _is_open(self.addr), "smtp-sink listens")
            return
        ours, theirs = os.pipe()
        self._output: IO[str] = os.fdopen(ours, encoding="utf-8")
        command = ("-m", "maild.local.sink", "--listen", "127.0.0.1:0", "--processes", "2")
        try:
            self.process = start("sink", (sys.executable, *command, *options), output=theirs)
        finally:
            os.close(theirs)
        ready = self._output.readline()
        if "ready on" not in ready:
            raise Failed(f"the sink does not start: {ready}")
        self.addr = Addr("127.0.0.1", int(ready.rpartition(":")[2]))

    @property
    def counts(self) -> bool:
        """Whether it can be asked how much it has taken."""
        return self.name != "smtp-sink"

    def message_count(self) -> int:
        """The messages accepted so far, for a few microseconds of the sink's time."""
        self.process.send_signal(signal.SIGUSR1)
        return int(json.loads(self._output.readline())["messages"])


class Stack:
    """The running parts. Made by `running()`."""

    def __init__(self, home: Path, cleanup: contextlib.ExitStack) -> None:
        self.home = home
        self._cleanup = cleanup
        self._programs: dict[int, Program] = {}
        self._env: dict[str, str] = {}
        dsn = cleanup.enter_context(postgres.running(home))
        redis_url = cleanup.enter_context(valkey.running(home))
        self.web_addr = Addr("127.0.0.1", free_port())
        self.environment = {
            **SETTINGS,
            "POSTGRES_DSN": dsn,
            "REDIS_URL": redis_url,
            "MAILD_HOME": str(home),
            "APP_ADDR": str(self.web_addr),
        }
        self._env = child_environment(**self.environment)
        migrate = self.start("migrate", (sys.executable, "-m", "maild", "migrate"))
        if migrate.wait(READY_SECONDS):
            raise Failed(f"maild migrate failed:{self.log_tail('migrate')}")
        self.db = psycopg2.connect(dsn)
        cleanup.callback(self.db.close)
        self._redis = redis.Redis.from_url(redis_url)
        cleanup.callback(self._redis.close)

    def start(
        self, name: str, argv: tuple[str, ...], *, output: int | None = None, **settings: str
    ) -> subprocess.Popen[bytes]:
        """Start a program of the stack; without `output`, it writes to a log of its name."""
        log_path = homes.log_path(self.home, name) if output is None else None
        env = {**self._env, **settings}
        program = Program(
            name=name, argv=argv, cwd=ROOT, env=env, log_path=log_path, grace_seconds=40.0
        )
        process = spawn(program, output=output if output is not None else subprocess.DEVNULL)
        self._programs[process.pid] = program
        self._cleanup.callback(stop, program, process)
        return process

    def stop(self, *processes: subprocess.Popen[bytes]) -> None:
        """End these programs, all at once, and wait for them."""
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in processes:
            stop(self._programs[process.pid], process)

    @contextlib.contextmanager
    def sink(self, *options: str) -> Iterator[Sink]:
        """A sink for a while, to which the mail of what is started meanwhile goes."""
        sink = Sink(self.start, *options)
        self._env |= {
            "SMTP_HOST": sink.addr.host,
            "SMTP_PORT": str(sink.addr.port),
            "SMTP_SECURITY": "none",
            "SMTP_MAX_CONNECTIONS": os.environ.get("SMTP_MAX_CONNECTIONS", CONNECTIONS),
        }
        try:
            yield sink
        finally:
            self.stop(sink.process)

    @contextlib.contextmanager
    def workers(self, *, count: int = WORKERS, **settings: str) -> Iterator[list[psutil.Process]]:
        """The workers and the scheduler for a while; gets the workers."""
        command = (sys.executable, "-m", "maild")
        workers = [
            self.start(f"worker-{number + 1}", (*command, "worker"), **settings)
            for number in range(count)
        ]
        scheduler = self.start("scheduler", (*command, "scheduler"), **settings)
        try:
            yield [psutil.Process(worker.pid) for worker in workers]
        finally:
            self.stop(*workers, scheduler)

    @contextlib.contextmanager
    def web(self, **settings: str) -> Iterator[psutil.Process]:
        """The web server for a while, as `maild run` starts it."""
        process = self.start("web", web_command(self.web_addr, processes=2), **settings)
        try:
            wait_for(
                lambda: _answers(self.web_addr) or process.poll() is not None, "the web answers"
            )
            if process.poll() is not None:
                raise Failed(f"the web server ended:{self.log_tail('web')}")
            yield psutil.Process(process.pid)
        finally:
            self.stop(process)

    def post(
        self, path: str, body: dict[str, Any], *, key: str = OPERATOR_KEY, status: int = 200
    ) -> Any:
        """Ask the running web server. Raises Failed where it does not answer `status`."""
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(
            self.web_addr.host, self.web_addr.port, timeout=READY_SECONDS
        )
        try:
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status != status:
            raise Failed(f"{path} answers {response.status}: {text[:300]!r}")
        return json.loads(text)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Something that takes all it can get of each core, for a while."""
        command = (sys.executable, "-c", "while True: pass")
        cores = range(psutil.cpu_count() or 1)
        others = [self.start(f"busy-{number + 1}", command) for number in cores]
        try:
            yield
        finally:
            self.stop(*others)

    def clear(self) -> None:
        """Empty the tables and Valkey."""
        clear(self.db)
        self._redis.flushall()

    def query(self, statement: str, *values: object) -> tuple[Any, ...]:
        """The first row of an answer."""
        with self.db, self.db.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone()

    def postgres_processes(self) -> list[psutil.Process]:
        """The server and its children; the first one also has the times of children that ended."""
        pid = postgres.find_pid(self.home)
        if pid is None:
            return []
        server = psutil.Process(pid)
        return [server, *server.children()]

    def log_tail(self, name: str, lines: int = 6) -> str:
        path = self.home / "logs" / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "".join(f"\n    {line[:300]}" for line in text.splitlines()[-lines:])


@contextlib.contextmanager
def running(keep_in: Path | None = None) -> Iterator[Stack]:
    """PostgreSQL and Valkey with the schema, and whatever is started on them meanwhile.

    `keep_in` is a folder that is taken as it is, and left there at the end.
    """
    with contextlib.ExitStack() as cleanup:
        if keep_in is None:
            home = cleanup.enter_context(homes.temporary())
        else:
            homes.make(home := keep_in)
        yield Stack(home, cleanup)


def find_postfix(name: str) -> Path | None:
    """A program of Debian's postfix package."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/bin")
    return Path(found) if found else None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(condition: Callable[[], Any], what: str, *, seconds: float = READY_SECONDS) -> None:
    """Raises Failed where it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited in vain until {what}")
        time.sleep(0.02)


def _is_open(addr: Addr) -> bool:
    try:
        socket.create_connection((addr.host, addr.port), timeout=1).close()
    except OSError:
        return False
    return True


def _answers(addr: Addr) -> bool:
    connection = http.client.HTTPConnection(addr.host, addr.port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

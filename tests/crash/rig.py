"""The rig: maild's processes one by one, each of which can be killed, stopped and started again.

In charge of starting the API, workers, schedulers, PostgreSQL (with fsync), Valkey and the sinks,
of what may be done to them, and of their end: each is in a process group of its own, ended by its
id, and the system ends it where this process is killed. Not in charge of when what is killed
(`faults.py`), of load (`load.py`), nor of what must be true afterwards (`audit.py`).
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extras
import redis

from maild.config import Addr, child_environment
from maild.local import home as homes
from maild.local import postgres, valkey
from maild.local.program import _PR_SET_PDEATHSIG, _libc, kill_group
from maild.local.run import web_command
from tests.crash.tap import Tap

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 90.0
"""How long a condition may take; far more than it needs, so that a slow machine fails nothing."""
POLL_SECONDS = 0.02
ADMIN_KEY = "crash-admin-key-0123456789abcdef"
OPERATOR_KEY = "crash-operator-key-0123456789abc"
LEASE_SECONDS = 5
MAX_ATTEMPTS = 6
SETTINGS = {
    "ADMIN_API_KEY": ADMIN_KEY,
    "OPERATOR_API_KEY": OPERATOR_KEY,
    "LEASE_DURATION": f"{LEASE_SECONDS}s",
    "SWEEP_INTERVAL": "1s",
    "RETRY_DELAYS": "1s,2s",
    "APP_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
    "UNKNOWN_OUTCOME_TRANSACTIONAL": "retry",
    "UNKNOWN_OUTCOME_MARKETING": "hold",
    "SMTP_SECURITY": "none",
    "SMTP_MAX_CONNECTIONS": "8",
    "AUTO_FAILOVER_MIN_FAULTS": "20",
    "RATE_LIMIT_WORKSPACE_PER_HOUR": "100000000",
    "RATE_LIMIT_DOMAIN_PER_HOUR": "100000000",
    "LOG_FORMAT": "json",
    "PYTHONUNBUFFERED": "1",
}
AWAY = (psycopg2.DatabaseError, psycopg2.InterfaceError)
"""What a server that goes away raises; not always an OperationalError."""


def wait_until(condition: Callable[[], Any], what: str, *, seconds: float = 0.0) -> Any:
    """The first true value of `condition`, or an AssertionError that names what was waited for."""
    deadline = time.monotonic() + (seconds or PATIENCE_SECONDS)
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(POLL_SECONDS)
    return value


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Part:
    """One process of the rig, which may be started again under its name."""

    def __init__(
        self, name: str, argv: tuple[Any, ...], env: dict[str, str], log: Path, *, tree: Path = ROOT
    ) -> None:
        """`tree` is the folder whose code it runs."""
        self.name = name
        self.tree = tree
        self._argv = [str(word) for word in argv]
        self._env = env
        self._log = log
        self.restarted_at = 0.0
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._argv,
                cwd=self.tree,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # One call of the system, no more, because there are threads here.
                preexec_fn=_END_WITH_PARENT[self.name.startswith("web")],  # noqa: PLW1509
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_running(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to it and all that it has started."""
        kill_group(self.process)
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM, and wait for the end that it takes by itself; returns its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_end()

    def wait_end(self) -> int:
        """Wait until it has ended by itself; returns its exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    def start(self) -> None:
        """Start it anew; ends it first where it still runs."""
        self.kill()
        self.restarted_at = time.time()
        self.process = self._spawn()


class Sink:
    """A provider: the product's sink with a ledger, and a mode that can be changed."""

    def __init__(self, rig: "Rig", name: str) -> None:
        self.addr = Addr("127.0.0.1", free_port())
        self.ledger = rig.home / f"{name}.ledger"
        self._mode = rig.home / f"{name}.mode"
        self.ledger.touch()
        self.set_mode("ok")
        options = ("--listen", str(self.addr), "--ledger", str(self.ledger))
        self.part = rig.start_part(
            name,
            (sys.executable, "-m", "maild.local.sink", *options, "--mode-file", self._mode),
            tree=ROOT,
        )
        wait_until(lambda: is_open(self.addr), f"{name} listens")

    def set_mode(self, mode: str) -> None:
        """ok, refuse, authfail, throttle or silent."""
        fresh = self._mode.with_suffix(".new")
        fresh.write_text(mode)
        fresh.replace(self._mode)

    def lines(self) -> list[tuple[float, uuid.UUID, str]]:
        """What was accepted: time, id of the message, recipient."""
        found = []
        for line in self.ledger.read_text().splitlines():
            at, message_id, recipient = line.split(" ")
            found.append((float(at), uuid.UUID(message_id.partition("@")[0]), recipient))
        return found

    def copies(self, message_id: uuid.UUID) -> int:
        """How often one message was accepted."""
        return sum(line[1] == message_id for line in self.lines())


class Rig:
    """Everything that runs. Made by `running()`; to be used from the thread that made it, because
    what a thread has started ends with it.
    """

    def __init__(
        self,
        home: Path,
        cleanup: contextlib.ExitStack,
        settings: dict[str, str],
        *,
        workers: int,
        schedulers: int,
        web_processes: int = 2,
        tree: Path = ROOT,
        program: str = "maild",
    ) -> None:
        self.home = home
        self.tree = tree
        self._program = program
        self.lease_seconds = int(settings["LEASE_DURATION"].rstrip("s"))
        self._cleanup = cleanup
        self._postgres = cleanup.enter_context(contextlib.ExitStack())
        self._valkey = cleanup.enter_context(contextlib.ExitStack())
        self.dsn = self._postgres.enter_context(postgres.running(home))
        self.redis_url = self._valkey.enter_context(valkey.running(home))
        self._connection: Any = None
        self.web_addr = Addr("127.0.0.1", free_port())
        self.env = child_environment(
            **settings,
            POSTGRES_DSN=self.dsn,
            REDIS_URL=self.redis_url,
            MAILD_HOME=str(home),
            APP_ADDR=str(self.web_addr),
        )
        migrate = self.start_part("migrate", self.maild("migrate")).process.wait(PATIENCE_SECONDS)
        assert migrate == 0, self.log_text("migrate")
        self.sink = Sink(self, "sink")
        self.tap = cleanup.enter_context(Tap(self.sink.addr))
        self.env |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(self.tap.port)}
        self.web = self.start_part("web", web_command(self.web_addr, processes=web_processes))
        self.workers = [
            self.start_part(f"worker-{n}", self.maild("worker")) for n in range(workers)
        ]
        self.schedulers = [
            self.start_part(f"scheduler-{n}", self.maild("scheduler")) for n in range(schedulers)
        ]
        self.wait_ready()

    # Processes

    def maild(self, *words: str) -> tuple[str, ...]:
        return (sys.executable, "-m", self._program, *words)

    def start_part(
        self, name: str, argv: tuple[Any, ...], *, tree: Path | None = None, **settings: str
    ) -> Part:
        """Start a program that lives until it is ended, or the rig is; of the rig's own code, or of
        another tree's.
        """
        env, log = {**self.env, **settings}, homes.log_path(self.home, name)
        part = Part(name, argv, env, log, tree=tree or self.tree)
        self._cleanup.callback(part.kill)
        return part

    def wait_ready(self) -> None:
        """Every part runs, and the workers have their leases."""
        wait_until(self._web_answers, "the API answers")
        pids = {worker.pid for worker in self.workers}
        wait_until(lambda: pids <= {pid for _, pid in self.live_workers()}, "the workers work")

    def wait_whole_shares(self) -> None:
        """The workers share every limit among themselves alone, and each of them knows.

        Who was killed counts until its lease is over, and the others notice with their next
        heartbeat. Until then two kept dialogues may be all that a worker is allowed, and what is
        staged next waits behind them for as long as the server is waited for.
        """
        restarted_at = max((worker.restarted_at for worker in self.workers), default=0.0)
        pids = [worker.pid for worker in self.workers]
        wait_until(
            lambda: (
                not self.query(
                    "SELECT 1 FROM workers WHERE pid = ANY(%s) AND seen_at < to_timestamp(%s)",
                    pids,
                    restarted_at + self.lease_seconds,
                )
            ),
            "no killed worker has a share of the limits",
        )

    def restart_all(self) -> None:
        """Bring back whatever does not run, and wake what was stopped."""
        for part in (*self.workers, *self.schedulers, self.web, self.sink.part):
            part.signal(signal.SIGCONT)
            if not part.is_running():
                part.start()
        self.wait_ready()

    def revive(self) -> None:
        """Start again what has ended by itself, as whoever runs maild does: a process that finds no
        database when it begins says so, and ends.
        """
        for part in (*self.workers, *self.schedulers, self.web):
            if not part.is_running():
                part.start()

    def live_workers(self) -> list[tuple[uuid.UUID, int]]:
        """Ids and process ids of the workers whose lease holds."""
        return self.query(
            "SELECT id, pid FROM workers WHERE seen_at > now() - %s * interval '1 second'",
            self.lease_seconds,
        )

    def holder(self, message_id: uuid.UUID) -> Part | None:
        """The worker that holds a message now."""
        rows = self.query(
            "SELECT w.pid FROM messages m JOIN workers w ON w.id = m.worker_id"
            " WHERE m.id = %s AND m.status = 'sending'",
            message_id,
        )
        found = [worker for worker in self.workers if rows and worker.pid == rows[0][0]]
        return found[0] if found else None

    def _web_answers(self) -> bool:
        try:
            return self.call("GET", "/healthz", None)[0] == 200
        except (OSError, http.client.HTTPException, ValueError):
            return False

    # PostgreSQL and Valkey

    def crash_postgres(self) -> None:
        """Stop it at once, as a crash does; `start_postgres` recovers it."""
        pid = postgres.find_pid(self.home)
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        self._postgres.close()

    def start_postgres(self) -> None:
        self._postgres.enter_context(postgres.running(self.home))

    def kill_valkey(self) -> None:
        self.signal_valkey(signal.SIGKILL)
        self._valkey.close()

    def start_valkey(self) -> None:
        self._valkey.enter_context(valkey.running(self.home))

    def signal_valkey(self, number: signal.Signals) -> None:
        pid = valkey.find_pid(self.home)
        assert pid is not None
        os.kill(pid, number)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url, socket_timeout=10.0)

    def marks(self, message_id: uuid.UUID) -> list[str]:
        """The marks that Redis holds of a message, of all workers."""
        with self.redis() as client:
            hashes = [client.hgetall(key) for key in client.keys("maild:marks:*")]
        start = message_id.hex.encode()
        return [v.decode() for found in hashes for k, v in found.items() if k.startswith(start)]

    # What is asked

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a statement, in a transaction of its own; waits for PostgreSQL to be back."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self.connect()
                with self._connection, self._connection.cursor() as cursor:
                    cursor.execute(statement, values)
                    return cursor.fetchall() if cursor.description else []
            except AWAY:
                self._connection = None
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    def connect(self) -> Any:
        """Another connection, for what must last longer than a statement."""
        psycopg2.extras.register_uuid()
        connection = psycopg2.connect(self.dsn)
        self._cleanup.callback(connection.close)
        return connection

    def call(
        self, method: str, path: str, body: Any, *, key: str = OPERATOR_KEY
    ) -> tuple[int, Any]:
        return call(self.web_addr, method, path, body, {"X-API-Key": key})

    def submit(self, to_email: str, **fields: Any) -> uuid.UUID:
        """Submit one message; fails unless the answer is 201."""
        status, answer = self.call("POST", "/v1/messages", message(to_email, **fields))
        assert status == 201, answer
        return uuid.UUID(answer["id"])

    def click(self, link: str) -> float:
        """Unsubscribe with one click as a mailbox provider does, which has nothing but the link
        (RFC 8058 3.2); tries again until it is answered 200. Returns the time after the answer.
        """
        path, deadline = urlsplit(link).path, time.monotonic() + PATIENCE_SECONDS
        while True:
            told: object
            try:
                told = _click(self.web_addr, path)
            except (OSError, http.client.HTTPException) as error:
                told = repr(error)
                self.revive()
            if told == 200:
                return time.time()
            assert time.monotonic() < deadline, f"a click on {link} is answered {told}"
            time.sleep(POLL_SECONDS)

    def add_workspace(self, name: str) -> int:
        return int(self.query("INSERT INTO workspaces (name) VALUES (%s) RETURNING id", name)[0][0])

    def status(self, message_id: uuid.UUID) -> str:
        return str(self.query("SELECT status FROM messages WHERE id = %s", message_id)[0][0])

    def attempts(self, message_id: uuid.UUID) -> list[str]:
        """How each attempt of a message ended."""
        rows = self.query(
            "SELECT status FROM attempts WHERE message_id = %s ORDER BY attempt_no", message_id
        )
        return [row[0] for row in rows]

    def wait_status(self, message_id: uuid.UUID, *wanted: str) -> None:
        wait_until(
            lambda: self.status(message_id) in wanted,
            f"{message_id} is {' or '.join(wanted)}; it is {self.status(message_id)}",
        )

    def log_text(self, name: str) -> str:
        path = self.home / "logs" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""


@contextlib.contextmanager
def running(
    *,
    workers: int = 2,
    schedulers: int = 2,
    web_processes: int = 2,
    tree: Path = ROOT,
    program: str = "maild",
    **settings: str,
) -> Iterator[Rig]:
    """A rig for the length of a `with` block; `settings` are for all its processes. `program` is
    the module that is started instead of `maild`.
    """
    with homes.temporary() as home, contextlib.ExitStack() as cleanup:
        yield Rig(
            home,
            cleanup,
            {**SETTINGS, **settings},
            workers=workers,
            schedulers=schedulers,
            web_processes=web_processes,
            tree=tree,
            program=program,
        )


def message(to_email: str, **fields: Any) -> dict[str, Any]:
    """The body of a request to submit a message."""
    basics = {"from_email": "shop@example.com", "subject": "Hello", "body_text": "Hello."}
    return {**basics, "to_email": to_email, **fields}


def call(addr: Addr, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
    """One request on a connection of its own; raises OSError, HTTPException or ValueError."""
    connection = http.client.HTTPConnection(addr.host, addr.port, timeout=30)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def _click(addr: Addr, path: str) -> int:
    connection = http.client.HTTPConnection(addr.host, addr.port, timeout=30)
    try:
        content_type = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, "List-Unsubscribe=One-Click", content_type)
        return connection.getresponse().status
    finally:
        connection.close()


def _die_with_parent() -> None:
    """Not by SIGTERM, which a stopped process does not heed."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop_with_parent() -> None:
    """By SIGTERM, for the web server, which then ends the process that it has started."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_END_WITH_PARENT = {False: _die_with_parent, True: _stop_with_parent}


def is_open(addr: Addr) -> bool:
    try:
        socket.create_connection((addr.host, addr.port), timeout=1).close()
    except OSError:
        return False
    return True

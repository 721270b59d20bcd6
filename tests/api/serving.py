"""Real web processes on the test's database, for what only several of them at once can show.

In charge of starting them as `maild run` does, of killing them, of asking them from many threads,
and of answers that get lost on their way from PostgreSQL. A process keeps what it has read of a
policy for good: tests of them use workspaces of their own (`new_workspace`), whose ids never come
again.
"""

import contextlib
import http.client
import itertools
import json
import socket
import threading
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maild.config import Addr, Settings, child_environment
from maild.local.run import web_command
from maild.models import Workspace
from tests.conftest import ADMIN_KEY, OPERATOR_KEY, free_ports
from tests.crash.rig import Part, is_open, message, wait_until

_workspace_ids = itertools.count(1000)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a web process said; header names are in lower case."""

    status: int
    headers: dict[str, str]
    json: Any


class Web:
    """One web process and its address."""

    def __init__(self, settings: Settings, home: Path, **more: str) -> None:
        self.addr = Addr("127.0.0.1", free_ports(1)[0])
        known = {
            "POSTGRES_DSN": settings.postgres_dsn,
            "REDIS_URL": settings.redis_url,
            "MAILD_HOME": str(home),
            "APP_ADDR": str(self.addr),
            "ADMIN_API_KEY": ADMIN_KEY,
            "OPERATOR_API_KEY": OPERATOR_KEY,
        }
        environment = child_environment(**{**known, **more})
        log = home / f"web-{self.addr.port}.log"
        self._part = Part("web", web_command(self.addr, processes=1), environment, log)

    def wait_ready(self) -> None:
        wait_until(lambda: is_open(self.addr), "the web process listens")

    def kill(self) -> None:
        """SIGKILL."""
        self._part.kill()

    def start(self) -> None:
        """Start it anew, and wait until it listens."""
        self._part.start()
        self.wait_ready()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own; raises OSError or HTTPException."""
        connection = http.client.HTTPConnection(self.addr.host, self.addr.port, timeout=60)
        try:
            told = {"X-API-Key": OPERATOR_KEY, "Content-Type": "application/json"}
            told |= {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, None if body is None else json.dumps(body), told)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, json.loads(response.read()))
        finally:
            connection.close()

    def submit(
        self,
        workspace_id: int,
        to_email: str = "ann@example.org",
        *,
        key: str | None = None,
        **fields: Any,
    ) -> Answer:
        """Submit a good message to a workspace, with an idempotency key where one is given."""
        body = message(to_email, workspace_id=workspace_id, **fields)
        headers = {} if key is None else {"Idempotency_Key": key}
        return self.ask("POST", "/v1/messages", body, **headers)


class Deafened:
    """A way to PostgreSQL: once `deafen` was called, who commits on it hears nothing more."""

    def __init__(self, dsn: str) -> None:
        parts = urllib.parse.urlsplit(dsn)
        [folder] = urllib.parse.parse_qs(parts.query)["host"]
        [self._socket] = Path(folder).glob(".s.PGSQL.*[0-9]")
        self._server = socket.create_server(("127.0.0.1", 0))
        port = self._server.getsockname()[1]
        self.dsn = f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{port}{parts.path}"
        self._is_deaf = False
        threading.Thread(target=self._serve, daemon=True).start()

    def deafen(self) -> None:
        self._is_deaf = True

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                behind = socket.socket(socket.AF_UNIX)
                behind.connect(str(self._socket))
                hears = threading.Event()
                hears.set()
                for arguments in ((client, behind, hears, True), (behind, client, hears, False)):
                    threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _pass_on(
        self, source: socket.socket, target: socket.socket, hears: threading.Event, is_client: bool
    ) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(65536):
                if is_client and self._is_deaf and b"COMMIT" in data:
                    hears.clear()
                if is_client or hears.is_set():
                    target.sendall(data)


def all_at_once(count: int, action: Callable[[int], Any]) -> list[Any]:
    """What `action(number)` returns for each number, in as many threads."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(action, range(count)))


def new_workspace() -> int:
    """A workspace that no process has ever heard of."""
    workspace_id = next(_workspace_ids)
    Workspace.insert(id=workspace_id, name="One of its own").execute()
    return workspace_id

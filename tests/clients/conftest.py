"""What the tests of the Python client share: a server that is one, and a key of a workspace."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from maild.config import Addr, Settings
from maild.domain.actor import SYSTEM
from maild.services import api_keys
from maild.services.api_keys import NewApiKey
from maild_client import Client, Retries
from tests.api.serving import Web
from tests.conftest import ADMIN_KEY, WORKSPACE_A

PLENTY = "100000000"


@pytest.fixture(scope="module")
def web(session_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process on the tests' database, as `maild run` starts it."""
    home: Path = tmp_path_factory.mktemp("web")
    limits = dict.fromkeys(("RATE_LIMIT_WORKSPACE_PER_HOUR", "RATE_LIMIT_DOMAIN_PER_HOUR"), PLENTY)
    server = Web(session_settings, home, **limits)
    try:
        server.wait_ready()
        yield server
    finally:
        server.kill()


@pytest.fixture
def make_key(database: None) -> Callable[..., str]:
    """Call with a role to have a key of workspace A."""

    def make(role: str = "sender", **fields: object) -> str:
        new = NewApiKey(name=f"the {role}", role=role, **fields)  # type: ignore[arg-type]
        return api_keys.create(WORKSPACE_A, new, by=SYSTEM)[1]

    return make


@pytest.fixture
def connect(web: Web, database: None) -> Iterator[Callable[..., Client]]:
    """Call with a key to have a client of the server; all are closed with the test."""
    with ExitStack() as cleanup:

        def make(key: str = ADMIN_KEY, *, addr: Addr = web.addr, **options: object) -> Client:
            options.setdefault("retries", Retries(wait_max_seconds=5))
            return cleanup.enter_context(Client(f"http://{addr}", key, **options))  # type: ignore[arg-type]

        yield make


class Cutter:
    """A way to a server that breaks: each of the first `cuts` connections ends with its first
    answer, which is not passed on.
    """

    def __init__(self, behind: Addr, *, cuts: int) -> None:
        self._behind, self._cuts = behind, cuts
        self._server = socket.create_server(("127.0.0.1", 0))
        self.addr = Addr("127.0.0.1", self._server.getsockname()[1])
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self.connections += 1
                is_cut = self.connections <= self._cuts
                behind = socket.create_connection((self._behind.host, self._behind.port))
                for source, target, ends in ((client, behind, False), (behind, client, is_cut)):
                    arguments = (source, target, ends)
                    threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, ends: bool) -> None:
        with suppress(OSError):
            # What it answers is committed by then.
            while (data := source.recv(65_536)) and not ends:
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def cutter(web: Web) -> Iterator[Callable[..., Cutter]]:
    """Call to have a way to the server that breaks."""
    with ExitStack() as cleanup:

        def make(*, cuts: int) -> Cutter:
            one = Cutter(web.addr, cuts=cuts)
            cleanup.callback(one.close)
            return one

        yield make

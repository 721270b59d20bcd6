"""A small HTTP server for scrapes, in processes that serve no web: one path, one answer.

Whom it answers and what, its caller decides.
"""

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from maild import log
from maild.domain import client_address
from maild.domain.client_address import Address
from maild.setting_kinds import Addr

Answer = Callable[[str, str, Address | None], tuple[int, str, bytes]]
"""From path, Authorization and the caller's address to status, media type and body."""

RETRY_SECONDS = 5.0
"""How soon an address is tried again that another process has."""
TIMEOUT_SECONDS = 10.0

logger = log.get(__name__)


def serve(addr: Addr, answer: Answer, *, until: threading.Event) -> threading.Thread:
    """Listen at `addr`, as soon as it is free, until the event. Returns the thread that does."""
    thread = threading.Thread(
        target=_listen, args=(addr, answer, until), name="metrics", daemon=True
    )
    thread.start()
    return thread


def _listen(addr: Addr, answer: Answer, until: threading.Event) -> None:
    has_told = False
    while not until.is_set():
        try:
            server = _Server(addr, answer)
        except OSError as error:
            if not has_told:
                logger.info("metrics.address_taken", addr=str(addr), detail=error.strerror)
                has_told = True
            until.wait(RETRY_SECONDS)
            continue
        logger.info("metrics.serving", addr=str(addr))
        with server:
            threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
            until.wait()
            server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, addr: Addr, answer: Answer) -> None:
        self.address_family = socket.AF_INET6 if ":" in addr.host else socket.AF_INET
        self.answer = answer
        super().__init__((addr.host, addr.port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = TIMEOUT_SECONDS
    server_version = "maild"
    sys_version = ""

    def do_GET(self) -> None:
        status, media_type, body = self.server.answer(
            urlsplit(self.path).path,
            self.headers.get("Authorization", ""),
            client_address.parse(self.client_address[0]),
        )
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """A scrape every few seconds is no news."""

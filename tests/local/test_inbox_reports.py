"""The sandbox: what the inbox reports, to whom, and how it proves it."""

import json
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from maild.local.inbox_reports import PATH, find_login, password_of
from maild.local.program import Program, spawn, stop
from maild.transports.webhooks import maild as own_format
from maild.transports.webhooks.base import Keys, Request
from tests.local.conftest import PATIENCE_SECONDS, ROOT, Inbox

TOKEN, SECRET = "t" * 43, "s" * 43
PASSWORD = password_of(TOKEN, SECRET)
RAW = (
    b"From: shop@example.com\r\nTo: ann@example.com\r\nMessage-ID: <m1@localhost>\r\n"
    b"Subject: Hello\r\n\r\nIt works.\r\n"
)


class Receiver(ThreadingHTTPServer):
    """Takes reports; `refuse` so many of them first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: queue.Queue[tuple[str, dict[str, str], bytes]] = queue.Queue()
        self.refuse = 0

    def next(self) -> tuple[str, dict[str, str], bytes]:
        return self.taken.get(timeout=PATIENCE_SECONDS)


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.put(
            (self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        )
        is_refused, self.server.refuse = self.server.refuse > 0, max(0, self.server.refuse - 1)
        self.send_response(503 if is_refused else 202)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sandbox(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    """An inbox that reports to the receiver."""
    store = tmp_path_factory.mktemp("sandbox") / "inbox.sqlite3"
    program = Program(
        name="inbox",
        argv=(
            *(sys.executable, "-m", "maild.local.inbox"),
            *("--smtp", "127.0.0.1:0", "--web", "127.0.0.1:0", "--store", str(store)),
            *("--report-to", f"http://127.0.0.1:{receiver.server_port}"),
        ),
        cwd=ROOT,
        env=dict(os.environ),
    )
    ours, theirs = os.pipe()
    process = spawn(program, output=theirs)
    os.close(theirs)
    with os.fdopen(ours, encoding="utf-8") as output:
        ports = re.findall(r":(\d+)", output.readline())
        yield Inbox(int(ports[0]), int(ports[1]))
        stop(program, process)


def send(sandbox, recipient, *, username="sandbox", password=PASSWORD):
    with sandbox.smtp() as client:
        if username:
            client.login(username, password)
        client.sendmail("shop@example.com", [recipient], RAW)


def test_it_reports_what_it_took_signed_to_the_endpoint_that_the_login_names(sandbox, receiver):
    begun = int(time.time())
    send(sandbox, "ann@example.com")
    path, headers, body = receiver.next()
    assert path == PATH + TOKEN
    request = Request(body=body, headers=headers, received_at=datetime.now(UTC))
    own_format.verify(request, Keys(signing=(SECRET,)))
    [entry] = json.loads(body)
    assert re.fullmatch(r"sandbox-[0-9a-f]{24}", entry.pop("event_id"))
    assert begun <= entry.pop("timestamp") <= begun + PATIENCE_SECONDS
    assert entry == {"type": "delivered", "email": "ann@example.com", "message_id": "m1@localhost"}


def test_who_is_not_of_the_sandbox_is_not_reported_on_and_rules_say_what_is(sandbox, receiver):
    send(sandbox, "ann@example.com", username="")
    send(sandbox, "ann@example.com", username="shop", password=PASSWORD)
    send(sandbox, "ann@example.com", password="hunter2")
    send(sandbox, "bounce@example.com")
    [entry] = json.loads(receiver.next()[2])
    assert (entry["type"], entry["reason"]) == ("hard_bounced", "550 5.1.1 Unknown user")
    assert receiver.taken.empty()


def test_what_maild_could_not_take_is_reported_again_with_the_same_id(sandbox, receiver):
    receiver.refuse = 1
    send(sandbox, "ann@example.com")
    [first] = json.loads(receiver.next()[2])
    [second] = json.loads(receiver.next()[2])
    assert first == second


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("shop", f"{TOKEN}.{SECRET}"),
        ("sandbox", ""),
        ("sandbox", f"{TOKEN}{SECRET}"),
        ("sandbox", f"../{TOKEN[3:]}.{SECRET}"),
        ("sandbox", f"{TOKEN}.{SECRET}\r\nHost: example.com"),
        ("sandbox", f"{TOKEN}.short"),
    ],
)
def test_nothing_but_a_token_and_a_secret_says_where_to_report(username, password):
    assert find_login(username, password) is None

"""Servers to talk to (aiosmtpd, and one that plays a script), certificates for both, and a client:
an owner with one connection, which a test drives step by step."""

import asyncio
import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from maild.transports import smtp

PATIENCE = 10.0
"""Seconds after which a server that waits for its client gives up, so that no test hangs."""


@dataclass(frozen=True)
class Certificates:
    """A server's side for `localhost`, and a client's side that trusts it."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Certificates:
    """A certificate of our own making, for the name `localhost` only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path: Path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(pem + private)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(path)
    return Certificates(server, ssl.create_default_context(cadata=pem.decode()))


class Peer:
    """The server's end of one scripted connection."""

    def __init__(self, connection: socket.socket) -> None:
        # Each reply leaves at once, even when a reset follows.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.commands: list[str] = []
        self._received = bytearray()

    def say(self, *lines: str) -> None:
        self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def expect(self, verb: str) -> str:
        """The next command, which must begin with `verb`."""
        command = self._read_until(b"\r\n").decode()
        self.commands.append(command)
        assert command.startswith(verb), f"{command!r} instead of {verb}"
        return command

    def answer(self, verb: str, *lines: str) -> None:
        self.expect(verb)
        self.say(*lines)

    def greet(self, *extensions: str) -> None:
        """Banner and EHLO. Where nothing is said, PIPELINING is not offered."""
        self.say("220 mx.example.com ESMTP")
        lines = ["mx.example.com", *extensions]
        self.expect("EHLO")
        self.say(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")

    def take_envelope(self) -> None:
        """MAIL, RCPT and DATA, all welcome."""
        self.answer("MAIL", "250 OK")
        self.answer("RCPT", "250 OK")
        self.answer("DATA", "354 Go on")

    def take_group(self, *verbs: str, after: bytes = b"") -> None:
        """All of these commands, behind the end of a message, before any of them is answered."""
        group = self._read_until(f"{verbs[-1]}\r\n".encode(), keep=True)
        assert group.startswith(after)
        commands = group[len(after) :].decode().splitlines()
        self.commands += commands
        assert [command.split()[0] for command in commands] == list(verbs)
        self.expect_nothing_more()

    def expect_nothing_more(self) -> None:
        """Nothing came with what has been read."""
        assert self._received == b""

    def take_octets(self, count: int) -> bytes:
        """Exactly so much of a message."""
        while len(self._received) < count:
            self._receive()
        found, self._received = self._received[:count], self._received[count:]
        return bytes(found)

    def take_body(self) -> bytes:
        """What follows DATA, as it came over the wire, final dot included."""
        return self._read_until(b"\r\n.\r\n", keep=True)

    def take_message(self) -> bytes:
        self.take_envelope()
        body = self.take_body()
        self.say("250 2.0.0 queued")
        return body

    def part(self) -> None:
        """QUIT."""
        self.answer("QUIT", "221 Bye")

    def wait_until_closed(self) -> None:
        """Say nothing until the client has gone."""
        with contextlib.suppress(ConnectionError):
            while self.connection.recv(65536):
                pass

    def reset(self) -> None:
        """Close with a TCP reset."""
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.connection = context.wrap_socket(self.connection, server_side=True)

    def _read_until(self, mark: bytes, *, keep: bool = False) -> bytes:
        while mark not in self._received:
            self._receive()
        found, _, self._received = self._received.partition(mark)
        return bytes(found + mark if keep else found)

    def _receive(self) -> None:
        chunk = self.connection.recv(65536)
        assert chunk, f"the client left; it had said {self._received!r}"
        self._received += chunk


Script = Callable[[Peer], None]


@pytest.fixture
def play() -> Iterator[Callable[..., int]]:
    """`play(script, ...)` starts a server that plays one script a connection; gives its port.

    A script that fails, or is never played, fails the test.
    """
    threads: list[threading.Thread] = []
    faults: list[BaseException] = []

    def start(*scripts: Script, host: str = "127.0.0.1") -> int:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, 0), family=family)
        listener.settimeout(PATIENCE)

        def serve() -> None:
            with listener:
                for script in scripts:
                    connection, _ = listener.accept()
                    connection.settimeout(PATIENCE)
                    peer = Peer(connection)
                    try:
                        script(peer)
                    finally:
                        peer.connection.close()

        def run() -> None:
            try:
                serve()
            except BaseException as fault:  # told to the test below
                faults.append(fault)

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)
        return listener.getsockname()[1]

    yield start
    for thread in threads:
        thread.join(PATIENCE * 2)
        assert not thread.is_alive()
    if faults:
        raise faults[0]


@dataclass
class Smtpd:
    """A running aiosmtpd: its port, and what it took in."""

    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)

    async def handle_DATA(self, server, session, envelope) -> str:
        self.envelopes.append(envelope)
        return "250 2.0.0 queued"


@pytest.fixture
def smtpd() -> Iterator[Callable[..., Smtpd]]:
    """`smtpd(**options)` starts a real server: aiosmtpd's options, and `ssl` for TLS at once."""
    with contextlib.ExitStack() as stack:

        def start(**options) -> Smtpd:
            return stack.enter_context(_running(**options))

        yield start


@contextlib.contextmanager
def _running(*, ssl: ssl.SSLContext | None = None, **options) -> Iterator[Smtpd]:
    handler = Smtpd()
    loop = asyncio.new_event_loop()

    async def start() -> asyncio.Server:
        options.setdefault("hostname", "localhost")
        return await loop.create_server(
            lambda: SMTP(handler, loop=loop, **options), "127.0.0.1", 0, ssl=ssl
        )

    async def stop() -> None:
        server.close()
        await server.wait_closed()
        remaining = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in remaining:
            task.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)
        await loop.shutdown_asyncgens()

    server = loop.run_until_complete(start())
    handler.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield handler
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


@pytest.fixture
def authenticator():
    """For aiosmtpd: knows `ann` with the password `sécret`."""

    def sign_in(server, session, envelope, mechanism, data) -> AuthResult:
        is_known = (data.login, data.password) == (b"ann", "sécret".encode())
        return AuthResult(success=is_known, handled=is_known)

    return sign_in


@pytest.fixture
def server_at() -> Callable[..., smtp.Server]:
    """`server_at(port, **changes)`: how to reach a server of this test."""

    def server(port: int, **changes) -> smtp.Server:
        values = {
            "host": "localhost",
            "port": port,
            "security": "auto",
            "username": None,
            "password": None,
            "local_hostname": "client.example.com",
            "guard": None,
        }
        return smtp.Server(**(values | changes))

    return server


MESSAGE = b"Subject: Hi\r\n\r\nHello\r\n"


class Client:
    """The owner of one connection. It notes what it is told (`events`, `outcomes`), and answers a
    go-ahead with `at_go_ahead`, which sends the message and begins the next one of `queue`."""

    connection: smtp.Connection

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._news = asyncio.Event()
        self.queue: list[smtp.Offer] = []
        self.events: list[str] = []
        self.outcomes: dict[smtp.Offer, smtp.Outcome] = {}
        self.at_go_ahead: Callable[[smtp.Connection, smtp.Offer], None] = self.finish

    def offer(
        self,
        message: bytes = MESSAGE,
        *,
        mail_from: str = "ann@example.com",
        rcpt_to: str = "bob@example.org",
        name: str = "",
    ) -> smtp.Offer:
        return smtp.Offer(mail_from, rcpt_to, message, name)

    def send(self, message: bytes = MESSAGE, **envelope: str) -> smtp.Outcome:
        """Send one message; returns when the connection is idle or closed again."""
        return self.send_all(self.offer(message, **envelope))[0]

    def send_all(self, *offers: smtp.Offer) -> list[smtp.Outcome]:
        """Begin the first message, and each other one with the end of the one before it."""
        self.begin(*offers)
        self.settle()
        return [self.outcomes[offer] for offer in offers if offer in self.outcomes]

    def begin(self, *offers: smtp.Offer) -> None:
        """Begin the first message; the others wait in `queue` for a go-ahead."""
        self.queue.extend(offers[1:])
        self.do(lambda: self.connection.begin(offers[0]))

    def finish(self, connection: smtp.Connection, _: smtp.Offer) -> None:
        connection.finish(self.queue.pop(0) if self.queue else None)

    def do(self, action: Callable[[], None]) -> None:
        """Call something where it has to be called: in the loop."""

        async def act() -> None:
            action()

        self._loop.run_until_complete(act())

    def settle(self) -> None:
        """Run until nothing is under way any more."""
        self.run_until(lambda: not self.connection.is_usable or self.connection.is_idle)
        if not self.connection.is_usable:
            self.run_until(lambda: "closed" in self.events)

    def run_until(self, is_true: Callable[[], bool]) -> None:
        async def wait() -> None:
            async with asyncio.timeout(PATIENCE):
                while not is_true():
                    self._news.clear()
                    await self._news.wait()

        self._loop.run_until_complete(wait())

    def wait_for(self, event: threading.Event) -> None:
        """Run until the server has set an event."""
        with ThreadPoolExecutor(1) as threads:
            waiting = self._loop.run_in_executor(threads, event.wait, PATIENCE)
            assert self._loop.run_until_complete(waiting)

    def quit(self) -> None:
        """Leave, politely where there is somebody to take leave of."""
        if self.connection.is_idle:
            self.do(self.connection.quit)
        else:
            self.do(self.connection.abort)
        self.run_until(lambda: "closed" in self.events)

    def on_go_ahead(self, connection: smtp.Connection, offer: smtp.Offer) -> None:
        self._note("go ahead", offer)
        self.at_go_ahead(connection, offer)

    def on_done(
        self, connection: smtp.Connection, offer: smtp.Offer, outcome: smtp.Outcome
    ) -> None:
        assert offer not in self.outcomes
        self.outcomes[offer] = outcome
        self._note("done", offer)

    def on_idle(self, connection: smtp.Connection) -> None:
        assert connection.is_idle
        self._note("idle")

    def on_closed(self, connection: smtp.Connection) -> None:
        assert not connection.is_usable
        self._note("closed")

    def _note(self, event: str, offer: smtp.Offer | None = None) -> None:
        assert "closed" not in self.events
        self.events.append(f"{event} {offer.context}".rstrip() if offer else event)
        self._news.set()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop for the client's side. What goes wrong in it unseen fails the test."""
    faults = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert faults == []


@pytest.fixture
def connect(play, smtpd, server_at, loop) -> Iterator[Callable[..., Client]]:
    """`connect(port, ...)` opens a connection, closed before the servers are stopped."""
    clients: list[Client] = []

    def opened(
        port: int,
        *,
        timeouts: smtp.Timeouts = smtp.Timeouts(),  # noqa: B008 - frozen
        ssl_context: ssl.SSLContext | None = None,
        **changes,
    ) -> Client:
        client = Client(loop)
        client.connection = loop.run_until_complete(
            smtp.open_connection(
                server_at(port, **changes), client, timeouts=timeouts, ssl_context=ssl_context
            )
        )
        clients.append(client)
        return client

    yield opened
    for client in clients:
        if "closed" not in client.events:
            client.quit()


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]

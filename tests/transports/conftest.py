"""Servers to talk to: a real one (aiosmtpd), one that plays a script, and certificates for both."""

import asyncio
import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
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
        self.connection = connection
        self.commands: list[str] = []
        self._received = b""

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
        """Banner and EHLO."""
        self.say("220 mx.example.com ESMTP")
        lines = ["mx.example.com", *extensions]
        self.expect("EHLO")
        self.say(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")

    def take_envelope(self) -> None:
        """MAIL, RCPT and DATA, all welcome."""
        self.answer("MAIL", "250 OK")
        self.answer("RCPT", "250 OK")
        self.answer("DATA", "354 Go on")

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
            chunk = self.connection.recv(65536)
            assert chunk, f"the client left; it had said {self._received!r}"
            self._received += chunk
        found, _, self._received = self._received.partition(mark)
        return found + mark if keep else found


Script = Callable[[Peer], None]


@pytest.fixture
def play() -> Iterator[Callable[..., int]]:
    """`play(script, ...)` starts a server that plays one script a connection; gives its port.

    A script that fails, or is never played, fails the test.
    """
    threads: list[threading.Thread] = []
    faults: list[BaseException] = []

    def start(*scripts: Script, host: str = "127.0.0.1") -> int:
        listener = socket.create_server((host, 0))
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
        }
        return smtp.Server(**(values | changes))

    return server


@pytest.fixture
def connect(play, smtpd, server_at) -> Iterator[Callable[..., smtp.Connection]]:
    """`connect(port, ...)` opens a connection, closed before the servers are stopped."""
    with contextlib.ExitStack() as stack:

        def opened(
            port: int,
            *,
            timeouts: smtp.Timeouts = smtp.Timeouts(),  # noqa: B008 - frozen
            ssl_context: ssl.SSLContext | None = None,
            **changes,
        ) -> smtp.Connection:
            server = server_at(port, **changes)
            return stack.enter_context(smtp.open_connection(server, timeouts, ssl_context))

        yield opened


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]

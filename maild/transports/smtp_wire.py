"""The bytes of one SMTP connection: addresses, TCP, and TLS.

In charge of getting connected, to the addresses that `lookup` has checked and to no others, and of
turning every way a connection can fail into one WireError.
`Wire` asks and waits, which suits the opening of a session. Not in charge of what is said over it
(`smtp_session`), nor of the dialogue about messages, which does not wait (`smtp_dialogue`).
"""

import asyncio
import ipaddress
import os
import socket
import ssl
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from time import monotonic
from typing import Any, cast

from maild.domain.networks import Guard
from maild.domain.smtp_reply import ErrorClass, Reply
from maild.transports.lookup import Address, LookupFailed, look_up
from maild.transports.smtp_replies import Replies, WireError, parse_reply

_CLOSED = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    BrokenPipeError,
    ConnectionAbortedError,
    ConnectionResetError,
)


async def resolve(host: str, port: int, seconds: float, guard: Guard | None) -> list[Address]:
    """Every address of a host that may be dialled, looked up once; raises WireError (DNS)."""
    loop = asyncio.get_running_loop()
    ask = partial(look_up, host, port, guard=guard)
    try:
        if _is_ip_address(host):
            return ask()  # asks nobody, and must not wait behind those who do
        async with asyncio.timeout(seconds):
            return await loop.run_in_executor(_resolvers(), ask)
    except LookupFailed as error:
        raise WireError(ErrorClass.DNS, str(error)) from error
    except TimeoutError as error:
        raise WireError(ErrorClass.DNS, f"{host} is not resolved in time") from error


@cache
def _resolvers() -> ThreadPoolExecutor:
    """Threads that wait for the system's resolver. Many: a name that nobody answers for keeps one
    for as long as the system is patient, whatever our own time limit.
    """
    return ThreadPoolExecutor(64, "resolver")


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def connect(addresses: list[Address], seconds: float) -> "Wire":
    """The first address that answers, all of them within `seconds`; raises WireError."""
    deadline = monotonic() + seconds
    failure = WireError(ErrorClass.DNS, "the host has no address")
    for position, (family, address) in enumerate(addresses):
        # A fair share each, or one silent address would use up the time of all the others.
        share = max(deadline - monotonic(), 0.001) / (len(addresses) - position)
        try:
            return await _dial(family, address, share)
        except OSError as error:
            failure = wire_error(error)
    raise failure


async def _dial(family: socket.AddressFamily, address: Any, seconds: float) -> "Wire":
    loop = asyncio.get_running_loop()
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        async with asyncio.timeout(seconds):
            await loop.sock_connect(connection, address)
        # Each write is a whole command or message: nothing is gained by waiting for more.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = Wire(connection)
        await loop.create_connection(lambda: wire, sock=connection)
    except BaseException:
        connection.close()
        raise
    return wire


class Wire(asyncio.Protocol):
    """One connection, one question at a time. After a WireError it can only be aborted.

    `transport` speaks TLS once `start_tls` has returned, `raw` is the TCP connection below it, and
    `socket` is the one that both of them own.
    """

    transport: asyncio.Transport
    raw: asyncio.Transport

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.is_encrypted = False
        self.peer = str(connection.getpeername()[0])
        address = self.peer.partition("%")[0]  # fe80::1%eth0
        self.is_loopback = ipaddress.ip_address(address).is_loopback
        self._replies = Replies()
        self._arrived: deque[Reply] = deque()
        self._failure: WireError | None = None
        self._is_lost = False
        self._news = asyncio.Event()

    @property
    def has_input(self) -> bool:
        """True where the server has said more than it was asked: replies would be out of step."""
        return bool(self._arrived) or self._replies.is_partial

    async def start_tls(self, context: ssl.SSLContext, host: str, seconds: float) -> None:
        """Turn to TLS, with the certificate checked against `host` as `context` demands."""
        # Plaintext that waits here would later pass for a protected reply (CVE-2011-0411). What
        # comes from here on goes to the handshake, which fails on it.
        if self.has_input:
            raise WireError(ErrorClass.TLS, "the server spoke before the TLS handshake")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                transport = await loop.start_tls(
                    self.transport,
                    self,
                    context,
                    server_hostname=host,
                    ssl_handshake_timeout=seconds + 1,  # ours is first
                    ssl_shutdown_timeout=1,
                )
        except (OSError, ValueError) as error:
            raise self._failure or wire_error(error) from error
        if transport is None:  # lost in the very moment the handshake was done
            raise WireError(ErrorClass.CONNECTION, "the server closed the connection")
        self.transport = transport
        self.is_encrypted = True

    async def ask(self, command: str, seconds: float) -> Reply:
        """Say one line, and wait for the reply; raises WireError."""
        if self.has_input:
            raise WireError(ErrorClass.PROTOCOL, "the server spoke out of turn")
        self.transport.write(f"{command}\r\n".encode())
        return await self.read_reply(seconds)

    async def read_reply(self, seconds: float) -> Reply:
        """The next reply, whole within `seconds`; raises WireError."""
        try:
            async with asyncio.timeout(seconds):
                while not self._arrived and self._failure is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            raise wire_error(error) from error
        if self._arrived:
            return self._arrived.popleft()
        assert self._failure is not None
        raise self._failure

    def check(self) -> None:
        """Raises WireError where the connection is lost, or out of step."""
        if self._failure is not None:
            raise self._failure
        if self.has_input:
            raise WireError(ErrorClass.PROTOCOL, "the server spoke out of turn")
        if self.transport.is_closing() or self.raw.is_closing():
            raise WireError(ErrorClass.CONNECTION, "the server closed the connection")

    async def close(self, seconds: float) -> None:
        """Close in order, as far as that takes no longer than `seconds`. Never fails."""
        self.transport.close()
        try:
            async with asyncio.timeout(seconds):
                while not self._is_lost:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Close at once. Never fails."""
        self.transport.abort()
        self.raw.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = self.raw = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._failure is not None:
            return
        try:
            for _, lines in self._replies.feed(data):
                self._arrived.append(parse_reply(lines))
        except WireError as error:
            self._fail(error)
        self._news.set()

    def eof_received(self) -> None:
        self._fail(WireError(ErrorClass.CONNECTION, "the server closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._fail(lost(exc))

    def _fail(self, error: WireError) -> None:
        self._failure = self._failure or error
        self._news.set()


def lost(error: Exception | None) -> WireError:
    """What an event loop reports as a connection's end, which may be none but the end."""
    if isinstance(error, OSError):
        return wire_error(error)
    return WireError(ErrorClass.CONNECTION, "the server closed the connection")


def wire_error(error: OSError | ValueError) -> WireError:
    """What an error of the system or of TLS means."""
    if isinstance(error, TimeoutError):
        return WireError(ErrorClass.TIMEOUT, "no answer in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the server's certificate is not valid: {error.verify_message}"
        return WireError(ErrorClass.TLS, text)
    if isinstance(error, _CLOSED):
        return WireError(ErrorClass.CONNECTION, "the server closed the connection")
    if isinstance(error, (ssl.SSLError, ValueError)):
        return WireError(ErrorClass.TLS, f"TLS failed: {error}")
    # Not `strerror`: an event loop puts words of its own there.
    text = os.strerror(error.errno) if error.errno else str(error)
    return WireError(ErrorClass.CONNECTION, text.lower())

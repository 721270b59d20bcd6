"""The bytes of one SMTP connection: TCP, TLS, writes, and replies read within bounds.

In charge of the socket: every wait has a limit, every reply a size, and every way a connection can
fail comes out as one WireError. Not in charge of what is said over it (`smtp_session`, `smtp`).
"""

import ipaddress
import socket
import ssl
from time import monotonic
from typing import Any

from maild.domain.smtp_reply import ErrorClass, Reply, parse

# The client reads what a stranger's server writes; RFC 5321 4.5.3.1.5 asks for 512 octets a line.
_REPLY_LINE_LIMIT = 4096
_REPLY_LINES_LIMIT = 100
_WRITE_SIZE = 256 * 1024

Address = tuple[socket.AddressFamily, Any]  # the family decides what an address looks like


_CLOSED = (ssl.SSLEOFError, ssl.SSLZeroReturnError, BrokenPipeError, ConnectionResetError)


class WireError(Exception):
    """The connection cannot be used any more: why, as a class and as words for a person."""

    def __init__(self, error_class: ErrorClass, text: str) -> None:
        super().__init__(text)
        self.error_class = error_class
        self.text = text


def resolve(host: str, port: int) -> list[Address]:
    """Every address of a host, in the resolver's order (RFC 6724); raises WireError (DNS).

    The wait is the resolver's own: the system offers no limit per call.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise WireError(ErrorClass.DNS, f"{host} cannot be resolved: {error.strerror}") from error
    except UnicodeError as error:
        raise WireError(ErrorClass.DNS, f"{host} is not a host name") from error
    return [(family, address) for family, _, _, _, address in found]


def connect(addresses: list[Address], timeout: float) -> "Wire":
    """The first address that answers, all of them within `timeout` seconds; raises WireError."""
    deadline = monotonic() + timeout
    failure = WireError(ErrorClass.DNS, "the host has no address")
    for position, (family, address) in enumerate(addresses):
        # A fair share each, or one silent address would use up the time of all the others.
        share = max(deadline - monotonic(), 0.001) / (len(addresses) - position)
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(share)
            connection.connect(address)
            # Each write is a whole command or message: nothing is gained by waiting for more.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return Wire(connection)
        except OSError as error:
            connection.close()
            failure = _wire_error(error)
    raise failure


class Wire:
    """One connection, for one thread. After a WireError it is good for nothing but `close`."""

    __slots__ = ("_buffer", "_socket", "is_encrypted", "is_loopback")

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = bytearray()
        self.is_encrypted = False
        peer = str(connection.getpeername()[0]).partition("%")[0]  # fe80::1%eth0
        self.is_loopback = ipaddress.ip_address(peer).is_loopback

    @property
    def has_input(self) -> bool:
        """True where the server has said more than it was asked: replies would be out of step."""
        return bool(self._buffer)

    def start_tls(self, context: ssl.SSLContext, host: str, timeout: float) -> None:
        """Turn to TLS, with the certificate checked against `host` as `context` demands."""
        # Plaintext that waits here would later pass for a protected reply (CVE-2011-0411).
        if self.has_input:
            raise WireError(ErrorClass.TLS, "the server spoke before the TLS handshake")
        self._socket.settimeout(timeout)
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=host)
        except (OSError, ValueError) as error:
            raise _wire_error(error) from error
        self.is_encrypted = True

    def write(self, data: bytes, timeout: float) -> None:
        """Hand everything to the system; `timeout` seconds for each 256 KiB (RFC 5321 4.5.3.2.5).

        After an error the last octet of `data` is certain not to have left.
        """
        self._socket.settimeout(timeout)
        try:
            if len(data) <= _WRITE_SIZE:
                self._socket.sendall(data)
                return
            view = memoryview(data)
            for start in range(0, len(data), _WRITE_SIZE):
                self._socket.sendall(view[start : start + _WRITE_SIZE])
        except OSError as error:
            raise _wire_error(error) from error

    def read_reply(self, timeout: float) -> Reply:
        """The next reply, whole within `timeout` seconds."""
        try:
            return parse(self._read_lines(timeout))
        except ValueError as error:
            raise WireError(ErrorClass.PROTOCOL, str(error)) from error

    def close(self) -> None:
        """Close the socket at once; never fails."""
        self._socket.close()

    def _read_lines(self, timeout: float) -> list[bytes]:
        deadline = monotonic() + timeout
        lines: list[bytes] = []
        while len(lines) < _REPLY_LINES_LIMIT:
            line = self._read_line(deadline)
            lines.append(line)
            # RFC 5321 4.2.1: a hyphen says that another line follows. "SSH-2.0" does not.
            if line[3:4] != b"-" or not line[:3].isdigit():
                return lines
        raise WireError(ErrorClass.PROTOCOL, f"a reply of over {_REPLY_LINES_LIMIT} lines")

    def _read_line(self, deadline: float) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > _REPLY_LINE_LIMIT:
                break
            self._receive(deadline)
        if not 0 <= end <= _REPLY_LINE_LIMIT:
            text = f"a reply line of over {_REPLY_LINE_LIMIT} octets"
            raise WireError(ErrorClass.PROTOCOL, text)
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line

    def _receive(self, deadline: float) -> None:
        remaining = deadline - monotonic()
        if remaining <= 0:
            raise WireError(ErrorClass.TIMEOUT, "no answer in time")
        self._socket.settimeout(remaining)
        try:
            received = self._socket.recv(_REPLY_LINE_LIMIT)
        except OSError as error:
            raise _wire_error(error) from error
        if not received:
            raise WireError(ErrorClass.CONNECTION, "the server closed the connection")
        self._buffer += received


def _wire_error(error: OSError | ValueError) -> WireError:
    if isinstance(error, TimeoutError):
        return WireError(ErrorClass.TIMEOUT, "no answer in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the server's certificate is not valid: {error.verify_message}"
        return WireError(ErrorClass.TLS, text)
    if isinstance(error, _CLOSED):
        return WireError(ErrorClass.CONNECTION, "the server closed the connection")
    if isinstance(error, (ssl.SSLError, ValueError)):
        return WireError(ErrorClass.TLS, f"TLS failed: {error}")
    return WireError(ErrorClass.CONNECTION, (error.strerror or str(error)).lower())

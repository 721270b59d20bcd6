"""The TCP ports of the local stack: listening on one, and saying plainly why that does not work."""

import errno
import socket

from maild.config import Addr
from maild.errors import ConfigError


def listen(addr: Addr, *, setting: str) -> socket.socket:
    """A socket that listens on `addr`. Raises ConfigError that names the port and the setting."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            addr.host, addr.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"{setting}={addr} is no place to listen on: {error.strerror}") from None
    try:
        # Without it, the port of a server that has just stopped would be taken for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ConfigError(_why(error, addr, setting)) from None
    return listener


def check_free(addr: Addr, *, setting: str) -> None:
    """Raise ConfigError where `addr` cannot be listened on just now."""
    listen(addr, setting=setting).close()


def _why(error: OSError, addr: Addr, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        elsewhere = Addr(addr.host, addr.port + 1000 if addr.port < 60_000 else addr.port - 1000)
        return (
            f"port {addr.port} on {addr.host} is taken by another program; stop that program, or "
            f"choose another port with {setting}, such as {setting}={elsewhere}"
        )
    return f"cannot listen on {setting}={addr}: {error.strerror}"

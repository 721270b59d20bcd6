"""Whether an HTTPS address leads to a server with a certificate that holds: one connection, one
handshake, and one request. For the instance's own address only: it asks no guard.
"""

import http.client
import socket
import ssl

from maild.transports.lookup import Address
from maild.transports.smtp_certificate import Certificate, certificate_of

TIMEOUT_SECONDS = 4.0
"""For each wait: the connection, the handshake, the answer."""


class NotReached(Exception):
    """Nothing answers there; the text says why."""


class NotTrusted(Exception):
    """A server answers, and its certificate does not hold; the text says why."""


def probe(host: str, port: int, address: Address, *, path: str) -> tuple[Certificate | None, int]:
    """The certificate, and the status of a GET of `path`; 0 where the answer is no HTTP.

    Raises NotReached, NotTrusted.
    """
    family, place = address
    try:
        with socket.socket(family, socket.SOCK_STREAM) as plain:
            plain.settimeout(TIMEOUT_SECONDS)
            plain.connect(place)
            context = ssl.create_default_context()
            with context.wrap_socket(plain, server_hostname=host) as line:
                certificate = certificate_of(line.getpeercert())
                return certificate, _ask(line, host, port, path)
    except ssl.SSLCertVerificationError as error:
        raise NotTrusted(error.verify_message) from error
    except (OSError, ValueError) as error:
        raise NotReached(getattr(error, "strerror", None) or type(error).__name__) from error


def _ask(line: ssl.SSLSocket, host: str, port: int, path: str) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    connection.sock = line
    try:
        connection.request("GET", path, headers={"User-Agent": "maild", "Connection": "close"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0

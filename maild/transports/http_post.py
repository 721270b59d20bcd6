"""Posting to an address on the web that a workspace named, once.

In charge of dialling what the guard permitted and nothing else: the name is looked up once, the
connection goes to an address of that answer, and the name is only for TLS and the Host field.
Redirects are not followed, for where they lead was not checked. The whole exchange ends in time,
however slowly the other side drips, and no more of its answer is read than serves a person.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from maild.domain.networks import Guard
from maild.transports.lookup import LookupFailed, look_up

SECONDS_MAX = 12.0
"""For all of it: dialling, TLS, the request, the answer."""
DIAL_SECONDS = 5.0
ADDRESSES_MAX = 3
"""Of a host's addresses so many are dialled."""
ANSWER_MAX_BYTES = 2_000


class PostFailed(Exception):
    """There was no answer; the text is for people, and ends no sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is the beginning of the body. `retry_after_seconds` is what the server asks for."""

    status: int
    text: str
    retry_after_seconds: int | None = None


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    guard: Guard,
    seconds: float = SECONDS_MAX,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """The answer to a POST to an http or https URL, whatever its status. Raises PostFailed.

    `context` is what TLS is checked with; the system's authorities where it is left out.
    """
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    deadline = time.monotonic() + seconds
    try:
        connected = _dial(host, port, guard=guard, deadline=deadline)
    except LookupFailed as error:
        raise PostFailed(str(error)) from error
    is_late = threading.Event()
    connection = http.client.HTTPConnection(host, port)
    connection.sock = wire = connected

    def cut() -> None:
        is_late.set()
        # Of the plain socket: that of TLS would first forget how to encrypt what is still written.
        # And not `connection.sock`, which is gone once the head of the answer says `close`.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(wire, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        if is_tls:
            context = context or ssl.create_default_context()
            tls = context.wrap_socket(
                connected, server_hostname=host, do_handshake_on_connect=False
            )
            connection.sock = wire = tls
            if is_late.is_set():  # `cut` may have missed it, between the two sockets
                raise TimeoutError
            tls.do_handshake()
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # The name as it was written, and its port where that is not the usual one (RFC 9110 7.2).
        connection.request("POST", target, body, {"Host": parts.netloc, **headers})
        response = connection.getresponse()
        text = response.read(ANSWER_MAX_BYTES).decode("utf-8", "replace")
        if is_late.is_set():  # a head that was cut off passes for a whole one
            raise TimeoutError
        return Answer(response.status, text, _seconds_of(response.getheader("Retry-After")))
    except ssl.SSLCertVerificationError as error:
        raise PostFailed(
            f"the certificate of {host} does not hold: {error.verify_message}"
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        if is_late.is_set() or isinstance(error, TimeoutError):
            raise PostFailed(f"{host} did not answer within {seconds:.0f} seconds") from error
        raise PostFailed(f"{host} broke off: {_reason(error)}") from error
    finally:
        timer.cancel()
        connection.close()


def _dial(host: str, port: int, *, guard: Guard, deadline: float) -> socket.socket:
    """A connection to one of the host's permitted addresses. Raises LookupFailed, PostFailed."""
    why = "it has no address"
    for family, address in look_up(host, port, guard=guard)[:ADDRESSES_MAX]:
        left = min(DIAL_SECONDS, deadline - time.monotonic())
        if left <= 0:
            why = "it took too long"
            break
        connected = socket.socket(family, socket.SOCK_STREAM)
        connected.settimeout(left)
        try:
            connected.connect(address)
        except OSError as error:
            connected.close()
            why = "it took too long" if isinstance(error, TimeoutError) else _reason(error)
        else:
            connected.settimeout(max(0.1, deadline - time.monotonic()))
            return connected
    raise PostFailed(f"{host} cannot be reached: {why}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _seconds_of(field: str | None) -> int | None:
    """What Retry-After asks for, in seconds or as a date (RFC 9110 10.2.3)."""
    if field is None:
        return None
    if field.strip().isascii() and field.strip().isdigit():
        return min(int(field.strip()[:9]), 10**8)
    try:
        at = parsedate_to_datetime(field)
    except (ValueError, OverflowError):  # the latter for an offset from UTC that fits no number
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0, int(at.timestamp() - time.time()))

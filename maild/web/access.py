"""Who may see the console, and whose mail it shows.

maild has no sign-in yet. Until it has, the console is for a person at this very machine, in
development: everything under /ui is refused to anybody else, whatever the route.
"""

import ipaddress
import re

from flask import request

from maild import config
from maild.errors import Forbidden

PREFIX = "/ui"
_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_PROXY_HEADERS = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")


def guard() -> None:
    """Before every request: raises Forbidden for a path that the caller may not see."""
    if is_console(request.path) and (refusal := find_refusal()):
        raise refusal
    # The keys of development are known to everybody: a page from elsewhere, whose name resolves to
    # this machine (DNS rebinding), must not use them.
    if request.path.startswith("/v1/") and _is_private() and not _is_named_locally():
        raise Forbidden(
            "In development maild answers only to the names 127.0.0.1, localhost and [::1]."
            f" Use http://{config.current().addr}/v1 instead."
        )


def is_console(path: str) -> bool:
    """Whether the path lies in the console."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def find_refusal() -> Forbidden | None:
    """Why the present caller may not see the console, or None where it is open."""
    if config.current().is_production:
        return Forbidden(
            "The console needs sign-in, which this version of maild does not have, so it stays"
            " closed in production. The API works: read messages with GET /v1/messages/logs."
        )
    if any(name in request.headers for name in _PROXY_HEADERS):
        return Forbidden(
            "The console opens only to a browser on the same machine, and this request came through"
            f" a proxy. Open http://{config.current().addr}{PREFIX} there instead."
        )
    if not _is_loopback(request.remote_addr):
        return Forbidden(
            "The console opens only to a browser on the same machine, and this one is on another."
            " To reach it from afar, forward the port over SSH:"
            f" ssh -L {config.current().addr.port}:{config.current().addr} HOST"
        )
    # A name that an attacker owns may resolve to 127.0.0.1 (DNS rebinding); its pages stay outside.
    if not _is_named_locally():
        return Forbidden(
            "The console answers only to the names 127.0.0.1, localhost and [::1]."
            f" Open http://{config.current().addr}{PREFIX} instead."
        )
    return None


def current_workspace_id() -> int:
    """The workspace whose mail the console shows."""
    return 1


def _is_private() -> bool:
    """Whether this is a development copy that listens to its own machine only."""
    settings = config.current()
    return not settings.is_production and settings.addr.host in {"127.0.0.1", "::1", "localhost"}


def _is_named_locally() -> bool:
    return bool(_LOOPBACK_HOST.fullmatch(request.headers.get("Host", "")))


def _is_loopback(remote: str | None) -> bool:
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback

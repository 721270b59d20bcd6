"""A GET to a watcher of the instance's own choosing, which notices when none comes any more.

It follows no redirect, sends nothing but the request, and reads no body: what counts is a 2xx.
"""

import http.client
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 5.0
"""For each wait of one try: the connection, the handshake, the answer."""


class NotAnswered(Exception):
    """The watcher did not take the ping; the text says why, without its address: that is a
    secret.
    """


def ping(url: str) -> None:
    """Raises NotAnswered."""
    parts = urlsplit(url)
    is_https = parts.scheme == "https"
    kind = http.client.HTTPSConnection if is_https else http.client.HTTPConnection
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", path, headers={"User-Agent": "maild", "Connection": "close"})
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise NotAnswered(f"it cannot be reached ({reason})") from None
    if 300 <= status < 400:
        raise NotAnswered(f"it answers {status}, a redirect, which is not followed")
    if not 200 <= status < 300:
        raise NotAnswered(f"it answers {status}")

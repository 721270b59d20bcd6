"""Where the running `make run` is, whether the demo may touch it, and how it is asked over HTTP."""

import dataclasses
import http.client
import json
from dataclasses import dataclass
from typing import Any

from maild import config
from maild.config import STACK_FILE, Addr, Settings
from maild.local.run import WILDCARDS

TIMEOUT_SECONDS = 60.0
OURS = ("POSTGRES_DSN", "REDIS_URL", "SMTP_HOST", "SMTP_PORT", "APP_ADDR")
"""What the file of the stack must tell: a part that is missing was replaced by one from elsewhere,
where mail may be real.
"""


class Refused(Exception):
    """The demo cannot go on: why, and what to do, for a person."""


@dataclass(frozen=True, slots=True)
class Found:
    """A running stack of `make run`."""

    settings: Settings
    web: Addr


def find() -> Found:
    """The stack that MAILD_HOME is of. Raises Refused where there is none, or it is not embedded as
    a whole; ConfigError.
    """
    settings = config.load()
    if settings.is_production:
        raise Refused("APP_ENV is production: the demo is for a development stack alone.")
    local = config.load_local()
    told = _read(local.home / STACK_FILE)
    if not told:
        raise Refused(
            f"No maild runs on {local.home}. Start one with `make run` in another terminal, with"
            " the same MAILD_HOME, and try again."
        )
    if missing := [name for name in OURS if name not in told]:
        raise Refused(
            f"The maild on {local.home} is not all of one piece: {', '.join(missing)} lead"
            " elsewhere. The demo writes to nothing but a stack of its own: unset them, and restart"
            " `make run`."
        )
    # The environment of this terminal counts more than the file; nothing may come from there.
    used = {
        "POSTGRES_DSN": settings.postgres_dsn,
        "REDIS_URL": settings.redis_url,
        "SMTP_HOST": settings.smtp.host,
        "SMTP_PORT": str(settings.smtp.port),
        "APP_ADDR": str(settings.addr),
    }
    if other := [name for name, value in used.items() if value != told[name]]:
        raise Refused(
            f"This terminal sets {', '.join(other)}, which lead to another maild than the one on"
            f" {local.home}. Unset them, and try again."
        )
    web = Addr(WILDCARDS.get(settings.addr.host, settings.addr.host), settings.addr.port)
    return Found(dataclasses.replace(settings, log_level="ERROR"), web)


def _read(path: Any) -> dict[str, str]:
    """The lines of the file that a running stack writes; nothing where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


class Http:
    """One kept-alive connection to the web processes, for one thread."""

    def __init__(self, addr: Addr, *, key_header: str) -> None:
        self._addr = addr
        self._key_header = key_header
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str, may_be: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """The answer to a request of the API. Raises Refused where it is an error, unless its
        status is one that `may_be`.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {self._key_header: key, "Content-Type": "application/json"}
        status, text = self.send(method, path, data, headers)
        answer: dict[str, Any] = json.loads(text)
        if status >= 400 and status not in may_be:
            raise Refused(f"{method} {path} answers {status}: {answer.get('detail')}")
        return answer

    def send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        """The status and body of any request. Raises Refused where nobody answers."""
        try:
            return self._send(method, path, body, headers)
        except (OSError, http.client.HTTPException):
            self.close()  # kept alive for too long, perhaps
        try:
            return self._send(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"http://{self._addr} does not answer: {error}") from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                self._addr.host, self._addr.port, timeout=TIMEOUT_SECONDS
            )
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()

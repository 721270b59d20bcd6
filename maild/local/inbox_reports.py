"""The sandbox: the inbox reports what became of a message, as a provider does, over real HTTP.

An account of the sandbox signs in as `sandbox`, with a password that is the token of its webhook
endpoint, a dot, and that endpoint's signing secret: all that reporting takes. So the inbox knows
nothing of workspaces, and asks no database. It posts to one address only, that of the maild that
started it; a login chooses the endpoint there, never the host.

Reports are kept in memory: a provider loses some too, when it restarts.
"""

import asyncio
import http.client
import json
import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from maild.local.inbox_rules import Report
from maild.transports.webhooks import maild as own_format

USERNAME = "sandbox"
PATH = "/v1/webhooks/providers/maild/"
FIRST_AFTER_SECONDS = 1.0
"""A provider takes a moment as well; the message's own reply is recorded by then."""
BETWEEN_SECONDS = 1.0
TRIES = 6
BATCH = 200
WAITING_MAX = 20_000
TIMEOUT_SECONDS = 10.0

_PASSWORD = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{24,128})")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Login:
    """What an account of the sandbox has signed in with: where to report, and how to sign."""

    token: str
    secret: str


@dataclass(slots=True)
class _Waiting:
    login: Login
    entry: dict[str, Any]
    due_at: float
    tries: int = 0


def password_of(token: str, secret: str) -> str:
    """The password of an account that is to be reported on at the endpoint with this token."""
    return f"{token}.{secret}"


def find_login(username: str, password: str) -> Login | None:
    """Where somebody wants to be reported to; None for everybody else who signs in."""
    match = _PASSWORD.fullmatch(password) if username == USERNAME else None
    return Login(match[1], match[2]) if match else None


class Reporter:
    """Posts reports to the maild at `base_url`, in batches, the late ones again and again."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._is_tls = parts.scheme == "https"
        self._netloc, self._prefix = parts.netloc, parts.path.rstrip("/")
        self._waiting: list[_Waiting] = []
        self._loop: asyncio.Task[None] | None = None

    def add(
        self, login: Login, *, recipient: str, message_id: str, reports: Sequence[Report]
    ) -> None:
        """Have it reported, in a moment, what became of a message. Of the event loop's thread."""
        now = time.time()
        for place, report in enumerate(reports):
            if len(self._waiting) >= WAITING_MAX:
                _log.error("sandbox: too many reports wait; one is dropped")
                return
            due_at = now + FIRST_AFTER_SECONDS + place * BETWEEN_SECONDS
            entry = {
                "type": report.type,
                "email": recipient,
                "message_id": message_id,
                "event_id": f"sandbox-{secrets.token_hex(12)}",
                "timestamp": int(due_at),
            }
            if report.reason:
                entry["reason"] = report.reason
            self._waiting.append(_Waiting(login, entry, due_at))
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; what waits is not reported any more."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def _run(self) -> None:
        while self._waiting:
            now = time.time()
            due = [one for one in self._waiting if one.due_at <= now]
            for login in Counter(one.login for one in due):
                batch = [one for one in due if one.login == login][:BATCH]
                await self._post_batch(login, batch)
            await asyncio.sleep(0.2)

    async def _post_batch(self, login: Login, batch: Sequence[_Waiting]) -> None:
        body = json.dumps([one.entry for one in batch]).encode()
        status = await asyncio.to_thread(self._post, login, body)
        is_over = status is not None and status < 500 and status != 429
        if is_over and status is not None and status >= 300:
            _log.error("sandbox: maild answered a report with %d", status)
        for one in batch:
            one.tries += 1
            if is_over or one.tries >= TRIES:
                self._waiting.remove(one)
            else:
                one.due_at = time.time() + 2.0**one.tries
        if not is_over:
            _log.error("sandbox: a report did not get through (%s)", status or "no answer")

    def _post(self, login: Login, body: bytes) -> int | None:
        """The status of the answer; None where there was none."""
        kind = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
        headers = own_format.sign(body, secret=login.secret, timestamp=int(time.time()))
        connection = kind(self._netloc, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(
                "POST",
                f"{self._prefix}{PATH}{login.token}",
                body,
                {**headers, "Content-Type": "application/json"},
            )
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

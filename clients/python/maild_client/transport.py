"""How requests are made: with a key, a timeout, and tries again where that can do no harm.

A request is tried again after

- 429, whatever it was: maild has done nothing;
- no connection at all: it was not sent;
- a broken connection, a timeout, 502, 503 or 504, if it may be made twice: a GET, or a submission,
  which has an Idempotency-Key.

Between tries it waits as long as `Retry-After` says, else a random time that grows.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx

from maild_client.errors import ApiError, BadAnswer, MaildError, NoAnswer, from_response

Value = TypeVar("Value")

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 8.0
"""Of the waits that nobody has asked for."""

_AGAIN: Final = frozenset({502, 503, 504})
_WRONG: Final = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""The address or the key is none, and will be none the next time."""
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, *_WRONG)


class Unset:
    """The type of UNSET."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()
"""Given for a field: it is left out, and maild's default holds. None is sent, as null."""


@dataclass(frozen=True, slots=True)
class RequestLimit:
    """How the key's limit of requests stood with the latest answer: `remaining` of `per_minute`,
    and the seconds until all are there again.
    """

    per_minute: int
    remaining: int
    reset_seconds: int


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is tried again, and for how long it may be asked to wait. A limit of an
    hour is told, not slept through.
    """

    count: int = 4
    wait_max_seconds: float = 60.0


class Transport:
    """Makes requests. What is generated from the contract calls `_json`, `_raw` and `_take`."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        *,
        workspace_id: int | None,
        timeout: float | httpx.Timeout,
        retries: Retries,
        http: httpx.Client | None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._workspace_id = workspace_id
        self._retries = retries
        self._http = http or httpx.Client(timeout=timeout, follow_redirects=False)
        self._headers = {"User-Agent": f"maild-client/{_version()}"}
        if api_key:
            # Whatever maild's API_KEY_HEADER is, this one works.
            self._headers["Authorization"] = f"Bearer {_checked(api_key.strip())}"
        self.request_limit: RequestLimit | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base_url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
        is_idempotent: bool = False,
    ) -> Any:
        """An answer in JSON. `is_idempotent`: it takes an Idempotency-Key, and has one."""
        headers = {}
        if is_idempotent:
            headers["Idempotency-Key"] = idempotency_key or uuid.uuid4().hex
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            given = {name: value for name, value in body.items() if value is not UNSET}
            content = encode(self._in_workspace(given, body))
        response = self._send(
            method, path, query, headers, content, may_repeat=method == "GET" or is_idempotent
        )
        return _read(response)

    def _raw(self, method: str, path: str, *, query: Mapping[str, object] | None = None) -> bytes:
        """An answer as it comes, such as a file."""
        return self._send(method, path, query, {}, None, may_repeat=method == "GET").content

    def _either(self, method: str, path: str, *, query: Mapping[str, object]) -> Any:
        """An answer that is JSON or a file, as the query asks for."""
        response = self._send(method, path, query, {}, None, may_repeat=method == "GET")
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return _read(response) if is_json else response.content

    def _take(
        self,
        path: str,
        *,
        content: bytes,
        content_type: str,
        headers: Mapping[str, str | None],
        query: Mapping[str, object] | None = None,
    ) -> Any:
        """Post what is no JSON of ours, as it is."""
        told = {name: value for name, value in headers.items() if value is not None}
        told["Content-Type"] = content_type
        return _read(self._send("POST", path, query, told, content, may_repeat=False))

    def _in_workspace(
        self, given: dict[str, object], taken: Mapping[str, object]
    ) -> dict[str, object]:
        """With the workspace of this client, where a request takes one and names none."""
        if given.get("workspace_id") is None:
            given.pop("workspace_id", None)
            if self._workspace_id is not None and "workspace_id" in taken:
                given["workspace_id"] = self._workspace_id
        return given

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        headers: Mapping[str, str],
        content: bytes | None,
        *,
        may_repeat: bool,
    ) -> httpx.Response:
        """The answer that is a success. Raises ApiError, NoAnswer."""
        parameters = {
            name: _parameter(value)
            for name, value in self._in_workspace(_without_none(query or {}), query or {}).items()
        }
        for tries_left in range(self._retries.count, -1, -1):
            try:
                response = self._http.request(
                    method,
                    f"{self._base_url}{path}",
                    params=parameters,
                    headers={**self._headers, **headers},
                    content=content,
                )
            except httpx.RequestError as error:
                failure, wait = self._judge_silence(error, tries_left, may_repeat=may_repeat)
            else:
                self.request_limit = _limit(response.headers) or self.request_limit
                if response.is_success:
                    return response
                failure, wait = self._judge(from_response(response), tries_left, may_repeat)
            if wait is None:
                raise failure
            time.sleep(wait)
        raise AssertionError("the last try raises")

    def _judge_silence(
        self, error: httpx.RequestError, tries_left: int, *, may_repeat: bool
    ) -> tuple[MaildError, float | None]:
        """What is raised, or how long is waited before the next try."""
        was_sent = not isinstance(error, _NEVER_SENT)
        told = f"{self._base_url} does not answer: {type(error).__name__}: {error}"
        failure = NoAnswer(told, was_sent=was_sent)
        failure.__cause__ = error
        is_wrong = isinstance(error, _WRONG)
        if not tries_left or is_wrong or (was_sent and not may_repeat):
            return failure, None
        return failure, self._backoff(tries_left)

    def _judge(
        self, failure: MaildError, tries_left: int, may_repeat: bool
    ) -> tuple[MaildError, float | None]:
        if not tries_left or not isinstance(failure, ApiError):
            return failure, None
        if failure.status != 429 and not (may_repeat and failure.status in _AGAIN):
            return failure, None
        if failure.retry_after is None:
            return failure, self._backoff(tries_left)
        if failure.retry_after > self._retries.wait_max_seconds:
            return failure, None
        # A little later than asked, so that many who wait do not come at the same moment.
        return failure, failure.retry_after + random.uniform(0, FIRST_WAIT_SECONDS)  # noqa: S311

    def _backoff(self, tries_left: int) -> float:
        longest = FIRST_WAIT_SECONDS * 2 ** (self._retries.count - tries_left)
        most = min(longest, LONGEST_WAIT_SECONDS, self._retries.wait_max_seconds)
        return random.uniform(most / 2, most)  # noqa: S311 - no secret


def encode(body: object) -> bytes:
    """JSON as it goes over the wire. Raises ValueError for a time without a zone."""
    text = json.dumps(body, default=_plain, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def path_segment(value: object) -> str:
    """A part of a path."""
    return quote(str(value), safe="")


def _checked(key: str) -> str:
    """Raises ValueError, without the key: what refuses it later would show it."""
    if not (key.isascii() and key.isprintable()):
        raise ValueError("the API key has characters that no key has, such as a line's end")
    return key


def _plain(value: object) -> str:
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs a zone: datetime.now(timezone.utc), not datetime.now()")
        return value.isoformat()
    if isinstance(value, (dt.date, uuid.UUID)):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _parameter(value: object) -> str:
    """As it stands in a query string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else _plain(value)


def _without_none(query: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in query.items() if value is not None}


def _read(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        message = f"{response.url} answers {response.status_code} without JSON: is it maild?"
        raise BadAnswer(message) from None


def _limit(headers: httpx.Headers) -> RequestLimit | None:
    """From RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10)."""
    try:
        policy = dict(part.split("=") for part in headers["RateLimit-Policy"].split(";")[1:])
        stands = dict(part.split("=") for part in headers["RateLimit"].split(";")[1:])
        return RequestLimit(int(policy["q"]), int(stands["r"]), int(stands["t"]))
    except (KeyError, ValueError):
        return None


def _version() -> str:
    try:
        return metadata.version("maild-client")
    except metadata.PackageNotFoundError:
        return "source"

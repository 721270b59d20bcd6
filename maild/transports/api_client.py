"""A small client of maild's own API, for the command line: one kept-alive connection."""

import http.client
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30.0


class ApiError(Exception):
    """The API refused, or could not be reached (`status` 0). The text is for a person."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(slots=True)
class ApiClient:
    """Talks to `url` (`http://127.0.0.1:8080`) with an API key, for one thread."""

    url: str
    key_header: str
    key: str
    _connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a POST of JSON. Raises ApiError."""
        headers = {self.key_header: self.key, "Content-Type": "application/json"}
        try:
            connection = self._connection or self._connect()
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ApiError(0, f"{self.url} cannot be reached: {reason}") from error
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ApiError(response.status, f"{self.url} is not a maild: it answers no JSON")
        if response.status >= 400:
            raise ApiError(response.status, str(answer.get("detail", response.reason)))
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        return self._connection

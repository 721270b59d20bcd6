"""What can go wrong, as exceptions.

MaildError
+-- NoAnswer                 the server could not be reached, or the connection broke
+-- BadAnswer                what answered does not speak maild's API
+-- WebhookRefused           a notification is not signed by maild
+-- ApiError                 maild has answered with an error
    +-- InvalidRequest       400, 413, 422
    |   +-- BlockedRecipientDomain, ForbiddenFromDomain, PayloadTooLarge, SmtpValidationFailed
    +-- Unauthenticated      401
    +-- Forbidden            403
    +-- NotFound             404
    +-- Conflict             409
    |   +-- IdempotencyConflict
    +-- RateLimited          429
    +-- Unavailable          502, 503, 504
    +-- ServerError          every other 5xx
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import httpx


class MaildError(Exception):
    """The root of all."""


class NoAnswer(MaildError):
    """Nothing is known of what became of the request, unless `was_sent` is false: then nothing."""

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class BadAnswer(MaildError):
    """The answer is none of maild's: `base_url` may lead elsewhere."""


class WebhookRefused(MaildError):
    """The signature or the time does not hold: do not believe the request."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field; `field` is its path, such as `attachments.0.filename`."""

    field: str
    message: str


class ApiError(MaildError):
    """maild has refused a request, or failed.

    `code` is a stable word for programs; `detail` is for people; `request_id` names the request in
    maild's logs; `document` is the whole answer (RFC 9457).
    """

    def __init__(self, document: dict[str, Any], *, status: int, headers: httpx.Headers) -> None:
        self.status = status
        self.code = str(document.get("code", ""))
        self.title = str(document.get("title", ""))
        self.detail = str(document.get("detail") or document.get("error") or "")
        self.request_id = str(document.get("request_id") or headers.get("X-Request-ID", ""))
        self.errors = tuple(
            FieldProblem(str(one.get("field", "")), str(one.get("message", "")))
            for one in _list(document.get("errors"))
            if isinstance(one, dict)
        )
        self.retry_after = _seconds(headers.get("Retry-After"))
        """Seconds to wait before the request may succeed, where maild has told."""
        self.document = document
        super().__init__(f"{status} {self.code}: {self.detail}")


class InvalidRequest(ApiError):
    """Something in the request is wrong; `errors` names each field."""


class BlockedRecipientDomain(InvalidRequest):
    """The workspace's policy mails nobody there."""


class ForbiddenFromDomain(InvalidRequest):
    """The workspace's policy does not let this domain send."""


class PayloadTooLarge(InvalidRequest):
    """The request has more than 10 MB."""


class SmtpValidationFailed(InvalidRequest):
    """An SMTP account was tried, and does not work; `document["steps"]` has how far it came."""


class Unauthenticated(ApiError):
    """The API key is missing, unknown, revoked or expired."""


class Forbidden(ApiError):
    """The key's role, workspace or address does not allow it."""


class NotFound(ApiError):
    """There is no such thing in this workspace."""


class Conflict(ApiError):
    """Not as things stand."""


class IdempotencyConflict(Conflict):
    """The Idempotency-Key came before, with another request."""


class RateLimited(ApiError):
    """A limit is used up: of the key's requests, or of the workspace's messages."""


class Unavailable(ApiError):
    """maild, or something it needs, is away for now."""


class ServerError(ApiError):
    """maild has failed; its log tells more under `request_id`."""


_BY_CODE: dict[str, type[ApiError]] = {
    "blocked_recipient_domain": BlockedRecipientDomain,
    "forbidden_from_domain": ForbiddenFromDomain,
    "payload_too_large": PayloadTooLarge,
    "smtp_validation_failed": SmtpValidationFailed,
    "idempotency_conflict": IdempotencyConflict,
}
_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def from_response(response: httpx.Response) -> MaildError:
    """The exception for an answer that is an error. A proxy's own answer is one as well."""
    status = response.status_code
    if status < 400:
        return BadAnswer(f"{response.url} answers {status}: it is not maild's API, or has moved.")
    try:
        document = json.loads(response.content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {"detail": f"The answer is no problem document: {response.text[:200]!r}"}
    kind = _BY_CODE.get(str(document.get("code"))) or _BY_STATUS.get(status)
    if kind is None:
        kind = ServerError if status >= 500 else InvalidRequest
    return kind(document, status=status, headers=response.headers)


def _list(value: object) -> list[Any]:
    """A proxy's answer may have anything under our names."""
    return value if isinstance(value, list) else []


def _seconds(text: str | None) -> float | None:
    """The value of Retry-After; a date, which maild never sends, is not read."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None

"""The exceptions that maild raises on purpose, and nothing else.

    MaildError
    +-- InvalidRequest           400  invalid_request
    |   +-- MalformedJSON        400  malformed_json
    |   +-- InvalidFields        422  invalid_fields
    |   |   +-- MissingMergeFields 422 missing_merge_fields
    |   +-- BlockedRecipientDomain 422 blocked_recipient_domain
    |   +-- ForbiddenFromDomain  422  forbidden_from_domain
    |   +-- PayloadTooLarge      413  payload_too_large
    |   +-- SmtpValidationFailed 400  smtp_validation_failed
    +-- Unauthenticated          401  unauthenticated
    |   +-- BadSignature         401  bad_signature
    |   +-- SignInNeeded         401  sign_in_needed
    +-- Forbidden                403  forbidden
    +-- NotFound                 404  not_found
    +-- Conflict                 409  conflict
    |   +-- IdempotencyConflict  409  idempotency_conflict
    |   +-- AnotherWorkspace     409  conflict
    +-- RateLimited              429  rate_limited
    |   +-- TooManyRequests      429  rate_limited
    +-- Unavailable              503  unavailable
    |   +-- SearchTooLong        503  unavailable
    +-- ConfigError              a setting is missing or wrong; the process does not start
    +-- MigrationPending         the database is older than the code; the process does not start
    +-- IllegalTransition        a message was asked to make a move that its states do not have
    +-- DecryptionError          a stored secret does not open with the keys we hold

Each class carries the HTTP `status`, the stable machine word `code` and a `title`; the edges turn
an exception into an answer in one place (`api/errors.py`, `web/errors.py`). The text given to the
constructor is shown to people: a sentence that says what is wrong and what to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

UNAVAILABLE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field's complaint: `field` is the JSON path (`attachments.0.filename`)."""

    field: str
    message: str


def summarise(errors: Sequence[FieldError]) -> str:
    """One sentence for `detail`: the first complaint, and how many more there are."""
    first = f"{errors[0].field}: {errors[0].message}"
    more = len(errors) - 1
    return f"{first} (and {more} more)" if more else first


class MaildError(Exception):
    """The root. Never raised itself."""

    status = 500
    code = "internal_error"
    title = "Internal error"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Iterable[FieldError] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.retry_after_seconds = retry_after_seconds
        self.extensions: dict[str, object] = {}
        """What else the answer holds (RFC 9457 3.2)."""
        self.headers: dict[str, str] = {}
        """What else its head says."""


class InvalidRequest(MaildError):
    status = 400
    code = "invalid_request"
    title = "Invalid request"


class MalformedJSON(InvalidRequest):
    code = "malformed_json"
    title = "Malformed JSON"


class InvalidFields(InvalidRequest):
    status = 422
    code = "invalid_fields"
    title = "Invalid fields"


class MissingMergeFields(InvalidFields):
    """A template has gaps that there is nothing to fill with; `errors` names each."""

    code = "missing_merge_fields"
    title = "Merge fields are missing"


class BlockedRecipientDomain(InvalidRequest):
    status = 422
    code = "blocked_recipient_domain"
    title = "Blocked recipient domain"


class ForbiddenFromDomain(InvalidRequest):
    status = 422
    code = "forbidden_from_domain"
    title = "From domain not allowed"


class PayloadTooLarge(InvalidRequest):
    status = 413
    code = "payload_too_large"
    title = "Payload too large"


class SmtpValidationFailed(InvalidRequest):
    """An SMTP account did not work when it was tried; `steps` are in the answer too."""

    code = "smtp_validation_failed"
    title = "The SMTP account does not work"

    def __init__(self, detail: str, *, steps: Sequence[Mapping[str, object]]) -> None:
        super().__init__(detail)
        self.extensions = {"steps": list(steps)}


class Unauthenticated(MaildError):
    status = 401
    code = "unauthenticated"
    title = "Missing or unknown API key"


class BadSignature(Unauthenticated):
    """What claims to be a provider's report is not shown to be."""

    code = "bad_signature"
    title = "The signature does not hold"


class SignInNeeded(Unauthenticated):
    """A person has to log in first, in a browser."""

    code = "sign_in_needed"
    title = "Log in first"


class Forbidden(MaildError):
    status = 403
    code = "forbidden"
    title = "Not allowed"


class NotFound(MaildError):
    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(MaildError):
    status = 409
    code = "conflict"
    title = "Not as things stand"


class QueuedInSandbox(Conflict):
    """Mail that was for the sandbox would go to people."""

    code = "queued_in_sandbox"
    title = "Mail is queued in the sandbox"


class IdempotencyConflict(Conflict):
    """The Idempotency-Key came before, with another request."""

    code = "idempotency_conflict"
    title = "Idempotency-Key used for another request"


class AnotherWorkspace(Conflict):
    """A form was made for another workspace than the session shows by now."""


class RateLimited(MaildError):
    """A limit of the workspace's policy has no room."""

    status = 429
    code = "rate_limited"
    title = "Rate limited"
    domain: str | None = None
    """The recipients' domain that the limit is of; None: it is the workspace's."""


class TooManyRequests(RateLimited):
    """Not of mail: an API key has asked too often, or somebody has failed to show who they are."""

    title = "Too many requests"


class Unavailable(MaildError):
    """Something that is needed is away. Where nobody knows better, for UNAVAILABLE_SECONDS."""

    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Iterable[FieldError] = (),
        retry_after_seconds: int = UNAVAILABLE_SECONDS,
    ) -> None:
        super().__init__(detail, errors=errors, retry_after_seconds=retry_after_seconds)


class SearchTooLong(Unavailable):
    """A search was cut off. The page that it was for is shown all the same, and says so."""


class ConfigError(MaildError):
    """All problems of a configuration at once: `errors` names each setting."""

    code = "config_error"
    title = "The configuration is not usable"

    def __str__(self) -> str:
        lines = [f"  {error.field}: {error.message}" for error in self.errors]
        return "\n".join([self.detail, *lines])


class MigrationPending(MaildError):
    code = "migration_pending"
    title = "The database schema does not match the code"


class IllegalTransition(MaildError):
    code = "illegal_transition"
    title = "The message cannot make that move"


class DecryptionError(MaildError):
    code = "decryption_failed"
    title = "A stored secret cannot be decrypted"

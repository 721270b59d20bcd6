"""A typed client of maild, a control plane for outbound email. See `Client`.

Answers are dictionaries. Their types are in `maild_client.shapes`, with a module for each
chapter of the contract.
"""

from maild_client.client import Client
from maild_client.errors import (
    ApiError,
    BadAnswer,
    BlockedRecipientDomain,
    Conflict,
    FieldProblem,
    Forbidden,
    ForbiddenFromDomain,
    IdempotencyConflict,
    InvalidRequest,
    MaildError,
    NoAnswer,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    ServerError,
    SmtpValidationFailed,
    Unauthenticated,
    Unavailable,
    WebhookRefused,
)
from maild_client.transport import UNSET, RequestLimit, Retries, Unset
from maild_client.webhooks import verify_webhook

__all__ = [
    "UNSET",
    "ApiError",
    "BadAnswer",
    "BlockedRecipientDomain",
    "Client",
    "Conflict",
    "FieldProblem",
    "Forbidden",
    "ForbiddenFromDomain",
    "IdempotencyConflict",
    "InvalidRequest",
    "MaildError",
    "NoAnswer",
    "NotFound",
    "PayloadTooLarge",
    "RateLimited",
    "RequestLimit",
    "Retries",
    "ServerError",
    "SmtpValidationFailed",
    "Unauthenticated",
    "Unavailable",
    "Unset",
    "WebhookRefused",
    "verify_webhook",
]
